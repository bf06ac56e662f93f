"""One object that many write at the same time: patches without preconditions all succeed, and none is lost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
WRITERS, ROUNDS = 12, 10


def merge_patch(key: str) -> tuple[str, bytes, str]:
    return "application/merge-patch+json", json.dumps({"data": {key: "x"}}).encode(), ""


def strategic_patch(key: str) -> tuple[str, bytes, str]:
    return "application/strategic-merge-patch+json", json.dumps({"data": {key: "x"}}).encode(), ""


def json_patch(key: str) -> tuple[str, bytes, str]:
    operation = {"op": "add", "path": f"/data/{key}", "value": "x"}
    return "application/json-patch+json", json.dumps([operation]).encode(), ""


def applied(key: str) -> tuple[str, bytes, str]:
    tree = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hot"}, "data": {key: "x"}}
    return "application/apply-patch+yaml", json.dumps(tree).encode(), f"?fieldManager={key}&force=true"


async def test_patches_of_a_hot_object_all_succeed(api: Any, make_config_map: Any) -> None:
    await api("POST", CONFIG_MAPS, make_config_map("hot", first="x"))
    kinds = (merge_patch, strategic_patch, json_patch, applied)
    codes: list[int] = []

    async def write(number: int) -> None:
        for turn in range(ROUNDS):
            media, body, query = kinds[number % len(kinds)](f"k{number}-{turn}")
            reply = await api("PATCH", f"{CONFIG_MAPS}/hot{query}", body, content_type=media)
            codes.append(reply.status)

    await asyncio.gather(*map(write, range(WRITERS)))
    assert set(codes) == {200}
    found = (await api("GET", f"{CONFIG_MAPS}/hot")).tree["data"]
    assert len(found) == 1 + WRITERS * ROUNDS


async def test_of_updates_from_one_version_one_succeeds(api: Any, make_config_map: Any) -> None:
    made = (await api("POST", CONFIG_MAPS, make_config_map("contended", first="x"))).tree

    async def update(number: int) -> int:
        tree = {**made, "data": {"winner": str(number)}}
        return int((await api("PUT", f"{CONFIG_MAPS}/contended", tree)).status)

    codes = await asyncio.gather(*map(update, range(WRITERS)))
    assert sorted(codes) == [200] + [409] * (WRITERS - 1)


async def test_a_patch_with_a_version_is_a_precondition(api: Any, make_config_map: Any) -> None:
    made = (await api("POST", CONFIG_MAPS, make_config_map("guarded", first="x"))).tree
    version = made["metadata"]["resourceVersion"]

    async def patch(number: int) -> int:
        body = json.dumps({"metadata": {"resourceVersion": version}, "data": {f"k{number}": "x"}}).encode()
        kind = "application/merge-patch+json"
        return int((await api("PATCH", f"{CONFIG_MAPS}/guarded", body, content_type=kind)).status)

    codes = await asyncio.gather(*map(patch, range(WRITERS)))
    assert sorted(codes) == [200] + [409] * (WRITERS - 1)
