"""What a registry demands in WWW-Authenticate, and the token request that answers it. Pure text, no sockets.

Grammar: RFC 9110 section 11; tokens: the distribution specification's token authentication.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from podkeeper.runtime.cri_images import PullCredentials

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  # the RFC's word for a run of plain characters
_PARAMETER = re.compile(rf'({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_SCHEME = re.compile(rf"({_TOKEN})(?:\s+|$)(?!=)")
_CLIENT = "podkeeper"


class Challenge(Struct, frozen=True):
    """One demand: ``scheme`` in lower case (basic, bearer) and its parameters, names in lower case."""

    scheme: str
    parameters: Mapping[str, str]


class TokenRequest(Struct, frozen=True):
    """How to ask for a token. ``form`` not empty means a POST of it, else a GET with ``query``."""

    url: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    basic: tuple[str, str] | None = None


def parse(headers: Sequence[str]) -> list[Challenge]:
    """Every challenge in the given header values, in order; what is malformed is passed over."""
    found: list[Challenge] = []
    for header in headers:
        position = 0
        while position < len(header):
            scheme = _SCHEME.match(header, position)
            if scheme is None:
                position += 1
                continue
            position = scheme.end()
            parameters: dict[str, str] = {}
            while (parameter := _PARAMETER.match(header, position)) is not None:
                quoted = parameter[2]
                parameters[parameter[1].lower()] = parameter[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                position = _after_comma(header, parameter.end())
            found.append(Challenge(scheme[1].lower(), parameters))
    return found


def token_request(challenge: Challenge, repository: str, credentials: PullCredentials | None) -> TokenRequest | None:
    """The request that answers a bearer challenge; None when it names no realm to ask.

    An identity token is a refresh token and goes into a form (OAuth 2), a password into basic authentication.
    """
    realm = challenge.parameters.get("realm", "")
    if not realm.startswith(("http://", "https://")):
        return None
    query = {"scope": challenge.parameters.get("scope") or f"repository:{repository}:pull"}
    if service := challenge.parameters.get("service"):
        query["service"] = service
    if credentials is not None and credentials.identity_token:
        grant = {"grant_type": "refresh_token", "refresh_token": credentials.identity_token, "client_id": _CLIENT}
        return TokenRequest(realm, {}, query | grant)
    basic = (credentials.username, credentials.password) if credentials and credentials.username else None
    return TokenRequest(realm, query, {}, basic)


def _after_comma(header: str, position: int) -> int:
    separator = re.compile(r"\s*,?\s*").match(header, position)
    return separator.end() if separator else position
