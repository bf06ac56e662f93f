"""A proxy in front of the server that says in headers whom it has let in; its own certificate vouches for it.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#authenticating-proxy
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from msgspec import Struct

from podkeeper.api.user import UserInfo
from podkeeper.apiserver.authentication.token_sources import authenticated
from podkeeper.foundation.http import Request

Name = tuple[Any, ...]


class RequestHeaders(Struct, frozen=True):
    """``client_ca`` signs the proxies' certificates; no ``allowed_names`` allow every common name. Headers are
    lower-case."""

    client_ca: Path
    allowed_names: tuple[str, ...] = ()
    username: tuple[str, ...] = ("x-remote-user",)
    group: tuple[str, ...] = ("x-remote-group",)
    uid: tuple[str, ...] = ("x-remote-uid",)
    extra: tuple[str, ...] = ("x-remote-extra-",)


class FrontProxies:
    """Tells proxies from clients by who signed their certificate, and reads their headers."""

    def __init__(self, headers: RequestHeaders, client_ca: Path) -> None:
        """Raises ValueError where clients and proxies cannot be told apart."""
        self._headers = headers
        self._signers, self._client_signers = _subjects(headers.client_ca), _subjects(client_ca)
        same = headers.client_ca.read_bytes() == client_ca.read_bytes()
        if not same and self._signers & self._client_signers:
            raise ValueError("requestheader-client-ca-file: its authority has the name of the clients' authority")
        if same and not headers.allowed_names:
            raise ValueError("requestheader-allowed-names: needed where proxies and clients have one authority")

    def is_client(self, certificate: Mapping[str, Any]) -> bool:
        """Whether a certificate is of a client: proxies' certificates name no users."""
        return certificate.get("issuer") in self._client_signers

    def user(self, request: Request) -> UserInfo | None:
        """Whom a proxy vouches for; the headers are taken off then. None if the request comes from no proxy."""
        certificate = request.peer.certificate
        if certificate is None or certificate.get("issuer") not in self._signers:
            return None
        allowed = self._headers.allowed_names
        if allowed and not allowed_name(certificate, allowed):
            return None
        name = _first(request, self._headers.username)
        if not name:
            return None
        groups = tuple(each for header in self._headers.group for each in _values(request, header))
        user = UserInfo(name, _first(request, self._headers.uid), groups, self._extra(request))
        self._take_off(request)
        return authenticated(user)

    def _extra(self, request: Request) -> dict[str, tuple[str, ...]]:
        found = {}
        for name, value in request.headers.items():
            text = name.decode("latin-1")
            prefix = next((each for each in self._headers.extra if text.startswith(each)), None)
            if prefix is not None:
                found[unquote(text.removeprefix(prefix))] = tuple(value.decode("latin-1").split(", "))
        return found

    def _take_off(self, request: Request) -> None:
        own = {*self._headers.username, *self._headers.group, *self._headers.uid}
        for name in list(request.headers):
            text = name.decode("latin-1")
            if text in own or text.startswith(self._headers.extra):
                del request.headers[name]


def allowed_name(certificate: Mapping[str, Any], allowed: tuple[str, ...]) -> bool:
    """Whether a certificate's common name is one of these."""
    pairs = [pair for part in certificate.get("subject", ()) for pair in part]
    return any(key == "commonName" and value in allowed for key, value in pairs)


def _subjects(authority: Path) -> frozenset[Name]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(str(authority))
    return frozenset(each["subject"] for each in context.get_ca_certs())  # type: ignore[misc]


def _values(request: Request, header: str) -> list[str]:
    return [part.strip() for part in request.header(header.encode()).split(",") if part.strip()]


def _first(request: Request, headers: tuple[str, ...]) -> str:
    return next((value for header in headers if (value := request.header(header.encode()).strip())), "")
