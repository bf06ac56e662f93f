"""What a second DELETE does to an object that is on its way already."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name: str, *finalizers: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "finalizers": list(finalizers)}}


async def test_another_policy_replaces_the_one_that_waits(api: Any) -> None:
    path = f"{CONFIG_MAPS}/waiting"
    await api("POST", CONFIG_MAPS, config_map("waiting", "example.com/own"))
    waiting = await api("DELETE", f"{path}?propagationPolicy=Foreground")
    assert waiting.tree["metadata"]["finalizers"] == ["example.com/own", "foregroundDeletion"]
    again = await api("DELETE", path)
    assert again.tree == waiting.tree
    orphaning = await api("DELETE", f"{path}?propagationPolicy=Orphan")
    assert orphaning.tree["metadata"]["finalizers"] == ["example.com/own", "orphan"]
    assert orphaning.tree["metadata"]["deletionTimestamp"] == waiting.tree["metadata"]["deletionTimestamp"]
    alone = await api("DELETE", f"{path}?propagationPolicy=Background")
    assert alone.tree["metadata"]["finalizers"] == ["example.com/own"]


async def test_nothing_waits_for_dependents_any_more(api: Any) -> None:
    await api("POST", CONFIG_MAPS, config_map("stuck"))
    await api("DELETE", f"{CONFIG_MAPS}/stuck?propagationPolicy=Foreground")
    assert (await api("GET", f"{CONFIG_MAPS}/stuck")).status == 200
    gone = await api("DELETE", f"{CONFIG_MAPS}/stuck?propagationPolicy=Background")
    assert (gone.status, gone.tree["status"]) == (200, "Success")
    assert (await api("GET", f"{CONFIG_MAPS}/stuck")).status == 404
