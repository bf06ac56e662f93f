"""What goes wrong in a container runtime, by the names that its callers tell apart."""

from __future__ import annotations


class RuntimeFailure(Exception):
    """A runtime operation failed. The text names the operation, the object and the cause."""


class NotFound(RuntimeFailure):
    """The sandbox, container or image is not known."""


class ImagePullFailure(RuntimeFailure):
    """A pull failed; ``reason`` is the kubelet's word for it (ErrImagePull, InvalidImageName, RegistryUnavailable).

    RegistryUnavailable means that no registry answered at all, as opposed to one that refused.
    """

    def __init__(self, message: str, reason: str = "ErrImagePull") -> None:
        super().__init__(message)
        self.reason = reason
