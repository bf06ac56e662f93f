"""Turns on one key."""

from __future__ import annotations

import asyncio

from podkeeper.registry.write_locks import WriteLocks


async def test_one_key_one_writer_in_order_and_nothing_is_left_behind() -> None:
    locks, seen = WriteLocks(), list[str]()

    async def work(key: str, name: str) -> None:
        async with locks.hold(key):
            seen.append(f"+{name}")
            await asyncio.sleep(0)
            seen.append(f"-{name}")

    await asyncio.gather(work("a", "1"), work("b", "2"), work("a", "3"))
    assert [each for each in seen if each[1] != "2"] == ["+1", "-1", "+3", "-3"]
    assert seen.index("+2") < seen.index("-1")
    assert repr(locks) == "<WriteLocks on 0 keys>"


async def test_who_gives_up_waiting_does_not_keep_others_waiting() -> None:
    locks = WriteLocks()
    async with locks.hold("a"):
        waiting = asyncio.ensure_future(locks.hold("a").__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(5), locks.hold("a"):
        pass
    assert repr(locks) == "<WriteLocks on 0 keys>"
