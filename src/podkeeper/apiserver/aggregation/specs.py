"""OpenAPI version 2 of all servers in one document, made when somebody asks for it.

Source: kube-aggregator, pkg/controllers/openapi: each server's document is asked for once a minute, and what it said
last stands while it does not answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from podkeeper.api.openapi import gnostic, merging
from podkeeper.apiserver.aggregation.keeper import AggregationKeeper, NoAnswer
from podkeeper.apiserver.aggregation.remotes import Remote
from podkeeper.apiserver.call import Call
from podkeeper.apiserver.handlers.openapi import (
    SECOND_TYPES,
    Document,
    answer_with,
    chosen,
    digest,
    head_of,
    not_acceptable,
    second,
)
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.http import Answer, Response

log = logging.getLogger(__name__)

Tree = dict[str, Any]

PATH = "/openapi/v2"
_ASKED_EVERY = 60.0
_HEAD = {"swagger": "2.0", "info": {"title": "", "version": ""}, "security": (), "securityDefinitions": {}}
#: What a document that is none does to those who read it.
_SENSELESS = (AttributeError, KeyError, TypeError, ValueError)


class Specs:
    """Merges this server's document, as ``own`` gives it, with those of the servers behind it."""

    def __init__(self, keeper: AggregationKeeper, clock: Clock) -> None:
        self._keeper, self._clock = keeper, clock
        self._asked: dict[str, float] = {}
        self._parts: dict[str, Tree] = {}
        self._merged = ""
        self._documents: dict[str, Document] = {}

    async def answer(self, call: Call, own: Response) -> Answer:
        """The document in the form that the client likes; ``own`` is this server's, in JSON. 406 for other forms."""
        media_type = chosen(call, SECOND_TYPES)
        if not media_type:
            return not_acceptable(SECOND_TYPES)
        remotes = sorted(self._keeper.remotes, key=lambda each: (-each.group_priority, each.name))
        async with asyncio.TaskGroup() as tasks:
            for remote in remotes:
                tasks.create_task(self._refresh(remote), name=f"OpenAPI of {remote.name}")
        parts = [self._parts[each.name] for each in remotes if each.name in self._parts]
        return answer_with(call, self._document(own, parts, media_type), head_of(media_type))

    async def _refresh(self, remote: Remote) -> None:
        now = self._clock.monotonic()
        asked = self._asked.get(remote.name)
        if (asked is not None and now < asked + _ASKED_EVERY) or not self._keeper.is_available(remote):
            return
        self._asked[remote.name] = now
        try:
            part = merging.below(await self._keeper.get(remote, PATH), remote.path + "/")
            gnostic.encode({**_HEAD, **part})  # so that it surely can be
        except (NoAnswer, *_SENSELESS) as error:
            log.debug("%s publishes no OpenAPI v2: %s", remote.name, error)
            return
        self._parts[remote.name] = part

    def _document(self, own: Response, parts: Sequence[Mapping[str, Any]], media_type: str) -> Document:
        """Made once for each form, until one of the servers says something else."""
        name = digest([dict(own.headers)[b"ETag"].decode(), *(orjson.dumps(part).decode() for part in parts)])
        if name != self._merged:
            self._merged = name
            self._documents.clear()
        if media_type not in self._documents:
            tree = orjson.loads(own.body)
            for part in parts:
                tree = merging.merged(tree, part)
            self._documents[media_type] = Document.of(second(tree, media_type), digest([media_type, name]))
        return self._documents[media_type]
