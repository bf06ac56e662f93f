"""/livez, /readyz and their checks, as load balancers and people read them."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.apiserver.handlers.componentstatuses import probe
from podkeeper.storage.store import StoreError

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path", ["livez", "healthz", "readyz"])
async def test_checks_are_named_as_upstream_names_them(api: Any, path: str) -> None:
    reply = await api("GET", f"/{path}?verbose", token="")
    lines = reply.body.decode().splitlines()
    assert reply.status == 200
    assert {"[+]ping ok", "[+]etcd ok", "[+]poststarthook/rbac/bootstrap-roles ok"} <= set(lines)
    assert ("[+]informer-sync ok" in lines, "[+]shutdown ok" in lines) == (path == "readyz", path == "readyz")
    assert lines[-1] == f"{path} check passed"


async def test_the_checks_that_tests_of_clusters_ask_for_are_there(api: Any) -> None:
    required = (  # test/e2e/apimachinery/health_handlers.go, in the names of 1.36
        *("ping", "log", "etcd", "autoregister-completion"),
        *(
            f"poststarthook/{each}"
            for each in (
                "start-apiserver-admission-initializer",
                "generic-apiserver-start-informers",
                "start-apiextensions-informers",
                "start-apiextensions-controllers",
                "crd-informer-synced",
                "bootstrap-controller",
                "start-system-namespaces-controller",
                "scheduling/bootstrap-system-priority-classes",
                "start-cluster-authentication-info-controller",
                "start-kube-aggregator-informers",
                "apiservice-registration-controller",
                "apiservice-status-local-available-controller",
                "apiservice-status-remote-available-controller",
                "kube-apiserver-autoregistration",
                "apiservice-openapi-controller",
            )
        ),
    )
    for path in ("livez", "healthz", "readyz"):
        told = (await api("GET", f"/{path}?verbose=1")).body.decode().splitlines()
        assert {f"[+]{name} ok" for name in required} <= set(told)


async def test_a_store_that_fails_is_told(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is gone")

    monkeypatch.setattr(api.server.store, "range", fail)
    reply = await api("GET", "/livez")
    assert reply.status == 500
    assert b"[-]etcd failed: reason withheld\n" in reply.body
    assert reply.body.endswith(b"livez check failed\n")
    without = await api("GET", "/readyz?exclude=etcd&exclude=etcd-readiness&exclude=nonsense&verbose")
    assert (without.status, b"[+]etcd excluded: ok" in without.body) == (200, True)
    assert b'warn: some health checks cannot be excluded: no matches for "nonsense"' in without.body
    statuses = (await api("GET", "/api/v1/componentstatuses/etcd-0")).tree
    assert statuses["conditions"] == [{"type": "Healthy", "status": "False", "message": "the disk is gone"}]


async def test_processes_are_asked_at_their_ports(api: Any, unused_tcp_port: int) -> None:
    assert await probe(api.server.server.port) == ""  # any server with a /healthz
    refused = await probe(unused_tcp_port)
    port = f"127.0.0.1:{unused_tcp_port}"
    assert refused == f'Get "https://{port}/healthz": dial tcp {port}: connect: connection refused'
    listed = (await api("GET", "/api/v1/componentstatuses")).tree["items"]
    assert [each["metadata"]["name"] for each in listed] == ["controller-manager", "scheduler", "etcd-0"]
    assert listed[2]["conditions"] == [{"type": "Healthy", "status": "True", "message": "ok"}]


async def test_one_check_is_asked_alone(api: Any) -> None:
    assert (await api("GET", "/readyz/etcd")).body == b"ok"
    assert (await api("GET", "/readyz/poststarthook/rbac/bootstrap-roles")).body == b"ok"
    assert (await api("GET", "/readyz/nonsense")).status == 404
