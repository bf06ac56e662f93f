"""Every way to be let in, over HTTPS to a whole server: what is configured counts, what is not does not."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from msgspec.structs import replace

from podkeeper.apiserver.authentication import flags
from podkeeper.apiserver.authentication.anonymous import Anonymity
from podkeeper.apiserver.authentication.flags import AuthenticationOptions
from podkeeper.apiserver.authentication.request_header import RequestHeaders
from podkeeper.foundation.certificates import Authority, private_key_pem
from podkeeper.foundation.keyfiles import KeyPair, write_private
from podkeeper.storage.memory import MemoryStore
from podkeeper.testing.api_server import running_api_server

WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
KEY = rsa.generate_private_key(65537, 2048)


def configuration(*urls: str) -> bytes:
    entries = [
        {
            "issuer": {"url": url, "audiences": ["app"]},
            "claimMappings": {"username": {"claim": "sub", "prefix": "ext:"}},
        }
        for url in urls
    ]
    tree = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": entries}
    return json.dumps(tree).encode()


def token(url: str) -> str:
    claims = {"iss": url, "aud": "app", "sub": "jane", "exp": time.time() + 60}
    return jwt.encode(claims, KEY, "RS256", headers={"kid": "k"})


@pytest.fixture
async def served(tmp_path: Path, make_client: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A server that knows the issuer https://one, a front proxy's authority, and nobody but at /livez."""

    async def keys(_self: Any) -> list[jwt.PyJWK]:
        return [jwt.PyJWK(RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True) | {"kid": "k", "alg": "RS256"})]

    monkeypatch.setattr("podkeeper.apiserver.authentication.jwt_issuers._Verifier._discover", keys)
    monkeypatch.setattr("podkeeper.foundation.watched_file.PERIOD", 0.01)
    proxies = Authority.open(tmp_path, "outer-proxy-ca", "outer-proxy-ca")
    write_private(tmp_path / "authentication.yaml", configuration("https://one"))
    options = AuthenticationOptions(
        anonymous=Anonymity(True, ("/livez",)),
        configuration=tmp_path / "authentication.yaml",
        request_headers=RequestHeaders(proxies.pair.certificate, ("front",)),
    )
    async with running_api_server(tmp_path, authentication=options) as server:
        client = make_client(server)
        client.proxies = proxies
        yield client


async def who(client: Any, **credentials: Any) -> Any:
    reply = await client("POST", WHO, {}, **credentials)
    return reply.tree["status"]["userInfo"]["username"] if reply.status == 201 else reply.status


async def figures(client: Any) -> str:
    told: bytes = (await client("GET", "/metrics")).body
    return told.decode()


async def test_another_issuers_token_counts_and_the_file_is_followed(served: Any, tmp_path: Path) -> None:
    assert await who(served, token=token("https://one")) == "ext:jane"
    assert await who(served, token=token("https://two")) == 401
    write_private(tmp_path / "authentication.yaml", configuration("https://two"))
    deadline = time.monotonic() + 20
    while await who(served, token=token("https://two")) == 401:
        assert time.monotonic() < deadline
    assert await who(served, token=token("https://one")) == 401
    write_private(tmp_path / "authentication.yaml", b"jwt: [")
    reloads = "apiserver_authentication_config_controller_automatic_reloads_total"
    while (
        f'{reloads}{{apiserver_id_hash="sha256:' not in (told := await figures(served))
        or 'status="failure"' not in told
    ):
        assert time.monotonic() < deadline
    assert re.search(
        rf'^{reloads}{{apiserver_id_hash="sha256:[0-9a-f]{{64}}",status="success"}} 1$', told, re.MULTILINE
    )
    assert await who(served, token=token("https://two")) == "ext:jane"


