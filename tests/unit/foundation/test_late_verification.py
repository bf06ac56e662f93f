"""Handshakes with client certificates of every kind, in memory: which go on, and whom to trust then."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from podkeeper.foundation.certificates import Authority, new_private_key, private_key_pem
from podkeeper.foundation.keyfiles import KeyPair
from podkeeper.foundation.late_verification import LateVerification
from podkeeper.foundation.tls import server_tls

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def pair_in(directory: Path, name: str) -> KeyPair:
    return KeyPair(directory / f"{name}.crt", directory / f"{name}.key")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(directory: Path) -> Authority:
    return Authority.open(directory)


@pytest.fixture(scope="module")
def serving(directory: Path, authority: Authority) -> ssl.SSLContext:
    pair = pair_in(directory, "server")
    authority.issue_server(pair, "server", ["localhost"])
    return server_tls(str(pair.certificate), str(pair.key), str(authority.pair.certificate))


@pytest.fixture(scope="module")
def late(serving: ssl.SSLContext) -> LateVerification:
    made = LateVerification.of(serving)
    assert made is not None, "this interpreter keeps OpenSSL's structures where nobody knows"
    return made


def client_tls(authority: Authority, pair: KeyPair | None, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.pair.certificate))
    context.minimum_version = context.maximum_version = version
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    return context


def shake(
    serving: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends after the handshake. Raises SSLError."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    far = client.wrap_bio(down, up, server_hostname="localhost", session=session)
    near = serving.wrap_bio(up, down, server_side=True)
    waiting = [far.do_handshake, near.do_handshake]
    for _ in range(10):
        for step in tuple(waiting):
            try:
                step()
                waiting.remove(step)
            except ssl.SSLWantReadError:
                pass
    assert not waiting
    near.write(b"x")
    assert far.read(1) == b"x"  # with it come the tickets of TLS 1.3
    return near, far


def signed(directory: Path, name: str, issuer: KeyPair, ends: datetime.datetime = NOW + DAY) -> KeyPair:
    """A certificate with the name and key usage of a client, signed by whoever holds ``issuer``."""
    pair, key = pair_in(directory, name), new_private_key()
    above = x509.load_pem_x509_certificate(issuer.certificate.read_bytes())
    signer = load_pem_private_key(issuer.key.read_bytes(), None)
    assert isinstance(signer, EllipticCurvePrivateKey)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jane")]))
        .issuer_name(above.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 2 * DAY)
        .not_valid_after(ends)
        .sign(signer, hashes.SHA256())
    )
    pair.key.write_bytes(private_key_pem(key))
    pair.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    return pair


@pytest.fixture(scope="module")
def pairs(directory: Path, authority: Authority) -> dict[str, KeyPair]:
    other = Authority.open(directory, "other")  # of the same name
    found = {"ours": pair_in(directory, "ours"), "same name, other key": pair_in(directory, "theirs")}
    authority.issue_client(found["ours"], "jane")
    other.issue_client(found["same name, other key"], "jane")
    found["without extensions"] = signed(directory, "bare", authority.pair)
    found["expired"] = signed(directory, "expired", authority.pair, NOW - DAY)
    found["signed by a client"] = signed(directory, "grandchild", found["ours"])
    found["an authority itself"] = other.pair
    server = found["for servers"] = pair_in(directory, "for-servers")
    authority.issue_server(server, "jane", ["localhost"])
    chain = found["with a chain of its own"] = signed(directory, "chained", other.pair)
    chain.certificate.write_bytes(chain.certificate.read_bytes() + other.pair.certificate.read_bytes())
    return found


KINDS = {
    "ours": True,
    "without extensions": True,
    "same name, other key": False,
    "expired": False,
    "signed by a client": False,
    "an authority itself": False,
    "for servers": False,
    "with a chain of its own": False,
}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(("kind", "trusted"), KINDS.items())
def test_a_handshake_goes_on_and_tells_whom_to_trust(
    serving: ssl.SSLContext,
    late: LateVerification,
    authority: Authority,
    pairs: dict[str, KeyPair],
    kind: str,
    trusted: bool,
    version: ssl.TLSVersion,
) -> None:
    near, _ = shake(serving, client_tls(authority, pairs[kind], version))
    assert near.getpeercert()
    assert late.trusts(near) is trusted


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind", ["ours", "same name, other key"])
def test_a_resumed_session_is_trusted_as_the_first(
    serving: ssl.SSLContext,
    late: LateVerification,
    authority: Authority,
    pairs: dict[str, KeyPair],
    kind: str,
    version: ssl.TLSVersion,
) -> None:
    client = client_tls(authority, pairs[kind], version)
    first, far = shake(serving, client)
    try:
        second, _ = shake(serving, client, far.session)
    except ssl.SSLError:  # OpenSSL resumes no session with a certificate where contexts have no name for their sessions
        second, _ = shake(serving, client)
    assert late.trusts(first) is late.trusts(second) is KINDS[kind]


def test_without_it_the_handshake_breaks_off(
    directory: Path, serving: ssl.SSLContext, authority: Authority, pairs: dict[str, KeyPair]
) -> None:
    pair = pair_in(directory, "server")
    strict = server_tls(str(pair.certificate), str(pair.key), str(authority.pair.certificate))
    client = client_tls(authority, pairs["same name, other key"], ssl.TLSVersion.TLSv1_3)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(strict, client)
    near, _ = shake(strict, client_tls(authority, pairs["ours"], ssl.TLSVersion.TLSv1_3))
    assert near.getpeercert()


def test_a_connection_of_another_context_is_not_trusted(
    directory: Path, late: LateVerification, authority: Authority, pairs: dict[str, KeyPair]
) -> None:
    pair = pair_in(directory, "server")
    strict = server_tls(str(pair.certificate), str(pair.key), str(authority.pair.certificate))
    near, _ = shake(strict, client_tls(authority, pairs["ours"], ssl.TLSVersion.TLSv1_3))
    assert not late.trusts(near)


def test_an_interpreter_that_is_laid_out_otherwise_is_left_alone(
    directory: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = pair_in(directory, "server")
    strict = server_tls(str(pair.certificate), str(pair.key), str(authority.pair.certificate))
    monkeypatch.setattr("podkeeper.foundation.late_verification._BEGINNING", object.__basicsize__ + 8)
    assert LateVerification.of(strict) is None
