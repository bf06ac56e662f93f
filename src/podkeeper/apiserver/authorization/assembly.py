"""Puts the authorizers together by what the server was told, and follows the configuration file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from podkeeper.apiserver.authorization.authorizer import Authorizer, Layer, NodeLayer, RbacLayer
from podkeeper.apiserver.authorization.configuration import DEFAULT, LONGEST, ConfigurationError, read
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
        async with asyncio.TaskGroup() as tasks:
            while self._file is not None:
                await self._file.changed(self._clock)
                before = self._obey(self._file)
                if before:
                    tasks.create_task(self._retire(before), name="authorizers that judge no more")

    def _obey(self, file: WatchedFile) -> Sequence[Layer]:
        """Lets those judge whom the file names; returns those who did before, nobody if they still do."""
        try:
            told = read(file.content, file.path)
            _check_own(self._told, told)
            layers = self._layers(told)
        except ConfigurationError as error:
            log.error("the authorization configuration stays as it was: %s", error)
            self._figures.note(False, self._clock.time())
            return ()
        self._told = told
        log.info("the authorization configuration is in force")
        self._figures.note(True, self._clock.time())
        return self.authorizer.use(layers)

    async def _retire(self, layers: Sequence[Layer]) -> None:
        """Closes them when nobody can be waiting for their answers any more."""
        try:
            await self._clock.sleep(LONGEST)
        finally:
            for layer in layers:
                await layer.close()

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
