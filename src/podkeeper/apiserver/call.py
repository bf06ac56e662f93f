"""One request on its way through the chain: what every handler gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.api.catalogue import Resource
from podkeeper.api.user import UserInfo
from podkeeper.apiserver.authorization.authorizer import Authorizer
from podkeeper.apiserver.negotiation import (
    NO_TRANSFORMS,
    PROTOBUF,
    ROUTED,
    ROUTED_LISTS,
    TRANSFORMS,
    Rendering,
    accepted,
    is_for_eyes,
    of_list,
    of_object,
)
from podkeeper.apiserver.options import WriteOptions
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.foundation.http import Answer, Request
from podkeeper.registry.verbs import RequestContext

#: What Go reads as true.
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))


class Call(Struct, frozen=True):
    """A request, what it is about, and who makes it."""

    request: Request
    info: RequestInfo
    user: UserInfo
    authorizer: Authorizer

    def rendering(self, resource: Resource | None = None, transforms: frozenset[str] = TRANSFORMS) -> Rendering:
        """How the client wants the answer, whose objects are of ``resource``. Raises 406."""
        accept = self.request.headers.get(b"accept", b"")
        if resource is not None and resource.schema is None:
            listed = self.info.verb in ("list", "watch")
            if transforms is TRANSFORMS:
                return self._pretty(of_list(accept) if listed else of_object(accept))
            routed = ROUTED_LISTS if listed else ROUTED
            return self._pretty(accepted(accept, transforms=transforms, routed=routed))
        rendering = accepted(accept, transforms=transforms)
        if rendering.media_type == PROTOBUF and resource is not None and not rendering.transform:
            rendering = accepted(accept, custom=True, transforms=transforms)
        return self._pretty(rendering)

    def plain_rendering(self) -> Rendering:
        """The same for an answer that is no stored object, which has no Table. Raises 406."""
        return self._pretty(accepted(self.request.headers.get(b"accept", b""), transforms=NO_TRANSFORMS))

    def _pretty(self, rendering: Rendering) -> Rendering:
        asked = self.info.first("pretty") if self.info.query else ""
        if asked:
            pretty = asked in _TRUE
            return rendering if pretty == rendering.pretty else replace(rendering, pretty=pretty or rendering.pretty)
        if is_for_eyes(self.request.headers.get(b"user-agent", b"")):
            return replace(rendering, pretty=True)
        return rendering

    def context(self, options: WriteOptions) -> RequestContext:
        """What a write tells the registry. The manager defaults to the client's program name, as upstream's does."""
        agent = self.request.header(b"user-agent")
        return RequestContext(
            user=self.user,
            dry_run=options.dry_run,
            field_manager=options.field_manager or agent.partition("/")[0][:128] or "unknown",
            field_validation=options.field_validation,
            user_agent=agent,
            require_create=self._require_create,
        )

    async def _require_create(self) -> None:
        """Raises 403 unless the user may also create what the request would update."""
        await self.authorizer.require(self.user, replace(self.info, verb="create"))


Handle = Callable[[Call], Awaitable[Answer]]
