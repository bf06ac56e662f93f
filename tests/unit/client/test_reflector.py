"""The reflector against a scripted resource client and a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError, expired
from podkeeper.api.meta import v1 as meta
from podkeeper.client.api import ConnectionFailed, ObjectList, WatchEvent
from podkeeper.client.informer import Informer
from podkeeper.client.reflector import Selection
from podkeeper.testing.fake_clock import FakeClock


def config_map(name: str, version: int, namespace: str = "default", **labels: str) -> v1.ConfigMap:
    return v1.ConfigMap(
        metadata=meta.ObjectMeta(name=name, namespace=namespace, resource_version=str(version), labels=labels)
    )


def event(kind: str, obj: v1.ConfigMap) -> WatchEvent[v1.ConfigMap]:
    return WatchEvent(kind, obj, obj.metadata.resource_version)


class Hang:
    """A watch that stays open and silent."""


class ScriptedClient:
    """Answers lists and watches from scripts; an exception in a script is raised. Notes what it was asked."""

    def __init__(self, lists: list[Any], watches: list[list[Any]]) -> None:
        self.lists, self.watches = lists, watches
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.open_watches = 0

    async def list(self, namespace: str = "", **options: Any) -> ObjectList[v1.ConfigMap]:
        self.asked.append(("list", {"namespace": namespace, **options}))
        answer = self.lists.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    async def watch(self, namespace: str = "", **options: Any) -> AsyncIterator[WatchEvent[v1.ConfigMap]]:
        self.asked.append(("watch", {"namespace": namespace, **options}))
        self.open_watches += 1
        try:
            for step in self.watches.pop(0) if self.watches else [Hang()]:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, Hang):
                    await asyncio.Event().wait()
                yield step
        finally:
            self.open_watches -= 1

    def versions(self) -> list[tuple[str, str | None]]:
        return [(verb, options["resource_version"]) for verb, options in self.asked]


Changes = list[tuple[str, str]]


@asynccontextmanager
async def following(
    client: ScriptedClient, clock: FakeClock, selection: Selection | None = None
) -> AsyncIterator[tuple[Informer[v1.ConfigMap], Changes]]:
    informer: Informer[v1.ConfigMap] = Informer(client, clock, selection)  # type: ignore[arg-type]
    changes: Changes = []

    def note(old: v1.ConfigMap | None, new: v1.ConfigMap | None) -> None:
        shown = [f"{obj.metadata.name}@{obj.metadata.resource_version}" if obj else "-" for obj in (old, new)]
        changes.append((shown[0], shown[1]))

    informer.add_handler(note)
    task = asyncio.create_task(informer.run())
    await clock.settle()
    try:
        yield informer, changes
    finally:
        task.cancel()
        outcome = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(outcome[0], asyncio.CancelledError)
        assert client.open_watches == 0


async def test_lists_any_version_then_watches_from_it() -> None:
    a, b = config_map("a", 3), config_map("b", 5)
    newer = config_map("a", 8)
    client = ScriptedClient(
        [ObjectList([a, b], "7")], [[event("MODIFIED", newer), event("DELETED", config_map("b", 9)), Hang()]]
    )
    async with following(client, FakeClock(), Selection("default", "app=web", "metadata.name=x")) as (
        informer,
        changes,
    ):
        assert informer.synced
        assert changes == [("-", "a@3"), ("-", "b@5"), ("a@3", "a@8"), ("b@9", "-")]
        assert list(informer.lister) == [newer]
        assert informer.version == "9"
    (_, listed), (_, watched) = client.asked
    assert (listed["namespace"], listed["label_selector"], listed["resource_version"]) == ("default", "app=web", "0")
    assert (watched["field_selector"], watched["resource_version"]) == ("metadata.name=x", "7")
    assert 300 <= watched["timeout"] < 600


async def test_an_ended_watch_is_resumed_from_the_last_version_without_a_list() -> None:
    client = ScriptedClient(
        [ObjectList([], "7")], [[event("ADDED", config_map("a", 8))], [event("ADDED", config_map("b", 9)), Hang()]]
    )
    async with following(client, FakeClock()) as (informer, changes):
        assert changes == [("-", "a@8"), ("-", "b@9")]
        assert len(informer.lister) == 2
    assert client.versions() == [("list", "0"), ("watch", "7"), ("watch", "8")]


async def test_bookmarks_move_the_version_on() -> None:
    client = ScriptedClient([ObjectList([], "7")], [[WatchEvent("BOOKMARK", None, "40")], [Hang()]])
    async with following(client, FakeClock()) as (informer, changes):
        assert changes == []
        assert informer.version == "40"
    assert client.versions()[-1] == ("watch", "40")


async def test_410_lists_the_newest_and_finds_what_changed_unseen() -> None:
    client = ScriptedClient(
        [
            ObjectList([config_map("kept", 1), config_map("changed", 2), config_map("lost", 3)], "7"),
            ObjectList([config_map("kept", 1), config_map("changed", 20), config_map("new", 21)], "30"),
        ],
        [[expired("too old resource version: 7 (20)")], [Hang()]],
    )
    async with following(client, FakeClock()) as (informer, changes):
        assert changes[3:] == [("lost@3", "-"), ("changed@2", "changed@20"), ("-", "new@21")]
        assert informer.version == "30"
    assert client.versions() == [("list", "0"), ("watch", "7"), ("list", None), ("watch", "30")]


async def test_the_list_after_410_is_read_in_pages() -> None:
    client = ScriptedClient(
        [
            ObjectList([], "7"),
            ObjectList([config_map("a", 1)], "30", "next"),
            ObjectList([config_map("b", 2)], "30"),
        ],
        [[expired("gone")], [Hang()]],
    )
    async with following(client, FakeClock()) as (_, changes):
        assert changes == [("-", "a@1"), ("-", "b@2")]
    pages = [(options["limit"], options["continuation"]) for verb, options in client.asked if verb == "list"]
    assert pages == [(0, ""), (500, ""), (500, "next")]


async def test_an_expired_page_falls_back_to_one_large_list() -> None:
    client = ScriptedClient(
        [
            ObjectList([], "7"),
            ObjectList([config_map("a", 1)], "30", "next"),
            expired("the provided continue parameter is too old"),
            ObjectList([config_map("a", 1), config_map("b", 32)], "33"),
        ],
        [[expired("gone")], [Hang()]],
    )
    async with following(client, FakeClock()) as (informer, changes):
        assert changes == [("-", "a@1"), ("-", "b@32")]
        assert informer.version == "33"


async def test_a_server_that_is_not_there_is_tried_again_ever_more_slowly() -> None:
    refused = ConnectionFailed("refused")
    clock, client = FakeClock(), ScriptedClient([refused] * 4 + [ObjectList([], "7")], [])
    async with following(client, clock) as (informer, _):
        tries = [len(client.asked)]
        for seconds in (0.1, 0.2, 0.4, 0.8):
            await clock.advance(seconds * 0.9)
            assert len(client.asked) == tries[-1]
            await clock.advance(seconds * 0.1 + 1e-6)
            tries.append(len(client.asked))
        assert informer.synced
        # The fifth list succeeded, and the watch has begun.
        assert tries == [1, 2, 3, 4, 6]


async def test_a_server_that_is_not_there_for_long_is_missed_for_seconds_only() -> None:
    clock, client = FakeClock(), ScriptedClient([ConnectionFailed("refused")] * 30 + [ObjectList([], "7")], [])
    async with following(client, clock) as (informer, _):
        await clock.advance(60)
        before = len(client.asked)
        await clock.advance(3)
        assert len(client.asked) > before
        await clock.advance(60)
        assert informer.synced


async def test_a_lost_connection_resumes_from_the_last_version() -> None:
    clock = FakeClock()
    client = ScriptedClient(
        [ObjectList([], "7")], [[event("ADDED", config_map("a", 8)), ConnectionFailed("reset")], [Hang()]]
    )
    async with following(client, clock) as (_, changes):
        await clock.advance(0.1)
        assert changes == [("-", "a@8")]
    assert client.versions() == [("list", "0"), ("watch", "7"), ("watch", "8")]


@pytest.mark.parametrize("failure", [lambda: ApiError(429, "TooManyRequests", "slow down", retry_after=5)])
async def test_the_server_says_how_long_to_wait(failure: Callable[[], ApiError]) -> None:
    clock, client = FakeClock(), ScriptedClient([failure(), ObjectList([], "7")], [])
    async with following(client, clock) as (informer, _):
        await clock.advance(4.9)
        assert not informer.synced
        await clock.advance(0.2)
        assert informer.synced


async def test_watches_that_end_at_once_are_not_repeated_without_a_pause() -> None:
    clock, client = FakeClock(), ScriptedClient([ObjectList([], "7")], [[] for _ in range(100)])
    async with following(client, clock):
        assert len(client.asked) == 2
        await clock.advance(1.0)
        assert len(client.asked) < 8


async def test_an_error_of_a_handler_ends_the_informer() -> None:
    informer: Informer[v1.ConfigMap] = Informer(
        ScriptedClient([ObjectList([config_map("a", 1)], "7")], []),  # type: ignore[arg-type]
        FakeClock(),
    )

    def fail(old: v1.ConfigMap | None, new: v1.ConfigMap | None) -> None:
        raise ZeroDivisionError

    informer.add_handler(fail)
    with pytest.raises(ZeroDivisionError):
        await informer.run()
