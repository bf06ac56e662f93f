"""From an issuer's claims to a user: mappings and rules, compiled once. CEL is loaded where expressions are used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from podkeeper.api.user import UserInfo
from podkeeper.apiserver.authentication.jwt_configuration import ConfigurationError, Issuer, Mapped, Rule
from podkeeper.apiserver.authentication.service_accounts import InvalidToken

if TYPE_CHECKING:
    from podkeeper.api.cel import Program

_EMAIL, _VERIFIED = re.compile(r"claims\s*\.\s*email\b"), re.compile(r"claims\s*\.\s*email_verified\b")


class ClaimReader:
    """Reads the users out of one issuer's tokens."""

    def __init__(self, issuer: Issuer) -> None:
        """Raises ConfigurationError for an expression that does not compile."""
        self._issuer = issuer
        self._programs: dict[str, Program] = {}
        for text in (*(each.expression for each in issuer.claim_rules), *(text for _, text in issuer.extra)):
            self._compile(text, "claims")
        for mapped in (issuer.username, issuer.groups, issuer.uid):
            self._compile(mapped.expression, "claims")
        for rule in issuer.user_rules:
            self._compile(rule.expression, "user")
        _check_email(issuer)

    def user(self, claims: Mapping[str, Any]) -> UserInfo:
        """The user of verified claims. Raises InvalidToken."""
        issuer = self._issuer
        name = self._name(claims)
        groups = self._values(issuer.groups, claims, "groups")
        uid = self._uid(claims)
        for rule in issuer.claim_rules:
            self._check_claims(rule, claims)
        extra = {key: tuple(_texts(self._run(text, claims), key)) for key, text in issuer.extra}
        user = UserInfo(name, uid, tuple(groups), {key: values for key, values in extra.items() if values})
        tree = {"username": name, "uid": uid, "groups": list(groups), "extra": {k: list(v) for k, v in extra.items()}}
        for rule in issuer.user_rules:
            if self._run(rule.expression, tree, "user") is not True:
                raise InvalidToken(f"oidc: error evaluating user info validation rule: {_complaint(rule)}")
        return user

    def _name(self, claims: Mapping[str, Any]) -> str:
        mapped = self._issuer.username
        value = self._run(mapped.expression, claims) if mapped.expression else claims.get(mapped.claim)
        if not isinstance(value, str) or not value:
            raise InvalidToken(f"oidc: parse username claims {mapped.claim or mapped.expression!r}: no text there")
        if mapped.claim == "email" and claims.get("email_verified", True) is not True:
            raise InvalidToken("oidc: email not verified")
        return mapped.prefix + value

    def _uid(self, claims: Mapping[str, Any]) -> str:
        mapped = self._issuer.uid
        if not mapped:
            return ""
        value = self._run(mapped.expression, claims) if mapped.expression else claims.get(mapped.claim)
        if not isinstance(value, str):
            raise InvalidToken("oidc: the uid is not a text")
        return value

    def _values(self, mapped: Mapped, claims: Mapping[str, Any], what: str) -> list[str]:
        if mapped.expression:
            return _texts(self._run(mapped.expression, claims), what)
        value = claims.get(mapped.claim) if mapped.claim else None
        return [mapped.prefix + each for each in _texts(value, what)]

    def _check_claims(self, rule: Rule, claims: Mapping[str, Any]) -> None:
        if rule.claim:
            value = claims.get(rule.claim)
            if value is None:
                raise InvalidToken(f"oidc: required claim {rule.claim} not present in ID token")
            if value != rule.required:
                raise InvalidToken(f"oidc: required claim {rule.claim} value does not match")
        elif self._run(rule.expression, claims) is not True:
            raise InvalidToken(f"oidc: error evaluating claim validation expression: {_complaint(rule)}")

    def _compile(self, text: str, variable: str) -> None:
        if not text:
            return
        from podkeeper.api.cel import CelError, Environment
        from podkeeper.api.cel.types import DYN, STRING, map_of

        environment = Environment({variable: map_of(STRING, DYN)})
        try:
            self._programs[text] = environment.compile(text, None)
        except CelError as error:
            raise ConfigurationError(f"{text!r}: compilation failed: {error}") from error

    def _run(self, text: str, tree: Mapping[str, Any], variable: str = "claims") -> Any:
        from podkeeper.api.cel import BudgetExceeded, EvaluationError

        try:
            return self._programs[text].evaluate({variable: tree})
        except (EvaluationError, BudgetExceeded) as error:
            raise InvalidToken(f"oidc: expression {text!r} resulted in error: {error}") from None


def _texts(value: Any, what: str) -> list[str]:
    """One text or several; none and empty ones are left out."""
    found = [value] if isinstance(value, str) else value
    if found is None:
        return []
    if (
        isinstance(found, str | bytes)
        or not isinstance(found, Sequence)
        or not all(isinstance(each, str) for each in found)
    ):
        raise InvalidToken(f"oidc: {what}: neither a text nor a list of texts")
    return [each for each in found if each]


def _complaint(rule: Rule) -> str:
    return rule.message or f"expression {rule.expression!r} resulted in false"


def _check_email(issuer: Issuer) -> None:
    """Whoever makes names of mail addresses has to look whether they are verified."""
    texts = (
        issuer.username.expression,
        *(each.expression for each in issuer.claim_rules),
        *(t for _, t in issuer.extra),
    )
    if _EMAIL.search(issuer.username.expression) and not any(_VERIFIED.search(text) for text in texts):
        raise ConfigurationError(
            f"{issuer.username.expression!r}: "
            "claims.email_verified must be used in claimMappings.username.expression or "
            "claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in "
            "claimMappings.username.expression"
        )
