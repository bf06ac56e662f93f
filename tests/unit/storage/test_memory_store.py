"""What the memory engine forgets."""

from __future__ import annotations

from podkeeper.storage.memory import MemoryStore


async def test_compaction_frees_what_no_read_can_see() -> None:
    store = MemoryStore()
    gone = await store.create("/gone", b"1")
    hot = await store.create("/hot", b"0")
    for count in range(100):
        hot = await store.update("/hot", str(count).encode(), hot)
    gone = await store.delete("/gone", gone)
    hot = await store.update("/hot", b"last", hot)
    await store.compact(store.revision)
    assert store._keys == ["/hot"]
    assert {key: len(history) for key, history in store._history.items()} == {"/hot": 1}
    assert len(store._log) == 1
