"""How endpoints are spread over slices."""

from __future__ import annotations

import itertools

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.api.discovery import v1 as discovery
from podkeeper.api.meta import v1 as meta
from podkeeper.controllers.slice_contents import Contents
from podkeeper.controllers.slice_packing import Head, Plan, plan, reuse, with_placeholders

PORTS = (discovery.EndpointPort(name="http", port=80, protocol="TCP"),)
OTHER = (discovery.EndpointPort(name="http", port=81, protocol="TCP"),)
NUMBERS = itertools.count()
HEAD = Head(meta.ObjectMeta(generate_name="web-", labels={"a": "b"}))


def endpoint(number: int, *, ready: bool = True) -> discovery.Endpoint:
    return discovery.Endpoint(
        addresses=(f"10.0.{number // 256}.{number % 256}",), conditions=discovery.EndpointConditions(ready=ready)
    )


def wanted(*numbers: int) -> Contents:
    return {("IPv4", PORTS): [endpoint(each) for each in numbers]}


def held(name: str, *numbers: int, ports: tuple[discovery.EndpointPort, ...] = PORTS) -> discovery.EndpointSlice:
    metadata = msgspec.structs.replace(HEAD.metadata, name=name, uid=name)
    return discovery.EndpointSlice(
        metadata=metadata, address_type="IPv4", ports=ports, endpoints=tuple(map(endpoint, numbers))
    )


def applied(existing: list[discovery.EndpointSlice], done: Plan) -> list[discovery.EndpointSlice]:
    changed = {each.metadata.name: each for each in done.update}
    gone = {each.metadata.name for each in done.delete}
    kept = [changed.get(each.metadata.name, each) for each in existing if each.metadata.name not in gone]
    fresh = [
        msgspec.structs.replace(each, metadata=msgspec.structs.replace(each.metadata, name=f"new{next(NUMBERS)}"))
        for each in done.create
    ]
    return kept + fresh


def sizes(slices: list[discovery.EndpointSlice]) -> list[int]:
    return sorted(len(each.endpoints) for each in slices)


def test_a_slice_holds_a_hundred_endpoints() -> None:
    assert sizes(plan(HEAD, [], wanted(*range(250))).create) == [50, 100, 100]


def test_nothing_is_written_when_all_is_said() -> None:
    assert plan(HEAD, [held("a", 1, 2)], wanted(2, 1)) == Plan()


def test_a_new_endpoint_goes_where_something_changes_anyway() -> None:
    done = plan(HEAD, [held("a", 1, 2), held("b", 3, 4)], wanted(1, 3, 4, 5), most=2)
    assert [(each.metadata.name, len(each.endpoints)) for each in done.update] == [("a", 2)]
    assert not done.create
    assert not done.delete


def test_what_is_left_goes_into_the_fullest_slice_with_room() -> None:
    done = plan(HEAD, [held("a", 1), held("b", 2, 3), held("c", 4, 5, 6)], wanted(*range(1, 8)), most=3)
    assert [each.metadata.name for each in done.update] == ["b"]


def test_a_condition_changes_in_place() -> None:
    done = plan(HEAD, [held("a", 1, 2)], {("IPv4", PORTS): [endpoint(1), endpoint(2, ready=False)]})
    assert [[one.conditions.ready for one in each.endpoints] for each in done.update] == [[True, False]]


def test_other_ports_need_another_slice_which_takes_the_old_ones_name() -> None:
    done = reuse(plan(HEAD, [held("a", 1, ports=OTHER)], wanted(1)))
    assert [(each.metadata.name, each.ports) for each in done.update] == [("a", PORTS)]
    assert (done.create, done.delete) == ([], [])


def test_a_service_without_endpoints_has_one_empty_slice() -> None:
    first = plan(HEAD, [], {})
    with_placeholders(first, HEAD, [], ["IPv4"])
    [empty] = first.create
    assert (empty.address_type, empty.ports, empty.endpoints) == ("IPv4", (), ())
    kept = msgspec.structs.replace(empty, metadata=msgspec.structs.replace(empty.metadata, name="a"))
    again = plan(HEAD, [kept], {})
    with_placeholders(again, HEAD, [kept], ["IPv4"])
    assert again == Plan()


def test_other_labels_are_a_change() -> None:
    head = Head(msgspec.structs.replace(HEAD.metadata, labels={"a": "c"}))
    assert [each.metadata.labels for each in plan(head, [held("a", 1)], wanted(1)).update] == [{"a": "c"}]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.frozensets(st.integers(0, 40), max_size=30), min_size=1, max_size=6))
def test_slices_say_what_is_wanted_whatever_was_before(history: list[frozenset[int]]) -> None:
    slices: list[discovery.EndpointSlice] = []
    for numbers in history:
        slices = applied(slices, reuse(plan(HEAD, slices, wanted(*numbers) if numbers else {}, most=4)))
        said = [each.addresses for one in slices for each in one.endpoints]
        assert sorted(said) == sorted(endpoint(each).addresses for each in numbers)
        assert all(0 < len(each.endpoints) <= 4 for each in slices)
