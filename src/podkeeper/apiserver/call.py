"""One request on its way through the chain: what every handler gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.api.catalogue import Resource
from podkeeper.api.user import UserInfo
from podkeeper.apiserver.authorization.authorizer import Authorizer
from podkeeper.apiserver.negotiation import NO_TRANSFORMS, PROTOBUF, Rendering, accepted
from podkeeper.apiserver.options import WriteOptions
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.foundation.http import Answer, Request
from podkeeper.registry.verbs import RequestContext


class Call(Struct, frozen=True):
    """A request, what it is about, and who makes it."""

    request: Request
    info: RequestInfo
    user: UserInfo
    authorizer: Authorizer

    def rendering(self, resource: Resource | None = None) -> Rendering:
        """How the client wants the answer, whose objects are of ``resource``. Raises 406."""
        accept = self.request.headers.get(b"accept", b"")
        rendering = accepted(accept)
        if rendering.media_type == PROTOBUF and resource is not None and not _has_protobuf(resource):
            rendering = accepted(accept, custom=True)
        return self._pretty(rendering)

    def plain_rendering(self) -> Rendering:
        """The same for an answer that is no stored object, which has no Table. Raises 406."""
        return self._pretty(accepted(self.request.headers.get(b"accept", b""), transforms=NO_TRANSFORMS))

    def _pretty(self, rendering: Rendering) -> Rendering:
        if self.info.query and self.info.first("pretty") in ("1", "true"):
            return Rendering(rendering.media_type, rendering.transform, rendering.version, pretty=True)
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


def _has_protobuf(resource: Resource) -> bool:
    from podkeeper.api import protobuf  # not every client wants it

    return protobuf.is_kind(resource.api_version, resource.kind)


Handle = Callable[[Call], Awaitable[Answer]]
