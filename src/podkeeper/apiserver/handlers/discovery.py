"""/api and /apis: discovery documents, rendered once and kept until what is served changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import orjson
from msgspec import Struct

from podkeeper.api.catalogue import Resource
from podkeeper.apiserver import discovery, responses
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.discovery import RemoteGroups, Served, Tree
from podkeeper.apiserver.handlers.resources import method_not_allowed
from podkeeper.apiserver.negotiation import JSON, SERVED, Rendering, clauses
from podkeeper.foundation.http import Answer, Response
from podkeeper.registry.verbs import Registry

_HEAD = b"Cache-Control: public\r\nVary: Accept\r\n"
_FORM = {"g": "apidiscovery.k8s.io", "v": "v2", "as": "APIGroupDiscoveryList"}


class _Document(Struct, frozen=True):
    tree: Tree
    etag: bytes


class DiscoveryHandlers:
    """Handlers of every discovery path. ``unstored`` are rows that are served without being in the registry."""

    def __init__(
        self,
        registry: Registry,
        unstored: Mapping[tuple[str, str, str], Resource],
        address: Callable[[], str],
        remote: RemoteGroups | None = None,
    ) -> None:
        self._registry, self._unstored, self._address, self._remote = registry, unstored, address, remote
        self._remote_revision = 0
        self._rows: tuple[Resource, ...] = ()
        self._served = Served(())
        self._documents: dict[str, _Document] = {}

    def handlers(self) -> Mapping[str, Handle]:
        """By path prefix."""
        return {"/api": self.handle, "/apis": self.handle}

    async def handle(self, call: Call) -> Answer:
        """Any discovery path; 404 for groups and versions that are not served."""
        if call.request.method != "GET":
            raise method_not_allowed()
        served = self._current()
        parts = call.info.path.strip("/").split("/")
        if len(parts) == 1:
            media_type = _aggregated_type(call.request.header(b"accept"))
            if media_type:
                return self._aggregated(call, parts[0], media_type)
            tree: Tree | None
            tree = discovery.api_versions(self._address()) if parts[0] == "api" else self._groups(served)
        elif parts[0] == "api":
            tree = discovery.api_resources(served, "", parts[1]) if len(parts) == 2 else None
        elif len(parts) == 2:
            tree = self._group(served, parts[1])
        else:
            tree = discovery.api_resources(served, parts[1], parts[2]) if len(parts) == 3 else None
        if tree is None:
            return responses.text("404 page not found\n", 404)
        return responses.tree(tree, call.plain_rendering())

    def _current(self) -> Served:
        rows = (*self._registry.resources().values(), *self._unstored.values())
        if rows != self._rows:
            self._rows, self._served = rows, Served(rows)
            self._documents.clear()
        if self._remote is not None and self._remote.revision != self._remote_revision:
            self._remote_revision = self._remote.revision
            self._documents.clear()
        return self._served

    def _groups(self, served: Served) -> Tree:
        """GET /apis, with the groups of other servers."""
        tree = discovery.api_groups(served)
        if self._remote is not None:
            tree["groups"] = discovery.with_remote_groups(tree["groups"], self._remote)
        return tree

    def _group(self, served: Served, name: str) -> Tree | None:
        """GET /apis/GROUP, be it this server's or another's."""
        if self._remote is None or not name:
            return discovery.api_group(served, name)
        own = discovery.api_group(served, name)
        groups = discovery.with_remote_groups([own] if own else [], self._remote)
        found = next((each for each in groups if each["name"] == name), None)
        return {"kind": "APIGroup", "apiVersion": "v1", **found} if found else None

    def _aggregated(self, call: Call, prefix: str, media_type: str) -> Answer:
        document = self._documents.get(prefix)
        if document is None:
            groups = [""] if prefix == "api" else self._served.groups()
            tree = discovery.aggregated(self._served, groups)
            if self._remote is not None and prefix == "apis":
                tree["items"] = discovery.with_remote_items(tree["items"], self._remote)
            etag = b'"%b"' % hashlib.sha512(orjson.dumps(tree)).hexdigest().upper().encode()
            document = self._documents[prefix] = _Document(tree, etag)
        headers = ((b"ETag", document.etag),)
        if responses.unchanged(call.request, document.etag):
            return Response(304, _HEAD, b"", headers)
        parameters = ";".join(f"{name}={value}" for name, value in _FORM.items())
        head = _HEAD + f"Content-Type: {media_type};{parameters}\r\n".encode()
        return Response(200, head, responses.tree(document.tree, Rendering(media_type)).body, headers)


def _aggregated_type(accept: str) -> str:
    """The media type in which the client likes the aggregated form best; empty if it wants the lists instead."""
    for media, parameters in clauses(accept):
        media_type = {"*/*": JSON, "application/*": JSON}.get(media, media)
        if media_type not in SERVED:
            continue
        if {name: parameters.get(name) for name in _FORM} == _FORM:
            return media_type
        if "as" not in parameters:
            return ""
    return ""
