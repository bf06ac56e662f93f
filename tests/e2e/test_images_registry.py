"""Pulls from the real docker-registry program, with images that skopeo made of several formats."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from podkeeper.runtime.cri_images import PullCredentials
from podkeeper.runtime.failures import ImagePullFailure
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig
from podkeeper.testing.scratch_engine import busybox_archive

SKOPEO = ("skopeo", "copy", "-q")
ZSTD = ("--format", "oci", "--dest-compress", "--dest-compress-format", "zstd")
MISSING = [name for name in ("docker-registry", "skopeo", "busybox") if not shutil.which(name)]
SECRET_HASH = "$2b$04$GVEdodf5EBjt0CLzjYRnmu9RG.Hwymwz0pZf3K/iCI6PzOtLPFptm"  # bcrypt of "secret"
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="unpacking layers needs root"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


@dataclass(frozen=True)
class Registry:
    """A running registry. ``credentials`` are for skopeo, which fills it."""

    host: str
    credentials: str = ""

    def push(self, archive: Path, name: str, *options: str) -> str:
        """Copies a docker archive into it. Returns the reference."""
        reference = f"{self.host}/{name}"
        access = ["--dest-creds", self.credentials] if self.credentials else []
        subprocess.run(
            [
                *SKOPEO,
                "--dest-tls-verify=false",
                *access,
                *options,
                f"docker-archive:{archive}",
                f"docker://{reference}",
            ],
            check=True,
            capture_output=True,
        )
        return reference


@contextlib.contextmanager
def running_registry(
    folder: Path, auth: Mapping[str, Any] | None = None, tls: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Starts the program on a free port and yields its host; it is gone afterwards."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", **({"tls": tls} if tls else {})},
        **({"auth": auth} if auth else {}),
    }
    (folder / "config.yml").write_text(json.dumps(config))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        _wait_for_port(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until the program listens: it tells no other way, so each refused connection is tried again."""
    deadline = time.monotonic() + 20
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, "docker-registry ended"
        assert time.monotonic() < deadline, "docker-registry does not listen"
        os.sched_yield()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return busybox_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as host:
        yield Registry(host)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ImageStore]:
    opened = ImageStore(ImageStoreConfig(tmp_path / "images"))
    try:
        yield opened
    finally:
        await opened.snapshots.sweep()
        await opened.close()


async def runs(store: ImageStore, image_id: str) -> str:
    """What the image's busybox says when it is run in its root file system."""
    root = await store.snapshots.prepare("c", image_id)
    try:
        done = subprocess.run(
            ["chroot", str(root), "/bin/sh", "-c", "echo $(id -u) $0"], capture_output=True, text=True
        )
        return done.stdout.strip()
    finally:
        await store.snapshots.remove("c")


@pytest.mark.parametrize(
    "options",
    [
        ("--format", "v2s2"),
        ("--format", "oci"),
        ZSTD,
        ("--format", "v2s2", "--dest-decompress"),
    ],
)
async def test_images_of_every_format_are_pulled_and_run(
    registry: Registry, archive: Path, store: ImageStore, options: tuple[str, ...], tmp_path: Path
) -> None:
    plain = tmp_path / "layout"
    subprocess.run([*SKOPEO, *options, f"docker-archive:{archive}", f"dir:{plain}"], check=True)
    reference = f"{registry.host}/formats:{'-'.join(options).strip('-')[:60]}"
    subprocess.run(
        [
            "skopeo",
            "copy",
            "-q",
            "--preserve-digests",
            "--dest-tls-verify=false",
            f"dir:{plain}",
            f"docker://{reference}",
        ],
        check=True,
    )
    image_id = await store.pull_image(reference)
    assert await runs(store, image_id) == "0 /bin/sh"
    assert os.listdir(tmp_path / "images/content/blobs/sha256") == []
    manifest = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}"], capture_output=True, check=True
    ).stdout
    assert json.loads(manifest)["config"]["digest"] == image_id


async def test_zstd_layers_were_really_zstd(
    registry: Registry, archive: Path, store: ImageStore, tmp_path: Path
) -> None:
    """Guards the test above: skopeo must have made what we asked for."""
    layout = tmp_path / "z"
    subprocess.run(
        [*SKOPEO, *ZSTD, f"docker-archive:{archive}", f"dir:{layout}"],
        check=True,
    )
    manifest = json.loads((layout / "manifest.json").read_text())
    assert manifest["layers"][0]["mediaType"].endswith("+zstd")


async def test_an_unknown_tag_and_an_unknown_name_are_not_found(
    registry: Registry, archive: Path, store: ImageStore
) -> None:
    registry.push(archive, "known:v1")
    for path in ("known:v2", "unknown:v1"):
        reference = f"{registry.host}/{path}"
        with pytest.raises(ImagePullFailure, match=f"{reference}: not found") as failed:
            await store.pull_image(reference)
        assert failed.value.reason == "ErrImagePull"


async def test_basic_authentication(archive: Path, store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "htpasswd").write_text(f"me:{SECRET_HASH}\n")
    auth = {"htpasswd": {"realm": "tests", "path": str(tmp_path / "htpasswd")}}
    with running_registry(tmp_path, auth) as host:
        reference = await asyncio.to_thread(Registry(host, "me:secret").push, archive, "private:v1")
        image_id = await store.pull_image(reference, PullCredentials("me", "secret"))
        assert await runs(store, image_id) == "0 /bin/sh"
        await store.remove_image(reference)
        for credentials in (None, PullCredentials("me", "wrong")):
            with pytest.raises(ImagePullFailure, match="pull access denied") as refused:
                await store.pull_image(reference, credentials)
            assert refused.value.reason == "ErrImagePull"


