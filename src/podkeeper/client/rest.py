"""``RestApi``: client/api.py over HTTP, typed for built-in kinds and with plain trees for any other resource."""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from podkeeper.api import codec
from podkeeper.api.catalogue import Resource
from podkeeper.api.resources import for_type
from podkeeper.client.api import ObjectList, PatchKind, ResourceClient, WatchEvent
from podkeeper.client.config import ClientConfig
from podkeeper.client.failures import from_answer, retry_after
from podkeeper.client.frames import FrameReader, decode_list, error_of, to_event
from podkeeper.client.identity import key_of
from podkeeper.client.transport import Answer, Transport
from podkeeper.foundation.clock import Clock, SystemClock
from podkeeper.foundation.exposition import Family

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")
Tree = dict[str, Any]

JSON = "application/json"
READ_RETRIES = 10  # as client-go: how often a read that was answered 429 with Retry-After is tried again
VERSION = "v0.1.0"


class RestApi:
    """Implements ``client.api.Api``. ``name`` is the program's, for the user agent and as field manager.

    Reads answered 429 are repeated after the time the server names; nothing else is. ``timeout`` is for whole answers,
    in seconds, not for watches.
    """

    def __init__(
        self, config: ClientConfig, *, name: str = "podkeeper", clock: Clock | None = None, timeout: float = 60.0
    ) -> None:
        self.config, self.name = config, name
        self._clock = clock or SystemClock()
        agent = f"{name}/{VERSION} ({platform.system().lower()}/{platform.machine()})"
        self._transport = Transport(config, agent, timeout)
        self._clients: dict[type[Any], Any] = {}

    def __repr__(self) -> str:
        return f"<RestApi {self.name} at {self.config.server}>"

    def of(self, kind: type[T]) -> ResourceClient[T]:
        """See ``Api.of``. Raises LookupError for a class that is no resource's."""
        client: ResourceClient[T] | None = self._clients.get(kind)
        if client is None:
            struct: type[Any] = kind
            client = self._clients[kind] = RestClient(self, for_type(struct), _typed(struct))
        return client

    def of_resource(self, resource: Resource) -> ResourceClient[Tree]:
        """See ``Api.of_resource``."""
        return RestClient(self, resource, _trees(resource))

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Answer:
        """See ``Api.request``."""
        headers = {"Accept": accept} if body is None else {"Accept": accept, "Content-Type": content_type}
        path = with_query(path, query)
        answer = await self._transport.request(method, path, headers, body)
        retries = READ_RETRIES if method == "GET" else 0
        while answer[0] == 429 and retries and (seconds := retry_after(answer[1])):
            retries -= 1
            await self._clock.sleep(seconds)
            answer = await self._transport.request(method, path, headers, body)
        return answer

    async def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        kind: str = JSON,
    ) -> bytes:
        """One request whose body is wanted; ``kind`` is the media type of ``body``. Raises ApiError for any failure."""
        code, headers, answer = await self.request(method, path, query=query, body=body, content_type=kind)
        if code >= 300:
            raise from_answer(code, headers, answer)
        return answer

    def stream(
        self, path: str, query: Mapping[str, str] | None = None, *, accept: str = JSON
    ) -> AbstractAsyncContextManager[tuple[int, Mapping[str, str], AsyncIterator[bytes]]]:
        """A GET whose answer (status, headers, chunks) is read as it comes, such as logs. Any status is an answer."""
        return self._transport.stream("GET", with_query(path, query), {"Accept": accept})

    async def websocket(self, path: str, protocols: tuple[str, ...]) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket, for exec, attach and port-forward. Raises ApiError, ConnectionFailed."""
        return await self._transport.websocket(path, protocols)

    def families(self) -> Sequence[Family]:
        """What /metrics tells of the requests."""
        return self._transport.figures.families()

    async def close(self) -> None:
        """Closes every connection. Safe to call twice."""
        await self._transport.close()


class Form(Struct, Generic[T], frozen=True):
    """How objects of one resource look in Python: structs or trees."""

    encode: Callable[[T], bytes]
    decode: Callable[[bytes], T]


class RestClient(Generic[T]):
    """Implements ``client.api.ResourceClient`` for one resource."""

    def __init__(self, api: RestApi, resource: Resource, form: Form[T]) -> None:
        self._api, self._resource, self._form = api, resource, form

    def __repr__(self) -> str:
        return f"<RestClient {self._resource.qualified_name} of {self._api!r}>"

    async def get(self, name: str, namespace: str = "") -> T:
        """See ``ResourceClient.get``."""
        return self._form.decode(await self._api.call("GET", self._path(namespace, name)))

    async def list(
        self,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continuation: str = "",
        resource_version: str | None = None,
    ) -> ObjectList[T]:
        """See ``ResourceClient.list``."""
        query = _selection(label_selector, field_selector)
        if limit:
            query["limit"] = str(limit)
        if continuation:
            query["continue"] = continuation
        if resource_version is not None:
            query["resourceVersion"] = resource_version
        return decode_list(await self._api.call("GET", self._path(namespace), query), self._form.decode)

    async def watch(
        self,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout: float = 0.0,
    ) -> AsyncIterator[WatchEvent[T]]:
        """See ``ResourceClient.watch``; ``timeout`` is in seconds, after which the server ends the watch."""
        query = _selection(label_selector, field_selector)
        query |= {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": resource_version}
        if timeout:
            query["timeoutSeconds"] = str(max(1, round(timeout)))
        frames = FrameReader()
        async with self._api.stream(self._path(namespace), query) as (code, headers, chunks):
            if code != 200:
                raise from_answer(code, headers, b"".join([chunk async for chunk in chunks]))
            async for chunk in chunks:
                for frame in frames.feed(chunk):
                    if (error := error_of(frame)) is not None:
                        raise error
                    yield to_event(frame, self._form.decode)
        frames.end()

    async def create(self, obj: T, namespace: str = "") -> T:
        """See ``ResourceClient.create``; without ``namespace`` the object's own is meant."""
        body = self._form.encode(obj)
        path = self._path(namespace or key_of(obj).namespace)
        return self._form.decode(await self._api.call("POST", path, None, body))

    async def update(self, obj: T, *, subresource: str = "") -> T:
        """See ``ResourceClient.update``."""
        namespace, name = key_of(obj)
        path = self._path(namespace, name, subresource)
        return self._form.decode(await self._api.call("PUT", path, None, self._form.encode(obj)))

    async def patch(
        self,
        name: str,
        patch: Any,
        namespace: str = "",
        *,
        kind: PatchKind = PatchKind.MERGE,
        subresource: str = "",
    ) -> T:
        """See ``ResourceClient.patch``. ``patch`` is a tree, a struct or bytes; APPLY takes over fields by force."""
        query = {"fieldManager": self._api.name, "force": "true"} if kind is PatchKind.APPLY else None
        path = self._path(namespace, name, subresource)
        return self._form.decode(await self._api.call("PATCH", path, query, _body(patch), kind.value))

    async def delete(
        self,
        name: str,
        namespace: str = "",
        *,
        grace_period: int | None = None,
        uid: str = "",
        resource_version: str = "",
        propagation: str = "",
    ) -> None:
        """See ``ResourceClient.delete``."""
        preconditions = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value}
        options: Tree = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if grace_period is not None:
            options["gracePeriodSeconds"] = grace_period
        if preconditions:
            options["preconditions"] = preconditions
        if propagation:
            options["propagationPolicy"] = propagation
        await self._api.call("DELETE", self._path(namespace, name), None, _body(options) if len(options) > 2 else None)

    async def connect_create(self, name: str, subresource: str, body: Any, namespace: str = "") -> Any:
        """See ``ResourceClient.connect_create``."""
        answer = await self._api.call("POST", self._path(namespace, name, subresource), None, _body(body))
        return msgspec.json.decode(answer) if answer else None

    def _path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        # Names of some kinds (roles, say) may hold what a path may not.
        return self._resource.path(namespace, quote(name, safe=":") if name else "", subresource)


def with_query(path: str, query: Mapping[str, str] | None) -> str:
    """``path`` with ``query`` encoded behind it."""
    return f"{path}?{urlencode(query)}" if query else path


def _selection(label_selector: str, field_selector: str) -> dict[str, str]:
    pairs = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in pairs.items() if value}


def _body(content: Any) -> bytes:
    if isinstance(content, bytes):
        return content
    return codec.encode(content) if isinstance(content, msgspec.Struct) else msgspec.json.encode(content)


def _typed(kind: type[Any]) -> Form[Any]:
    return Form(codec.encode, lambda data: codec.decode(kind, data))


def _trees(resource: Resource) -> Form[Tree]:
    """Items of a built-in resource's list lack their kind; the resource knows it."""
    named = {"apiVersion": resource.api_version, "kind": resource.kind}
    return Form(msgspec.json.encode, lambda data: named | codec.parse(data))
