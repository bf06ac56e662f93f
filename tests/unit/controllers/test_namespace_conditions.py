"""What a namespace says while it goes."""

from __future__ import annotations

from collections import Counter

from podkeeper.controllers.namespace_conditions import Contents, conditions_of


def test_what_cannot_be_deleted_is_named() -> None:
    left = Contents(Counter({"widgets.example.com": 2}), failures=("widgets.example.com: no",))
    told = {each.type: each for each in conditions_of((), left, "now")}
    failure = told["NamespaceDeletionContentFailure"]
    assert (failure.status, failure.reason) == ("True", "ContentDeletionFailed")
    assert failure.message == "Failed to delete all resource types, 1 remaining: widgets.example.com: no"
    assert told["NamespaceFinalizersRemaining"].status == "False"


def test_times_change_with_statuses_alone() -> None:
    two = conditions_of((), Contents(Counter({"pods.": 2})), "first")
    one = conditions_of(two, Contents(Counter({"pods.": 1})), "second")
    assert {each.last_transition_time for each in one} == {"first"}
    assert one != two
    none = conditions_of(one, Contents(failures=("x",)), "third")
    changed = {each.type for each in none if each.last_transition_time == "third"}
    assert changed == {"NamespaceContentRemaining", "NamespaceDeletionContentFailure"}


def test_who_does_not_say_what_he_has_holds_it_up() -> None:
    left = Contents(undiscovered=("metrics.k8s.io/v1beta1",))
    assert left
    told = {each.type: each for each in conditions_of((), left, "now")}["NamespaceDeletionDiscoveryFailure"]
    assert (told.status, told.reason) == ("True", "DiscoveryFailed")
    assert told.message == (
        "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: "
        "metrics.k8s.io/v1beta1: stale GroupVersion discovery: metrics.k8s.io/v1beta1"
    )


def test_nothing_left_is_nothing_to_wait_for() -> None:
    assert not Contents()
    assert Contents(failures=("x",))
