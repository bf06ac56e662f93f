"""What controllers and scheduler show of themselves, and to whom, over a whole API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from podkeeper.client.config import ClientConfig
from podkeeper.client.delegation import DelegatedAccess
from podkeeper.client.rest import RestApi
from podkeeper.cluster.component_server import ComponentServer, Shown
from podkeeper.foundation.certificates import Authority
from podkeeper.foundation.clock import SystemClock
from podkeeper.foundation.exposition import single
from podkeeper.foundation.http.client import Exchange, request_message
from podkeeper.foundation.keyfiles import KeyPair
from podkeeper.foundation.listening import open_listener
from podkeeper.testing.api_server import TestServer, running_api_server

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Component:
    """A scheduler's endpoints, and the API server that says who may."""

    def __init__(self, server: TestServer, port: int, healthy: dict[str, bool]) -> None:
        self.server, self.port, self.healthy = server, port, healthy

    async def get(self, path: str, *, token: str = "", pair: KeyPair | None = None) -> tuple[int, str]:
        headers = [(b"host", b"test"), (b"connection", b"close")]
        headers += [(b"authorization", f"Bearer {token}".encode())] if token else []
        tls = self.server.tls(pair)
        exchange = await Exchange.send(
            ("127.0.0.1", self.port), tls, request_message("GET", path, headers), server_name="127.0.0.1"
        )
        body = b"".join([piece async for piece in exchange.pieces()])
        exchange.close()
        return exchange.status, body.decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def component(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Component]:
    directory: Path = tmp_path_factory.mktemp("component")
    async with running_api_server(directory) as server:
        own = server.client_pair("system:kube-scheduler")
        serving = KeyPair(directory / "scheduler.crt", directory / "scheduler.key")
        server.authority.issue_server(serving, "system:kube-scheduler", ["127.0.0.1"])
        config = ClientConfig(
            server=server.url,
            ca=server.authority.certificate_pem(),
            certificate=own.certificate.read_bytes(),
            key=own.key.read_bytes(),
        )
        api, healthy = RestApi(config), {"leaderElection": True}
        shown = Shown(
            lambda: (*api.families(), single("answer", "gauge", "It.", lambda: 42)),
            {"leaderElection": lambda: healthy["leaderElection"]},
            lambda: {"componentconfig": {"a": 1}},
        )
        access = DelegatedAccess(api, SystemClock())
        listener = open_listener("127.0.0.1", 0)
        port = listener.getsockname()[1]
        made = ComponentServer(shown, access, serving, server.authority.pair.certificate)
        serving_task = asyncio.ensure_future(made.serve(listener))
        yield Component(server, port, healthy)
        serving_task.cancel()
        await asyncio.wait([serving_task])
        await api.close()
        assert listener.fileno() == -1


async def test_health_is_told_to_everyone(component: Component) -> None:
    for path in ("/healthz", "/livez", "/readyz", "/readyz/ping"):
        assert await component.get(path) == (200, "ok")
    told = "[+]ping ok\n[+]leaderElection ok\nhealthz check passed\n"
    assert await component.get("/healthz?verbose") == (200, told)
    component.healthy["leaderElection"] = False
    try:
        told = "[+]ping ok\n[-]leaderElection failed: reason withheld\nhealthz check failed\n"
        assert await component.get("/healthz") == (500, told)
        assert await component.get("/healthz?exclude=leaderElection") == (200, "ok")
    finally:
        component.healthy["leaderElection"] = True


@pytest.mark.parametrize("path", ["/metrics", "/configz", "/nothing"])
async def test_the_rest_is_for_those_who_may(component: Component, path: str) -> None:
    code, told = await component.get(path)
    assert code == 403
    assert json.loads(told) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f'forbidden: User "system:anonymous" cannot get path "{path}"',
        "reason": "Forbidden",
        "details": {},
        "code": 403,
    }
    assert (await component.get(path, token="wrong"))[0] == 401
    nobody = component.server.client_pair("nobody-in-particular")
    code, told = await component.get(path, pair=nobody)
    assert (code, "nobody-in-particular" in told) == (403, True)


async def test_a_certificate_of_another_authority_is_a_wrong_credential(component: Component, tmp_path: Path) -> None:
    pair = KeyPair(tmp_path / "boss.crt", tmp_path / "boss.key")
    Authority.open(tmp_path).issue_client(pair, "boss", ("system:masters",))
    assert (await component.get("/metrics", pair=pair))[0] == 401
    assert (await component.get("/healthz", pair=pair))[0] == 200
    assert (await component.get("/metrics", pair=pair, token=component.server.admin_token))[0] == 200


async def test_figures_are_for_those_who_may_by_token_and_by_certificate(component: Component) -> None:
    admin = component.server.client_pair("boss", ("system:masters",))
    by_token = await component.get("/metrics", token=component.server.admin_token)
    for code, told in (by_token, await component.get("/metrics", pair=admin)):
        assert (code, "\nanswer 42\n" in told) == (200, True)
        assert 'rest_client_requests_total{code="201"' in told
    assert await component.get("/configz", pair=admin) == (200, '{"componentconfig":{"a":1}}')
    assert await component.get("/nothing", pair=admin) == (404, "404 page not found\n")
    assert (await component.get("/metrics/resources", pair=admin))[0] == 404
    assert 'kubernetes_healthcheck{name="ping",type="livez"} 1' in (await component.get("/metrics/slis", pair=admin))[1]


async def test_an_account_may_that_a_role_lets(component: Component) -> None:
    api = RestApi(
        ClientConfig(
            server=component.server.url,
            ca=component.server.authority.certificate_pem(),
            token=component.server.admin_token,
        )
    )
    token = await _account(api, "prometheus")
    assert (await component.get("/metrics", token=token))[0] == 403
    binding = {
        "metadata": {"name": "monitoring"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:monitoring"},
        "subjects": [{"kind": "ServiceAccount", "name": "scraper", "namespace": "default"}],
    }
    await _post(api, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    scraper = await _account(api, "scraper")
    assert (await component.get("/metrics", token=scraper))[0] == 200
    await api.close()


async def _account(api: RestApi, name: str) -> str:
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await _post(api, accounts, {"metadata": {"name": name}})
    return str((await _post(api, f"{accounts}/{name}/token", {"spec": {}}))["status"]["token"])


async def _post(api: RestApi, path: str, tree: Any) -> Any:
    return json.loads(await api.call("POST", path, body=json.dumps(tree).encode()))
