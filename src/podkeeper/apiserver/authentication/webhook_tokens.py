"""Asks another server whose token it is, by TokenReview; what it says is believed for a while.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podkeeper.api.user import UserInfo
from podkeeper.apiserver.authentication.service_accounts import InvalidToken
from podkeeper.apiserver.authentication.token_sources import Holder, authenticated
from podkeeper.client.api import ConnectionFailed
from podkeeper.client.kubeconfig import load
from podkeeper.client.transport import Transport
from podkeeper.foundation.clock import Clock

log = logging.getLogger(__name__)

#: Seconds for an answer, and for which an answer is believed; upstream's figures.
PATIENCE, BELIEVED = 30.0, 120.0
_VERSIONS = ("v1", "v1beta1")
_CAPACITY = 4096


class WebhookTokens:
    """Asks the server that a kubeconfig file names."""

    def __init__(self, kubeconfig: Path, clock: Clock, *, version: str = "v1", believed: float = BELIEVED) -> None:
        """Raises KubeconfigInvalid, and ValueError for a version that there is not."""
        if version not in _VERSIONS:
            raise ValueError(f"authentication-token-webhook-version: {version!r} is none of {', '.join(_VERSIONS)}")
        config = load(kubeconfig)
        self._transport = Transport(config, "podkeeper-apiserver", PATIENCE)
        self._path = "" if config.server.split("://", 1)[-1].count("/") else "/"
        self._version, self._clock, self._believed = version, clock, believed
        self._known: dict[tuple[bytes, tuple[str, ...]], tuple[float, Holder | None]] = {}

    async def holder(self, token: str, audiences: Sequence[str]) -> Holder | None:
        """See TokenSource. A server that does not answer knows nobody."""
        key = (hashlib.sha256(token.encode()).digest(), tuple(audiences))
        now = self._clock.time()
        known = self._known.get(key)
        if known is not None and now < known[0]:
            return known[1]
        status = await self._ask(token, audiences)
        found = _holder(status, audiences, now + self._believed)
        if len(self._known) >= _CAPACITY:
            self._known.clear()
        self._known[key] = (now + self._believed, found)
        return found

    async def _ask(self, token: str, audiences: Sequence[str]) -> Mapping[str, Any]:
        review = {
            "kind": "TokenReview",
            "apiVersion": f"authentication.k8s.io/{self._version}",
            "metadata": {"creationTimestamp": None},
            "spec": {"token": token, "audiences": list(audiences)},
            "status": {"user": {}},
        }
        body, headers = json.dumps(review).encode(), {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            code, _, answer = await self._transport.request("POST", self._path, headers, body)
            tree = json.loads(answer)
            if not 200 <= code < 300 or not isinstance(tree.get("status"), dict):
                raise ValueError(f"it answers {code}")
        except (ConnectionFailed, ValueError, AttributeError) as error:
            log.warning("the token webhook does not help: %s", error)
            raise InvalidToken(f"the webhook does not answer: {error}") from None
        status: Mapping[str, Any] = tree["status"]
        return status


def _holder(status: Mapping[str, Any], asked: Sequence[str], until: float) -> Holder | None:
    if not status.get("authenticated"):
        return None
    known = status.get("audiences") or ()  # a webhook that says nothing does not look at audiences
    common = tuple(each for each in asked if each in known) if known else tuple(asked)
    user = status.get("user") or {}
    if not common or not user.get("username"):
        return None
    extra = {key: tuple(values or ()) for key, values in (user.get("extra") or {}).items()}
    found = UserInfo(user["username"], user.get("uid", ""), tuple(user.get("groups") or ()), extra)
    return Holder(authenticated(found), until, common)
