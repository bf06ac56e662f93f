"""Chooses what answers an authorized request: a stored resource, a special resource, or a plain path."""

from __future__ import annotations

from collections.abc import Mapping

from podkeeper.api.catalogue import Resource
from podkeeper.apiserver import responses
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.handlers.resources import ResourceHandlers, check_path, path_not_found
from podkeeper.foundation.http import Answer
from podkeeper.registry.verbs import Registry

#: (group, resource, subresource)
SpecialKey = tuple[str, str, str]


class Dispatcher:
    """The handler at the end of the chain.

    ``specials`` are resources and subresources that are not stored objects, ``unstored`` their catalogue rows;
    ``paths`` are looked up by the longest prefix that ends at a slash or at the path's end.
    """

    def __init__(
        self,
        registry: Registry,
        resources: ResourceHandlers,
        specials: Mapping[SpecialKey, Handle],
        unstored: Mapping[tuple[str, str, str], Resource],
        paths: Mapping[str, Handle],
    ) -> None:
        self._registry, self._resources = registry, resources
        self._specials, self._unstored, self._paths = specials, unstored, paths

    async def __call__(self, call: Call) -> Answer:
        """Answers, or raises the error that is the answer."""
        info = call.info
        if not info.is_resource:
            return await self._plain(call)
        special = self._specials.get((info.group, info.resource, info.subresource))
        if special is not None:
            return await self._special(call, special)
        verbs = self._registry.verbs(info.group, info.version, info.resource)
        if verbs is None:
            return self._unknown(call)
        return await self._resources(call, verbs)

    async def _special(self, call: Call, special: Handle) -> Answer:
        info = call.info
        key = (info.group, info.version, info.resource)
        row = self._registry.resources().get(key) if info.subresource else self._unstored.get(key)
        if row is None:
            return self._unknown(call)
        check_path(call, row)
        return await special(call)

    async def _plain(self, call: Call) -> Answer:
        path = call.info.path.rstrip("/") or "/"
        while path:
            handle = self._paths.get(path)
            if handle is not None:
                return await handle(call)
            path = path.rpartition("/")[0]
        return responses.text("404 page not found\n", 404)

    def _unknown(self, call: Call) -> Answer:
        """Below a served version upstream's router answers a Status; elsewhere its mux answers text."""
        info = call.info
        known = (*self._registry.resources(), *self._unstored)
        if any((group, version) == (info.group, info.version) for group, version, _ in known):
            raise path_not_found()
        return responses.text("404 page not found\n", 404)
