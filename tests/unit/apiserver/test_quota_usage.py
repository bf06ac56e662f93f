"""What objects use of quotas, object by object."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.api.quantity import Quantity
from podkeeper.apiserver.quota import usage

Tree = dict[str, Any]
CLAIMS = ("", "persistentvolumeclaims")


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
