"""Queues of one priority level: hands, order, lengths."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from podkeeper.apiserver.fairness.queues import Queues, Waiting, deal


def waiting(seats: int = 1) -> Waiting:
    return Waiting(seats, lambda: None)


@given(st.integers(0, 2**64 - 1), st.integers(1, 128), st.integers(1, 10))
def test_a_hand_is_of_different_cards_and_always_the_same(flow: int, deck: int, hand: int) -> None:
    hand = min(hand, deck)
    cards = deal(flow, deck, hand)
    assert len(set(cards)) == hand
    assert all(0 <= card < deck for card in cards)
    assert cards == deal(flow, deck, hand)


def test_few_flows_share_a_whole_hand() -> None:
    hands = [frozenset(deal(hash(("flow", n)) & (2**64 - 1), 128, 6)) for n in range(2000)]
    assert len(set(hands)) > 1990


def test_one_request_of_another_flow_comes_before_a_flood() -> None:
    queues = Queues(128, 6, 50)
    flood = [waiting() for _ in range(300)]
    assert all(queues.join(1, each) for each in flood)
    for _ in range(10):
        queues.take()
    other = waiting()
    assert queues.join(2**63 + 12345, other)
    order = [queues.take() for _ in range(len(queues))]
    assert order.index(other) <= 6  # at most one of each of the flood's six queues goes first


def test_a_wide_request_costs_its_flow_its_width() -> None:
    queues = Queues(2, 1, 50)
    wide = [waiting(10) for _ in range(3)]
    narrow = [waiting(1) for _ in range(30)]
    assert deal(0, 2, 1) != deal(1, 2, 1)
    for each in wide:
        queues.join(0, each)
    for each in narrow:
        queues.join(1, each)
    order = [queues.take() for _ in range(33)]
    assert order[0] is wide[0]
    assert order.index(wide[1]) in (10, 11, 12)  # ten narrow ones are worth one wide one
    assert order.index(wide[2]) in (20, 21, 22, 23)


def test_a_full_hand_takes_no_more_and_room_comes_back() -> None:
    queues = Queues(8, 2, 3)
    mine = [waiting() for _ in range(6)]
    assert all(queues.join(5, each) for each in mine)
    assert not queues.join(5, waiting())
    queues.leave(mine[0])
    assert queues.join(5, waiting())


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4), st.booleans()), max_size=60))
def test_everybody_who_waits_is_served_once(steps: list[tuple[int, int, bool]]) -> None:
    queues, inside, served = Queues(4, 2, 100), [], []
    for flow, seats, leaves in steps:
        if leaves and inside:
            queues.leave(inside.pop())
        else:
            each = waiting(seats)
            assert queues.join(flow * 7919, each)
            inside.append(each)
    while queues:
        served.append(queues.take())
    assert sorted(map(id, served)) == sorted(map(id, inside))
    assert queues.head() is None
