"""One repository of a registry over the OCI distribution protocol: manifests, and blobs that resume.

    connect: the first endpoint that answers --401--> answer the challenge --> every request carries the answer

Only a registry that cannot be reached at all is RegistryUnavailable; one that answers decides.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.foundation.backoff import BackOff
from podkeeper.foundation.clock import Clock
from podkeeper.runtime.cri_images import PullCredentials
from podkeeper.runtime.failures import ImagePullFailure
from podkeeper.runtime.images import challenges, manifests
from podkeeper.runtime.images.config import digest_of
from podkeeper.runtime.images.content import ContentStore, Partial
from podkeeper.runtime.images.endpoints import Endpoint, endpoints, is_insecure, is_loopback, tls_context
from podkeeper.runtime.images.manifests import Descriptor
from podkeeper.runtime.images.reference import Reference
from podkeeper.runtime.images.threads import run_to_end

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

UNAVAILABLE = "RegistryUnavailable"
_REFUSED = "ErrImagePull"
_CONNECT_BUDGET = 1.8  # seconds for all endpoints together: the answer is due within two
_ANSWER_TIMEOUT = 30.0  # seconds of silence
_DOCUMENT_LIMIT = 8 << 20
_PIECE = 1 << 20
_ATTEMPTS = 5
_RETRY_AFTER_LIMIT = 30.0
_TRANSIENT = frozenset((408, 429, 500, 502, 503, 504))

Advance = Callable[[int], None]


class BrokenTransfer(Exception):
    """A request ended without its whole answer; it may be tried again."""

    def __init__(self, why: str, retry_after: float = 0) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Refused(Exception):
    """The registry answered with an error status. ``detail`` is the first error of its body, ``code: message``."""

    def __init__(self, status: int, request: str, detail: str) -> None:
        super().__init__(f"unexpected status from {request}: {status}" + (f": {detail}" if detail else ""))
        self.status, self.detail = status, detail


class RegistryConfig(Struct, frozen=True):
    """``insecure`` are hosts (``host[:port]``); ``hosts`` holds a directory per host, see endpoints.py."""

    insecure: Sequence[str] = ()
    hosts: Path | None = None


class Document(Struct, frozen=True):
    """A manifest or index as it was sent; ``digest`` is computed from ``data``."""

    media_type: str
    digest: str
    data: bytes


class Repository:
    """Use as made by ``open_repository``."""

    def __init__(
        self,
        session: ClientSession,
        endpoint: Endpoint,
        name: Reference,
        credentials: PullCredentials | None,
        clock: Clock,
    ) -> None:
        self._session, self._endpoint, self._name = session, endpoint, name
        self._credentials, self._clock = credentials, clock
        self._authorization = ""
        self._answering = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Repository {self._endpoint}/{self._name.path}>"

    async def manifest(self, selector: str) -> Document:
        """The manifest or index at a tag or digest. Raises Refused, BrokenTransfer, ImagePullFailure."""
        headers = {"Accept": ", ".join(manifests.ACCEPTED)}
        document = await self._retried(lambda: self._document(f"manifests/{selector}", headers))
        algorithm, colon, _ = selector.partition(":")
        if not colon:
            return document
        actual = digest_of(document.data, algorithm)
        if actual != selector:
            raise ImagePullFailure(f"manifest {selector} arrived as {actual}")
        return replace(document, digest=actual)

    async def document(self, blob: Descriptor) -> bytes:
        """A small blob (an image configuration), checked."""
        document = await self._retried(lambda: self._document(f"blobs/{blob.digest}", {}))
        if document.digest != blob.digest:
            raise ImagePullFailure(f"blob {blob.digest} arrived as {document.digest}")
        return document.data

    async def download(self, blob: Descriptor, content: ContentStore, advance: Advance) -> None:
        """Puts a blob into the content store, going on where an earlier download broke off.

        ``advance`` hears how many bytes are there. Raises DigestMismatch, Refused, BrokenTransfer.
        """
        async with content.ingest(blob.digest, blob.size) as partial:
            if partial is not None:
                await self._fill(partial, blob, advance)

    async def _fill(self, partial: Partial, blob: Descriptor, advance: Advance) -> None:
        """Tries again as long as each attempt brings something, and a few times more."""
        backoff = BackOff(0.25, 8.0)
        failures = 0
        while True:
            before = partial.offset
            try:
                return await self._fill_once(partial, blob, advance)
            except BrokenTransfer as error:
                failures = 1 if partial.offset > before else failures + 1
                if failures >= _ATTEMPTS:
                    raise
                if partial.offset > before:
                    backoff.reset(blob.digest)
                await self._clock.sleep(max(error.retry_after, backoff.next_delay(blob.digest)))

    async def _fill_once(self, partial: Partial, blob: Descriptor, advance: Advance) -> None:
        headers = {"Accept-Encoding": "identity"}
        if partial.offset == blob.size:
            return
        if partial.offset:
            headers["Range"] = f"bytes={partial.offset}-"
        async with self._request(f"blobs/{blob.digest}", headers) as response:
            if partial.offset and not _continues(response, partial.offset):
                partial.restart()
                if response.status != 200:
                    raise BrokenTransfer(f"blob {blob.digest}: a range was answered with {response.status}")
            while piece := await _read_some(response):
                await run_to_end(partial.write, piece)
                advance(partial.offset)
        if partial.offset < blob.size:
            raise BrokenTransfer(f"blob {blob.digest} broke off at {partial.offset} of {blob.size} bytes")

    async def _document(self, path: str, headers: Mapping[str, str]) -> Document:
        async with self._request(path, {"Accept-Encoding": "identity", **headers}) as response:
            data = bytearray()
            while piece := await _read_some(response):
                data += piece
                if len(data) > _DOCUMENT_LIMIT:
                    raise ImagePullFailure(f"{path} is larger than {_DOCUMENT_LIMIT} bytes")
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        return Document(media_type, digest_of(bytes(data)), bytes(data))

    async def _retried(self, action: Callable[[], Any]) -> Document:
        backoff = BackOff(0.25, 8.0)
        while True:
            try:
                document: Document = await action()
            except BrokenTransfer as error:
                delay = max(error.retry_after, backoff.next_delay(""))
                if backoff.failures("") >= _ATTEMPTS:
                    raise
                await self._clock.sleep(delay)
            else:
                return document

    @asynccontextmanager
    async def _request(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[ClientResponse]:
        """A GET with an answer below 400, answering a challenge first if there is one."""
        url = f"{self._endpoint}/v2/{self._name.path}/{path}"
        used = self._authorization
        async with AsyncExitStack() as stack:
            response = await stack.enter_async_context(self._send(url, headers, used))
            if response.status == 401 and await self._answer_challenge(response, used):
                await stack.aclose()
                response = await stack.enter_async_context(self._send(url, headers, self._authorization))
            if response.status in _TRANSIENT:
                raise BrokenTransfer(f"{url}: {response.status} {response.reason}", _retry_after(response))
            if response.status >= 400 and response.status != 416:
                raise Refused(response.status, f"GET request to {url}", await _error_text(response))
            yield response

    @asynccontextmanager
    async def _send(self, url: str, headers: Mapping[str, str], authorization: str) -> AsyncIterator[ClientResponse]:
        import aiohttp

        if authorization:
            headers = {**headers, "Authorization": authorization}
        try:
            async with self._session.get(url, headers=headers) as response:
                yield response
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise BrokenTransfer(f'failed to do request: Get "{url}": {error or type(error).__name__}') from error

    async def _answer_challenge(self, response: ClientResponse, used: str) -> bool:
        """Gets what the registry wants; False when it has been given, or nothing here can answer."""
        async with self._answering:
            if self._authorization != used:
                return True  # another request of this repository has just answered
            for challenge in challenges.parse(response.headers.getall("WWW-Authenticate", [])):
                answer = await self._answer(challenge)
                if answer and answer != used:
                    self._authorization = answer
                    return True
            return False

    async def _answer(self, challenge: challenges.Challenge) -> str:
        if challenge.scheme == "basic" and self._credentials and self._credentials.username:
            return _basic(self._credentials.username, self._credentials.password)
        if challenge.scheme != "bearer":
            return ""
        request = challenges.token_request(challenge, self._name.path, self._credentials)
        if request is None:
            return ""
        if self._credentials and request.url.startswith("http://") and self._endpoint.base.startswith("https://"):
            raise ImagePullFailure(f"failed to authorize: {request.url} would receive the password unencrypted")
        return f"Bearer {await self._token(request)}"

    async def _token(self, request: challenges.TokenRequest) -> str:
        import aiohttp

        kind = "anonymous token" if request.basic is None and not request.form else "oauth token"
        headers = {"Authorization": _basic(*request.basic)} if request.basic else {}
        method = "POST" if request.form else "GET"
        try:
            async with self._session.request(
                method, request.url, params=request.query, data=request.form or None, headers=headers
            ) as response:
                if response.status in _TRANSIENT:
                    raise BrokenTransfer(f"{request.url}: {response.status} {response.reason}", _retry_after(response))
                if response.status != 200:
                    raise Refused(
                        response.status,
                        f"{method} request to {request.url}",
                        f"failed to authorize: failed to fetch {kind}",
                    )
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ConnectionError, ValueError) as error:
            raise BrokenTransfer(f"failed to authorize: failed to fetch {kind}: {error}") from error
        token = (answer.get("token") or answer.get("access_token")) if isinstance(answer, dict) else None
        if not isinstance(token, str):
            raise ImagePullFailure(f"failed to authorize: {request.url} sent no token")
        return token


@asynccontextmanager
async def open_repository(
    name: Reference, config: RegistryConfig, credentials: PullCredentials | None, clock: Clock
) -> AsyncIterator[Repository]:
    """Connects to the first endpoint that answers. Raises ImagePullFailure with reason RegistryUnavailable."""
    import aiohttp

    candidates = endpoints(name.domain, insecure=is_insecure(name.domain, config.insecure, config.hosts))
    complaints, reason = [], UNAVAILABLE
    for endpoint in candidates:
        async with AsyncExitStack() as stack:
            context = await asyncio.to_thread(tls_context, endpoint, name.domain, config.hosts)
            connector = aiohttp.TCPConnector(ssl=context, limit_per_host=8)
            timeout = aiohttp.ClientTimeout(
                total=None, connect=_CONNECT_BUDGET / len(candidates), sock_read=_ANSWER_TIMEOUT
            )
            session = await stack.enter_async_context(
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=timeout,
                    trust_env=not is_loopback(name.domain),  # no proxy leads to this machine
                    auto_decompress=False,
                )
            )
            url = f"{endpoint}/v2/"
            try:
                async with session.get(url):
                    pass
            except aiohttp.ClientSSLError as error:
                complaints.append(f'failed to do request: Get "{url}": {error}')
                if endpoint.verified:
                    reason = _REFUSED  # someone is there, but not who he should be
                continue
            except (aiohttp.ClientConnectionError, aiohttp.ClientHttpProxyError, TimeoutError, OSError) as error:
                complaints.append(f'failed to do request: Get "{url}": {error or "timed out"}')
                continue
            except aiohttp.ClientError as error:
                complaints.append(f'"{url}" is no registry: {error}')
                continue
            yield Repository(session, endpoint, name, credentials, clock)
            return
    raise ImagePullFailure("; ".join(complaints), reason=reason)


async def _read_some(response: ClientResponse) -> bytes:
    """Up to a megabyte of the body, so that hashing and writing are done in large pieces."""
    import aiohttp

    pieces = bytearray()
    try:
        while len(pieces) < _PIECE and (piece := await response.content.readany()):
            pieces += piece
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        if not pieces:
            raise BrokenTransfer(f"{response.url} broke off: {error or type(error).__name__}") from error
    return bytes(pieces)


def _basic(username: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def _continues(response: ClientResponse, offset: int) -> bool:
    """Whether a range request was honoured."""
    return response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")


def _retry_after(response: ClientResponse) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), _RETRY_AFTER_LIMIT) if text.isdigit() else 0.0


async def _error_text(response: ClientResponse) -> str:
    """The first error of the distribution protocol's error body, as ``code: message`` in containerd's manner."""
    import orjson

    try:
        errors = orjson.loads(await _read_some(response)).get("errors") or [{}]
        return f"{errors[0]['code'].lower()}: {errors[0].get('message', '')}"
    except (ValueError, AttributeError, KeyError, TypeError, BrokenTransfer):
        return ""
