"""Pulling from a registry that is scripted to be slow, rude, broken or strict."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from podkeeper.runtime.cri_images import PullCredentials
from podkeeper.runtime.failures import ImagePullFailure
from podkeeper.runtime.images import manifests
from podkeeper.runtime.images.pulling import Progress
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig

Answer = Callable[[web.Request], web.StreamResponse | None]


class SteppingClock:
    """Sleeping takes no time, and is counted."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.now = 1_700_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@dataclass
class ScriptedRegistry:
    """Serves ``documents`` by path. ``before`` may answer in its place; ``cut`` ends blobs after so many bytes."""

    documents: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    before: list[Answer] = field(default_factory=list)
    cut: int = 0
    honours_ranges: bool = True
    host: str = ""

    def add_image(self, name: str, handmade: Any, layers: list[bytes]) -> str:
        """Adds an image under a tag and returns its id."""
        config = handmade.image_config(layers)
        descriptors = [self._add_blob(name, data, manifests.OCI_LAYER, handmade) for data in layers]
        tree = {
            "schemaVersion": 2,
            "mediaType": manifests.OCI_MANIFEST,
            "config": self._add_blob(name, config, manifests.OCI_CONFIG, handmade),
            "layers": descriptors,
        }
        data = json.dumps(tree).encode()
        for selector in ("latest", handmade.digest(data)):
            self.documents[f"/v2/{name}/manifests/{selector}"] = (manifests.OCI_MANIFEST, data)
        return str(handmade.digest(config))

    def _add_blob(self, name: str, data: bytes, media_type: str, handmade: Any) -> dict[str, Any]:
        digest = handmade.digest(data)
        self.documents[f"/v2/{name}/blobs/{digest}"] = ("application/octet-stream", data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path)
        for answer in self.before:
            found = answer(request)
            if found is not None:
                return found
        if request.path == "/v2/":
            return web.Response()
        if request.path not in self.documents:
            return web.json_response({"errors": [{"code": "NAME_UNKNOWN", "message": "unknown"}]}, status=404)
        media_type, data = self.documents[request.path]
        if "/blobs/" in request.path:
            return await self._blob(request, data)
        return web.Response(body=data, headers={"Content-Type": media_type})

    async def _blob(self, request: web.Request, data: bytes) -> web.StreamResponse:
        wanted = request.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.honours_ranges else 0
        self.ranges.append(wanted)
        response = web.StreamResponse(status=206 if start else 200)
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        response.content_length = len(data) - start
        await response.prepare(request)
        piece = data[start:]
        if self.cut and len(piece) > self.cut:
            await response.write(piece[: self.cut])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(piece)
        return response


@pytest.fixture
async def registry() -> AsyncIterator[ScriptedRegistry]:
    scripted = ScriptedRegistry()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", scripted.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    scripted.host = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield scripted
    finally:
        await runner.cleanup()


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
async def node(store: ImageStore, tmp_path: Path, clock: SteppingClock) -> AsyncIterator[ImageStore]:
    """The store's directory opened with a clock of our own."""
    opened = ImageStore(ImageStoreConfig(tmp_path / "images"), clock)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def layer(handmade: Any) -> bytes:
    return bytes(handmade.layer([handmade.Entry("file", data=b"0123456789" * 20_000)]))


