"""/openapi/v2 and /openapi/v3: built when first asked for, and kept compressed until what is served changes.

A document's digest is made from the rows and the release that it is made from, so the index builds none of them.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from podkeeper.api import openapi
from podkeeper.api.catalogue import Resource
from podkeeper.api.openapi import gnostic
from podkeeper.apiserver import responses
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.version import GIT_VERSION
from podkeeper.foundation.http import Answer, Response
from podkeeper.registry.verbs import Registry

_JSON = "application/json"
_IMMUTABLE = b"Cache-Control: public, immutable\r\n"
_HASH_LENGTH = 32

#: From rows and the server's release to the document's bytes.
_Build = Callable[[Sequence[Resource], str], bytes]


@dataclass(frozen=True, slots=True)
class _Document:
    """Kept compressed: a tenth of the memory, and what most clients ask for."""

    zipped: bytes
    digest: str


class OpenApiHandlers:
    """Handlers of both versions' paths. ``unstored`` are rows that are served without being in the registry."""

    def __init__(self, registry: Registry, unstored: Mapping[tuple[str, str, str], Resource]) -> None:
        self._registry, self._unstored = registry, unstored
        self._rows: tuple[Resource, ...] = ()
        self._documents: dict[str, _Document] = {}

    def handlers(self) -> Mapping[str, Handle]:
        """By path prefix."""
        return {"/openapi/v2": self.v2, "/openapi/v3": self.v3}

    async def v2(self, call: Call) -> Answer:
        """The whole document, as JSON or in the protobuf form of client-go."""
        accept = call.request.header(b"accept")
        rows = self._current()
        if gnostic.MEDIA_TYPE in accept:
            return _answer(call, self._document("v2 protobuf", rows, _v2_protobuf), _head(gnostic.ANSWER_TYPE))
        if accept and not any(name in accept for name in (_JSON, "*/*")):
            return responses.text(f"406 only {_JSON} and {gnostic.MEDIA_TYPE} are served here\n", 406)
        return _answer(call, self._document("v2", rows, _v2_json), _head(_JSON))

    async def v3(self, call: Call) -> Answer:
        """The index, or one group's document; a request that names a document's hash may be cached for ever."""
        name = call.info.path.removeprefix("/openapi/v3").strip("/")
        groups = _by_document(self._current())
        if not name:
            digests = {each: _digest(rows) for each, rows in groups.items()}
            return Response(200, _head(_JSON), orjson.dumps(openapi.v3_index(digests)))
        if name not in groups:
            return responses.text("404 page not found\n", 404)
        document = self._document(name, groups[name], _v3_json)
        asked = call.info.first("hash")
        if asked and asked != document.digest:
            location = f"/openapi/v3/{name}?hash={document.digest}"
            return Response(301, _head(_JSON), b"", ((b"Location", location.encode()),))
        return _answer(call, document, _head(_JSON) + (_IMMUTABLE if asked else b""))

    def _current(self) -> tuple[Resource, ...]:
        rows = (*self._registry.resources().values(), *self._unstored.values())
        if rows != self._rows:
            self._rows = rows
            self._documents.clear()
        return tuple(row for row in rows if row.type_name)

    def _document(self, name: str, rows: Sequence[Resource], build: _Build) -> _Document:
        found = self._documents.get(name)
        if found is None:
            zipped = gzip.compress(build(rows, GIT_VERSION), 5, mtime=0)
            found = self._documents[name] = _Document(zipped, _digest(rows))
        return found


def _v2_json(rows: Sequence[Resource], version: str) -> bytes:
    return orjson.dumps(openapi.v2_document(rows, version))


def _v2_protobuf(rows: Sequence[Resource], version: str) -> bytes:
    return gnostic.encode(openapi.v2_document(rows, version))


def _v3_json(rows: Sequence[Resource], version: str) -> bytes:
    return orjson.dumps(openapi.v3_document(rows, version))


def _digest(rows: Sequence[Resource]) -> str:
    data = "\n".join([GIT_VERSION, *(repr(row) for row in rows)]).encode()
    return hashlib.sha512(data).hexdigest().upper()[:_HASH_LENGTH]


def _by_document(rows: tuple[Resource, ...]) -> dict[str, list[Resource]]:
    groups: dict[str, list[Resource]] = {}
    for row in rows:
        groups.setdefault(openapi.v3_path_of(row.group, row.version), []).append(row)
    return groups


def _answer(call: Call, document: _Document, head: bytes) -> Answer:
    etag = f'"{document.digest}"'.encode()
    headers = ((b"ETag", etag),)
    if etag in call.request.headers.get(b"if-none-match", b""):
        return Response(304, head, b"", headers)
    if b"gzip" in call.request.headers.get(b"accept-encoding", b""):
        return Response(200, head + b"Content-Encoding: gzip\r\n", document.zipped, headers)
    return Response(200, head, gzip.decompress(document.zipped), headers)


def _head(media_type: str) -> bytes:
    return b"Vary: Accept-Encoding\r\nVary: Accept\r\nContent-Type: %b\r\n" % media_type.encode()
