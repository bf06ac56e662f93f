"""The contract of ``registry.verbs``, over every store engine: lists and watches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from registry_house import AdmitsAll, Events, House, config_map, pod, refusal

from podkeeper.registry.assembly import RegistryConfig, open_registry
from podkeeper.registry.verbs import (
    DeleteOptions,
    ListOptions,
    WatchEvent,
)


class TestList:
    async def test_order_selectors_and_namespaces(self, house: House) -> None:
        await house.create("namespaces", {"metadata": {"name": "other"}}, "")
        for namespace, name, color in (
            ("other", "z", "red"),
            ("default", "b", "red"),
            ("default", "a", "blue"),
        ):
            await house.create("configmaps", config_map(name, {"color": color}), namespace)
        verbs = house.of("configmaps")

        async def names(namespace: str, **options: Any) -> list[str]:
            return [item.name for item in (await verbs.list(namespace, ListOptions(**options))).items]

        assert await names("") == ["a", "b", "z"]
        assert await names("default") == ["a", "b"]
        assert await names("", label_selector="color=red") == ["b", "z"]
        assert await names("default", label_selector="color in (red,green)") == ["b"]
        assert await names("default", label_selector="!color") == []
        assert await names("", field_selector="metadata.name=b") == ["b"]
        assert await names("", field_selector="metadata.namespace=other") == ["z"]
        assert await names("default", field_selector="metadata.name!=b") == ["a"]

    async def test_pages_show_one_state(self, house: House) -> None:
        verbs = house.of("configmaps")
        for index in range(5):
            await house.create("configmaps", config_map(f"c{index}"))
        first = await verbs.list("default", ListOptions(limit=2))
        metadata = json.loads(first.json)["metadata"]
        assert ([item.name for item in first.items], first.remaining) == (["c0", "c1"], 3)
        assert (metadata["continue"], metadata["remainingItemCount"]) == (first.continuation, 3)
        # What happens between the pages is not seen by them.
        await verbs.delete(house.context, "default", "c2", DeleteOptions())
        await house.create("configmaps", config_map("c25"))
        second = await verbs.list("default", ListOptions(limit=2, continuation=first.continuation))
        assert ([item.name for item in second.items], second.remaining) == (["c2", "c3"], 1)
        third = await verbs.list("default", ListOptions(limit=2, continuation=second.continuation))
        assert ([item.name for item in third.items], third.continuation) == (["c4"], "")
        assert first.revision == second.revision == third.revision

    async def test_pages_with_a_selector(self, house: House) -> None:
        verbs = house.of("configmaps")
        for index in range(6):
            await house.create("configmaps", config_map(f"c{index}", {"even": str(index % 2 == 0).lower()}))
        first = await verbs.list("default", ListOptions(limit=2, label_selector="even=true"))
        assert ([item.name for item in first.items], first.remaining) == (["c0", "c2"], None)
        await house.create("configmaps", config_map("d", {"even": "true"}))
        options = ListOptions(limit=2, label_selector="even=true", continuation=first.continuation)
        second = await verbs.list("default", options)
        assert ([item.name for item in second.items], second.continuation) == (["c4"], "")

    async def test_an_exact_version_comes_from_the_log(self, house: House) -> None:
        made = await house.create("configmaps", config_map("a", k="1"))
        version = made["metadata"]["resourceVersion"]
        await house.patch("configmaps", "a", {"data": {"k": "2"}})
        options = ListOptions(resource_version=version, resource_version_match="Exact")
        old = json.loads((await house.of("configmaps").list("default", options)).json)
        assert (old["metadata"]["resourceVersion"], old["items"]) == (version, [made])

    async def test_a_compacted_version_is_expired(self, house: House) -> None:
        for index in range(3):
            await house.create("configmaps", config_map(f"c{index}"))
        verbs = house.of("configmaps")
        first = await verbs.list("default", ListOptions(limit=1))
        await house.patch("configmaps", "c2", {"data": {"k": "2"}})
        await house.store.compact(house.store.revision)
        options = ListOptions(resource_version="2", resource_version_match="Exact")
        error = await refusal(410, verbs.list("default", options))
        assert (error.reason, error.message) == ("Expired", "The resourceVersion for the provided list is too old.")
        error = await refusal(410, verbs.list("default", ListOptions(limit=1, continuation=first.continuation)))
        token = error.status()["metadata"]["continue"]
        rest = await verbs.list("default", ListOptions(continuation=token))
        assert [item.name for item in rest.items] == ["c1", "c2"]

    async def test_a_version_to_come_is_waited_for(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        coming = str(house.store.revision + 1)
        listing = asyncio.ensure_future(house.of("configmaps").list("default", ListOptions(resource_version=coming)))
        await asyncio.sleep(0)
        await house.create("configmaps", config_map("b"))
        assert [item.name for item in (await listing).items] == ["a", "b"]

    async def test_a_version_that_does_not_come_times_out(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("podkeeper.registry.cache.mirror.PATIENCE", 0.01)
        far = house.store.revision + 1000
        error = await refusal(504, house.of("configmaps").list("", ListOptions(resource_version=str(far))))
        assert error.message == f"Timeout: Too large resource version: {far}, current: {house.store.revision}"
        assert error.causes[0].reason == "ResourceVersionTooLarge"
        assert error.retry_after == 1
        await refusal(504, house.of("configmaps").get("default", "a", str(far)))

    async def test_an_unknown_field_is_named(self, house: House) -> None:
        error = await refusal(400, house.of("pods").list("", ListOptions(field_selector="spec.foo=a")))
        assert error.message == "field label not supported: spec.foo"

    async def test_a_list_is_joined_once_while_nothing_changes(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        verbs = house.of("configmaps")
        first = await verbs.list("default", ListOptions())
        await house.create("secrets", {"metadata": {"name": "s"}})
        assert (await verbs.list("default", ListOptions())).json is first.json
        await house.create("configmaps", config_map("b"))
        assert len((await verbs.list("default", ListOptions())).items) == 2


class TestWatch:
    async def test_from_the_present_state_on(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        events = Events()
        await house.of("configmaps").watch("default", ListOptions(), events, events.close)
        await house.create("configmaps", config_map("b"))
        await house.patch("configmaps", "b", {"data": {"k": "v"}})
        await house.of("configmaps").delete(house.context, "default", "b", DeleteOptions())
        assert await events.wait_for(4) == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]
        last = json.loads(events.seen[-1].frame)
        assert last["type"] == "DELETED"
        assert int(last["object"]["metadata"]["resourceVersion"]) == house.store.revision
        assert events.seen[-1].frame.endswith(b"\n")

    async def test_resumes_without_a_gap(self, house: House) -> None:
        made = await house.create("configmaps", config_map("a"))
        await house.create("configmaps", config_map("b"))
        events = Events()
        options = ListOptions(resource_version=made["metadata"]["resourceVersion"])
        await house.of("configmaps").watch("default", options, events, events.close)
        await house.create("configmaps", config_map("c"))
        assert await events.wait_for(2) == [("ADDED", "b"), ("ADDED", "c")]

    async def test_resumes_in_its_own_namespace(self, house: House) -> None:
        await house.create("namespaces", {"metadata": {"name": "other"}}, "")
        made = await house.create("configmaps", config_map("a"))
        await house.create("configmaps", config_map("b"), "other")
        await house.create("configmaps", config_map("c"))
        events = Events()
        options = ListOptions(resource_version=made["metadata"]["resourceVersion"])
        await house.of("configmaps").watch("default", options, events, events.close)
        assert await events.wait_for(1) == [("ADDED", "c")]

    async def test_from_a_revision_to_come(self, house: House) -> None:
        events = Events()
        options = ListOptions(resource_version=str(house.store.revision + 1))
        await house.of("configmaps").watch("default", options, events, events.close)
        await house.create("configmaps", config_map("a"))
        await house.create("configmaps", config_map("b"))
        assert await events.wait_for(1) == [("ADDED", "b")]

    async def test_a_revision_that_is_gone_is_expired(self, house: House) -> None:
        for index in range(3):
            await house.create("configmaps", config_map(f"c{index}"))
        await house.store.compact(house.store.revision)
        again = await open_registry(house.store, AdmitsAll(), house.clock, RegistryConfig())
        verbs = again.verbs("", "v1", "configmaps")
        assert verbs is not None
        events = Events()
        error = await refusal(410, verbs.watch("", ListOptions(resource_version="1"), events, events.close))
        assert error.reason == "Expired"
        assert error.message.startswith("too old resource version: 1 (")

    async def test_resumes_over_a_restart(self, house: House) -> None:
        made = await house.create("configmaps", config_map("a"))
        await house.create("configmaps", config_map("b"))
        await house.of("configmaps").delete(house.context, "default", "b", DeleteOptions())
        again = await open_registry(house.store, AdmitsAll(), house.clock, RegistryConfig())
        started = asyncio.Event()
        running = asyncio.ensure_future(again.run(started))
        await started.wait()
        events = Events()
        verbs = again.verbs("", "v1", "configmaps")
        assert verbs is not None
        options = ListOptions(resource_version=made["metadata"]["resourceVersion"])
        await verbs.watch("default", options, events, events.close)
        assert await events.wait_for(2) == [("ADDED", "b"), ("DELETED", "b")]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def test_a_selection_is_entered_and_left(self, house: House) -> None:
        await house.create("configmaps", config_map("a", {"color": "blue"}))
        events = Events()
        await house.of("configmaps").watch("", ListOptions(label_selector="color=red"), events, events.close)
        for color in ("red", "red", "blue", "green"):
            await house.patch("configmaps", "a", {"metadata": {"labels": {"color": color}}, "data": {"n": color}})
        await house.patch("configmaps", "a", {"metadata": {"labels": {"color": "red"}}})
        await house.patch("configmaps", "a", {"data": {"n": "x"}})
        assert await events.wait_for(4) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a"), ("MODIFIED", "a")]
        left = json.loads(events.seen[1].frame)["object"]
        # What leaves is shown as it was while it was in, at the revision of leaving.
        assert left["metadata"]["labels"] == {"color": "red"}
        assert int(left["metadata"]["resourceVersion"]) == events.seen[1].item.revision  # type: ignore[union-attr]

    async def test_by_node(self, house: House) -> None:
        events = Events()
        await house.of("pods").watch("", ListOptions(field_selector="spec.nodeName=n1"), events, events.close)
        for name, node in (("p", "n1"), ("q", "n2")):
            await house.create("pods", pod(name))
            await house.registry.bind_pod(house.context, "default", name, {"target": {"name": node}})
        await house.patch("pods", "p", {"status": {"phase": "Running"}}, subresource="status")
        assert await events.wait_for(2) == [("ADDED", "p"), ("MODIFIED", "p")]

    async def test_initial_events_end_with_a_bookmark(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        events = Events()
        options = ListOptions(send_initial_events=True, resource_version_match="NotOlderThan", allow_bookmarks=True)
        await house.of("configmaps").watch("default", options, events, events.close)
        assert await events.wait_for(2) == [("ADDED", "a"), ("BOOKMARK", "")]
        mark = json.loads(events.seen[1].frame)["object"]
        assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert mark["metadata"]["resourceVersion"] == str(house.store.revision)

    async def test_bookmarks_come_every_minute_to_who_wants_them(self, house: House) -> None:
        wanting, not_wanting = Events(), Events()
        options = ListOptions(resource_version=str(house.store.revision), allow_bookmarks=True)
        await house.of("configmaps").watch("default", options, wanting, wanting.close)
        await house.of("configmaps").watch("default", ListOptions(), not_wanting, not_wanting.close)
        await house.create("secrets", {"metadata": {"name": "s"}})
        await house.of("secrets").get("default", "s")
        await house.clock.advance(60)
        assert await wanting.wait_for(1) == [("BOOKMARK", "")]
        mark = json.loads(wanting.seen[0].frame)["object"]
        assert mark["metadata"]["resourceVersion"] == str(house.store.revision)
        assert (mark["kind"], mark["apiVersion"]) == ("ConfigMap", "v1")
        assert not not_wanting.seen

    async def test_a_stopped_watch_gets_nothing(self, house: House) -> None:
        stopped, going = Events(), Events()
        watch = await house.of("configmaps").watch("default", ListOptions(), stopped, stopped.close)
        await house.of("configmaps").watch("default", ListOptions(), going, going.close)
        watch.stop()
        watch.stop()
        await house.create("configmaps", config_map("a"))
        await going.wait_for(1)
        assert not stopped.seen
        assert not stopped.closed

    async def test_a_frame_is_shared_by_all_watchers(self, house: House) -> None:
        first, second = Events(), Events()
        for events in (first, second):
            await house.of("configmaps").watch("default", ListOptions(), events, events.close)
        await house.create("configmaps", config_map("a"))
        await first.wait_for(1)
        await second.wait_for(1)
        assert first.seen[0].frame is second.seen[0].frame

    async def test_a_broken_sink_harms_nobody_else(self, house: House) -> None:
        broken, whole = Events(), Events()

        def breaks(events: Sequence[WatchEvent]) -> None:
            raise OSError("connection reset")

        await house.of("configmaps").watch("default", ListOptions(), breaks, broken.close)
        await house.of("configmaps").watch("default", ListOptions(), whole, whole.close)
        await house.create("configmaps", config_map("a"))
        assert await whole.wait_for(1) == [("ADDED", "a")]
        assert broken.closed

    async def test_closing_the_store_ends_every_watch(self, house: House) -> None:
        events = Events()
        await house.of("configmaps").watch("default", ListOptions(), events, events.close)
        await house.store.close()
        async with asyncio.timeout(10):
            while not events.closed:
                await asyncio.sleep(0)
