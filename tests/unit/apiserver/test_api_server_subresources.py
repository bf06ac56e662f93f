"""Subresources that are doors of their own: what goes through them, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

PODS = "/api/v1/namespaces/default/pods"
EVICTION = {"apiVersion": "policy/v1", "kind": "Eviction"}
BINDING = {"apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": "n1"}}


async def test_a_pod_is_bound_once(api: Any, make_pod: Any) -> None:
    await api("POST", PODS, make_pod("bound-once"))
    path, body = f"{PODS}/bound-once", {**BINDING, "metadata": {"name": "bound-once"}}
    assert (await api("POST", f"{path}/binding?dryRun=All", body)).status == 201
    assert "nodeName" not in (await api("GET", path)).tree["spec"]
    aimless = await api("POST", f"{path}/binding", {**body, "target": {}})
    assert (aimless.status, aimless.message) == (422, 'Binding "bound-once" is invalid: target.name: Required value')
    assert (await api("POST", "/api/v1/namespaces/default/bindings", body)).status == 201
    again = await api("POST", f"{path}/binding", body)
    why = 'pod bound-once is already assigned to node "n1"'
    assert (again.status, again.tree["reason"]) == (409, "Conflict")
    assert again.message == f'Operation cannot be fulfilled on pods/binding "bound-once": {why}'
    assert (await api("GET", f"{path}/binding")).status == 405


async def test_an_eviction_is_a_delete(api: Any, make_pod: Any) -> None:
    await api("POST", PODS, make_pod("evicted"))
    path, body = f"{PODS}/evicted/eviction", {**EVICTION, "metadata": {"name": "evicted"}}
    assert (await api("POST", f"{path}?dryRun=All", body)).status == 201
    assert (await api("GET", f"{PODS}/evicted")).status == 200
    other = await api("POST", path, {**EVICTION, "metadata": {"name": "other"}})
    assert (other.status, other.message) == (400, "name in URL does not match name in Eviction object")
    gone = await api("POST", path, body)
    assert (gone.status, gone.tree["status"]) == (201, "Success")
    missing = await api("POST", path, body)
    assert (missing.status, missing.message) == (404, 'pods "evicted" not found')


async def test_a_namespace_ends_when_its_last_finalizer_is_taken(api: Any) -> None:
    made = (await api("POST", "/api/v1/namespaces", {"metadata": {"name": "ending"}})).tree
    assert made["spec"] == {"finalizers": ["kubernetes"]}
    going = await api("DELETE", "/api/v1/namespaces/ending")
    assert (going.status, going.tree["status"]["phase"]) == (200, "Terminating")
    late = await api("POST", "/api/v1/namespaces/ending/configmaps", {"metadata": {"name": "late"}})
    why = "unable to create new content in namespace ending because it is being terminated"
    assert (late.status, late.message) == (403, f'configmaps "late" is forbidden: {why}')
    kept = await api("PUT", "/api/v1/namespaces/ending", going.tree | {"spec": {}})
    assert kept.tree["spec"] == {"finalizers": ["kubernetes"]}
    ended = await api("PUT", "/api/v1/namespaces/ending/finalize", kept.tree | {"spec": {}})
    assert (ended.status, ended.tree["spec"]) == (200, {})
    assert (await api("GET", "/api/v1/namespaces/ending")).status == 404
