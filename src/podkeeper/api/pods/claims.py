"""Which claims a pod's volumes are: those it names, and those made for its ephemeral volumes.

Source: https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#persistentvolumeclaim-naming
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from podkeeper.api.core import v1


class PodClaim(NamedTuple):
    """A claim by name; ``ephemeral``: it was made for the pod, and is the pod's only where the pod controls it."""

    name: str
    ephemeral: bool


def claims_of(pod: v1.Pod) -> Iterator[PodClaim]:
    """The claims that a pod's volumes refer to."""
    for volume in pod.spec.volumes if pod.spec is not None else ():
        if volume.persistent_volume_claim is not None:
            yield PodClaim(volume.persistent_volume_claim.claim_name, ephemeral=False)
        elif volume.ephemeral is not None:
            yield PodClaim(f"{pod.metadata.name}-{volume.name}", ephemeral=True)
