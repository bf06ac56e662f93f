"""storage.k8s.io and resource.k8s.io kinds that are refused, in upstream's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Judge = Callable[..., list[tuple[str, str]]]
STORAGE, RESOURCE = "storage.k8s.io/v1", "resource.k8s.io/v1"


def kind(api_version: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": name, "metadata": {"name": "x"}} | body


CLAIM = {
    "devices": {
        "requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpus"}}],
        "constraints": [{"requests": ["gpu"], "matchAttribute": "example.com/model"}],
    }
}
BASES = {
    "class": kind(STORAGE, "StorageClass", {"provisioner": "example.com/p"}),
    "attributes": kind(STORAGE, "VolumeAttributesClass", {"driverName": "example.com", "parameters": {"a": "b"}}),
    "driver": kind(STORAGE, "CSIDriver", {"spec": {}}),
    "node": kind(STORAGE, "CSINode", {"spec": {"drivers": [{"name": "d", "nodeID": "n", "topologyKeys": ["a"]}]}}),
    "capacity": kind(STORAGE, "CSIStorageCapacity", {"storageClassName": "c", "capacity": "1Gi"}),
    "attachment": kind(
        STORAGE,
        "VolumeAttachment",
        {"spec": {"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": "v"}}},
    ),
    "devices": kind(RESOURCE, "DeviceClass", {"spec": {"selectors": [{"cel": {"expression": "true"}}]}}),
    "claim": kind(RESOURCE, "ResourceClaim", {"spec": CLAIM}),
    "template": kind(RESOURCE, "ResourceClaimTemplate", {"spec": {"spec": CLAIM}}),
    "slice": kind(
        RESOURCE,
        "ResourceSlice",
        {
            "spec": {
                "driver": "example.com",
                "nodeName": "n",
                "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
                "devices": [{"name": "gpu-0", "attributes": {"model": {"string": "a"}}}],
            }
        },
    ),
}
REQUEST = "spec.devices.requests[0]"
CASES: list[tuple[str, str, Any, str, str]] = [
    ("class", "provisioner", None, "provisioner", "Required value"),
    (
        "class",
        "reclaimPolicy",
        "Recycle",
        "reclaimPolicy",
        'Unsupported value: "Recycle": supported values: "Delete", "Retain"',
    ),
    (
        "class",
        "allowedTopologies",
        [{"matchLabelExpressions": [{"key": "zone", "values": []}]}],
        "allowedTopologies[0].matchLabelExpressions[0].values",
        "Required value",
    ),
    ("attributes", "parameters", {}, "parameters", "Required value: must contain at least one key/value pair"),
    (
        "driver",
        "spec.fsGroupPolicy",
        "Some",
        "spec.fsGroupPolicy",
        'Unsupported value: "Some": supported values: "File", "None", "ReadWriteOnceWithFSType"',
    ),
    (
        "driver",
        "spec.tokenRequests",
        [{"audience": "a", "expirationSeconds": 60}],
        "spec.tokenRequests[0].expirationSeconds",
        "Invalid value: 60: may not specify a duration less than 10 minutes",
    ),
    (
        "driver",
        "spec.volumeLifecycleModes",
        ["Short"],
        "spec.volumeLifecycleModes",
        'Unsupported value: "Short": supported values: "Persistent", "Ephemeral"',
    ),
    ("node", "spec.drivers.0.nodeID", "", "spec.drivers[0].nodeID", "Required value"),
    ("node", "spec.drivers.0.topologyKeys", ["a", "a"], "spec.drivers[0]", 'Duplicate value: "a"'),
    ("capacity", "capacity", "-1", "capacity", 'Invalid value: "-1": must be greater than or equal to 0'),
    ("attachment", "spec.attacher", "", "spec.attacher", "Required value"),
    (
        "attachment",
        "spec.source",
        {},
        "spec.source",
        "Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
    ),
    ("devices", "spec.selectors", [{}], "spec.selectors[0].cel", "Required value"),
    (
        "devices",
        "spec.extendedResourceName",
        "gpu",
        "spec.extendedResourceName",
        'Invalid value: "gpu": must be a valid extended resource name',
    ),
    ("devices", "spec.config", [{}], "spec.config[0].opaque", "Required value"),
    (
        "claim",
        "spec.devices.requests.0.exactly.deviceClassName",
        "",
        f"{REQUEST}.exactly.deviceClassName",
        "Required value",
    ),
    (
        "claim",
        "spec.devices.requests.0.exactly",
        None,
        REQUEST,
        "Required value: exactly one of `exactly` or `firstAvailable` is required",
    ),
    (
        "claim",
        "spec.devices.requests.0.exactly.count",
        -1,
        f"{REQUEST}.exactly.count",
        "Invalid value: -1: must be greater than zero",
    ),
    (
        "claim",
        "spec.devices.requests.0.exactly.allocationMode",
        "Some",
        f"{REQUEST}.exactly.allocationMode",
        'Unsupported value: "Some": supported values: "All", "ExactCount"',
    ),
    (
        "claim",
        "spec.devices.constraints.0.requests",
        ["other"],
        "spec.devices.constraints[0].requests[0]",
        'Invalid value: "other": must be the name of a request in the claim or the name of a request and a subrequest '
        "separated by '/'",
    ),
    (
        "template",
        "spec.spec.devices.constraints.0.matchAttribute",
        None,
        "spec.spec.devices.constraints[0].matchAttribute",
        "Required value",
    ),
    ("slice", "spec.driver", "", "spec.driver", "Required value"),
    (
        "slice",
        "spec.pool.resourceSliceCount",
        0,
        "spec.pool.resourceSliceCount",
        "Invalid value: 0: must be greater than zero",
    ),
    (
        "slice",
        "spec.nodeName",
        None,
        "spec",
        "Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required",
    ),
    (
        "slice",
        "spec.allNodes",
        True,
        "spec",
        'Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSelector`, `allNodes`, '
        "`perDeviceNodeSelection` is required, but multiple fields are set",
    ),
    (
        "slice",
        "spec.devices",
        [{"name": "a"}, {"name": "a"}],
        "spec.devices[1]",
        'Duplicate value: "a"',
    ),
    (
        "slice",
        "spec.devices.0.attributes.model",
        {"string": "a", "int": 1},
        "spec.devices[0].attributes[model]",
        "Required value: exactly one value must be specified",
    ),
]
KEPT = [
    ("class", "provisioner", "example.com/q", "provisioner", "Forbidden: updates to provisioner are forbidden."),
    ("class", "parameters", {"a": "b"}, "parameters", "Forbidden: updates to parameters are forbidden."),
    (
        "class",
        "volumeBindingMode",
        "WaitForFirstConsumer",
        "volumeBindingMode",
        'Invalid value: "WaitForFirstConsumer": field is immutable',
    ),
    ("attributes", "driverName", "other.com", "driverName", "Forbidden: updates to driverName are forbidden."),
    ("driver", "spec.attachRequired", False, "spec.attachedRequired", "Invalid value: false: field is immutable"),
    ("capacity", "storageClassName", "d", "storageClassName", 'Invalid value: "d": field is immutable'),
    (
        "attachment",
        "spec.nodeName",
        "m",
        "spec",
        'Invalid value: {"attacher":"d","source":{"persistentVolumeName":"v"},"nodeName":"m"}: field is immutable',
    ),
    ("slice", "spec.nodeName", "m", "spec.nodeName", 'Invalid value: "m": field is immutable'),
]


@pytest.mark.parametrize("name", BASES)
def test_the_plain_kind_is_good(on_create: Judge, name: str) -> None:
    assert on_create(BASES[name]) == []


@pytest.mark.parametrize(("name", "path", "value", "field", "message"), CASES)
def test_a_mistake_names_its_field(
    on_create: Judge, name: str, path: str, value: object, field: str, message: str
) -> None:
    assert on_create(BASES[name], path, value) == [(field, message)]


@pytest.mark.parametrize(("name", "path", "value", "field", "message"), KEPT)
def test_what_may_not_change(on_update: Judge, name: str, path: str, value: object, field: str, message: str) -> None:
    assert on_update(BASES[name], path, value) == [(field, message)]


@pytest.mark.parametrize("name", ["claim", "template"])
def test_what_is_claimed_stays(on_update: Judge, name: str) -> None:
    path = "spec.devices.constraints" if name == "claim" else "spec.spec.devices.constraints"
    [(field, message)] = on_update(BASES[name], path, [])
    assert (field, message.endswith("field is immutable")) == ("spec", True)


def test_nobody_uses_a_claim_before_it_is_allocated(on_update: Judge) -> None:
    user = [{"resource": "pods", "name": "p", "uid": "u"}]
    assert on_update(BASES["claim"], "status.reservedFor", user, "status") == [
        ("status.reservedFor", "Forbidden: may not be specified when `allocated` is not set")
    ]


def test_a_driver_may_take_more_volumes(on_update: Judge) -> None:
    assert on_update(BASES["node"], "spec.drivers.0.allocatable", {"count": 5}) == []
    [(field, _)] = on_update(BASES["node"], "spec.drivers.0.nodeID", "m")
    assert field == "spec.drivers"