async def test_a_review_names_the_holder_of_another_issuers_token(served: Any) -> None:
    review = {"spec": {"token": token("https://one")}}
    reply = await served("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)
    status = reply.tree["status"]
    assert (status["authenticated"], status["user"]["username"]) == (True, "ext:jane")


async def test_nobody_comes_only_where_it_is_allowed(served: Any) -> None:
    assert (await served("GET", "/livez", token="")).status == 200
    assert (await served("GET", "/version", token="")).status == 401


async def test_a_proxy_vouches_with_its_own_certificate_and_not_with_a_clients(served: Any, tmp_path: Path) -> None:
    pairs = [KeyPair(tmp_path / f"{name}.crt", tmp_path / f"{name}.key") for name in ("front", "back")]
    for pair, name in zip(pairs, ("front", "back"), strict=True):
        served.proxies.issue_client(pair, name, ("system:masters",))
    headers = {"x_remote_user": "jane", "x_remote_group": "dev"}
    assert await who(served, pair=pairs[0], **headers) == "jane"
    assert await who(served, pair=pairs[1], **headers) == 401  # a name that is not allowed
    assert await who(served, pair=pairs[0]) == 401  # a proxy is no user, whatever its certificate names
    client = served.server.client_pair("bob", ("ops",))
    assert await who(served, pair=client, **headers) == "bob"


async def test_the_config_map_tells_extensions_of_proxies(served: Any) -> None:
    path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
    data = (await served("GET", path)).tree["data"]
    assert "front" in json.loads(data["requestheader-allowed-names"])
    assert data["requestheader-username-headers"] == '["x-remote-user"]'
    assert "BEGIN CERTIFICATE" in data["requestheader-client-ca-file"]


async def test_bootstrap_tokens_can_be_off(tmp_path: Path, make_client: Any) -> None:
    secret = {
        "metadata": {"name": "bootstrap-token-abcdef"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": "abcdef",
            "token-secret": "0123456789abcdef",
            "usage-bootstrap-authentication": "true",
        },
    }
    for number, (on, answer) in enumerate(((True, "system:bootstrap:abcdef"), (False, 401))):
        options = replace(AuthenticationOptions(), bootstrap_tokens=on)
        async with running_api_server(tmp_path / str(number), authentication=options) as server:
            client = make_client(server)
            assert (await client("POST", "/api/v1/namespaces/kube-system/secrets", secret)).status == 201
            assert await who(client, token="abcdef.0123456789abcdef") == answer


ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


async def minted(client: Any, seconds: int = 3600) -> Any:
    await client("POST", ACCOUNTS, {"metadata": {"name": "robot"}})
    return await client("POST", f"{ACCOUNTS}/robot/token", {"spec": {"expirationSeconds": seconds}})


async def test_signing_keys_and_issuers_are_rotated(tmp_path: Path, make_client: Any) -> None:
    fresh, third = ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)
    write_private(tmp_path / "fresh.key", private_key_pem(fresh))
    public = third.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_private(tmp_path / "others.pem", public + private_key_pem(fresh))
    store = MemoryStore()
    async with running_api_server(tmp_path, store=store) as server:
        old = (await minted(make_client(server))).tree["status"]["token"]
        first = server.config.issuer
    args = {
        "service-account-signing-key-file": str(tmp_path / "fresh.key"),
        "service-account-key-file": str(tmp_path / "others.pem"),
        "service-account-issuer": f"https://new.example.com,{first}",
        "service-account-max-token-expiration": "2h",
        "api-audiences": first,
    }
    async with running_api_server(tmp_path, store=store, authentication=flags.read(args)) as server:
        client = make_client(server)
        reply = await minted(client, 7201)
        assert reply.headers["warning"] == '299 - "requested expiration of 7201 seconds shortened to 7200 seconds"'
        new = reply.tree["status"]["token"]
        assert jwt.get_unverified_header(new)["alg"] == "ES384"
        claims = jwt.decode(new, options={"verify_signature": False})
        assert (claims["iss"], claims["exp"] - claims["iat"]) == ("https://new.example.com", 7200)
        for token_ in (old, new):
            assert await who(client, token=token_) == "system:serviceaccount:default:robot"
        document = (await client("GET", "/.well-known/openid-configuration")).tree
        assert document["issuer"] == "https://new.example.com"
        assert document["id_token_signing_alg_values_supported"] == ["ES256", "ES384", "RS256"]
        keys = (await client("GET", "/openid/v1/jwks")).tree["keys"]
        assert [(each["kty"], each["alg"]) for each in keys] == [("EC", "ES384"), ("EC", "ES256"), ("RSA", "RS256")]
        verified = jwt.decode(new, jwt.PyJWK(keys[0]).key, ["ES384"], audience=first)
        assert verified["sub"] == "system:serviceaccount:default:robot"
    await store.close()


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"service-account-key-file": "/dev/null"}, "does not contain any valid"),
        ({"service-account-signing-key-file": "/nowhere"}, "No such file"),
        ({"service-account-max-token-expiration": "30m"}, "longer than 1 hour"),
        ({"service-account-jwks-uri": "http://x"}, "requires https scheme"),
    ],
)
def test_what_is_wrong_about_accounts_is_said(args: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        flags.read(args)


async def test_no_credentials_are_no_wrong_ones(served: Any) -> None:
    assert (await served("GET", "/version", token="")).status == 401
    assert (await served("GET", "/version", token="wrong")).status == 401
    told = await figures(served)
    assert 'authentication_attempts{result="failure"} 1\n' in told
    assert 'authentication_attempts{result="error"} 1\n' in told
