"""Puts together who is let in, by what the server was told, and follows the configuration file."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from msgspec.structs import replace

from podkeeper.apiserver.authentication import admin_token, jwt_configuration
from podkeeper.apiserver.authentication.admin_token import AdminToken
from podkeeper.apiserver.authentication.authenticator import Authenticator, Methods
from podkeeper.apiserver.authentication.bootstrap_tokens import BootstrapTokens
from podkeeper.apiserver.authentication.jwt_configuration import ConfigurationError, Issuer
from podkeeper.apiserver.authentication.request_header import FrontProxies
from podkeeper.apiserver.authentication.service_accounts import TokenReader
from podkeeper.apiserver.authentication.token_sources import TokenSource
from podkeeper.apiserver.config import ApiServerConfig
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.reloads import ReloadFigures
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.exposition import Family
from podkeeper.foundation.watched_file import WatchedFile

log = logging.getLogger(__name__)


class Authentication:
    """The authenticator of one server, and what keeps it as the file says."""

    def __init__(self, config: ApiServerConfig, reader: TokenReader, live: LiveObjects, clock: Clock) -> None:
        """Raises ValueError for a configuration that cannot be used."""
        self._config, self._live, self._clock = config, live, clock
        options = config.authentication
        self._webhook = self._webhook_source()
        self._file = WatchedFile(options.configuration) if options.configuration else None
        proxies = FrontProxies(options.request_headers, config.client_ca) if options.request_headers else None
        self._methods = Methods(
            AdminToken(admin_token.ensure(config.admin_token_file)),
            self._sources(self._issuers()),
            proxies,
            options.anonymous,
        )
        self._figures = ReloadFigures("authentication", config.advertise_address)
        self.authenticator = Authenticator(reader, config.audiences, live, clock, self._methods)

    async def run(self) -> None:
        """Obeys changes of the file until cancelled: issuers change at once, who may be nobody at the next start.
        A file that cannot be used is logged, and what was goes on."""
        while self._file is not None:
            await self._file.changed(self._clock)
            try:
                self._methods = replace(self._methods, sources=self._sources(self._issuers()))
            except ConfigurationError as error:
                log.error("the authentication configuration stays as it was: %s", error)
                self._figures.note(False, self._clock.time())
            else:
                self.authenticator.use(self._methods)
                log.info("the authentication configuration is in force")
                self._figures.note(True, self._clock.time())

    def families(self) -> Sequence[Family]:
        """What /metrics tells of credentials and of the file."""
        return (*self.authenticator.families(), *(self._figures.families() if self._file is not None else ()))

    def _issuers(self) -> tuple[Issuer, ...]:
        if self._file is None:
            return self._config.authentication.issuers
        content, name = self._file.content, str(self._file.path)
        return jwt_configuration.read(content, name, self._config.issuer).issuers

    def _sources(self, issuers: tuple[Issuer, ...]) -> tuple[TokenSource, ...]:
        found: list[TokenSource] = []
        if self._config.authentication.bootstrap_tokens:
            found.append(BootstrapTokens(self._live, self._clock))
        if issuers:
            from podkeeper.apiserver.authentication.jwt_issuers import JwtIssuers

            found.append(JwtIssuers(issuers, self._config.audiences, self._clock))
        return (*found, self._webhook) if self._webhook is not None else tuple(found)

    def _webhook_source(self) -> TokenSource | None:
        options = self._config.authentication
        if options.webhook is None:
            return None
        from podkeeper.apiserver.authentication.webhook_tokens import WebhookTokens

        return WebhookTokens(
            options.webhook, self._clock, version=options.webhook_version, believed=options.webhook_cache
        )
