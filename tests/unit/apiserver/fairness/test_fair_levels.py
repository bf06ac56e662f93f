"""Seats: shares, lending, borrowing, changes of the configuration under way."""

from __future__ import annotations

from typing import Any

from podkeeper.apiserver.fairness import suggested
from podkeeper.apiserver.fairness.levels import Dropped, Level, Seats
from podkeeper.apiserver.fairness.queues import Waiting


def limited(name: str, shares: int, lendable: int = 0, borrowing: int | None = None) -> dict[str, Any]:
    response = {"type": "Queue", "queuing": {"queues": 4, "handSize": 1, "queueLengthLimit": 10}}
    limits = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}
    if borrowing is not None:
        limits["borrowingLimitPercent"] = borrowing
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": {"type": "Limited", "limited": limits}}


def seats(total: int, *trees: dict[str, Any]) -> Seats:
    made = Seats(total)
    made.configure(trees)
    return made


def taken(made: Seats, name: str) -> int:
    count = 0
    while count < 10_000 and made.take(made.levels[name], 1):
        count += 1
    return count


def test_upstreams_levels_share_the_seats() -> None:
    made = seats(245, *suggested.priority_levels())
    nominal = {name: level.nominal for name, level in made.levels.items()}
    assert nominal == {
        "exempt": 0,
        "catch-all": 5,
        "system": 30,
        "node-high": 40,
        "leader-election": 10,
        "workload-high": 40,
        "workload-low": 100,
        "global-default": 20,
    }


def test_what_others_lend_can_be_borrowed_and_no_more() -> None:
    made = seats(100, limited("a", 50), limited("b", 50, lendable=40))
    assert taken(made, "a") == 70
    assert taken(made, "b") == 50  # its own are its own, whoever borrowed them
    assert not made.take(made.levels["a"], 1)


def test_a_borrowing_limit_holds() -> None:
    made = seats(100, limited("a", 50, borrowing=10), limited("b", 50, lendable=100))
    assert taken(made, "a") == 55


def test_nothing_is_borrowed_that_its_owner_uses() -> None:
    made = seats(100, limited("a", 50), limited("b", 50, lendable=100))
    assert taken(made, "b") == 50
    assert taken(made, "a") == 50


def test_the_exempt_are_never_limited() -> None:
    made = seats(1, *suggested.priority_levels())
    assert taken(made, "exempt") == 10_000


def test_a_level_without_seats_runs_one_at_a_time() -> None:
    made = seats(10, limited("a", 0), limited("b", 10))
    assert taken(made, "a") == 1


def test_seats_come_back_to_those_who_wait_in_turn() -> None:
    made = seats(4, limited("a", 2), limited("b", 2))
    order: list[str] = []
    for name in ("a", "b"):
        assert taken(made, name) == 2
        for number in range(2):
            assert made.levels[name].queues.join(0, Waiting(1, lambda said=f"{name}{number}": order.append(said)))  # type: ignore[union-attr,misc]
    made.dispatch()
    assert order == []
    for name in ("a", "b"):
        made.give_back(made.levels[name], 1)
        made.give_back(made.levels[name], 1)
    made.dispatch()
    assert order == ["a0", "b0", "a1", "b1"]


def test_those_who_wait_in_a_level_that_goes_run() -> None:
    made = seats(4, limited("a", 2), limited("b", 2))
    assert taken(made, "a") == 2
    woken: list[bool] = []
    level: Level = made.levels["a"]
    assert level.queues is not None
    level.queues.join(0, Waiting(1, lambda: woken.append(True)))
    made.configure([limited("b", 2)])
    assert woken == [True]
    assert taken(made, "b") == 4


def test_the_more_are_sent_away_the_later_they_come_again() -> None:
    dropped = Dropped()
    assert dropped.note(100.0) == 1
    assert [dropped.note(100.5) for _ in range(5)][-1] == 1
    assert dropped.note(101.5) == 2
    assert dropped.note(110.0) == 1
