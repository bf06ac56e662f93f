"""/openapi/v2 and /openapi/v3: built when first asked for, and kept compressed until what is served changes.

A document's digest is made from what it is made from, so the index builds none of them.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
from msgspec import Struct

from podkeeper.api import openapi
from podkeeper.api.catalogue import Resource
from podkeeper.api.openapi import gnostic, gnostic_third
from podkeeper.apiserver import responses
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.negotiation import clauses
from podkeeper.apiserver.version import GIT_VERSION
from podkeeper.foundation.http import Answer, Response
from podkeeper.registry.verbs import Registry

_JSON = "application/json"
_HASH_LENGTH = 32
_VARY = b"Vary: Accept-Encoding\r\nVary: Accept\r\n"
_ONE_YEAR = timedelta(days=365)

#: The media types that are offered, each with the Content-Type of its answer.
_V3_TYPES = {
    _JSON: _JSON,
    gnostic_third.MEDIA_TYPE: gnostic_third.ANSWER_TYPE,
    gnostic_third.ANSWER_TYPE: gnostic_third.ANSWER_TYPE,
}
SECOND_TYPES = {_JSON: _JSON, gnostic.MEDIA_TYPE: gnostic.ANSWER_TYPE, gnostic.ANSWER_TYPE: gnostic.ANSWER_TYPE}


class Document(Struct, frozen=True):
    """Kept compressed: a tenth of the memory, and what most clients ask for."""

    zipped: bytes
    etag: bytes
    made: bytes

    @classmethod
    def of(cls, body: bytes, digest: str) -> Document:
        """``digest`` becomes its tag."""
        made = format_datetime(datetime.now(UTC), usegmt=True)
        return cls(gzip.compress(body, 5, mtime=0), f'"{digest}"'.encode(), made.encode())


class OpenApiHandlers:
    """Handlers of both versions' paths. ``unstored`` are rows that are served without being in the registry."""

    def __init__(self, registry: Registry, unstored: Mapping[tuple[str, str, str], Resource]) -> None:
        self._registry, self._unstored = registry, unstored
        self._served: tuple[Resource, ...] = ()
        self._rows: tuple[Resource, ...] = ()
        self._builtin: tuple[Resource, ...] = ()
        self._source = ""
        self._builtin_digests: Mapping[str, str] = {}
        self._custom: dict[str, tuple[tuple[Resource, ...], str]] = {}
        self._digests: Mapping[str, str] = {}
        self._documents: dict[str, Document] = {}

    def handlers(self) -> Mapping[str, Handle]:
        """By path prefix."""
        return {"/openapi/v2": self.v2, "/openapi/v3": self.v3}

    async def v2(self, call: Call) -> Answer:
        """The whole document, as JSON or in the protobuf form of client-go."""
        media_type = chosen(call, SECOND_TYPES)
        if not media_type:
            return not_acceptable(SECOND_TYPES)
        self._refresh()
        name = digest([media_type, *self._digests.values()])
        document = self._document(f"v2 {media_type}", name, lambda: second(self._second(), media_type))
        return answer_with(call, document, head_of(media_type))

    async def v3(self, call: Call) -> Answer:
        """The index, which is JSON for everybody, or one group's document; a request that names a document's hash may
        be cached for ever."""
        self._refresh()
        name = call.info.path.removeprefix("/openapi/v3").strip("/")
        if not name:
            found = digest(self._digests.values())
            index = self._document("v3", found, lambda: orjson.dumps(openapi.v3_index(self._digests)))
            return answer_with(call, index, head_of(_JSON))
        media_type = chosen(call, _V3_TYPES)
        if not media_type:
            return not_acceptable(_V3_TYPES)
        known, asked = self._digests.get(name), call.info.first("hash")
        if known is None:
            return responses.text("404 page not found\n", 404)
        if asked and asked != known:
            location = f"/openapi/v3/{name}?hash={known}"
            return Response(301, b"", b"", ((b"Location", location.encode()),))
        encode = gnostic_third.encode if media_type == gnostic_third.ANSWER_TYPE else orjson.dumps
        # Upstream's tag, too, is the document's, not that of one of its forms.
        document = self._document(f"v3 {name} {media_type}", known, lambda: encode(self._third(name)))
        return answer_with(call, document, head_of(media_type) + (_for_ever() if asked else b""))

    def _refresh(self) -> None:
        """Works out the digests again when what is served has changed, of as few documents as that concerns."""
        served = (*self._registry.resources().values(), *self._unstored.values())
        if served == self._served:
            return
        self._served = served
        self._rows = tuple(row for row in served if row.type_name or row.schema is not None)
        builtin = tuple(row for row in self._rows if row.schema is None)
        if builtin != self._builtin:
            self._builtin, self._source = builtin, digest([GIT_VERSION, openapi.fingerprint()])
            found = openapi.v3_documents(builtin)
            self._builtin_digests = {name: digest([self._source, *map(repr, each)]) for name, each in found.items()}
        self._custom = {name: self._known_custom(name, rows) for name, rows in _by_document(self._rows).items()}
        self._digests = {**self._builtin_digests, **{name: digest for name, (_, digest) in self._custom.items()}}

    def _known_custom(self, name: str, rows: tuple[Resource, ...]) -> tuple[tuple[Resource, ...], str]:
        """The rows of a document with custom resources and its digest, which is worked out once."""
        known = self._custom.get(name)
        if known is not None and known[0] == rows:
            return known
        parts = [f"{row!r} {orjson.dumps(row.schema).decode()}" for row in rows]
        return rows, digest([self._source, self._builtin_digests.get(name, ""), *parts])

    def _second(self) -> openapi.Tree:
        return openapi.v2_document(self._rows, GIT_VERSION)

    def _third(self, name: str) -> openapi.Tree:
        rows = self._builtin if name not in self._custom else self._custom[name][0]
        return openapi.v3_document(openapi.v3_documents(rows)[name], GIT_VERSION, rows)

    def _document(self, name: str, digest: str, build: Callable[[], bytes]) -> Document:
        etag = f'"{digest}"'.encode()
        found = self._documents.get(name)
        if found is None or found.etag != etag:
            found = self._documents[name] = Document.of(build(), digest)
        return found


