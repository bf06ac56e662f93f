"""What becomes of an object because of its owners and dependents."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.controllers import garbage
from podkeeper.controllers.garbage import Delete, Orphan, OwnerState, Release, SetOwners, plan_of

PRESENT, WAITING, ABSENT, UNKNOWN = OwnerState


def owned(*uids: str, blocking: bool = True, **fields: Any) -> meta.ObjectMeta:
    references = tuple(
        meta.OwnerReference(api_version="v1", kind="Pod", name=uid, uid=uid, block_owner_deletion=blocking)
        for uid in uids
    )
    return meta.ObjectMeta(name="x", uid="x", owner_references=references, **fields)


def dependent(metadata: meta.ObjectMeta) -> v1.Pod:
    return v1.Pod(metadata=metadata)


def test_an_object_without_owners_stays() -> None:
    assert plan_of(owned(), {}, ()) is None


def test_the_last_owners_end_is_the_dependents() -> None:
    assert plan_of(owned("a", "b"), {"a": ABSENT, "b": ABSENT}, ()) == Delete("Background")


def test_an_owner_that_is_left_keeps_it_and_the_reference_to_the_other_goes() -> None:
    metadata = owned("a", "b", "c")
    plan = plan_of(metadata, {"a": ABSENT, "b": PRESENT, "c": WAITING}, ())
    assert plan == SetOwners((metadata.owner_references[1],))


def test_owners_that_are_all_there_need_nothing() -> None:
    assert plan_of(owned("a", "b"), {"a": PRESENT, "b": UNKNOWN}, ()) is None


def test_an_owner_of_unknown_kind_keeps_everything_as_it_is() -> None:
    assert plan_of(owned("a", "b"), {"a": UNKNOWN, "b": ABSENT}, ()) is None


def test_a_waiting_owner_ends_its_dependents_from_the_bottom() -> None:
    assert plan_of(owned("a"), {"a": WAITING}, ()) == Delete("Background")
    assert plan_of(owned("a"), {"a": WAITING}, [dependent(owned("x"))]) == Delete("Foreground")


def test_a_circle_of_waiting_objects_is_opened() -> None:
    waiting = owned("x", deletion_timestamp="2026-01-01T00:00:00Z", finalizers=(garbage.FOREGROUND,))
    plan = plan_of(owned("a"), {"a": WAITING}, [dependent(waiting)])
    assert isinstance(plan, SetOwners)
    assert [each.block_owner_deletion for each in plan.references] == [False]
    assert plan_of(owned("a", blocking=False), {"a": WAITING}, [dependent(waiting)]) == Delete("Foreground")


def test_its_own_finalizers_say_how_a_dependent_goes() -> None:
    assert plan_of(owned("a", finalizers=("orphan",)), {"a": ABSENT}, ()) == Delete("Orphan")
    assert plan_of(owned("a", finalizers=("foregroundDeletion",)), {"a": ABSENT}, ()) == Delete("Foreground")


def test_an_object_on_its_way_out_waits_for_the_dependents_that_block_it_alone() -> None:
    going = owned(deletion_timestamp="2026-01-01T00:00:00Z", finalizers=(garbage.FOREGROUND,))
    assert plan_of(going, {}, [dependent(owned("x"))]) is None
    assert plan_of(going, {}, [dependent(owned("x", blocking=False))]) == Release(garbage.FOREGROUND)
    assert plan_of(going, {}, ()) == Release(garbage.FOREGROUND)


def test_orphans_are_made_before_the_owner_goes() -> None:
    going = owned(deletion_timestamp="2026-01-01T00:00:00Z", finalizers=("orphan",))
    assert plan_of(going, {}, [dependent(owned("x"))]) == Orphan()


def test_an_object_that_is_going_already_is_left_to_its_end() -> None:
    assert plan_of(owned("a", deletion_timestamp="2026-01-01T00:00:00Z"), {}, ()) is None


@settings(max_examples=100)
@given(st.lists(st.sampled_from(list(OwnerState)), min_size=1, max_size=4))
def test_nothing_is_deleted_while_an_owner_may_be_there(states: list[OwnerState]) -> None:
    owners = {str(number): state for number, state in enumerate(states)}
    plan = plan_of(owned(*owners), owners, ())
    assert isinstance(plan, Delete) == (not {PRESENT, UNKNOWN} & set(states))
    if isinstance(plan, SetOwners):
        kept = {each.uid for each in plan.references}
        assert {uid for uid, state in owners.items() if state in (PRESENT, UNKNOWN)} <= kept
