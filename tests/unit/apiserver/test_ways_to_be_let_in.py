"""Every way to be let in, over HTTPS to a whole server: what is configured counts, what is not does not."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from msgspec.structs import replace

from podkeeper.apiserver.authentication.anonymous import Anonymity
from podkeeper.apiserver.authentication.flags import AuthenticationOptions
from podkeeper.apiserver.authentication.request_header import RequestHeaders
from podkeeper.foundation.certificates import Authority
from podkeeper.foundation.keyfiles import KeyPair, write_private
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


async def test_another_issuers_token_counts_and_the_file_is_followed(served: Any, tmp_path: Path) -> None:
    assert await who(served, token=token("https://one")) == "ext:jane"
    assert await who(served, token=token("https://two")) == 401
    write_private(tmp_path / "authentication.yaml", configuration("https://two"))
    deadline = time.monotonic() + 20
    while await who(served, token=token("https://two")) == 401:
        assert time.monotonic() < deadline
    assert await who(served, token=token("https://one")) == 401


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
