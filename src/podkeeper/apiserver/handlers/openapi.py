"""/openapi/v2 and /openapi/v3: built when first asked for, and kept compressed until what is served changes.

A document's digest is made from the rows and the release that it is made from, so the index builds none of them.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from podkeeper.api import openapi
from podkeeper.api.catalogue import Resource
from podkeeper.apiserver import responses
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.version import GIT_VERSION
from podkeeper.foundation.http import Answer, Response
from podkeeper.registry.verbs import Registry

_HEAD = b"Content-Type: application/json\r\nVary: Accept-Encoding\r\nVary: Accept\r\n"
_ZIPPED = _HEAD + b"Content-Encoding: gzip\r\n"
_IMMUTABLE = b"Cache-Control: public, immutable\r\n"
_HASH_LENGTH = 32


_Build = Callable[[Sequence[Resource], str], Mapping[str, Any]]


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
        """The whole document as JSON; the protobuf form is not served, and 406 says so."""
        accept = call.request.header(b"accept")
        if accept and not any(name in accept for name in ("application/json", "*/*")):
            return responses.text("406 only application/json is served here\n", 406)
        rows = self._current()
        return _answer(call, self._document("v2", rows, openapi.v2_document))

    async def v3(self, call: Call) -> Answer:
        """The index, or one group's document; a request that names a document's hash may be cached for ever."""
        name = call.info.path.removeprefix("/openapi/v3").strip("/")
        groups = _by_document(self._current())
        if not name:
            digests = {each: _digest(rows) for each, rows in groups.items()}
            return Response(200, _HEAD, orjson.dumps(openapi.v3_index(digests)))
        if name not in groups:
            return responses.text("404 page not found\n", 404)
        document = self._document(name, groups[name], openapi.v3_document)
        asked = call.info.first("hash")
        if asked and asked != document.digest:
            location = f"/openapi/v3/{name}?hash={document.digest}"
            return Response(301, _HEAD, b"", ((b"Location", location.encode()),))
        return _answer(call, document, _IMMUTABLE if asked else b"")

    def _current(self) -> tuple[Resource, ...]:
        rows = (*self._registry.resources().values(), *self._unstored.values())
        if rows != self._rows:
            self._rows = rows
            self._documents.clear()
        return tuple(row for row in rows if row.type_name)

    def _document(self, name: str, rows: Sequence[Resource], build: _Build) -> _Document:
        found = self._documents.get(name)
        if found is None:
            body = orjson.dumps(build(rows, GIT_VERSION))
            found = self._documents[name] = _Document(gzip.compress(body, 5, mtime=0), _digest(rows))
        return found


def _digest(rows: Sequence[Resource]) -> str:
    data = "\n".join([GIT_VERSION, *(repr(row) for row in rows)]).encode()
    return hashlib.sha512(data).hexdigest().upper()[:_HASH_LENGTH]


def _by_document(rows: tuple[Resource, ...]) -> dict[str, list[Resource]]:
    groups: dict[str, list[Resource]] = {}
    for row in rows:
        groups.setdefault(openapi.v3_path_of(row.group, row.version), []).append(row)
    return groups


def _answer(call: Call, document: _Document, caching: bytes = b"") -> Answer:
    etag = f'"{document.digest}"'.encode()
    headers = ((b"ETag", etag),)
    if etag in call.request.headers.get(b"if-none-match", b""):
        return Response(304, _HEAD + caching, b"", headers)
    if b"gzip" in call.request.headers.get(b"accept-encoding", b""):
        return Response(200, _ZIPPED + caching, document.zipped, headers)
    return Response(200, _HEAD + caching, gzip.decompress(document.zipped), headers)
