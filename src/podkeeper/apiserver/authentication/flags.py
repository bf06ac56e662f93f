"""Upstream's flags about identity: which there are, and what they say. Any other is refused by name.

Source: https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from podkeeper.apiserver import serving_flags
from podkeeper.apiserver.authentication.anonymous import EVERYWHERE, Anonymity
from podkeeper.apiserver.authentication.jwt_configuration import (
    ALGORITHMS,
    AuthenticationConfiguration,
    Issuer,
    Mapped,
    Rule,
    load,
)
from podkeeper.apiserver.authentication.request_header import RequestHeaders
from podkeeper.apiserver.authorization import configuration
from podkeeper.foundation.signing_keys import public_keys

_OIDC = (
    "oidc-issuer-url",
    "oidc-client-id",
    "oidc-ca-file",
    "oidc-username-claim",
    "oidc-username-prefix",
    "oidc-groups-claim",
    "oidc-groups-prefix",
    "oidc-required-claim",
    "oidc-signing-algs",
)
_WEBHOOK = "authentication-token-webhook"
_WEBHOOKS = (f"{_WEBHOOK}-config-file", f"{_WEBHOOK}-cache-ttl", f"{_WEBHOOK}-version")
_PROXY = (
    "requestheader-client-ca-file",
    "requestheader-allowed-names",
    "requestheader-username-headers",
    "requestheader-group-headers",
    "requestheader-uid-headers",
    "requestheader-extra-headers-prefix",
)
_ACCOUNT = "service-account"
_ACCOUNTS = tuple(
    f"{_ACCOUNT}-{each}" for each in ("key-file", "signing-key-file", "issuer", "jwks-uri", "max-token-expiration")
)
KNOWN = frozenset(
    {
        "anonymous-auth",
        "api-audiences",
        "authentication-config",
        "authorization-config",
        "enable-bootstrap-token-auth",
        "encryption-provider-config",
        *_OIDC,
        *_WEBHOOKS,
        *_PROXY,
        *_ACCOUNTS,
    }
)
#: Seconds that a bound on tokens' lives must leave at least.
_SHORTEST = 3600
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class AccountOptions(Struct, frozen=True):
    """What is said of service accounts' tokens. ``keys`` are files whose keys are believed beside the cluster's own,
    ``signing_key`` signs instead of that; the first issuer mints, all are believed. Seconds; 0 is no limit."""

    keys: tuple[Path, ...] = ()
    signing_key: Path | None = None
    issuers: tuple[str, ...] = ()
    jwks_uri: str = ""
    longest: int = 0


class AuthenticationOptions(Struct, frozen=True):
    """``configuration`` is the file that is followed, and ``issuers`` what flags say instead of it."""

    anonymous: Anonymity = EVERYWHERE
    bootstrap_tokens: bool = True
    api_audiences: tuple[str, ...] = ()
    configuration: Path | None = None
    issuers: tuple[Issuer, ...] = ()
    webhook: Path | None = None
    webhook_version: str = "v1"
    webhook_cache: float = 120.0
    request_headers: RequestHeaders | None = None
    accounts: AccountOptions = AccountOptions()


def read(args: Mapping[str, str]) -> AuthenticationOptions:
    """What flags say. Raises ValueError; files are read to see whether they can be used."""
    from podkeeper.apiserver.admission import flags as admission_flags  # whose configuration stands beside this one's

    known = KNOWN | serving_flags.KNOWN | admission_flags.KNOWN
    unknown = sorted(set(args) - known)
    if unknown:
        raise ValueError(f"{unknown[0]} is not supported; there are {', '.join(sorted(known))}")
    if "authorization-config" in args:
        configuration.load(Path(args["authorization-config"]))
    path = Path(args["authentication-config"]) if "authentication-config" in args else None
    oidc = [name for name in _OIDC if name in args]
    if path is not None and oidc:
        raise ValueError(f"authentication-config and {oidc[0]} exclude each other")
    found = load(path) if path is not None else AuthenticationConfiguration()
    if found.anonymous is not None and "anonymous-auth" in args:
        raise ValueError("anonymous-auth: it is in authentication-config already")
    webhook = Path(args[_WEBHOOKS[0]]) if _WEBHOOKS[0] in args else None
    return AuthenticationOptions(
        found.anonymous or Anonymity(_flag(args, "anonymous-auth", True)),
        _flag(args, "enable-bootstrap-token-auth", True),
        _listed(args, "api-audiences"),
        path,
        (_classic_issuer(args),) if oidc else (),
        webhook,
        args.get(_WEBHOOKS[2], "v1"),
        _duration(_WEBHOOKS[1], args.get(_WEBHOOKS[1], "2m")),
        _request_headers(args),
        _accounts(args),
    )


def _accounts(args: Mapping[str, str]) -> AccountOptions:
    keys, signing, issuer, uri, longest = _ACCOUNTS
    found = AccountOptions(
        tuple(Path(each) for each in _listed(args, keys)),
        Path(args[signing]) if signing in args else None,
        _listed(args, issuer),
        args.get(uri, ""),
        int(_duration(longest, args[longest])) if longest in args else 0,
    )
    for path in (*found.keys, *([found.signing_key] if found.signing_key else ())):
        try:
            public_keys(path)
        except (OSError, ValueError) as error:
            raise ValueError(f"{keys if path in found.keys else signing}: {error}") from error
    if found.longest and found.longest < _SHORTEST:
        raise ValueError("the service-account-max-token-expiration must be longer than 1 hour")
    if uri in args and not found.jwks_uri.startswith("https://"):
        raise ValueError(f"{uri} requires https scheme, parsed as: {found.jwks_uri}")
    return found


def _classic_issuer(args: Mapping[str, str]) -> Issuer:
    url, client = args.get("oidc-issuer-url", ""), args.get("oidc-client-id", "")
    if not url or not client:
        raise ValueError("oidc-issuer-url and oidc-client-id must be specified together")
    if not url.startswith("https://"):
        raise ValueError(f"oidc-issuer-url: {url!r} is not an https URL")
    claim = args.get("oidc-username-claim", "sub")
    prefix = args.get("oidc-username-prefix", "" if claim == "email" else f"{url}#")
    algorithms = _listed(args, "oidc-signing-algs") or ("RS256",)
    if unknown := sorted(set(algorithms) - set(ALGORITHMS)):
        raise ValueError(f"oidc-signing-algs: {unknown[0]} is none of {', '.join(ALGORITHMS)}")
    authority = Path(args["oidc-ca-file"]).read_text() if "oidc-ca-file" in args else ""
    required = (each.partition("=") for each in _listed(args, "oidc-required-claim"))
    return Issuer(
        url,
        (client,),
        Mapped(claim, "" if prefix == "-" else prefix),
        authority=authority,
        groups=Mapped(args.get("oidc-groups-claim", ""), args.get("oidc-groups-prefix", "")),
        claim_rules=tuple(Rule(claim=name, required=value) for name, _, value in required),
        algorithms=algorithms,
    )


def _request_headers(args: Mapping[str, str]) -> RequestHeaders | None:
    authority, *_ = _PROXY
    if authority not in args:
        lonely = next((name for name in _PROXY if name in args), None)
        if lonely is not None:
            raise ValueError(f"{lonely}: {authority} is needed beside it")
        return None
    own = RequestHeaders(Path(args[authority]))

    def headers(name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(each.lower() for each in _listed(args, name)) or default

    return RequestHeaders(
        own.client_ca,
        _listed(args, "requestheader-allowed-names"),
        headers("requestheader-username-headers", own.username),
        headers("requestheader-group-headers", own.group),
        headers("requestheader-uid-headers", own.uid),
        headers("requestheader-extra-headers-prefix", own.extra),
    )


def _listed(args: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in args.get(name, "").split(",") if each.strip())


def _flag(args: Mapping[str, str], name: str, default: bool) -> bool:
    text = args.get(name, str(default)).lower()
    if text not in ("true", "false"):
        raise ValueError(f"{name}: {text!r} is neither true nor false")
    return text == "true"


def _duration(name: str, text: str) -> float:
    try:
        return float(text[:-1]) * _UNITS[text[-1]]
    except (ValueError, KeyError, IndexError):
        raise ValueError(f"{name}: {text!r} is no duration such as 2m") from None