class TokenServer:
    """Issues registry tokens: to everyone for names that begin with ``public/``, else to one user."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = _self_signed(self._key)
        self.bundle = folder / "token.crt"
        self.bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        scope = request.query.get("scope", "")
        self.asked.append(scope)
        user = base64.b64decode(request.headers.get("Authorization", "Basic ")[6:]).decode()
        kind, name, actions = scope.split(":") if scope else ("", "", "")
        if not scope or not (user == "me:secret" or (name.startswith("public/") and not user)):
            return web.json_response({"details": "incorrect username or password"}, status=401)
        now = int(time.time())
        claims = {
            "iss": "tests",
            "aud": "registry",
            "sub": user.partition(":")[0],
            "iat": now,
            "nbf": now - 60,
            "exp": now + 600,
            "jti": str(len(self.asked)),
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }
        der = base64.b64encode(self._certificate.public_bytes(serialization.Encoding.DER)).decode()
        return web.json_response({"token": jwt.encode(claims, self._key, "ES256", headers={"x5c": [der]})})


def _self_signed(key: ec.EllipticCurvePrivateKey, names: tuple[str, ...] = ("tests",)) -> x509.Certificate:
    import datetime
    import ipaddress

    from cryptography.hazmat.primitives import hashes

    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


@contextlib.asynccontextmanager
async def serving(answer: Callable[[web.Request], Any]) -> AsyncIterator[int]:
    """A small HTTP server; yields its port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_token_authentication(archive: Path, store: ImageStore, tmp_path: Path) -> None:
    tokens = TokenServer(tmp_path)
    async with serving(tokens.answer) as port:
        realm = f"http://127.0.0.1:{port}/token"
        auth = {
            "token": {"realm": realm, "service": "registry", "issuer": "tests", "rootcertbundle": str(tokens.bundle)}
        }
        with running_registry(tmp_path, auth) as host:
            filler = Registry(host, "me:secret")
            private = await asyncio.to_thread(filler.push, archive, "private/app:v1")
            public = await asyncio.to_thread(filler.push, archive, "public/app:v1")
            tokens.asked.clear()
            assert await runs(store, await store.pull_image(public)) == "0 /bin/sh"
            assert tokens.asked == ["repository:public/app:pull"]
            assert await store.pull_image(private, PullCredentials("me", "secret"))
            with pytest.raises(ImagePullFailure, match="failed to fetch oauth token") as refused:
                await store.pull_image(private, PullCredentials("me", "wrong"))
            assert "wrong" not in str(refused.value)
            with pytest.raises(ImagePullFailure, match="failed to fetch anonymous token"):
                await store.pull_image(private)


async def test_a_registry_on_loopback_may_have_any_certificate(archive: Path, tmp_path: Path) -> None:
    """On loopback nobody checks it, as Docker has it."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _self_signed(key).public_bytes(serialization.Encoding.PEM)
    (tmp_path / "tls.crt").write_bytes(certificate)
    (tmp_path / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    tls = {"certificate": str(tmp_path / "tls.crt"), "key": str(tmp_path / "tls.key")}
    with running_registry(tmp_path, tls=tls) as host:
        reference = await asyncio.to_thread(Registry(host).push, archive, "app:v1")
        loopback = ImageStore(ImageStoreConfig(tmp_path / "images"))
        try:
            assert await loopback.pull_image(reference)
        finally:
            await loopback.close()


PULL = """
import asyncio, sys
from pathlib import Path
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig

async def main():
    store = ImageStore(ImageStoreConfig(Path(sys.argv[1])))
    print(await store.pull_image(sys.argv[2], None, lambda progress: print(progress.done, flush=True)), flush=True)
    await store.close()

asyncio.run(main())
"""


async def test_a_pull_that_was_killed_is_resumed(
    registry: Registry, archive: Path, store: ImageStore, tmp_path: Path
) -> None:
    """Through a proxy that passes half of the layer, so that the kill always comes in the middle."""
    reference = await asyncio.to_thread(registry.push, archive, "killed:v1")
    ranges: list[str] = []
    held = asyncio.Event()

    async def pass_on(request: web.Request) -> web.StreamResponse:
        import aiohttp

        wanted = request.headers.get("Range", "")
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.get(f"http://{registry.host}{request.path_qs}", headers=dict(request.headers)) as upstream,
        ):
            body = await upstream.read()
            response = web.StreamResponse(status=upstream.status)
            for name in ("Content-Type", "Content-Length", "Content-Range", "Docker-Content-Digest"):
                if name in upstream.headers:
                    response.headers[name] = upstream.headers[name]
            await response.prepare(request)
            if len(body) > 100_000 and not wanted:
                await response.write(body[: len(body) // 2])
                await held.wait()
            else:
                ranges.append(wanted)
                await response.write(body)
            return response

    async with serving(pass_on) as port:
        name = reference.replace(registry.host, f"127.0.0.1:{port}")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PULL, str(tmp_path / "images"), name, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        done = int(await process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        await process.wait()
        held.set()
        assert await store.image_status(name) is None
        image_id = await store.pull_image(name)
    resumed = [int(text.removeprefix("bytes=").removesuffix("-")) for text in ranges if text]
    assert resumed
    assert resumed[0] >= done > 0
    assert await runs(store, image_id) == "0 /bin/sh"


async def test_two_processes_pull_one_image_at_once(
    registry: Registry, archive: Path, store: ImageStore, tmp_path: Path
) -> None:
    reference = await asyncio.to_thread(registry.push, archive, "twice:v1")
    others = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", PULL, str(tmp_path / "images"), reference, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    own = await store.pull_image(reference)
    for process in others:
        output, _ = await process.communicate()
        assert output.decode().split()[-1] == own
    assert len(store.index.layer_numbers()) == 1
    assert await runs(store, own) == "0 /bin/sh"
