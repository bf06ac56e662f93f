"""Objects and lists in the form that the client asked for: the kept bytes, protobuf, YAML, Tables, metadata alone;
compressed if long."""

from __future__ import annotations

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError, bad_request
from podkeeper.apiserver import responses
from podkeeper.apiserver.call import Call
from podkeeper.apiserver.negotiation import PROTOBUF, Rendering
from podkeeper.apiserver.tables.table import HasTree, TableMaker
from podkeeper.foundation.http import Request, Response
from podkeeper.foundation.http.messages import Headers
from podkeeper.registry.undecodable import internal_package
from podkeeper.registry.verbs import Item, Listing

#: Bodies beyond this are compressed for clients that take gzip (upstream's threshold).
COMPRESSED_FROM = 128 << 10
_KEPT_BYTES = 16 << 20
#: Messages that are made before others have their turn: some milliseconds.
_MADE_TOGETHER = 50
_GZIP = 16 + zlib.MAX_WBITS


class Renderer:
    """Turns items and listings into answers."""

    def __init__(self, tables: TableMaker) -> None:
        self._tables = tables
        self._compressed = CompressedBodies()

    def item(
        self,
        call: Call,
        resource: Resource,
        item: Item,
        rendering: Rendering,
        status: int = 200,
        warnings: Sequence[str] = (),
    ) -> Response:
        """One object."""
        headers = responses.warnings(warnings) if warnings else ()
        if rendering.plain:
            return Response(status, responses.JSON_HEAD, item.json, headers)
        if rendering.media_type == PROTOBUF and not rendering.transform:
            from podkeeper.api import protobuf  # not every client wants it

            return Response(status, responses.PROTOBUF_HEAD, protobuf.wrap(*item.type, item.message), headers)
        if rendering.transform == "Table":
            tree = self.table(call, resource, (item,), {"resourceVersion": str(item.revision)}, rendering.version)
        elif rendering.transform == "PartialObjectMetadata":
            tree = partial(item, rendering.version)
        elif rendering.transform:
            raise _not_convertible(rendering.transform, "is not a list", resource, resource.kind)
        else:
            tree = item.tree()
        return responses.tree(tree, rendering, status, headers)

    async def listing(self, call: Call, resource: Resource, listing: Listing, rendering: Rendering) -> Response:
        """A list, compressed if it is long and the client takes that."""
        if rendering.plain:
            return Response(200, responses.JSON_HEAD, listing.json)
        if rendering.media_type == PROTOBUF and not rendering.transform:
            body = await _list_in_protobuf(resource, listing)
            return Response(200, responses.PROTOBUF_HEAD, body)
        if rendering.transform == "Table":
            tree = self.table(call, resource, listing.items, _list_metadata(listing), rendering.version)
        elif rendering.transform == "PartialObjectMetadataList":
            tree = {
                "kind": "PartialObjectMetadataList",
                "apiVersion": f"meta.k8s.io/{rendering.version}",
                "metadata": _list_metadata(listing),
                "items": [partial(item, rendering.version) for item in listing.items],
            }
        elif rendering.transform:
            raise _not_convertible(rendering.transform, "is a list", resource, resource.list_kind)
        else:
            tree = msgspec.json.decode(listing.json)
        return responses.tree(tree, rendering)

    def table(
        self, call: Call, resource: Resource, items: Sequence[HasTree], metadata: Mapping[str, Any], version: str
    ) -> dict[str, Any]:
        """Items as a Table, as much of each object in it as the client wants."""
        return self._tables.table(resource, items, metadata, version, included(call))

    async def compressed(self, request: Request, answer: Response) -> Response:
        """A long answer, compressed if the client takes that."""
        if b"gzip" not in [each.strip() for each in request.headers.get(b"accept-encoding", b"").split(b",")]:
            return answer
        headers: Headers = ((b"Content-Encoding", b"gzip"), (b"Vary", b"Accept-Encoding"))
        body = await self._compressed.of(answer.body)
        return Response(answer.status, answer.head, body, (*answer.headers, *headers))


def included(call: Call) -> str:
    """How much of each object a Table's row shall carry. Raises 400."""
    include = call.info.first("includeObject", "Metadata") or "Metadata"
    if include not in ("None", "Metadata", "Object"):
        wrong = f"includeObject: Invalid value: \"{include}\": must be 'Metadata', 'Object', 'None', or empty"
        raise bad_request(f"Unable to convert to Table as requested: {wrong}")
    return include


class CompressedBodies:
    """Compressed forms of bodies that others keep, found by the very bytes object; bounded."""

    def __init__(self, capacity: int = _KEPT_BYTES) -> None:
        self._capacity, self._size = capacity, 0
        self._kept: OrderedDict[int, tuple[bytes, bytes]] = OrderedDict()

    async def of(self, body: bytes) -> bytes:
        """``body`` as gzip, made in a thread (zlib lets the loop run meanwhile)."""
        kept = self._kept.get(id(body))
        if kept is not None:
            self._kept.move_to_end(id(body))
            return kept[1]
        compressed = await asyncio.to_thread(_gzip, body)
        if id(body) not in self._kept:
            self._kept[id(body)] = (body, compressed)
            self._size += len(body) + len(compressed)
        while self._size > self._capacity and self._kept:
            _, (old, packed) = self._kept.popitem(last=False)
            self._size -= len(old) + len(packed)
        return compressed


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    return packer.compress(body) + packer.flush()


def partial(item: Item, version: str) -> dict[str, Any]:
    """An object's metadata alone."""
    metadata = item.tree()["metadata"]
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": metadata}


async def _list_in_protobuf(resource: Resource, listing: Listing) -> bytes:
    """The list joined of its items' messages, kept with the listing."""
    from podkeeper.api import protobuf  # not every client wants it

    body = listing.renderings.get(PROTOBUF)
    if body is None:
        messages: list[bytes] = []
        for start in range(0, len(listing.items), _MADE_TOGETHER):
            messages += [item.message for item in listing.items[start : start + _MADE_TOGETHER]]
            await asyncio.sleep(0)  # messages that are not there yet take a while: others have their turn
        body = protobuf.join(resource.api_version, f"{resource.kind}List", _list_metadata(listing), messages)
        listing.renderings[PROTOBUF] = body
    return body


def _list_metadata(listing: Listing) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": str(listing.revision)}
    if listing.continuation:
        metadata["continue"] = listing.continuation
    if listing.remaining is not None:
        metadata["remainingItemCount"] = listing.remaining
    return metadata


def _not_convertible(transform: str, why: str, resource: Resource, kind: str) -> ApiError:
    found = f"{internal_package(resource.group)}.{kind}"
    if resource.schema is not None:
        found = "unstructured.Unstructured" + ("List" if kind == resource.list_kind else "")
    return ApiError(406, "NotAcceptable", f"you requested {transform}, but the requested object {why} (*{found})")
