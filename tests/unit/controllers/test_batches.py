"""Creations begin slowly and stop at the first refusal."""

from __future__ import annotations

import pytest

from podkeeper.api.errors import ApiError
from podkeeper.controllers.batches import at_once, slow_start


class Counter:
    """Counts calls; from the ``refuse``-th on it refuses."""

    def __init__(self, refuse: int = 1000) -> None:
        self.calls, self.refuse = 0, refuse

    async def __call__(self) -> None:
        self.calls += 1
        if self.calls >= self.refuse:
            raise ApiError(403, "Forbidden", "no")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 30])
async def test_as_many_as_are_wanted_are_made(count: int) -> None:
    counter = Counter()
    await slow_start(count, counter)
    assert counter.calls == count


@pytest.mark.parametrize(("refuse", "calls"), [(1, 1), (2, 3), (3, 3), (4, 7), (9, 15)])
async def test_a_refusal_ends_the_work_with_its_batch(refuse: int, calls: int) -> None:
    counter = Counter(refuse)
    with pytest.raises(ApiError):
        await slow_start(100, counter)
    assert counter.calls == calls


async def test_writes_beside_one_another_all_run_though_one_is_refused() -> None:
    counter = Counter(2)
    with pytest.raises(ApiError):
        await at_once([counter] * 5)
    assert counter.calls == 5
