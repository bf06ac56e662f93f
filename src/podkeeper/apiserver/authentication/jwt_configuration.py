"""AuthenticationConfiguration (apiserver.config.k8s.io): whose JSON Web Tokens count, and what their claims mean here.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-authentication-configuration
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from podkeeper.apiserver.authentication.anonymous import Anonymity

VERSIONS = tuple(f"apiserver.config.k8s.io/{each}" for each in ("v1", "v1beta1", "v1alpha1"))
ALGORITHMS = tuple(f"{kind}{size}" for kind in ("RS", "ES", "PS") for size in (256, 384, 512))
_MEMBERS = {
    "": ("apiVersion", "kind", "jwt", "anonymous"),
    "jwt": ("issuer", "claimValidationRules", "claimMappings", "userValidationRules"),
    "issuer": ("url", "discoveryURL", "certificateAuthority", "audiences", "audienceMatchPolicy"),
}
_EXTRA_KEY = re.compile(r"[a-z0-9.-]+/[a-z0-9._~!$&'()*+,;=:@%/-]+")
_MAX_ISSUERS = 64


class ConfigurationError(ValueError):
    """The configuration cannot be used; says where and why."""


class Mapped(Struct, frozen=True):
    """Where a value comes from: a claim (with a prefix before each value) or an expression."""

    claim: str = ""
    prefix: str = ""
    expression: str = ""

    def __bool__(self) -> bool:
        return bool(self.claim or self.expression)


class Rule(Struct, frozen=True):
    """An expression that must be true, else ``message``; or a claim that must have ``required``."""

    expression: str = ""
    message: str = ""
    claim: str = ""
    required: str = ""


class Issuer(Struct, frozen=True):
    """One issuer and what is made of its claims. ``authority`` is PEM; empty: the system's authorities."""

    url: str
    audiences: tuple[str, ...]
    username: Mapped
    discovery_url: str = ""
    authority: str = ""
    groups: Mapped = Mapped()
    uid: Mapped = Mapped()
    extra: tuple[tuple[str, str], ...] = ()
    claim_rules: tuple[Rule, ...] = ()
    user_rules: tuple[Rule, ...] = ()
    algorithms: tuple[str, ...] = ALGORITHMS


class AuthenticationConfiguration(Struct, frozen=True):
    """The file's content; ``anonymous`` is None where it says nothing of it."""

    issuers: tuple[Issuer, ...] = ()
    anonymous: Anonymity | None = None


def load(path: Path, own_issuer: str = "") -> AuthenticationConfiguration:
    """Reads the file. Raises ConfigurationError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    return read(data, str(path), own_issuer)


def read(data: bytes, name: str, own_issuer: str = "") -> AuthenticationConfiguration:
    """The configuration out of a file's content. Raises ConfigurationError."""
    import yaml

    try:
        return parse(yaml.safe_load(data), own_issuer)
    except yaml.YAMLError:
        raise ConfigurationError(f"{name}: it is neither YAML nor JSON") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from error


def parse(tree: Any, own_issuer: str = "") -> AuthenticationConfiguration:
    """The configuration out of its tree; ``own_issuer`` is the service accounts', which is not to be another's."""
    if not isinstance(tree, Mapping) or tree.get("kind") != "AuthenticationConfiguration":
        raise ConfigurationError("kind: must be AuthenticationConfiguration")
    if tree.get("apiVersion") not in VERSIONS:
        raise ConfigurationError(f"apiVersion: must be {VERSIONS[0]}")
    _check_members(tree, "", "")
    issuers = tuple(_issuer(f"jwt[{index}]", each) for index, each in enumerate(_list(tree, "jwt")))
    if len(issuers) > _MAX_ISSUERS:
        raise ConfigurationError(f"jwt: Too many: {len(issuers)}: must have at most {_MAX_ISSUERS} items")
    _check_distinct("url", [each.url for each in issuers], own_issuer)
    _check_distinct("discoveryURL", [each.discovery_url for each in issuers if each.discovery_url], "")
    return AuthenticationConfiguration(issuers, _anonymous(tree.get("anonymous")))


def _issuer(where: str, tree: Any) -> Issuer:
    _check_members(tree, where, "jwt")
    issuer, mappings = _map(tree, "issuer"), _map(tree, "claimMappings")
    _check_members(issuer, f"{where}.issuer", "issuer")
    at = f"{where}.issuer"
    url, discovery = _url(f"{at}.url", issuer.get("url")), issuer.get("discoveryURL") or ""
    if discovery and _url(f"{at}.discoveryURL", discovery).rstrip("/") == url.rstrip("/"):
        raise ConfigurationError(
            f'{at}.discoveryURL: Invalid value: "{discovery}": discoveryURL must be different from url'
        )
    audiences = tuple(map(str, _list(issuer, "audiences")))
    _check_audiences(at, audiences, issuer.get("audienceMatchPolicy") or "")
    made = f"{where}.claimMappings"
    username = _mapped(f"{made}.username", _map(mappings, "username"), prefixed=True)
    if not username:
        raise ConfigurationError(f"{made}.username: Required value: claim or expression is required")
    return Issuer(
        url,
        audiences,
        username,
        discovery,
        str(issuer.get("certificateAuthority") or ""),
        _mapped(f"{made}.groups", _map(mappings, "groups"), prefixed=True),
        _mapped(f"{made}.uid", _map(mappings, "uid"), prefixed=False),
        tuple(_extra(f"{made}.extra[{index}]", each) for index, each in enumerate(_list(mappings, "extra"))),
        _rules(f"{where}.claimValidationRules", _list(tree, "claimValidationRules"), claims=True),
        _rules(f"{where}.userValidationRules", _list(tree, "userValidationRules"), claims=False),
    )


