"""Bearer tokens that are not the cluster's own: bootstrap tokens, other issuers', a webhook's; who may be nobody."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from podkeeper.api.user import UserInfo
from podkeeper.apiserver.authentication import flags
from podkeeper.apiserver.authentication.anonymous import Anonymity
from podkeeper.apiserver.authentication.bootstrap_tokens import BootstrapTokens
from podkeeper.apiserver.authentication.jwt_claims import ClaimReader
from podkeeper.apiserver.authentication.jwt_configuration import ConfigurationError, Issuer, Mapped, parse
from podkeeper.apiserver.authentication.jwt_issuers import JwtIssuers
from podkeeper.apiserver.authentication.request_header import FrontProxies, RequestHeaders
from podkeeper.apiserver.authentication.service_accounts import InvalidToken
from podkeeper.apiserver.authentication.webhook_tokens import WebhookTokens
from podkeeper.foundation.certificates import Authority
from podkeeper.foundation.clock import SystemClock
from podkeeper.foundation.http import HttpServer, Request, Response
from podkeeper.foundation.http.messages import Peer
from podkeeper.foundation.keyfiles import KeyPair
from podkeeper.foundation.tls import server_tls


class Secrets:
    """A Lookup of Secrets."""

    def __init__(self, **data: str) -> None:
        encoded = {key.replace("_", "-"): base64.b64encode(value.encode()).decode() for key, value in data.items()}
        self.secret: dict[str, Any] | None = {"metadata": {}, "type": "bootstrap.kubernetes.io/token", "data": encoded}

    async def get(self, group: str, resource: str, namespace: str, name: str) -> dict[str, Any] | None:
        assert (resource, namespace) == ("secrets", "kube-system")
        return self.secret if name == "bootstrap-token-abcdef" else None

    async def list(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        raise AssertionError


GOOD = {
    "token_id": "abcdef",
    "token_secret": "0123456789abcdef",
    "usage_bootstrap_authentication": "true",
    "auth_extra_groups": "system:bootstrappers:workers",
}
TOKEN = "abcdef.0123456789abcdef"


async def test_a_bootstrap_token_names_its_groups() -> None:
    found = await BootstrapTokens(Secrets(**GOOD), SystemClock()).holder(TOKEN, ["api"])
    assert found is not None
    groups = ("system:bootstrappers", "system:bootstrappers:workers", "system:authenticated")
    assert found.user == UserInfo("system:bootstrap:abcdef", groups=groups)
    assert found.until == 0.0  # never believed without another look


@pytest.mark.parametrize(
    "change",
    [
        {"token_secret": "f123456789abcdef"},
        {"token_id": "fedcba"},
        {"usage_bootstrap_authentication": "false"},
        {"expiration": "2020-01-01T00:00:00Z"},
        {"expiration": "some day"},
        {"auth_extra_groups": "system:masters"},
    ],
)
async def test_a_bootstrap_token_that_is_not_quite_right_is_refused(change: Mapping[str, str]) -> None:
    with pytest.raises(InvalidToken):
        await BootstrapTokens(Secrets(**(GOOD | change)), SystemClock()).holder(TOKEN, ["api"])


async def test_other_tokens_and_other_secrets_are_none_of_it() -> None:
    secrets = Secrets(**GOOD)
    source = BootstrapTokens(secrets, SystemClock())
    assert await source.holder("a.b.c", []) is None
    assert await source.holder("ffffff.0123456789abcdef", []) is None
    assert secrets.secret is not None
    secrets.secret["type"] = "Opaque"
    with pytest.raises(InvalidToken):
        await source.holder(TOKEN, [])


# --- other issuers


@dataclass
class Provider:
    """An OpenID provider on this machine; ``keys`` are what it publishes now."""

    url: str = ""
    authority: str = ""
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    asked: int = 0

    def add(self, name: str) -> None:
        self.keys = {name: rsa.generate_private_key(65537, 2048)}

    def token(self, *, key: str = "", algorithm: str = "RS256", **claims: Any) -> str:
        name = key or next(iter(self.keys))
        now = int(time.time())
        content = {"iss": self.url, "aud": "app", "exp": now + 60, "iat": now, "sub": "jane"} | claims
        return jwt.encode(content, self.keys[name], algorithm, headers={"kid": name})

    async def answer(self, request: Request) -> Response:
        self.asked += 1
        if request.target == b"/.well-known/openid-configuration":
            found: Any = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        else:
            jwks = [(name, RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)) for name, key in self.keys.items()]
            found = {"keys": [key | {"kid": name, "use": "sig"} for name, key in jwks]}
        return Response(200, b"Content-Type: application/json\r\n", json.dumps(found).encode())


@asynccontextmanager
async def https(directory: Path, handler: Callable[[Request], Any]) -> AsyncIterator[tuple[str, Authority]]:
    import socket

    authority = Authority.open(directory, "provider-ca")
    pair = KeyPair(directory / "provider.crt", directory / "provider.key")
    authority.issue_server(pair, "provider", ["localhost", "127.0.0.1"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        server, ready = HttpServer(handler), asyncio.Event()
        tls = server_tls(str(pair.certificate), str(pair.key))
        serving = asyncio.create_task(server.serve(listener, tls, ready))
        await ready.wait()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}", authority
        finally:
            await server.stop(0.1)
            serving.cancel()
            await asyncio.wait([serving])


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[Provider]:
    made = Provider()
    made.add("first")
    async with https(tmp_path, made.answer) as (url, authority):
        made.url, made.authority = url, authority.certificate_pem().decode()
        yield made


def source(provider: Provider, **settings: Any) -> JwtIssuers:
    chosen = {"audiences": ("app",), "username": Mapped("sub", "oidc:"), "authority": provider.authority} | settings
    return JwtIssuers([Issuer(provider.url, **chosen)], ("api",), SystemClock())


async def test_a_token_of_a_known_issuer_names_its_user(provider: Provider) -> None:
    tokens = source(provider, groups=Mapped("groups", "g:"))
    found = await tokens.holder(provider.token(groups=["dev", "ops"]), ["api"])
    assert found is not None
    assert found.user == UserInfo("oidc:jane", groups=("g:dev", "g:ops", "system:authenticated"))
    assert found.audiences == ("api",)
    asked = provider.asked
    await tokens.holder(provider.token(), ["api"])
    assert provider.asked == asked  # keys are fetched once
    assert await tokens.holder(provider.token(iss="https://other"), ["api"]) is None


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": "another"}, "expected audience"),
        ({"exp": 1}, "expired"),
        ({"nbf": time.time() + 4000}, "not before"),
        ({"sub": None}, "username"),
        ({"groups": 7}, "groups"),
    ],
)
async def test_claims_that_do_not_fit_are_refused(provider: Provider, claims: Any, why: str) -> None:
    with pytest.raises(InvalidToken, match=why):
        await source(provider, groups=Mapped("groups")).holder(provider.token(**claims), ["api"])


async def test_an_issuers_clock_may_be_minutes_ahead(provider: Provider) -> None:
    assert await source(provider).holder(provider.token(nbf=time.time() + 200), ["api"]) is not None


async def test_keys_rotate(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = source(provider)
    old = provider.token()
    assert await tokens.holder(old, ["api"]) is not None
    provider.add("second")
    new = provider.token()
    with pytest.raises(InvalidToken, match="signature"):
        await tokens.holder(new, ["api"])  # keys have only just been fetched: nobody makes us ask all the time
    monkeypatch.setattr("podkeeper.apiserver.authentication.jwt_issuers.REFETCH", 0.0)
    assert await tokens.holder(new, ["api"]) is not None
    with pytest.raises(InvalidToken, match="signature"):
        await tokens.holder(old, ["api"])


async def test_forged_tokens_are_refused(provider: Provider) -> None:
    tokens = source(provider)
    claims = {"iss": provider.url, "aud": "app", "exp": time.time() + 60, "sub": "root"}
    for forged in (
        jwt.encode(claims, rsa.generate_private_key(65537, 2048), "RS256", headers={"kid": "first"}),
        jwt.encode(claims, "", "none"),
        jwt.encode(claims, "x" * 32, "HS256"),
    ):
        with pytest.raises(InvalidToken):
            await tokens.holder(forged, ["api"])


async def test_an_issuer_whose_certificate_is_not_trusted_has_no_keys(provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    other = Authority.open(tmp_path / "b").certificate_pem().decode()
    with pytest.raises(InvalidToken, match="signature"):
        await source(provider, authority=other).holder(provider.token(), ["api"])


def configured(**changes: Any) -> Any:
    issuer = {"url": "https://login.example.com", "audiences": ["app"]} | changes.pop("issuer", {})
    entry = {"issuer": issuer, "claimMappings": {"username": {"claim": "sub", "prefix": ""}}} | changes
    return {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": [entry]}


def test_expressions_map_and_judge() -> None:
    tree = configured(
        claimMappings={
            "username": {"expression": "'ext:' + claims.sub"},
            "groups": {"expression": "claims.roles.split(',')"},
            "uid": {"claim": "oid"},
            "extra": [{"key": "example.com/tenant", "valueExpression": "claims.tenant"}],
        },
        claimValidationRules=[
            {"expression": "claims.exp - claims.iat <= 86400", "message": "too long a life"},
            {"claim": "hd", "requiredValue": "example.com"},
        ],
        userValidationRules=[{"expression": "!user.username.startsWith('system:')", "message": "reserved"}],
    )
    reader = ClaimReader(parse(tree).issuers[0])
    claims = {"sub": "jane", "roles": "dev,ops", "oid": "u1", "tenant": "t", "iat": 0, "exp": 60, "hd": "example.com"}
    assert reader.user(claims) == UserInfo("ext:jane", "u1", ("dev", "ops"), {"example.com/tenant": ("t",)})
    for change, why in (
        ({"exp": 90000}, "too long a life"),
        ({"hd": "evil.com"}, "does not match"),
        ({"sub": 3}, "error"),
    ):
        with pytest.raises(InvalidToken, match=why):
            reader.user(claims | change)
    judged = ClaimReader(parse(configured(userValidationRules=tree["jwt"][0]["userValidationRules"])).issuers[0])
    with pytest.raises(InvalidToken, match="reserved"):
        judged.user({"sub": "system:masters"})


def test_mail_addresses_count_once_they_are_verified() -> None:
    reader = ClaimReader(Issuer("https://x", ("a",), Mapped("email")))
    assert reader.user({"email": "a@b"}).name == "a@b"
    with pytest.raises(InvalidToken, match="email not verified"):
        reader.user({"email": "a@b", "email_verified": False})
    with pytest.raises(ConfigurationError, match="email_verified must be used"):
        ClaimReader(Issuer("https://x", ("a",), Mapped(expression="claims.email")))


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        (configured(issuer={"url": "http://x"}), "URL scheme must be https"),
        (configured(issuer={"audiences": []}), "at least one"),
        (configured(issuer={"audiences": ["a", "b"]}), "must be MatchAny for multiple audiences"),
        (configured(issuer={"audienceMatchPolicy": "All"}), "Unsupported value"),
        (configured(issuer={"discoveryURL": "https://login.example.com/"}), "must be different"),
        (configured(issuer={"egressSelectorType": "cluster"}), "unknown field"),
        (configured(claimMappings={"username": {"claim": "sub"}}), "prefix is required"),
        (
            configured(claimMappings={"username": {"claim": "sub", "prefix": "", "expression": "x"}}),
            "can't both be set",
        ),
        (configured(claimMappings={}), "claim or expression is required"),
        (configured(userValidationRules=[{"message": "x"}]), "expression is required"),
        (configured() | {"jwt": configured()["jwt"] * 2}, "Duplicate value"),
        (configured() | {"anonymous": {"enabled": False, "conditions": [{"path": "/livez"}]}}, "should be set to true"),
        (configured(issuer={"url": "https://own"}), "must not overlap"),
    ],
)
def test_a_wrong_configuration_is_refused_in_words(tree: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        parse(tree, "https://own")


def test_an_expression_that_does_not_compile_is_refused() -> None:
    tree = configured(claimMappings={"username": {"expression": "claims.sub +"}})
    with pytest.raises(ConfigurationError, match="compilation failed"):
        ClaimReader(parse(tree).issuers[0])


# --- a webhook


async def test_a_webhook_is_asked_and_believed_for_a_while(tmp_path: Path) -> None:
    asked: list[Any] = []
    statuses = [
        {"authenticated": True, "user": {"username": "w", "uid": "1", "groups": ["g"], "extra": {"k": ["v"]}}},
        {"authenticated": False},
        {"authenticated": True, "user": {"username": "w"}, "audiences": ["elsewhere"]},
    ]

    async def answer(request: Request) -> Response:
        asked.append(json.loads(request.body))
        body = json.dumps(asked[-1] | {"status": statuses[len(asked) - 1]}).encode()
        return Response(201, b"Content-Type: application/json\r\n", body)

    async with https(tmp_path, answer) as (url, authority):
        data = base64.b64encode(authority.certificate_pem()).decode()
        config = {
            "clusters": [
                {"name": "w", "cluster": {"server": f"{url}/authenticate", "certificate-authority-data": data}}
            ],
            "users": [{"name": "w", "user": {}}],
            "contexts": [{"name": "w", "context": {"cluster": "w", "user": "w"}}],
            "current-context": "w",
        }
        (tmp_path / "webhook.yaml").write_text(json.dumps(config))
        tokens = WebhookTokens(tmp_path / "webhook.yaml", SystemClock())
        found = await tokens.holder("one", ["api"])
        assert found is not None
        assert found.user == UserInfo("w", "1", ("g", "system:authenticated"), {"k": ("v",)})
        assert (await tokens.holder("one", ["api"])) == found
        assert await tokens.holder("two", ["api"]) is None
        assert await tokens.holder("three", ["api"]) is None
    assert [each["spec"]["token"] for each in asked] == ["one", "two", "three"]
    assert asked[0]["spec"]["audiences"] == ["api"]
    with pytest.raises(InvalidToken, match="does not answer"):
        await tokens.holder("four", ["api"])


# --- proxies, nobody, flags


def peer_of(context: ssl.SSLContext, common_name: str) -> Any:
    (authority,) = context.get_ca_certs()
    peer = Peer(None)
    peer.certificate = {"issuer": authority["subject"], "subject": ((("commonName", common_name),),)}
    return peer


def test_a_proxy_vouches_and_a_client_does_not(tmp_path: Path) -> None:
    clients = Authority.open(tmp_path, "clients", "clients")
    proxies = Authority.open(tmp_path, "proxies", "proxies")
    headers = RequestHeaders(proxies.pair.certificate, allowed_names=("front",))
    found = FrontProxies(headers, clients.pair.certificate)

    def context(authority: Authority) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_verify_locations(str(authority.pair.certificate))
        return made

    def request(peer: Any) -> Request:
        lines = {
            b"x-remote-user": b"jane",
            b"x-remote-group": b"dev, ops",
            b"x-remote-extra-acme.com%2fproject": b"p1",
            b"accept": b"*/*",
        }
        return Request("GET", b"/", lines, peer=peer)

    vouched = request(peer_of(context(proxies), "front"))
    user = UserInfo("jane", "", ("dev", "ops", "system:authenticated"), {"acme.com/project": ("p1",)})
    assert found.user(vouched) == user
    assert list(vouched.headers) == [b"accept"]
    for peer in (peer_of(context(proxies), "back"), peer_of(context(clients), "front"), Peer(None)):
        assert found.user(request(peer)) is None
    assert found.is_client(peer_of(context(clients), "x").certificate)
    assert not found.is_client(peer_of(context(proxies), "x").certificate)
    with pytest.raises(ValueError, match="requestheader-allowed-names"):
        FrontProxies(RequestHeaders(clients.pair.certificate), clients.pair.certificate)


@pytest.mark.parametrize(
    ("anonymity", "allowed"),
    [
        (Anonymity(), [True, True]),
        (Anonymity(False), [False, False]),
        (Anonymity(True, ("/livez",)), [True, False]),
    ],
)
def test_where_one_may_be_nobody(anonymity: Anonymity, allowed: list[bool]) -> None:
    assert [anonymity.allows(target) for target in (b"/livez?verbose", b"/livez/x")] == allowed


def test_the_classic_flags_make_an_issuer() -> None:
    args = {
        "oidc-issuer-url": "https://login",
        "oidc-client-id": "app",
        "oidc-groups-claim": "roles",
        "oidc-groups-prefix": "oidc:",
        "oidc-required-claim": "hd=example.com",
    }
    (issuer,) = flags.read(args).issuers
    assert (issuer.username, issuer.groups) == (Mapped("sub", "https://login#"), Mapped("roles", "oidc:"))
    assert (issuer.claim_rules[0].claim, issuer.claim_rules[0].required) == ("hd", "example.com")
    assert issuer.algorithms == ("RS256",)
    (issuer,) = flags.read(args | {"oidc-username-claim": "email"}).issuers
    assert issuer.username == Mapped("email", "")
    (issuer,) = flags.read(args | {"oidc-username-prefix": "-"}).issuers
    assert issuer.username == Mapped("sub", "")


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"insecure-port": "8080"}, "insecure-port is not supported"),
        ({"oidc-issuer-url": "https://x"}, "must be specified together"),
        ({"anonymous-auth": "perhaps"}, "neither true nor false"),
        ({"requestheader-allowed-names": "x"}, "requestheader-client-ca-file is needed"),
        ({"authentication-token-webhook-cache-ttl": "soon"}, "no duration"),
        ({"authentication-config": "/nowhere", "oidc-client-id": "x"}, "exclude each other"),
    ],
)
def test_flags_that_cannot_be_obeyed_are_refused_by_name(args: Mapping[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        flags.read(args)
