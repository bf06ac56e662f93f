"""/api and /apis: discovery documents, rendered once and kept until what is served changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from podkeeper.api.catalogue import Resource
from podkeeper.apiserver import discovery, responses
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.discovery import Served, Tree
from podkeeper.foundation.http import Answer, Response
from podkeeper.registry.verbs import Registry

_GROUP = "apidiscovery.k8s.io"
_HEAD = b"Cache-Control: public\r\nVary: Accept\r\nContent-Type: application/json;g=apidiscovery.k8s.io;v=%b;as=%b\r\n"


@dataclass(frozen=True, slots=True)
class _Document:
    body: bytes
    etag: bytes
    head: bytes


class DiscoveryHandlers:
    """Handlers of every discovery path. ``unstored`` are rows that are served without being in the registry."""

    def __init__(
        self, registry: Registry, unstored: Mapping[tuple[str, str, str], Resource], address: Callable[[], str]
    ) -> None:
        self._registry, self._unstored, self._address = registry, unstored, address
        self._rows: tuple[Resource, ...] = ()
        self._served = Served(())
        self._documents: dict[tuple[str, str], _Document] = {}

    def handlers(self) -> Mapping[str, Handle]:
        """By path prefix."""
        return {"/api": self.handle, "/apis": self.handle}

    async def handle(self, call: Call) -> Answer:
        """Any discovery path; 404 for groups and versions that are not served."""
        served = self._current()
        parts = call.info.path.strip("/").split("/")
        if len(parts) == 1:
            wanted = _wanted(call.request.header(b"accept"))
            if wanted:
                return self._aggregated(call, parts[0], wanted)
            tree: Tree | None
            tree = discovery.api_versions(self._address()) if parts[0] == "api" else discovery.api_groups(served)
        elif parts[0] == "api":
            tree = discovery.api_resources(served, "", parts[1]) if len(parts) == 2 else None
        elif len(parts) == 2:
            tree = discovery.api_group(served, parts[1])
        else:
            tree = discovery.api_resources(served, parts[1], parts[2]) if len(parts) == 3 else None
        if tree is None:
            return responses.text("404 page not found\n", 404)
        return responses.tree(tree, call.rendering())

    def _current(self) -> Served:
        rows = (*self._registry.resources().values(), *self._unstored.values())
        if rows != self._rows:
            self._rows, self._served = rows, Served(_in_catalogue_order(rows))
            self._documents.clear()
        return self._served

    def _aggregated(self, call: Call, prefix: str, version: str) -> Answer:
        document = self._documents.get((prefix, version))
        if document is None:
            groups = [""] if prefix == "api" else self._served.groups()
            body = orjson.dumps(discovery.aggregated(self._served, groups, version)) + b"\n"
            etag = b'"%b"' % hashlib.sha512(body).hexdigest().upper().encode()
            head = _HEAD % (version.encode(), b"APIGroupDiscoveryList")
            document = self._documents[prefix, version] = _Document(body, etag, head)
        headers = ((b"ETag", document.etag),)
        if responses.unchanged(call.request, document.etag):
            return Response(304, document.head, b"", headers)
        return Response(200, document.head, document.body, headers)


def _in_catalogue_order(rows: tuple[Resource, ...]) -> list[Resource]:
    """Built-in rows as the catalogue orders their groups, others after them."""
    from podkeeper.api.resources import RESOURCES

    order = {(row.group, row.version, row.name): index for index, row in enumerate(RESOURCES)}
    return sorted(rows, key=lambda row: order.get((row.group, row.version, row.name), len(order)))


def _wanted(accept: str) -> str:
    """The version of the aggregated form that the client takes first; empty if it wants the legacy lists."""
    for clause in accept.split(","):
        media, *parameters = [part.strip() for part in clause.split(";")]
        if media not in ("application/json", "*/*"):
            continue
        values = dict(part.partition("=")[::2] for part in parameters)
        if "as" not in values:
            return ""
        if (
            values.get("g") == _GROUP
            and values["as"] == "APIGroupDiscoveryList"
            and values.get("v") in ("v2", "v2beta1")
        ):
            return values["v"]
    return ""
