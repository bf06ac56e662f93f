"""Content negotiation: which rendering a client gets for its Accept header, which bodies can be read.

Objects of custom resources are not written as protobuf, only their metadata are, and Tables never: a client that offers
JSON beside it gets that, one that takes nothing else gets 406.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from podkeeper.api.errors import ApiError, not_acceptable, unsupported_media_type

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
SERVED = READ = (JSON, YAML, PROTOBUF)
STREAMED = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")
#: What upstream's router knows of paths of one object, and of collections.
ROUTED, ROUTED_LISTS = SERVED, (*SERVED, *STREAMED)
TRANSFORMS = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})
#: Of watches that begin with the state: its end has no place in a Table.
LISTING_WATCH = TRANSFORMS - {"Table"}
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
def accepted(
    header: bytes, custom: bool = False, transforms: frozenset[str] = TRANSFORMS, routed: tuple[str, ...] = ()
) -> Rendering:
    """The rendering for an Accept header; ``custom`` tells that objects cannot be protobuf, ``transforms`` what they
    can be turned into, ``routed`` what upstream's router wants to see named first. Raises 406."""
    if not header:
        return Rendering()
    text = header.decode("latin-1")
    if routed and not _is_named(text, routed):
        told = f"406: Not Acceptable\n\nAvailable representations: {', '.join(routed)}"
        raise ApiError(406, "NotAcceptable", told, detailed=True)
    for media, parameters in clauses(text):
        for served in SERVED:
            if media in (served, "application/*", "*/*"):
                found = _rendering(served, parameters, custom, transforms)
                if found is not None:
                    return found
    raise not_acceptable(SERVED)


@lru_cache(maxsize=1024)
def of_object(header: bytes) -> Rendering:
    """The rendering of one object of a built-in kind: what most requests ask for, found by the header alone."""
    return accepted(header, routed=ROUTED)


@lru_cache(maxsize=1024)
def of_list(header: bytes) -> Rendering:
    """The rendering of a list, or watch, of a built-in kind."""
    return accepted(header, routed=ROUTED_LISTS)


def _is_named(header: str, routed: Sequence[str]) -> bool:
    """As upstream's router looks at the header: no parameters, no wildcard but the whole one."""
    named = [text.partition(";")[0].strip(" ") for text in header.split(",")]
    return any(media == "*/*" or media in routed for media in named)


def _rendering(
    served: str, parameters: Mapping[str, str], custom: bool, transforms: frozenset[str]
) -> Rendering | None:
    """The rendering in a media type, if its parameters allow it. Source: acceptMediaTypeOptions of k8s.io/apiserver."""
    stream, server_version = parameters.get("stream"), parameters.get("sv")
    if (stream and (stream != "watch" or served == YAML)) or server_version not in (None, "", "v1"):
        return None
    pretty = parameters.get("pretty") == "1"
    if parameters.keys().isdisjoint(("as", "g", "v")):
        return None if custom and served == PROTOBUF else Rendering(served, pretty=pretty)
    kind, version = parameters.get("as", ""), parameters.get("v", "")
    known = parameters.get("g") == _META_GROUP and version in ("v1", "v1beta1")
    if known and kind in transforms and (kind != "Table" or served != PROTOBUF):
        return Rendering(served, kind, version, pretty)
    return None


def clauses(header: str) -> list[tuple[str, dict[str, str]]]:
    """The media types of an Accept header with their parameters, what the client likes best first.

    A quality of 0 does not exclude, and one that is no number is 0. Source: github.com/munnerz/goautoneg.
    """
    found: list[_Clause] = []
    for text in header.split(","):
        clause = _clause(text.strip(" "))
        if clause is None:
            continue
        # Sorted by insertion: upstream's order is none in which all pairs agree.
        place = len(found)
        while place and _is_before(clause, found[place - 1]):
            place -= 1
        found.insert(place, clause)
    return [(f"{clause.type}/{clause.subtype}", clause.parameters) for clause in found]


class _Clause(Struct, frozen=True):
    type: str
    subtype: str
    quality: float
    parameters: dict[str, str]


def _is_before(clause: _Clause, other: _Clause) -> bool:
    if clause.quality > other.quality or (clause.type != "*" and other.type == "*"):
        return True
    return clause.subtype != "*" and other.subtype == "*"


def _clause(text: str) -> _Clause | None:
    media, *rest = text.split(";")
    type_, _, subtype = media.partition("/")
    type_, subtype = type_.strip(" "), subtype.strip(" ")
    if not subtype and type_ == "*":
        subtype = "*"
    if not subtype or "/" in subtype:
        return None
    parameters: dict[str, str] = {}
    quality = 1.0
    for name, _, value in (part.partition("=") for part in rest):
        if not value or "=" in value:
            continue
        if name.strip(" ") == "q":
            quality = _number(value)
        else:
            parameters[name.strip(" ")] = value.strip(" ")
    return _Clause(type_, subtype, quality, parameters)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def is_for_eyes(user_agent: bytes) -> bool:
    """Whether a client's user wants to read JSON, told by its name. Source: isPrettyPrint of k8s.io/apiserver."""
    return user_agent.startswith((b"curl", b"Wget", b"Mozilla/5.0"))


def body_type(content_type: bytes) -> str:
    """The media type of a body that can be read: JSON (also when none is named), YAML or protobuf. Raises 415."""
    if not content_type or content_type == b"application/json":
        return JSON
    media = content_type.decode("latin-1").partition(";")[0].strip().lower()
    if media in READ:
        return media
    raise unsupported_media_type(READ)
