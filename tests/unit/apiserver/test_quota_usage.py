"""What objects use of quotas, object by object."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api.quantity import Quantity
from podkeeper.apiserver.quota import usage

Tree = dict[str, Any]
CLAIMS = ("", "persistentvolumeclaims")
DEVICES = ("resource.k8s.io", "resourceclaims")


def claim(spec: Tree | None = None, status: Tree | None = None) -> Tree:
    resources = {"resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": "c"}, "spec": resources | (spec or {}), "status": status or {}}


def quota(operator: str, *values: str) -> Tree:
    term = {"scopeName": "VolumeAttributesClass", "operator": operator, "values": list(values)}
    return {"spec": {"hard": {"requests.storage": "1Gi"}, "scopeSelector": {"matchExpressions": [term]}}}


@pytest.mark.parametrize(
    ("scope", "given", "covered"),
    [
        (quota("Exists"), claim(), False),
        (quota("DoesNotExist"), claim(), True),
        (quota("Exists"), claim({"volumeAttributesClassName": "fast"}), True),
        (quota("In", "fast"), claim({"volumeAttributesClassName": "slow"}), False),
        (
            quota("In", "fast"),
            claim({"volumeAttributesClassName": "slow"}, {"currentVolumeAttributesClassName": "fast"}),
            True,
        ),
        (quota("In", "fast"), claim(status={"modifyVolumeStatus": {"targetVolumeAttributesClassName": "fast"}}), True),
    ],
)
def test_claims_are_covered_by_their_classes(scope: Tree, given: Tree, covered: bool) -> None:
    assert usage.in_scope(scope, *CLAIMS, given) is covered


def test_a_claim_counts_by_what_its_volume_grows_to() -> None:
    grown = claim(status={"allocatedResources": {"storage": "2Gi"}})
    assert usage.of_object(*CLAIMS, claim())["requests.storage"] == Quantity("1Gi")
    assert usage.of_object(*CLAIMS, grown)["requests.storage"] == Quantity("2Gi")


def test_pods_that_should_be_gone_are_overdue() -> None:
    metadata = {"deletionTimestamp": "1970-01-01T00:01:00Z", "deletionGracePeriodSeconds": 30}
    assert not usage.is_overdue({"metadata": metadata}, 90)
    assert usage.is_overdue({"metadata": metadata}, 91)
    assert not usage.is_overdue({"metadata": {}}, 1e9)


def of_class(name: str, count: int = 1, mode: str = "ExactCount") -> Tree:
    return {"deviceClassName": name, "allocationMode": mode} | ({"count": count} if mode == "ExactCount" else {})


@pytest.mark.parametrize(
    ("requests", "gpus", "nets"),
    [
        ([{"exactly": of_class("gpu")}], 1, 0),
        ([{"exactly": of_class("gpu", 2)}, {"exactly": of_class("gpu", 3)}, {"exactly": of_class("net")}], 5, 1),
        ([{"exactly": of_class("gpu", mode="All")}], 32, 0),
        ([{"exactly": of_class("gpu", mode="Later")}], 0, 0),
        ([{"firstAvailable": [of_class("gpu", 2), of_class("gpu"), of_class("net", 4)]}], 2, 4),
        ([of_class("gpu", 2) | {"name": "as in v1beta1"}], 2, 0),
    ],
)
def test_devices_count_by_their_class(requests: list[Tree], gpus: int, nets: int) -> None:
    used = usage.of_object(*DEVICES, {"metadata": {}, "spec": {"devices": {"requests": requests}}})
    assert used["count/resourceclaims.resource.k8s.io"] == Quantity(1)
    for name, count in (("gpu", gpus), ("net", nets)):
        assert used.get(f"{name}.deviceclass.resource.k8s.io/devices", Quantity(0)) == Quantity(count)
    assert usage.limitable("gpu.deviceclass.resource.k8s.io/devices", *DEVICES)
    assert not usage.limitable("gpu.deviceclass.resource.k8s.io/devices", "", "pods")


def test_huge_pages_count_under_both_names() -> None:
    container = {"name": "c", "resources": {"limits": {"hugepages-2Mi": "4Mi"}, "requests": {"hugepages-2Mi": "4Mi"}}}
    used = usage.of_object("", "pods", {"metadata": {}, "spec": {"containers": [container]}})
    assert used["hugepages-2Mi"] == used["requests.hugepages-2Mi"] == Quantity("4Mi")
