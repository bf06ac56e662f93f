"""Asks another server whether a request is allowed, by SubjectAccessReview; what it says is remembered for a while."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from podkeeper.api.user import UserInfo
from podkeeper.apiserver.authorization.configuration import ConfigurationError, Webhook
from podkeeper.apiserver.authorization.webhook_figures import WebhookFigures
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.client.api import ConnectionFailed
from podkeeper.client.kubeconfig import KubeconfigInvalid, load
from podkeeper.client.transport import Transport
from podkeeper.foundation.clock import Clock

if TYPE_CHECKING:
    from podkeeper.api.cel import Program

log = logging.getLogger(__name__)

_CAPACITY = 8192

#: Allowed, refused, or no opinion (None); and why.
Opinion = tuple[bool | None, str]


class WebhookAuthorizer:
    """One webhook."""

    kind = "Webhook"

    def __init__(self, name: str, webhook: Webhook, clock: Clock, figures: WebhookFigures | None = None) -> None:
        """Raises ConfigurationError. ``figures`` is where it is counted."""
        self.name, self._webhook, self._clock = name, webhook, clock
        try:
            config = load(webhook.kubeconfig)
        except KubeconfigInvalid as error:
            raise ConfigurationError(f"authorizer {name}: {error}") from error
        self._transport = Transport(config, "podkeeper-apiserver", webhook.timeout)
        self._path = "" if config.server.split("://", 1)[-1].count("/") else "/"
        self._conditions = [_compiled(name, text) for text in webhook.conditions]
        self._known: dict[str, tuple[float, Opinion]] = {}
        self._figures = figures or WebhookFigures()

    async def opinion(self, user: UserInfo, info: RequestInfo) -> Opinion:
        """What the server says. One that does not answer has no opinion, or refuses, as its policy is."""
        spec = review_spec(user, info)
        try:
            if not self._concerns(spec):
                self._figures.excluded(self.name)
                return None, ""
            return await self._remembered(spec)
        except (ConnectionFailed, ValueError, AttributeError, TypeError) as error:
            log.warning("authorizer %s: %s", self.name, error)
            if self._webhook.deny_on_failure:
                return False, ""
            self._figures.ignored(self.name, isinstance(error.__cause__, TimeoutError))
            return None, ""

    def unresolved(self, user: UserInfo) -> str:
        """See Layer."""
        return "webhook authorizer does not support user rule resolution"

    async def close(self) -> None:
        """Ends its connections."""
        await self._transport.close()

    def _concerns(self, spec: Mapping[str, Any]) -> bool:
        """Whether every condition holds. One that is false settles it, whatever else fails."""
        from podkeeper.api.cel import BudgetExceeded, EvaluationError

        failure = None
        for program in self._conditions:
            try:
                if program.evaluate({"request": spec}) is not True:
                    return False
            except (EvaluationError, BudgetExceeded) as error:
                failure = error
        if failure is not None:
            self._figures.failed(self.name)
            raise ValueError(f"a match condition failed: {failure}")
        return True

    async def _remembered(self, spec: Mapping[str, Any]) -> Opinion:
        key, now = json.dumps(spec, sort_keys=True), self._clock.time()
        known = self._known.get(key)
        if known is not None and now < known[0]:
            return known[1]
        found = _opinion(await self._ask(spec))
        lifetime = self._webhook.allowed_lifetime if found[0] else self._webhook.refused_lifetime
        if lifetime:
            if len(self._known) >= _CAPACITY:
                self._known.clear()
            self._known[key] = (now + lifetime, found)
        return found

    async def _ask(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        review = {
            "kind": "SubjectAccessReview",
            "apiVersion": f"authorization.k8s.io/{self._webhook.version}",
            "metadata": {"creationTimestamp": None},
            "spec": {key: value for key, value in spec.items() if value},
            "status": {"allowed": False},
        }
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        started, result = perf_counter(), "error"
        try:
            code, _, answer = await self._transport.request("POST", self._path, headers, json.dumps(review).encode())
            if not 200 <= code < 300:
                raise ValueError(f"the webhook answers {code}")
            status: Mapping[str, Any] = json.loads(answer)["status"]
            result = "success"
        except ConnectionFailed as error:
            result = "timeout" if isinstance(error.__cause__, TimeoutError) else "error"
            raise
        finally:
            self._figures.asked(self.name, result, perf_counter() - started)
        return status


def review_spec(user: UserInfo, info: RequestInfo) -> Mapping[str, Any]:
    """A request as the spec of a SubjectAccessReview; of the two kinds of attributes there is one."""
    spec: dict[str, Any] = {
        "user": user.name,
        "groups": list(user.groups),
        "uid": user.uid,
        "extra": {key: list(values) for key, values in user.extra.items()},
    }
    if not info.is_resource:
        return spec | {"nonResourceAttributes": {"path": info.path, "verb": info.verb}}
    names = ("namespace", "verb", "group", "version", "resource", "subresource", "name")
    attributes: dict[str, Any] = {name: getattr(info, name) for name in names}
    for name in ("fieldSelector", "labelSelector"):
        if info.first(name):
            attributes[name] = {"rawSelector": info.first(name)}
    return spec | {"resourceAttributes": attributes}


def _opinion(status: Mapping[str, Any]) -> Opinion:
    reason = str(status.get("reason") or "")
    if status.get("allowed") and status.get("denied"):
        raise ValueError("the webhook both allows and denies")
    if status.get("allowed"):
        return True, reason
    return (False if status.get("denied") else None), reason


def _compiled(name: str, text: str) -> Program:
    from podkeeper.api.cel import CelError, Environment
    from podkeeper.api.cel.types import DYN, STRING, map_of

    try:
        return Environment({"request": map_of(STRING, DYN)}).compile(text)
    except CelError as error:
        raise ConfigurationError(f"authorizer {name}: matchConditions: {text!r}: {error}") from error
