"""Image references with Docker's meaning: ``busybox`` is ``docker.io/library/busybox:latest``.

The grammar and the wording of refusals follow github.com/distribution/reference.
"""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.runtime.failures import ImagePullFailure

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?P<domain>{_DOMAIN})/(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?"
)
_IMAGE_ID = re.compile(r"(?:sha256:)?(?P<hex>[a-f0-9]{64})")
_PATH_LIMIT = 255
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


class InvalidReference(ImagePullFailure):
    """The text is not an image reference."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f'couldn\'t parse image name "{text}": {why}', reason="InvalidImageName")


class Reference(Struct, frozen=True):
    """A full name. With a digest, the digest decides and the tag is a remark; without, there is always a tag."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """``docker.io/library/busybox``."""
        return f"{self.domain}/{self.path}"

    @property
    def canonical(self) -> str:
        """The name under which an image is kept: ``repository@digest``, else ``repository:tag``."""
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"

    @property
    def selector(self) -> str:
        """What a registry is asked for: the digest, else the tag."""
        return self.digest or self.tag

    def pinned_to(self, digest: str) -> Reference:
        """The same repository at ``digest``."""
        return replace(self, tag="", digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def parse(text: str) -> Reference:
    """Normalises ``text`` as Docker does. Raises InvalidReference (reason InvalidImageName)."""
    if re.fullmatch(r"[a-f0-9]{64}", text):
        raise InvalidReference(text, f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    domain, remainder = _split_domain(text)
    name = _name_part(remainder)
    if name != name.lower():
        raise InvalidReference(text, f"invalid reference format: repository name ({name}) must be lowercase")
    found = _REFERENCE.fullmatch(f"{domain}/{remainder}")
    if found is None:
        raise InvalidReference(text, "invalid reference format")
    if len(found["path"]) > _PATH_LIMIT:
        raise InvalidReference(text, f"repository name must not be more than {_PATH_LIMIT} characters")
    digest = found["digest"] or ""
    if digest:
        _check_digest(text, digest)
    tag = found["tag"] or ("" if digest else DEFAULT_TAG)
    return Reference(found["domain"], found["path"], tag, digest)


def parse_image_id(text: str) -> str:
    """``sha256:...`` when ``text`` is an image id (with or without the algorithm), else an empty string."""
    found = _IMAGE_ID.fullmatch(text)
    return f"sha256:{found['hex']}" if found else ""


def _split_domain(text: str) -> tuple[str, str]:
    """The first component is a domain when it has a dot, a colon or a capital letter, or is ``localhost``."""
    first, slash, rest = text.partition("/")
    if not slash or not (set(first) & set(".:") or first == "localhost" or first != first.lower()):
        domain, remainder = DEFAULT_DOMAIN, text
    else:
        domain, remainder = first, rest
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder.partition("@")[0]:
        remainder = f"library/{remainder}"
    return domain, remainder


def _name_part(remainder: str) -> str:
    return remainder.partition("@")[0].partition(":")[0]


def _check_digest(text: str, digest: str) -> None:
    algorithm, _, encoded = digest.partition(":")
    if algorithm not in _DIGEST_LENGTHS:
        raise InvalidReference(text, "unsupported digest algorithm")
    if len(encoded) != _DIGEST_LENGTHS[algorithm]:
        raise InvalidReference(text, "invalid checksum digest length")
    if encoded != encoded.lower():
        raise InvalidReference(text, "invalid checksum digest format")
