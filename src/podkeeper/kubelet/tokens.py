"""Service account tokens for pods: asked from the API server, bound to the pod, renewed at 80 % of their life.

https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-token-volume
"""

from __future__ import annotations

from msgspec import Struct

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.client.api import Api
from podkeeper.foundation.clock import Clock

DEFAULT_SECONDS = 3600
RENEW_AT = 0.8
RENEW_WITHIN = 24 * 3600.0


class Token(Struct, frozen=True):
    """A token and its times (seconds since the epoch)."""

    text: str
    issued: float
    expires: float

    @property
    def renew_at(self) -> float:
        """When a fresh one is due: at 80 % of its life, at the latest after a day."""
        return self.issued + min((self.expires - self.issued) * RENEW_AT, RENEW_WITHIN)


TokenKey = tuple[str, str, int]


class TokenSource:
    """Tokens by pod, audience and requested life; each is kept until it is due."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._accounts, self._clock = api.of(v1.ServiceAccount), clock
        self._tokens: dict[str, dict[TokenKey, Token]] = {}

    async def token(self, pod: v1.Pod, audience: str, seconds: int | None) -> Token:
        """A token that is not due for renewal. Raises ApiError or ConnectionFailed."""
        account = pod.spec.service_account_name or "default"
        key = (account, audience, seconds or DEFAULT_SECONDS)
        held = self._tokens.setdefault(pod.metadata.uid, {})
        present = held.get(key)
        if present is None or present.renew_at <= self._clock.time():
            present = held[key] = await self._request(pod, account, audience, key[2])
        return present

    def next_renewal(self, uid: str) -> float | None:
        """When the first of the pod's tokens is due; None when it has none."""
        return min((token.renew_at for token in self._tokens.get(uid, {}).values()), default=None)

    def forget(self, uid: str) -> None:
        """Drops the pod's tokens."""
        self._tokens.pop(uid, None)

    async def _request(self, pod: v1.Pod, account: str, audience: str, seconds: int) -> Token:
        meta = pod.metadata
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": meta.name, "uid": meta.uid},
            },
        }
        now = self._clock.time()
        answer = await self._accounts.connect_create(account, "token", body, meta.namespace)
        status = answer["status"]
        return Token(status["token"], now, timestamps.parse(status["expirationTimestamp"]))
