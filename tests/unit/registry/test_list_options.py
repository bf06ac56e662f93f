"""What the options of LIST and WATCH ask for."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api.errors import ApiError
from podkeeper.registry.list_options import Freshness, ReadPlan, WatchPlan, plan_get, plan_list, plan_watch
from podkeeper.registry.verbs import ListOptions


@pytest.mark.parametrize(
    ("options", "plan"),
    [
        ({}, ReadPlan(Freshness.LATEST)),
        ({"resource_version": ""}, ReadPlan(Freshness.LATEST)),
        ({"resource_version": "0"}, ReadPlan(Freshness.ANY)),
        ({"resource_version": "0", "limit": 5}, ReadPlan(Freshness.ANY)),
        ({"resource_version": "7"}, ReadPlan(Freshness.NOT_OLDER, 7)),
        ({"resource_version": "7", "limit": 5}, ReadPlan(Freshness.EXACT, 7)),
        ({"resource_version": "7", "resource_version_match": "Exact"}, ReadPlan(Freshness.EXACT, 7)),
        (
            {"resource_version": "7", "resource_version_match": "NotOlderThan", "limit": 5},
            ReadPlan(Freshness.NOT_OLDER, 7),
        ),
        ({"resource_version": "0", "resource_version_match": "NotOlderThan"}, ReadPlan(Freshness.ANY)),
    ],
)
def test_lists(options: dict[str, Any], plan: ReadPlan) -> None:
    assert plan_list(ListOptions(**options), "/pods/") == plan


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"resource_version_match": "Exact"}, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
        ({"resource_version": "0", "resource_version_match": "Exact"}, '"exact" is forbidden for resourceVersion "0"'),
        (
            {"resource_version": "5", "resource_version_match": "Nearly"},
            'Unsupported value: "Nearly": supported values: "Exact", "NotOlderThan", ""',
        ),
        ({"send_initial_events": True}, "sendInitialEvents is forbidden for list"),
    ],
)
def test_lists_that_make_no_sense(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ApiError) as caught:
        plan_list(ListOptions(**options), "/pods/")
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert caught.value.message.startswith('ListOptions.meta.k8s.io "" is invalid: ')
    assert text in caught.value.message


def test_a_version_beside_a_token_is_refused() -> None:
    with pytest.raises(ApiError, match="specifying resource version is not allowed when using continue"):
        plan_list(ListOptions(continuation="x", resource_version="5"), "/pods/")


@pytest.mark.parametrize("text", ["abc", "-1", "1.5", "٣", str(2**64)])
def test_versions_that_are_none(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        plan_get(text)
    assert caught.value.code == 400
    assert f'parsing "{text}"' in caught.value.message


def test_gets() -> None:
    assert plan_get(None) == ReadPlan(Freshness.LATEST)
    assert plan_get("0") == ReadPlan(Freshness.ANY)
    assert plan_get("4") == ReadPlan(Freshness.NOT_OLDER, 4)


@pytest.mark.parametrize(
    ("options", "plan"),
    [
        ({}, WatchPlan(Freshness.LATEST, send_state=True)),
        ({"resource_version": "0"}, WatchPlan(Freshness.ANY, send_state=True)),
        ({"resource_version": "9"}, WatchPlan(Freshness.ANY, 9)),
        (
            {"send_initial_events": True, "resource_version_match": "NotOlderThan", "allow_bookmarks": True},
            WatchPlan(Freshness.LATEST, send_state=True, mark_end_of_state=True),
        ),
        (
            {"send_initial_events": True, "resource_version_match": "NotOlderThan", "resource_version": "9"},
            WatchPlan(Freshness.NOT_OLDER, 9, send_state=True),
        ),
        (
            {"send_initial_events": False, "resource_version_match": "NotOlderThan"},
            WatchPlan(Freshness.LATEST),
        ),
    ],
)
def test_watches(options: dict[str, Any], plan: WatchPlan) -> None:
    assert plan_watch(ListOptions(**options)) == plan


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"send_initial_events": True}, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
        ({"resource_version_match": "NotOlderThan"}, "is forbidden for watch unless sendInitialEvents is provided"),
        (
            {"resource_version_match": "Exact", "send_initial_events": True},
            'Unsupported value: "Exact": supported values: "NotOlderThan"',
        ),
    ],
)
def test_watches_that_make_no_sense(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ApiError) as caught:
        plan_watch(ListOptions(**options))
    assert caught.value.code == 422
    assert text in caught.value.message
