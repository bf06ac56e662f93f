r"""Who may talk to the node's server: the API server, and whom the API server lets.

certificate of the cluster's CA, or bearer token (TokenReview) --> the API server itself: yes
                                                               \-> anybody else: SubjectAccessReview on this node

Which subresource of the node a path needs is upstream's (kubernetes/pkg/kubelet/server/auth.go).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podkeeper.api.user import ANONYMOUS, UserInfo
from podkeeper.client.delegation import VERBS, DelegatedAccess, Question, ReviewFailed, Unauthenticated
from podkeeper.kubelet.config import KubeletConfig

_BY_PATH = {
    "stats": ("stats",),
    "metrics": ("metrics",),
    "logs": ("log",),
    "checkpoint": ("checkpoint",),
    "pods": ("pods", "proxy"),
    "runningpods": ("pods", "proxy"),
    "healthz": ("healthz", "proxy"),
    "configz": ("configz", "proxy"),
}


class Refusal(Exception):
    """The code and the text of an answer to somebody who may not."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class NodeAccess:
    """Judges requests to one node."""

    def __init__(self, config: KubeletConfig, delegated: DelegatedAccess) -> None:
        self._config, self._delegated = config, delegated

    async def check(self, certificate: Mapping[str, Any] | None, authorization: str, method: str, path: str) -> None:
        """Raises Refusal: 401 without credentials or with wrong ones, 403 for what one may not."""
        try:
            user = await self._delegated.user(certificate, authorization)
            if user.name == ANONYMOUS:
                raise Unauthenticated
            await self._authorize(user, VERBS.get(method, ""), subresources(path))
        except Unauthenticated:
            raise Refusal(401, "Unauthorized") from None
        except ReviewFailed as error:
            raise Refusal(500, f"Internal Error: {error}") from error

    async def _authorize(self, user: UserInfo, verb: str, wanted: Sequence[str]) -> None:
        if is_own(self._config, user):
            return
        for subresource in wanted:
            if await self._delegated.allows(user, Question(verb, node=self._config.node_name, subresource=subresource)):
                return
        what = f"user={user.name}, verb={verb}, resource=nodes, subresource(s)=[{' '.join(wanted)}]"
        raise Refusal(403, f"Forbidden ({what})\n")


def subresources(path: str) -> Sequence[str]:
    """The subresources of the node of which one must be allowed for a path."""
    return _BY_PATH.get(path.strip("/").partition("/")[0], ("proxy",))


def is_own(config: KubeletConfig, user: UserInfo) -> bool:
    """Whether it is the API server, or an administrator of the cluster: nobody needs to be asked about them."""
    return user.name in config.allowed_users or bool(set(user.groups) & set(config.allowed_groups))
