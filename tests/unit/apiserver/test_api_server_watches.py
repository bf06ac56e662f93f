"""Watch streams over HTTPS."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


async def version(api: Any) -> str:
    return str((await api("GET", CONFIG_MAPS)).tree["metadata"]["resourceVersion"])


async def test_a_watch_tells_of_everything_after_its_version(api: Any, make_config_map: Any) -> None:
    stream = await api.watch(f"{CONFIG_MAPS}?watch=1&resourceVersion={await version(api)}")
    await api("POST", CONFIG_MAPS, make_config_map("w1", a="1"))
    await api("PATCH", f"{CONFIG_MAPS}/w1", {"data": {"a": "2"}}, content_type="application/merge-patch+json")
    await api("DELETE", f"{CONFIG_MAPS}/w1")
    events = [await stream.next() for _ in range(3)]
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert [event["object"]["data"]["a"] for event in events] == ["1", "2", "2"]
    stream.close()


async def test_a_watch_without_a_version_begins_with_what_is_there(api: Any, make_config_map: Any) -> None:
    await api("POST", CONFIG_MAPS, make_config_map("there"))
    stream = await api.watch(f"{CONFIG_MAPS}?watch=1&fieldSelector=metadata.name%3Dthere")
    event = await stream.next()
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "there")
    stream.close()


async def test_a_streaming_list_ends_its_state_with_a_bookmark(api: Any, make_config_map: Any) -> None:
    await api("POST", CONFIG_MAPS, make_config_map("listed"))
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    stream = await api.watch(f"{CONFIG_MAPS}?{query}&fieldSelector=metadata.name%3Dlisted")
    assert (await stream.next())["type"] == "ADDED"
    bookmark = await stream.next()
    assert bookmark["type"] == "BOOKMARK"
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    stream.close()


async def test_a_version_that_is_gone_is_told_inside_the_stream(api: Any) -> None:
    await api.server.store.compact(int(await version(api)))
    window = api.server.registry.verbs("", "v1", "configmaps").kind.cache.window
    window.since = int(await version(api))
    stream = await api.watch(f"{CONFIG_MAPS}?watch=1&resourceVersion=1")
    event = await stream.next()
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert await stream.ended()


async def test_what_the_cache_has_forgotten_comes_from_the_log(api: Any, make_config_map: Any) -> None:
    before = await version(api)
    for name in ("old-1", "old-2"):
        tree = make_config_map(name)
        tree["metadata"]["labels"] = {"age": "old"}
        await api("POST", CONFIG_MAPS, tree)
    await api("DELETE", f"{CONFIG_MAPS}/old-1")
    await api("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "between"}})
    window = api.server.registry.verbs("", "v1", "configmaps").kind.cache.window
    window.since = int((await api("GET", "/api/v1/secrets")).tree["metadata"]["resourceVersion"])
    stream = await api.watch(f"{CONFIG_MAPS}?watch=1&resourceVersion={before}&labelSelector=age%3Dold")
    await api("DELETE", f"{CONFIG_MAPS}/old-2")
    events = [await stream.next() for _ in range(4)]
    seen = [(event["type"], event["object"]["metadata"]["name"]) for event in events]
    assert seen == [("ADDED", "old-1"), ("ADDED", "old-2"), ("DELETED", "old-1"), ("DELETED", "old-2")]
    stream.close()


async def test_a_watch_ends_in_good_order_after_its_time(api: Any) -> None:
    stream = await api.watch(f"{CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion={await version(api)}")
    assert await stream.ended()


async def test_a_client_that_goes_away_frees_its_watch(api: Any) -> None:
    verbs = api.server.registry.verbs("", "v1", "secrets")
    table = verbs.kind.cache.watches
    before = table.count
    stream = await api.watch("/api/v1/secrets?watch=1")
    assert table.count == before + 1
    stream.close()
    async with asyncio.timeout(10):
        while table.count != before:
            await asyncio.sleep(0)


async def test_tables_name_their_columns_once(api: Any, make_config_map: Any) -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    path = f"{CONFIG_MAPS}?watch=1&fieldSelector=metadata.name%3Dtabled&resourceVersion={await version(api)}"
    stream = await api.watch(path, accept=accept)
    await api("POST", CONFIG_MAPS, make_config_map("tabled", a="1"))
    await api("PATCH", f"{CONFIG_MAPS}/tabled", {"data": {"b": "2"}}, content_type="application/merge-patch+json")
    first, second = (await stream.next())["object"], (await stream.next())["object"]
    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["columnDefinitions"] is None
    assert (first["rows"][0]["cells"][:2], second["rows"][0]["cells"][:2]) == (["tabled", 1], ["tabled", 2])
    stream.close()


async def test_a_slow_client_gets_everything_once_it_reads(api: Any, make_config_map: Any) -> None:
    stream = await api.watch(f"{CONFIG_MAPS}?watch=1&resourceVersion={await version(api)}")
    for number in range(40):
        await api("POST", CONFIG_MAPS, make_config_map(f"slow{number:02}", a="x" * 100_000))
    names = [(await stream.next())["object"]["metadata"]["name"] for _ in range(40)]
    assert names == [f"slow{number:02}" for number in range(40)]
    stream.close()
    await api("DELETE", CONFIG_MAPS)


async def test_the_old_paths_watch_one_object(api: Any, make_config_map: Any) -> None:
    for name in ("one-of-two", "two-of-two"):
        await api("POST", CONFIG_MAPS, make_config_map(name))
    stream = await api.watch("/api/v1/watch/namespaces/default/configmaps/two-of-two?timeoutSeconds=1")
    assert (await stream.next())["object"]["metadata"]["name"] == "two-of-two"
    assert await stream.ended()
