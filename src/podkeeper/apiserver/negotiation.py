"""Content negotiation: which rendering a client gets for its Accept header, which bodies can be read.

Objects of custom resources are not written as protobuf, only their metadata are, and Tables never: a client that offers
JSON beside it gets that, one that takes nothing else gets 406.
"""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from podkeeper.api.errors import not_acceptable, unsupported_media_type

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
SERVED = READ = (JSON, YAML, PROTOBUF)
TRANSFORMS = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})
#: Of answers that are no stored objects: reviews, tokens, bindings, discovery.
NO_TRANSFORMS = frozenset[str]()
_META_GROUP = "meta.k8s.io"


class Rendering(Struct, frozen=True):
    """A media type and the kind that the answer is turned into ("" for the object itself)."""

    media_type: str = JSON
    transform: str = ""
    version: str = ""
    pretty: bool = False

    @property
    def plain(self) -> bool:
        """The bytes that the registry keeps are the answer."""
        return not self.transform and self.media_type == JSON and not self.pretty


@lru_cache(maxsize=1024)
def accepted(header: bytes, custom: bool = False, transforms: frozenset[str] = TRANSFORMS) -> Rendering:
    """The rendering for an Accept header; ``custom`` tells that objects cannot be protobuf, ``transforms`` what they
    can be turned into. Raises 406."""
    if not header:
        return Rendering()
    for media, parameters in clauses(header.decode("latin-1")):
        served = {"*/*": JSON, "application/*": JSON}.get(media, media)
        if served not in SERVED:
            continue
        kind = parameters.get("as", "")
        if not kind and not (custom and served == PROTOBUF):
            return Rendering(served, pretty=parameters.get("pretty") == "1")
        version = parameters.get("v", "")
        can = kind in transforms and (kind != "Table" or served != PROTOBUF)
        if can and parameters.get("g") == _META_GROUP and version in ("v1", "v1beta1"):
            return Rendering(served, kind, version)
    raise not_acceptable((JSON, YAML) if custom else SERVED)


def clauses(header: str) -> list[tuple[str, dict[str, str]]]:
    """The media types of an Accept header with their parameters, what the client likes best first."""
    found = [_clause(text) for text in header.split(",")]
    found.sort(key=lambda clause: -clause[2])
    return [(media, parameters) for media, parameters, quality in found if quality > 0]


def _clause(text: str) -> tuple[str, dict[str, str], float]:
    media, *rest = [part.strip() for part in text.split(";")]
    parameters = dict(part.partition("=")[::2] for part in rest)
    try:
        quality = float(parameters.pop("q", "1"))
    except ValueError:
        quality = 1.0
    return media.lower(), parameters, quality


def body_type(content_type: bytes) -> str:
    """The media type of a body that can be read: JSON (also when none is named), YAML or protobuf. Raises 415."""
    if not content_type or content_type == b"application/json":
        return JSON
    media = content_type.decode("latin-1").partition(";")[0].strip().lower()
    if media in READ:
        return media
    raise unsupported_media_type(READ)