async def test_an_image_comes_with_names_and_progress(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    seen: list[Progress] = []
    assert await node.pull_image(f"{registry.host}/app", None, seen.append) == image_id
    assert seen[-1] == Progress(handmade.digest(layer), len(layer), len(layer))
    status = await node.image_status(f"{registry.host}/app")
    assert status is not None
    assert status.tags == (f"{registry.host}/app:latest",)
    assert status.digests[0].startswith(f"{registry.host}/app@sha256:")
    assert not status.local
    by_digest = await node.image_status(status.digests[0])
    assert by_digest is not None
    assert by_digest.id == image_id


async def test_what_is_here_is_not_fetched_again(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes
) -> None:
    registry.add_image("app", handmade, [layer])
    await node.pull_image(f"{registry.host}/app")
    registry.requests.clear()
    await node.pull_image(f"{registry.host}/app")
    assert registry.requests[-2:] == ["/v2/", "/v2/app/manifests/latest"]
    assert not any("blobs" in path for path in registry.requests)
    other = bytes(handmade.layer([handmade.Entry("other")]))
    registry.add_image("app", handmade, [layer, other])
    registry.requests.clear()
    await node.pull_image(f"{registry.host}/app")
    assert not any(handmade.digest(layer) in path for path in registry.requests)


async def test_a_download_that_breaks_off_goes_on_by_range(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes, clock: SteppingClock
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    registry.cut = 60_000
    assert await node.pull_image(f"{registry.host}/app") == image_id
    assert "bytes=60000-" in registry.ranges
    assert clock.slept


async def test_a_registry_without_ranges_is_read_from_the_start(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    registry.cut, registry.honours_ranges = 60_000, False

    def mend(request: web.Request) -> None:
        if request.headers.get("Range"):
            registry.cut = 0

    registry.before.append(mend)
    assert await node.pull_image(f"{registry.host}/app") == image_id


async def test_a_blob_that_never_comes_whole_fails_in_the_end(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes, clock: SteppingClock
) -> None:
    registry.add_image("app", handmade, [layer])
    path = f"/v2/app/blobs/{handmade.digest(layer)}"
    registry.before.append(lambda request: web.Response(status=503) if request.path == path else None)
    with pytest.raises(ImagePullFailure, match="503") as failed:
        await node.pull_image(f"{registry.host}/app")
    assert failed.value.reason == "ErrImagePull"
    assert registry.requests.count(path) == 5
    assert clock.slept == sorted(clock.slept)


async def test_a_busy_registry_is_asked_again_when_it_says(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes, clock: SteppingClock
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    busy = [web.Response(status=429, headers={"Retry-After": "7"})]
    registry.before.append(lambda request: busy.pop() if busy and "manifests" in request.path else None)
    assert await node.pull_image(f"{registry.host}/app") == image_id
    assert clock.slept == [7.0]


async def test_content_that_is_not_what_its_digest_says_is_refused(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes
) -> None:
    registry.add_image("app", handmade, [layer])
    registry.documents[f"/v2/app/blobs/{handmade.digest(layer)}"] = ("", b"x" * len(layer))
    with pytest.raises(ImagePullFailure, match="arrived as sha256:"):
        await node.pull_image(f"{registry.host}/app")
    assert await node.list_images() == []


async def test_a_manifest_that_is_not_what_its_digest_says_is_refused(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes
) -> None:
    registry.add_image("app", handmade, [layer])
    wrong = "sha256:" + "0" * 64
    registry.documents[f"/v2/app/manifests/{wrong}"] = registry.documents["/v2/app/manifests/latest"]
    with pytest.raises(ImagePullFailure, match=f"manifest {wrong} arrived as"):
        await node.pull_image(f"{registry.host}/app@{wrong}")


async def test_pulls_of_one_name_share_the_work(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    pulls = [node.pull_image(f"{registry.host}/app") for _ in range(5)]
    assert set(await asyncio.gather(*pulls)) == {image_id}
    assert registry.requests.count("/v2/app/manifests/latest") == 1


async def test_one_who_gives_up_does_not_end_the_pull_of_others(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    asked = asyncio.Event()
    registry.before.append(lambda request: asked.set() if "manifests" in request.path else None)
    first = asyncio.create_task(node.pull_image(f"{registry.host}/app"))
    second = asyncio.create_task(node.pull_image(f"{registry.host}/app"))
    await asked.wait()
    first.cancel()
    assert await second == image_id
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_token_is_fetched_and_sent_with_every_request(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    scopes: list[str] = []

    def guard(request: web.Request) -> web.Response | None:
        if request.path == "/token":
            scopes.append(request.query["scope"])
            return web.json_response({"token": "t0k3n"})
        if request.path == "/v2/" or request.headers.get("Authorization") == "Bearer t0k3n":
            return None
        demand = f'Bearer realm="http://{registry.host}/token",service="s",scope="repository:app:pull"'
        return web.Response(status=401, headers={"WWW-Authenticate": demand})

    registry.before.append(guard)
    assert await node.pull_image(f"{registry.host}/app") == image_id
    assert scopes == ["repository:app:pull"]


async def test_a_password_answers_basic_challenges(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    right = f"Basic {base64.b64encode(b'me:secret').decode()}"

    def guard(request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") == right:
            return None
        body = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
        return web.json_response(body, status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})

    registry.before.append(guard)
    assert await node.pull_image(f"{registry.host}/app", PullCredentials("me", "secret")) == image_id
    await node.remove_image(f"{registry.host}/app")
    for credentials in (None, PullCredentials("me", "wrong")):
        with pytest.raises(ImagePullFailure) as refused:
            await node.pull_image(f"{registry.host}/app", credentials)
        assert "pull access denied, repository does not exist or may require authorization" in str(refused.value)
        assert "server message: unauthorized: authentication required" in str(refused.value)
        assert "secret" not in str(refused.value)


async def test_a_redirect_to_another_host_gets_no_password(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    path = f"/v2/app/blobs/{handmade.digest(layer)}"
    registry.documents["/cdn/blobs/x"] = registry.documents[path]
    elsewhere = registry.host.replace("127.0.0.1", "localhost")
    leaked: list[str] = []

    def guard(request: web.Request) -> web.Response | None:
        if request.path.startswith("/cdn"):
            leaked.append(request.headers.get("Authorization", ""))
            return None
        if "Authorization" not in request.headers:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
        if request.path == path:
            return web.Response(status=307, headers={"Location": f"http://{elsewhere}/cdn/blobs/x"})
        return None

    registry.before.append(guard)
    assert await node.pull_image(f"{registry.host}/app", PullCredentials("me", "secret")) == image_id
    assert leaked == [""]


async def test_the_image_for_this_machine_is_chosen_from_an_index(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    _, manifest = registry.documents["/v2/app/manifests/latest"]
    mine = manifests.Platform.of_this_machine()
    entries = [
        {
            "mediaType": manifests.OCI_MANIFEST,
            "digest": handmade.digest(manifest) if name == mine.architecture else "sha256:" + "0" * 64,
            "size": len(manifest),
            "platform": {"os": "linux", "architecture": name},
        }
        for name in ("s390x", mine.architecture)
    ]
    index = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    registry.documents["/v2/app/manifests/multi"] = (manifests.OCI_INDEX, index)
    assert await node.pull_image(f"{registry.host}/app:multi") == image_id
    status = await node.image_status(f"{registry.host}/app:multi")
    assert status is not None
    assert status.digests == (f"{registry.host}/app@{handmade.digest(index)}",)


async def test_names_that_a_registry_does_not_have_are_not_found(node: ImageStore, registry: ScriptedRegistry) -> None:
    with pytest.raises(ImagePullFailure) as failed:
        await node.pull_image(f"{registry.host}/absent:v1")
    name = f"{registry.host}/absent:v1"
    assert str(failed.value) == (
        f'failed to pull and unpack image "{name}": failed to resolve reference "{name}": {name}: not found'
    )
    assert failed.value.reason == "ErrImagePull"


@pytest.mark.parametrize(
    ("media_type", "data", "why"),
    [
        (manifests.OCI_MANIFEST, b"<html>", "manifest is not JSON"),
        (manifests.DOCKER_SCHEMA1[1], b'{"schemaVersion":1}', "is no longer supported"),
        (manifests.OCI_INDEX, b'{"manifests":[]}', "no match for platform in manifest"),
        (manifests.OCI_MANIFEST, b" " * (9 << 20), "larger than"),
    ],
)
async def test_manifests_of_no_use_are_refused(
    node: ImageStore, registry: ScriptedRegistry, media_type: str, data: bytes, why: str
) -> None:
    registry.documents["/v2/app/manifests/latest"] = (media_type, data)
    with pytest.raises(ImagePullFailure, match=why) as failed:
        await node.pull_image(f"{registry.host}/app")
    assert failed.value.reason == "ErrImagePull"


async def test_a_registry_that_is_not_there_is_known_at_once_and_for_a_while(
    node: ImageStore, clock: SteppingClock
) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        name = f"127.0.0.1:{reserved.getsockname()[1]}/app"
        begun = time.monotonic()
        with pytest.raises(ImagePullFailure, match="failed to do request") as failed:
            await node.pull_image(name)
        assert time.monotonic() - begun < 2
        assert failed.value.reason == "RegistryUnavailable"
        reserved.listen()
        with pytest.raises(ImagePullFailure) as again:
            await node.pull_image(name)
        assert again.value.reason == "RegistryUnavailable"
        assert str(again.value) == str(failed.value)


async def test_a_registry_that_answers_again_is_asked_again(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes, clock: SteppingClock
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    registry.before.append(lambda request: _hang_up(request) if clock.now < 1_700_000_005 else None)
    with pytest.raises(ImagePullFailure) as failed:
        await node.pull_image(f"{registry.host}/app")
    assert failed.value.reason == "RegistryUnavailable"
    clock.now += 11
    assert await node.pull_image(f"{registry.host}/app") == image_id


async def test_silence_is_known_within_two_seconds(node: ImageStore, clock: SteppingClock) -> None:
    """A listener whose queue is full drops every further connection attempt, as a firewall does."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(mute.getsockname())
            begun = time.monotonic()
            with pytest.raises(ImagePullFailure) as failed:
                await node.pull_image(f"127.0.0.1:{mute.getsockname()[1]}/app")
            assert time.monotonic() - begun < 2.5
            assert failed.value.reason == "RegistryUnavailable"
        finally:
            for filler in fillers:
                filler.close()


def _hang_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def test_any_number_of_pulls_may_wait_for_the_same_layers(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any
) -> None:
    """More of them than the event loop has threads: who waits for a download must not hold what that one needs."""
    base = [bytes(handmade.layer([handmade.Entry(f"base{number}", data=b"b" * 50_000)])) for number in range(3)]
    names = [f"app{number}" for number in range(12)]
    images = [
        registry.add_image(name, handmade, [*base, bytes(handmade.layer([handmade.Entry(name)]))]) for name in names
    ]
    pulls = [node.pull_image(f"{registry.host}/{name}") for name in names]
    async with asyncio.timeout(60):
        assert await asyncio.gather(*pulls) == images
    for data in base:
        assert sum(handmade.digest(data) in path for path in registry.requests) == 1


async def test_any_number_may_wait_while_someone_cleans_up(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    cleaning, others_wait = asyncio.Event(), asyncio.Event()
    remove_temporary = node.snapshots.remove_temporary

    async def slowly() -> None:
        cleaning.set()
        await others_wait.wait()
        await remove_temporary()

    monkeypatch.setattr(node.snapshots, "remove_temporary", slowly)
    tidying = asyncio.create_task(node.tidy())
    await cleaning.wait()
    pulls = [asyncio.create_task(node.pull_image(f"{registry.host}/app")) for _ in range(40)]
    await asyncio.sleep(0)
    others_wait.set()
    async with asyncio.timeout(60):
        assert set(await asyncio.gather(*pulls)) == {image_id}
        await tidying


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=416, text="the range is not to be had" * 100),
        web.Response(status=206, text="other" * 10, headers={"Content-Range": "bytes 7-56/200000"}),
        web.Response(status=206, text="no range said"),
    ],
    ids=["416", "another-range", "no-range"],
)
async def test_an_odd_answer_to_a_range_begins_the_blob_anew(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes, answer: web.Response
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    registry.cut = 60_000

    def odd(request: web.Request) -> web.Response | None:
        if not request.headers.get("Range"):
            return None
        registry.cut = 0
        return web.Response(
            status=answer.status,
            text=answer.text,
            headers={key: value for key, value in answer.headers.items() if key == "Content-Range"},
        )

    registry.before.append(odd)
    assert await node.pull_image(f"{registry.host}/app") == image_id


async def test_an_index_of_indexes_is_followed(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    _, data = registry.documents["/v2/app/manifests/latest"]
    mine = {"os": "linux", "architecture": manifests.Platform.of_this_machine().architecture}
    entry: dict[str, Any] = {"mediaType": manifests.OCI_MANIFEST, "platform": mine}
    for _ in range(3):
        entry |= {"digest": handmade.digest(data), "size": len(data)}
        data = json.dumps({"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": [entry]}).encode()
        registry.documents[f"/v2/app/manifests/{handmade.digest(data)}"] = (manifests.OCI_INDEX, data)
        entry = {"mediaType": manifests.OCI_INDEX}
    registry.documents["/v2/app/manifests/nested"] = (manifests.OCI_INDEX, data)
    assert await node.pull_image(f"{registry.host}/app:nested") == image_id


async def test_an_image_for_another_machine_is_refused(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add_image("app", handmade, [layer])
    monkeypatch.setattr("platform.machine", lambda: "s390x")
    with pytest.raises(ImagePullFailure, match="no match for platform in manifest: linux/s390x"):
        await node.pull_image(f"{registry.host}/app")
    assert not any(handmade.digest(layer) in path for path in registry.requests)


async def test_a_reference_may_have_a_longer_digest(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    document = registry.documents["/v2/app/manifests/latest"]
    digest = f"sha512:{hashlib.sha512(document[1]).hexdigest()}"
    registry.documents[f"/v2/app/manifests/{digest}"] = document
    assert await node.pull_image(f"{registry.host}/app@{digest}") == image_id
    assert await node.image_status(f"{registry.host}/app@{digest}") is not None


async def test_what_cannot_fit_is_not_begun(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes
) -> None:
    registry.add_image("app", handmade, [layer])
    media_type, data = registry.documents["/v2/app/manifests/latest"]
    tree = json.loads(data)
    tree["layers"][0]["size"] = 1 << 49
    registry.documents["/v2/app/manifests/latest"] = (media_type, json.dumps(tree).encode())
    with pytest.raises(ImagePullFailure, match=f"needs {1 << 49} bytes, but only [0-9]+ are free"):
        await node.pull_image(f"{registry.host}/app")
    assert not any(handmade.digest(layer) in path for path in registry.requests)


async def test_a_registry_on_this_machine_is_not_asked_through_a_proxy(
    node: ImageStore, registry: ScriptedRegistry, handmade: Any, layer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = registry.add_image("app", handmade, [layer])
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await node.pull_image(f"{registry.host}/app") == image_id