def _check_audiences(where: str, audiences: Sequence[str], policy: str) -> None:
    if not audiences:
        raise ConfigurationError(f"{where}.audiences: Required value: at least one {where}.audiences is required")
    if len(set(audiences)) != len(audiences) or not all(audiences):
        raise ConfigurationError(f"{where}.audiences: each must be there once, and none empty")
    if policy not in ("", "MatchAny"):
        raise ConfigurationError(
            f'{where}.audienceMatchPolicy: Unsupported value: "{policy}": supported values: "MatchAny"'
        )
    if len(audiences) > 1 and not policy:
        why = "audienceMatchPolicy must be MatchAny for multiple audiences"
        raise ConfigurationError(f'{where}.audienceMatchPolicy: Invalid value: "": {why}')


def _mapped(where: str, tree: Mapping[str, Any], *, prefixed: bool) -> Mapped:
    claim, expression, prefix = tree.get("claim") or "", tree.get("expression") or "", tree.get("prefix")
    if claim and expression:
        raise ConfigurationError(f'{where}: Invalid value: "": claim and expression can\'t both be set')
    if prefixed and expression and prefix is not None:
        raise ConfigurationError(f"{where}.prefix: Invalid value: {prefix!r}: prefix can't be set with expression")
    if prefixed and claim and prefix is None:
        raise ConfigurationError(f'{where}.prefix: Required value: prefix is required when claim is set; it may be ""')
    return Mapped(claim, prefix or "", expression)


def _extra(where: str, tree: Any) -> tuple[str, str]:
    key, expression = _text(tree, "key"), _text(tree, "valueExpression")
    if not _EXTRA_KEY.fullmatch(key) or key.partition("/")[0].endswith(("kubernetes.io", "k8s.io")):
        raise ConfigurationError(f'{where}.key: Invalid value: "{key}": a lower-case path below a domain of your own')
    if not expression:
        raise ConfigurationError(f"{where}.valueExpression: Required value: valueExpression is required")
    return key, expression


def _rules(where: str, trees: Sequence[Any], *, claims: bool) -> tuple[Rule, ...]:
    found = []
    for index, tree in enumerate(trees):
        rule = Rule(*(_text(tree, each) for each in ("expression", "message", "claim", "requiredValue")))
        if rule.claim and rule.expression:
            raise ConfigurationError(f"{where}[{index}]: claim and expression can't both be set")
        if not rule.expression and not (claims and rule.claim):
            needed = "claim or expression is required" if claims else "expression is required"
            raise ConfigurationError(f"{where}[{index}]: Required value: {needed}")
        found.append(rule)
    return tuple(found)


def _anonymous(tree: Any) -> Anonymity | None:
    if tree is None:
        return None
    enabled = bool(tree.get("enabled"))
    paths = tuple(_text(each, "path") for each in _list(tree, "conditions"))
    if paths and not enabled:
        raise ConfigurationError(
            "anonymous.conditions: Invalid value: enabled should be set to true when conditions are defined"
        )
    return Anonymity(enabled, paths)


def _check_members(tree: Any, where: str, kind: str) -> None:
    if not isinstance(tree, Mapping):
        raise ConfigurationError(f"{where}: must be an object")
    unknown = next((each for each in tree if each not in _MEMBERS[kind]), None)
    if unknown is not None:
        raise ConfigurationError(f'strict decoding error: unknown field "{where}{"." if where else ""}{unknown}"')


def _check_distinct(what: str, values: Sequence[str], own: str) -> None:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ConfigurationError(f'jwt[{index}].issuer.{what}: Duplicate value: "{value}"')
        if own and value == own:
            why = f"URL must not overlap with disallowed issuers: [{own}]"
            raise ConfigurationError(f'jwt[{index}].issuer.{what}: Invalid value: "{value}": {why}')


def _url(where: str, value: Any) -> str:
    if not value or not isinstance(value, str):
        raise ConfigurationError(f"{where}: Required value: URL is required")
    if not value.startswith("https://"):
        raise ConfigurationError(f'{where}: Invalid value: "{value}": URL scheme must be https')
    if any(sign in value for sign in "?#@"):
        raise ConfigurationError(
            f'{where}: Invalid value: "{value}": URL must not contain a user, a query or a fragment'
        )
    return value


def _list(tree: Mapping[str, Any], field: str) -> Sequence[Any]:
    value = tree.get(field) or []
    if not isinstance(value, list):
        raise ConfigurationError(f"{field}: must be a list")
    return value


def _map(tree: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = tree.get(field) or {}
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{field}: must be an object")
    return value


def _text(tree: Any, field: str) -> str:
    value = tree.get(field) if isinstance(tree, Mapping) else None
    return value if isinstance(value, str) else ""
