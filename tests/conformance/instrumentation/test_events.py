"""Events in both APIs: one event through its life, collections, and either API showing the other's."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.testing.raw_client import RawClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

CORE, NEW = "/api/v1", "/apis/events.k8s.io/v1"
STRATEGIC = "application/strategic-merge-patch+json"
MOMENT = "2017-09-19T13:49:16.000000Z"


def new_event(namespace: str, name: str, label: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {label: "true"}},
        "regarding": {"namespace": namespace},
        "eventTime": MOMENT,
        "note": f"This is {name}",
        "action": "Do",
        "reason": "Test",
        "type": "Normal",
        "reportingController": "test-controller",
        "reportingInstance": "test-node",
    }


def core_event(namespace: str, name: str, label: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {label: "true"}},
        "message": f"This is {name}",
        "reason": "Test",
        "type": "Normal",
        "count": 1,
        "involvedObject": {"namespace": namespace},
    }


async def names(api: RawClient, path: str, selector: str) -> list[tuple[str, str]]:
    listed = (await api("GET", f"{path}?{selector}")).tree["items"]
    return [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in listed]


def without_traces(tree: dict[str, Any]) -> dict[str, Any]:
    """An object without what the server notes of writes."""
    metadata = {name: tree["metadata"][name] for name in tree["metadata"] if name not in _TRACES}
    return tree | {"metadata": metadata}


_TRACES = ("resourceVersion", "managedFields")


async def test_an_event_of_the_new_api_through_its_life(api: RawClient, namespace: Any) -> None:
    where = await namespace()
    events, everywhere = f"{NEW}/namespaces/{where}/events", f"{NEW}/events"
    path, label = f"{events}/event-test", "labelSelector=testevent-constant%3Dtrue"
    made = await api("POST", events, new_event(where, "event-test", "testevent-constant"))
    assert made.status == 201, made.body
    assert (where, "event-test") in await names(api, everywhere, label)
    assert await names(api, events, label) == [(where, "event-test")]
    source = "fieldSelector=source%3Dtest-controller"
    assert await names(api, f"{CORE}/namespaces/{where}/events", source) == [(where, "event-test")]
    reporting = "fieldSelector=reportingController%3Dtest-controller"
    assert await names(api, events, reporting) == [(where, "event-test")]
    first = (await api("GET", path)).tree
    note = "This is a test event - patched"
    assert (await api("PATCH", path, {"note": note}, content_type=STRATEGIC)).status == 200
    patched = (await api("GET", path)).tree
    assert without_traces(patched) == without_traces(first) | {"note": note}
    series = {"count": 100, "lastObservedTime": MOMENT}
    wanted = without_traces(patched) | {"series": series}  # without a version: whatever is there
    updated = await api("PUT", path, wanted)
    assert updated.status == 200, updated.body
    assert without_traces((await api("GET", path)).tree) == wanted
    assert (await api("DELETE", path)).status == 200
    assert (where, "event-test") not in await names(api, everywhere, label)
    assert await names(api, events, label) == []


async def test_an_event_of_the_core_api_through_its_life(api: RawClient, namespace: Any) -> None:
    where = await namespace()
    events = f"{CORE}/namespaces/{where}/events"
    path, label = f"{events}/event-test", "labelSelector=testevent-constant%3Dtrue"
    made = await api("POST", events, core_event(where, "event-test", "testevent-constant"))
    assert made.status == 201, made.body
    assert (where, "event-test") in await names(api, f"{CORE}/events", label)
    message = "This is a test event - patched"
    assert (await api("PATCH", path, {"message": message}, content_type=STRATEGIC)).status == 200
    patched = (await api("GET", path)).tree
    assert patched["message"] == message
    wanted = without_traces(patched) | {"series": {"count": 100, "lastObservedTime": MOMENT}}
    updated = await api("PUT", path, wanted)
    assert updated.status == 200, updated.body
    assert without_traces((await api("GET", path)).tree) == wanted
    assert (await api("DELETE", path)).status == 200
    assert (where, "event-test") not in await names(api, f"{CORE}/events", label)


@pytest.mark.parametrize(("root", "make"), [(NEW, new_event), (CORE, core_event)], ids=["events.k8s.io", "core"])
async def test_events_are_deleted_as_a_collection(api: RawClient, namespace: Any, root: str, make: Any) -> None:
    where = await namespace()
    events, label = f"{root}/namespaces/{where}/events", "labelSelector=testevent-set%3Dtrue"
    for number in (1, 2, 3):
        assert (await api("POST", events, make(where, f"test-event-{number}", "testevent-set"))).status == 201
    other = await api("POST", events, make(where, "other", "testevent-other"))
    assert other.status == 201
    assert len(await names(api, events, label)) == 3
    assert (await api("DELETE", f"{events}?{label}")).status == 200
    assert await names(api, events, label) == []
    assert (await api("GET", f"{events}/other")).status == 200
