r"""What controllers and scheduler serve over HTTPS: health to everyone, figures and settings to those who may.

listening --first connection--> HTTP loaded --request--> health
                                                  \--who? (certificate, TokenReview) > may they? (review) > answer

Until somebody connects there is a socket and nothing else: what HTTP needs is loaded then.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from msgspec import Struct

from podkeeper.client.delegation import NOBODY, VERBS, DelegatedAccess, Question, ReviewFailed, Unauthenticated
from podkeeper.foundation.exposition import CONTENT_TYPE, Family, render
from podkeeper.foundation.health_report import HealthFigures, report
from podkeeper.foundation.keyfiles import KeyPair
from podkeeper.foundation.listening import first_connection

if TYPE_CHECKING:
    from podkeeper.foundation.http import Answer, Request, Response

log = logging.getLogger(__name__)

_HEALTH = ("healthz", "livez", "readyz")
_FORBIDDEN, _UNAUTHORIZED, _FAILED = (403, "Forbidden"), (401, "Unauthorized"), (500, "InternalError")

#: A check says whether all is well.
Check = Callable[[], bool]


class Shown(Struct, frozen=True):
    """What a component shows. ``checks`` by name; ``settings`` is the document of /configz; ``resources`` are the
    figures of /metrics/resources."""

    families: Callable[[], Sequence[Family]]
    checks: Mapping[str, Check]
    settings: Callable[[], Mapping[str, Any]]
    resources: Callable[[], Sequence[Family]] | None = None


class ComponentServer:
    """Serves one component. ``serving`` is its certificate, ``client_ca`` signs its clients'."""

    def __init__(self, shown: Shown, access: DelegatedAccess, serving: KeyPair, client_ca: Path) -> None:
        self._shown, self._access = shown, access
        self._serving, self._client_ca = serving, client_ca
        self._health_figures = HealthFigures()

    async def serve(self, listener: socket.socket) -> None:
        """Answers on ``listener``, which is closed in the end, until cancelled."""
        with listener:
            await first_connection(listener)
            from podkeeper.foundation.http import HttpServer
            from podkeeper.foundation.tls import server_tls

            tls = server_tls(str(self._serving.certificate), str(self._serving.key), str(self._client_ca))
            await HttpServer(self.handle).serve(listener, tls, asyncio.Event())

    async def handle(self, request: Request) -> Answer:
        """One request."""
        path, _, query = request.target.decode("latin-1").partition("?")
        endpoint, _, single = path.strip("/").partition("/")
        if endpoint in _HEALTH:
            return self._health(endpoint, single, parse_qs(query, keep_blank_values=True))
        refusal = await self._refusal(request, path)
        if refusal is not None:
            return refusal
        if path == "/metrics":
            return _text(200, render(self._shown.families()), CONTENT_TYPE)
        if path == "/metrics/slis":
            return _text(200, render(self._health_figures.families()), CONTENT_TYPE)
        if path == "/metrics/resources" and self._shown.resources is not None:
            return _text(200, render(self._shown.resources()), CONTENT_TYPE)
        if path == "/configz":
            return _text(200, json.dumps(self._shown.settings(), separators=(",", ":")), "application/json")
        return _text(404, "404 page not found\n")

    def _health(self, endpoint: str, single: str, query: Mapping[str, Sequence[str]]) -> Response:
        checks = {"ping": lambda: True, **self._shown.checks}
        if single:
            if single not in checks:
                return _text(404, "404 page not found\n")
            checks = {single: checks[single]}
        excluded = query.get("exclude", ())
        noted = self._health_figures.note
        results = {name: None if name in excluded else noted(endpoint, name, check()) for name, check in checks.items()}
        return _text(*report(endpoint, results, excluded, verbose="verbose" in query and not single))

    async def _refusal(self, request: Request, path: str) -> Response | None:
        """The answer to somebody who may not; None for those who may."""
        verb, user = VERBS.get(request.method, request.method.lower()), NOBODY
        try:
            user = await self._access.user(request.peer.certificate, request.header(b"authorization"))
            if user is NOBODY and request.peer.distrusted:
                raise Unauthenticated
            if await self._access.allows(user, Question(verb, path)):
                return None
        except Unauthenticated:
            return _status(_UNAUTHORIZED, "Unauthorized")
        except ReviewFailed as error:
            log.warning("nobody can say who may ask for %s: %s", path, error)
            return _status(_FAILED, "Internal error occurred: it could not be found out who asks and may")
        return _status(_FORBIDDEN, f'forbidden: User "{user.name}" cannot {verb} path "{path}"')


def _text(status: int, text: str, kind: str = "text/plain; charset=utf-8") -> Response:
    from podkeeper.foundation.http import Response

    return Response(status, f"Content-Type: {kind}\r\nX-Content-Type-Options: nosniff\r\n".encode(), text.encode())


def _status(kind: tuple[int, str], message: str) -> Response:
    code, reason = kind
    head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    told = {**head, "reason": reason, **({"details": {}} if code == 403 else {}), "code": code}
    return _text(code, json.dumps(told, separators=(",", ":")) + "\n", "application/json")
