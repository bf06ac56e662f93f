"""The contract of ImageService, for the real image store and for the scripted runtime that other tests use."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from podkeeper.runtime.cri_images import ImageService
from podkeeper.runtime.failures import ImagePullFailure
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig
from podkeeper.testing.fake_clock import FakeClock
from podkeeper.testing.scripted_runtime import ScriptedRuntime


@dataclass
class World:
    """A service, the host part of its registry, and the ways to put images on the node and into the registry."""

    service: ImageService
    host: str
    make_local: Callable[[str], Awaitable[str]]
    publish: Callable[[str], str]
    silence: Callable[[], Awaitable[None]]

    def name(self, path: str) -> str:
        """A full reference in the registry."""
        return f"{self.host}/{path}"


@pytest.fixture(params=["scripted", "store"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    if request.param == "scripted":
        yield scripted_world()
        return
    if os.geteuid() != 0:
        pytest.skip("unpacking layers needs root")
    async with store_world(tmp_path) as made:
        yield made


def scripted_world() -> World:
    runtime = ScriptedRuntime(FakeClock())

    async def make_local(name: str) -> str:
        return runtime.add_image(name)

    async def silence() -> None:
        runtime.registry_available = False

    return World(runtime, "registry.test", make_local, runtime.add_to_registry, silence)


@asynccontextmanager
async def store_world(folder: Path) -> AsyncIterator[World]:
    """An image store, and a registry of the simplest kind on this machine."""
    store = ImageStore(ImageStoreConfig(folder / "images"))
    documents: dict[str, bytes] = {"/v2/": b"{}"}

    async def answer(request: web.Request) -> web.Response:
        found = documents.get(request.path)
        return web.Response(status=404) if found is None else web.Response(body=found)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    async def make_local(name: str) -> str:
        (status,) = await store.import_archive(docker_archive(folder / "image.tar", name))
        return status.id

    def publish(name: str) -> str:
        return add_to_registry(documents, name)

    try:
        yield World(store, f"127.0.0.1:{runner.addresses[0][1]}", make_local, publish, runner.cleanup)
    finally:
        await runner.cleanup()
        await store.close()


def layer_and_config(content: str) -> tuple[bytes, bytes]:
    """A layer of one file and the configuration of an image of it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("file")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content.encode()))
    layer = buffer.getvalue()
    tree = {"os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}
    return layer, json.dumps(tree).encode()


def docker_archive(path: Path, name: str) -> Path:
    layer, config = layer_and_config(f"local {name}")
    manifest = json.dumps([{"Config": "c", "RepoTags": [name], "Layers": ["l"]}]).encode()
    with tarfile.open(path, "w") as archive:
        for file, data in (("l", layer), ("c", config), ("manifest.json", manifest)):
            member = tarfile.TarInfo(file)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def add_to_registry(documents: dict[str, bytes], name: str) -> str:
    path, _, tag = name.partition("/")[2].rpartition(":")
    layer, config = layer_and_config(f"published {name}")
    manifest = {
        "schemaVersion": 2,
        "config": {"digest": digest(config), "size": len(config)},
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(layer), "size": len(layer)}
        ],
    }
    documents[f"/v2/{path}/manifests/{tag}"] = json.dumps(manifest).encode()
    for blob in (layer, config):
        documents[f"/v2/{path}/blobs/{digest(blob)}"] = blob
    return digest(config)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


async def test_an_image_made_here_is_found_by_name_and_id(world: World) -> None:
    name = world.name("app:v1")
    image_id = await world.make_local(name)
    by_name, by_id = await world.service.image_status(name), await world.service.image_status(image_id)
    assert by_name is not None
    assert by_name == by_id
    assert (by_name.id, by_name.tags, by_name.local) == (image_id, (name,), True)
    assert [image.id for image in await world.service.list_images()] == [image_id]


async def test_what_is_not_here_is_none(world: World) -> None:
    assert await world.service.image_status(world.name("absent:v1")) is None
    assert await world.service.image_status("sha256:" + "0" * 64) is None
    assert await world.service.list_images() == []


async def test_a_pulled_image_is_found_by_name_digest_and_id(world: World) -> None:
    name = world.name("app:v1")
    published = world.publish(name)
    assert await world.service.pull_image(name) == published
    status = await world.service.image_status(name)
    assert status is not None
    assert (status.id, status.tags, status.local) == (published, (name,), False)
    assert status.size > 0
    (repository_digest,) = status.digests
    assert repository_digest.startswith(world.name("app@sha256:"))
    by_digest = await world.service.image_status(repository_digest)
    assert by_digest is not None
    assert by_digest.id == published


async def test_where_the_registry_answers_it_decides(world: World) -> None:
    name = world.name("app:v1")
    await world.make_local(name)
    published = world.publish(name)
    assert await world.service.pull_image(name) == published
    status = await world.service.image_status(name)
    assert status is not None
    assert (status.id, status.local) == (published, False)


async def test_a_name_that_the_registry_does_not_have_changes_nothing(world: World) -> None:
    name = world.name("app:v1")
    image_id = await world.make_local(name)
    with pytest.raises(ImagePullFailure) as failed:
        await world.service.pull_image(name)
    assert failed.value.reason == "ErrImagePull"
    assert name in str(failed.value)
    status = await world.service.image_status(name)
    assert status is not None
    assert (status.id, status.local) == (image_id, True)


async def test_a_registry_that_does_not_answer_is_unavailable(world: World) -> None:
    name = world.name("app:v1")
    image_id = await world.make_local(name)
    world.publish(name)
    await world.silence()
    with pytest.raises(ImagePullFailure) as failed:
        await world.service.pull_image(name)
    assert failed.value.reason == "RegistryUnavailable"
    status = await world.service.image_status(name)
    assert status is not None
    assert (status.id, status.local) == (image_id, True)


async def test_removal_may_be_repeated(world: World) -> None:
    name = world.name("app:v1")
    image_id = await world.make_local(name)
    await world.service.remove_image(name)
    assert await world.service.image_status(name) is None
    assert await world.service.image_status(image_id) is None
    await world.service.remove_image(name)
    await world.service.remove_image(image_id)


async def test_images_take_room(world: World) -> None:
    before = await world.service.image_fs_usage()
    await world.make_local(world.name("app:v1"))
    after = await world.service.image_fs_usage()
    assert after[0] > before[0]
    assert after[1] > before[1]
