"""APIServices of what the server serves itself."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from podkeeper.api.resources import RESOURCES
from podkeeper.apiserver.bootstrap import api_services, ensure
from podkeeper.foundation.clock import SystemClock
from podkeeper.registry.verbs import RequestContext

pytestmark = pytest.mark.asyncio(loop_scope="module")

API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


async def test_every_served_version_has_one_that_is_available(api: Any) -> None:
    found = {each["metadata"]["name"]: each for each in (await api("GET", API_SERVICES)).tree["items"]}
    groups = (await api("GET", "/apis")).tree["groups"]
    versions = {f"{each['version']}.{group['name']}" for group in groups for each in group["versions"]}
    assert set(found) == (versions | {"v1."}) - {"v1.apiregistration.k8s.io"}
    assert found["v1."]["spec"] == {"version": "v1", "groupPriorityMinimum": 18000, "versionPriority": 1}
    assert found["v2.autoscaling"]["spec"]["versionPriority"] > found["v1.autoscaling"]["spec"]["versionPriority"]
    for each in found.values():
        (condition,) = each["status"]["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == ("Available", "True", "Local")


async def test_versions_that_are_switched_off_lose_theirs_at_the_next_start(api: Any) -> None:
    context = RequestContext(ensure.SELF)
    verbs = api.server.registry.verbs("apiregistration.k8s.io", "v1", "apiservices")
    beta = replace(RESOURCES[0], group="storage.k8s.io", version="v1beta1")
    (outlived,) = api_services.wanted([beta])
    others = {**outlived, "metadata": {"name": "v1alpha1.storage.k8s.io"}}
    others["spec"] = {**outlived["spec"], "version": "v1alpha1"}
    for tree in (outlived, others):
        await verbs.create(context, "", tree)
    await ensure.ensure_all(api.server.registry, api.server.config, api.server.server.port, SystemClock())
    assert (await api("GET", f"{API_SERVICES}/v1beta1.storage.k8s.io")).status == 404
    assert (await api("GET", f"{API_SERVICES}/v1alpha1.storage.k8s.io")).status == 200


async def test_every_group_of_the_catalogue_has_a_priority() -> None:
    made = api_services.wanted(RESOURCES)
    assert len(made) == len({(row.group, row.version) for row in RESOURCES}) - 1
