"""Puts the authorizers together by what the server was told, and follows the configuration file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from podkeeper.apiserver.authorization.authorizer import Authorizer, Layer, NodeLayer, RbacLayer
from podkeeper.apiserver.authorization.configuration import DEFAULT, ConfigurationError, read
from podkeeper.apiserver.authorization.configuration import Layer as Told
from podkeeper.apiserver.authorization.node import NodeAuthorizer
from podkeeper.apiserver.authorization.rbac import RbacIndex
from podkeeper.apiserver.authorization.webhook_figures import WebhookFigures
from podkeeper.apiserver.reloads import ReloadFigures
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.exposition import Family
from podkeeper.foundation.watched_file import WatchedFile

log = logging.getLogger(__name__)


class Authorization:
    """The authorizer of one server, and what keeps it as the file says."""

    def __init__(
        self, rbac: RbacIndex, node: NodeAuthorizer, configuration: Path | None, clock: Clock, server: str = ""
    ) -> None:
        """Raises ConfigurationError. ``server`` tells it from others in figures."""
        self._rbac, self._node, self._clock = rbac, node, clock
        self._file = _watched(configuration) if configuration is not None else None
        self._figures, self._webhooks = ReloadFigures("authorization", server), WebhookFigures()
        self._told = read(self._file.content, self._file.path) if self._file is not None else DEFAULT
        self.authorizer = Authorizer(rbac, self._layers(self._told))

    def families(self) -> Sequence[Family]:
        """What /metrics tells of decisions and of the file."""
        reloads = self._figures.families() if self._file is not None else ()
        return (*self.authorizer.families(), *self._webhooks.families(), *reloads)

    async def run(self) -> None:
        """Obeys changes of the file until cancelled. A file that cannot be used is logged, and what was goes on."""
        while self._file is not None:
            await self._file.changed(self._clock)
            try:
                told = read(self._file.content, self._file.path)
                _check_own(self._told, told)
                layers = self._layers(told)
            except ConfigurationError as error:
                log.error("the authorization configuration stays as it was: %s", error)
                self._figures.note(False, self._clock.time())
            else:
                before = self.authorizer.use(layers)
                self._told = told
                await asyncio.gather(*(each.close() for each in before))
                log.info("the authorization configuration is in force")
                self._figures.note(True, self._clock.time())

    def _layers(self, told: Sequence[Told]) -> Sequence[Layer]:
        return [self._layer(each) for each in told]

    def _layer(self, told: Told) -> Layer:
        if told.webhook is not None:
            from podkeeper.apiserver.authorization.webhook import WebhookAuthorizer  # few servers have any

            return WebhookAuthorizer(told.name, told.webhook, self._clock, self._webhooks)
        return NodeLayer(self._node, told.name) if told.kind == "Node" else RbacLayer(self._rbac, told.name)


def _watched(path: Path) -> WatchedFile:
    try:
        return WatchedFile(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


def _check_own(before: Sequence[Told], after: Sequence[Told]) -> None:
    """Node and RBAC stay in, or out, for as long as the server runs, as upstream has it."""
    for kind in ("Node", "RBAC"):
        if (kind in [each.kind for each in before]) is not (kind in [each.kind for each in after]):
            raise ConfigurationError(f"authorizers of type {kind} are neither added nor removed while serving")