def second(tree: openapi.Tree, media_type: str) -> bytes:
    """A version 2 document in one of its forms."""
    return gnostic.encode(tree) if media_type == gnostic.ANSWER_TYPE else orjson.dumps(tree)


def _by_document(rows: Iterable[Resource]) -> Mapping[str, tuple[Resource, ...]]:
    """What stands in each document with custom resources, built-in neighbours included."""
    rows = tuple(rows)
    names = dict.fromkeys((row.group, row.version) for row in rows if row.schema is not None)
    found: dict[tuple[str, str], list[Resource]] = {name: [] for name in names}
    for row in rows:
        if (row.group, row.version) in found:
            found[row.group, row.version].append(row)
    return {f"apis/{group}/{version}": tuple(each) for (group, version), each in found.items()}


def digest(parts: Iterable[str]) -> str:
    """What a document made of these parts is known by."""
    return hashlib.sha512("\n".join(parts).encode()).hexdigest().upper()[:_HASH_LENGTH]


def chosen(call: Call, offered: Mapping[str, str]) -> str:
    """The Content-Type of the answer; empty if nothing that the client takes is offered."""
    for media, _ in clauses(call.request.header(b"accept") or "*/*"):
        found = _JSON if media in ("*/*", "application/*") else offered.get(media)
        if found:
            return found
    return ""


def not_acceptable(offered: Iterable[str]) -> Response:
    """The client wants another form."""
    return responses.text(f"406 only {', '.join(offered)} are served here\n", 406)


def answer_with(call: Call, document: Document, head: bytes) -> Answer:
    """The document, compressed if the client takes that; 304 if it has it."""
    headers = ((b"ETag", document.etag), (b"Last-Modified", document.made))
    if responses.unchanged(call.request, document.etag):
        return Response(304, _VARY, b"", headers)
    if b"gzip" in call.request.headers.get(b"accept-encoding", b""):
        return Response(200, head + b"Content-Encoding: gzip\r\n", document.zipped, headers)
    return Response(200, head, gzip.decompress(document.zipped), headers)


def head_of(media_type: str) -> bytes:
    """The headers of a document in a media type."""
    return _VARY + b"Content-Type: %b\r\n" % media_type.encode()


def _for_ever() -> bytes:
    expires = format_datetime(datetime.now(UTC) + _ONE_YEAR, usegmt=True)
    return b"Cache-Control: public, immutable\r\nExpires: %b\r\n" % expires.encode()
