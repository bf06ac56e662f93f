"""Whom a registry's certificate convinces: nobody's, the machine's authorities, or one given for that host."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from podkeeper.runtime.failures import ImagePullFailure
from podkeeper.runtime.images.endpoints import Endpoint, endpoints, is_insecure, tls_context
from podkeeper.runtime.images.service import ImageStore


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
async def port(certificate: Path) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def connects(port: int, context: ssl.SSLContext) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="127.0.0.1")
    except ssl.SSLCertVerificationError:
        return False
    writer.close()
    return True


async def test_a_certificate_that_nobody_vouches_for_is_refused(port: int) -> None:
    assert not await connects(port, tls_context(Endpoint("https://reg.lan"), "reg.lan", None))


async def test_an_authority_given_for_the_host_is_believed_for_that_host_alone(
    port: int, certificate: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "certs.d" / "reg.lan:5000"
    folder.mkdir(parents=True)
    public, _, _ = certificate.read_text().partition("-----BEGIN PRIVATE")
    (folder / "ca.crt").write_text(public)
    endpoint = Endpoint("https://reg.lan:5000")
    assert await connects(port, tls_context(endpoint, "reg.lan:5000", tmp_path / "certs.d"))
    assert not await connects(port, tls_context(endpoint, "other.lan:5000", tmp_path / "certs.d"))


async def test_a_registry_that_cannot_prove_who_it_is_is_not_an_absent_one(
    store: ImageStore, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taking the image of that name that happens to be here would hide what is wrong."""
    monkeypatch.setattr("podkeeper.runtime.images.registry.is_insecure", lambda *_: False)
    with pytest.raises(ImagePullFailure, match="certificate verify failed") as failed:
        await store.pull_image(f"127.0.0.1:{port}/app")
    assert failed.value.reason == "ErrImagePull"


def test_a_registry_is_insecure_on_this_machine_or_where_its_directory_says_so(tmp_path: Path) -> None:
    (tmp_path / "reg.lan:5000").mkdir()
    assert not is_insecure("reg.lan:5000", (), tmp_path)
    (tmp_path / "reg.lan:5000/insecure").touch()
    assert is_insecure("reg.lan:5000", (), tmp_path)
    assert not is_insecure("reg.lan", (), tmp_path)
    assert is_insecure("reg.lan:5000", ("reg.lan",), None)
    assert is_insecure("[::1]:5000", (), None)
    assert is_insecure("localhost", (), None)
    assert endpoints("reg.lan", insecure=False) == (Endpoint("https://reg.lan"),)
    assert endpoints("docker.io", insecure=False) == (Endpoint("https://registry-1.docker.io"),)


async def test_who_we_are_is_shown_where_the_registry_asks(certificate: Path, tmp_path: Path) -> None:
    folder = tmp_path / "certs.d" / "reg.lan"
    folder.mkdir(parents=True)
    public, mark, private = certificate.read_text().partition("-----BEGIN PRIVATE")
    (folder / "ca.crt").write_text(public)
    (folder / "client.cert").write_text(public)
    (folder / "client.key").write_text(mark + private)
    strict = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    strict.load_cert_chain(certificate)
    strict.load_verify_locations(certificate)
    strict.verify_mode = ssl.CERT_REQUIRED
    shown: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()

    def welcome(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown.set_result(writer.get_extra_info("peercert"))
        writer.close()

    async with await asyncio.start_server(welcome, "127.0.0.1", 0, ssl=strict) as server:
        port = server.sockets[0].getsockname()[1]
        assert await connects(port, tls_context(Endpoint("https://reg.lan"), "reg.lan", tmp_path / "certs.d"))
        assert (await shown)["subject"] == ((("commonName", "registry"),),)


async def test_an_insecure_registry_need_not_prove_anything(port: int) -> None:
    assert await connects(port, tls_context(Endpoint("https://reg.lan", verified=False), "reg.lan", None))
