"""Secrets that hold tokens: filled, good for requests, and gone with their account; bootstrap tokens that end."""

from __future__ import annotations

import base64
from typing import Any

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.client.config import ClientConfig
from podkeeper.client.rest import RestApi
from podkeeper.controllers.bootstrap_tokens import BootstrapTokenCleaning, expiration
from podkeeper.controllers.framework import Key
from podkeeper.controllers.token_secrets import SECRET_TYPE, TokenSecrets
from podkeeper.testing.fake_clock import FakeClock


def secret(name: str, account: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": SECRET_TYPE,
        "metadata": {"name": name, "annotations": {"kubernetes.io/service-account.name": account}},
    }


async def whoami(house: Any, token: str) -> int:
    config = ClientConfig(house.server.url, ca=house.server.authority.certificate_pem(), token=token)
    api = RestApi(config)
    try:
        status, _, _ = await api.request("GET", "/api")
    finally:
        await api.close()
    return int(status)


async def test_a_secret_gets_a_token_that_is_good_until_either_goes(house: Any) -> None:
    await house.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}})
    account = await house.api.of(v1.ServiceAccount).get("robot", "default")
    house.start(lambda tools: TokenSecrets(tools, house.server.config.service_account_key, "PEM"))
    for name in ("first", "second"):
        await house.create(secret(name, "robot"))

    def filled(found: list[v1.Secret]) -> bool:
        return sum(bool((each.data or {}).get("token")) for each in found) == 2

    found = {each.metadata.name: each for each in await house.until(v1.Secret, filled)}
    data = {key: base64.b64decode(value).decode() for key, value in found["first"].data.items()}
    assert (data["ca.crt"], data["namespace"]) == ("PEM", "default")
    assert found["first"].metadata.annotations["kubernetes.io/service-account.uid"] == account.metadata.uid
    second = base64.b64decode(found["second"].data["token"]).decode()
    assert [await whoami(house, data["token"]), await whoami(house, second)] == [200, 200]
    await house.api.of(v1.Secret).delete("first", "default")
    assert [await whoami(house, data["token"]), await whoami(house, second)] == [401, 200]
    await house.api.of(v1.ServiceAccount).delete("robot", "default")
    await house.until(v1.Secret, lambda there: not there)
    assert await whoami(house, second) == 401


async def test_a_token_that_its_secret_no_longer_holds_is_worth_nothing(house: Any) -> None:
    await house.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}})
    await house.create(secret("only", "robot"))
    controller, key = (
        TokenSecrets(house.tools(), house.server.config.service_account_key, "PEM"),
        Key("default", "only"),
    )
    await house.settled(key, controller, v1.Secret, v1.ServiceAccount)
    held = await house.api.of(v1.Secret).get("only", "default")
    token = base64.b64decode(held.data["token"]).decode()
    assert await whoami(house, token) == 200
    await house.api.of(v1.Secret).patch("only", {"data": {"token": "eA=="}}, "default")
    assert await whoami(house, token) == 401


async def test_a_bootstrap_token_goes_when_it_ends(house: Any) -> None:
    at = timestamps.format_time(2_000_000_000)
    tree = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
        "data": {"expiration": base64.b64encode(at.encode()).decode()},
    }
    await house.create(tree)
    clock = FakeClock(2_000_000_000 - 60)
    controller, key = BootstrapTokenCleaning(house.tools(clock)), Key("kube-system", "bootstrap-token-abcdef")
    assert await house.settled(key, controller, v1.Secret) == 60
    await clock.advance(60)
    await controller.reconcile(key)
    assert list((await house.api.of(v1.Secret).list("kube-system")).items) == []


def test_an_end_that_is_no_time_is_now() -> None:
    assert expiration(v1.Secret(data={"expiration": "c29vbg=="})) == 0
    assert expiration(v1.Secret()) is None
