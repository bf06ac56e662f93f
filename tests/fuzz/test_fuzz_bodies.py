"""Bodies: objects with something changed, bytes that are no objects, other media types. Never a 500, and nothing is
stored that was refused."""

# ruff: noqa: E501, RUF005 - tables of bad input are read by column

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.api import protobuf
from podkeeper.api.catalogue import Resource
from podkeeper.api.resources import RESOURCES
from podkeeper.registry.storage_versions import is_stored

FUZZ = settings.get_profile("fuzz")
JSON, YAML, PROTOBUF = b"application/json", b"application/yaml", b"application/vnd.kubernetes.protobuf"
CONFIG_MAPS = b"/api/v1/namespaces/default/configmaps"

_TABLE = yaml.safe_load((Path(__file__).parents[1] / "unit" / "apiserver" / "catalogue.yaml").read_text())
ROWS: dict[str, Resource] = {
    f"{row.api_version}/{row.name}": row
    for row in RESOURCES
    if row.enabled and is_stored(row) and "create" in row.verbs and row.name != "customresourcedefinitions"
}

NAMES = st.sampled_from(
    ["metadata", "name", "namespace", "labels", "annotations", "spec", "status", "kind", "apiVersion", "items", "data"]
    + [
        "finalizers",
        "ownerReferences",
        "resourceVersion",
        "uid",
        "generateName",
        "managedFields",
        "$patch",
        "$retainKeys",
    ]
    + ["$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers", "containers", "replicas", "selector", ""]
)
HUGE = st.sampled_from(
    [2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30, 1e308, -1e308, 5e-324, 0.1]
)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "null", "0", "-1", "1e999", "1Ki", "{}", "../..", "a" * 300, "\x00", "\uffff"]),
    st.sampled_from(
        ["2026-13-45T99:99:99Z", "0001-01-01T00:00:00Z", "100m", "-5Gi", "1.5.5", "::1", "10.0.0.1/33", "*"]
    ),
    NAMES,
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-10, 10), HUGE, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(NAMES, TEXTS), inner, max_size=3)),
    max_leaves=8,
)


def filled(name: str, purpose: str) -> dict[str, Any]:
    """A right object of a resource."""
    row = ROWS[name]
    entry = _TABLE[row.api_version][row.name]
    text = json.dumps(entry["object"]).replace("PURPOSE", purpose).replace("NUMBER", "7")
    own = str(entry.get("name", "PURPOSE")).replace("PURPOSE", purpose).replace("NUMBER", "7")
    return {**json.loads(text), "apiVersion": row.api_version, "kind": row.kind, "metadata": {"name": own}}


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into a tree."""
    found = [path]
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in children:
        found += places(value, (*path, key))
    return found


@st.composite
def spoiled(draw: st.DrawFn, names: list[str] | None = None) -> tuple[str, dict[str, Any]]:
    """A resource and an object of it in which one to three places have other values, more members or none."""
    name = draw(st.sampled_from(sorted(names or ROWS)))
    tree = copy.deepcopy(filled(name, "fuzz"))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([place for place in places(tree) if place]))
        parent = tree
        for step in path[:-1]:
            parent = parent[step]
        how = draw(st.integers(0, 3))
        if how == 0 and isinstance(parent, dict):
            del parent[path[-1]]
        elif how == 1 and isinstance(parent[path[-1]], dict):
            parent[path[-1]][draw(st.one_of(NAMES, TEXTS))] = draw(VALUES)
        else:
            parent[path[-1]] = draw(VALUES)
    return name, tree


def collection(name: str) -> bytes:
    return str(ROWS[name].path("default")).encode()


def seen(house: Any, target: bytes) -> Any:
    """What is stored at a target: an object's version, or the versions of all in a collection."""
    path = target.partition(b"?")[0]
    parts = path.split(b"/")
    if parts[-1] in (b"status", b"scale"):
        path = b"/".join(parts[:-1])
    tree = json.loads(house.send("GET", path).body)
    if "items" in tree:
        return sorted((each["metadata"]["name"], each["metadata"]["resourceVersion"]) for each in tree["items"])
    return tree.get("metadata", {}).get("resourceVersion")


#: Upstream, too, answers 500 to a new object with a resourceVersion, to an applied one with unknown fields, and to
#: strategic patches that contradict themselves.
ODD = (
    b"resourceVersion should not be set",
    b"failed to create typed",
    b"does not contain declared merge key",
    b"unknown patch type",
    b"list element types are not identical",
    b"merging lists cannot yet be specified",
    b"The order in patch list",
    b"but received a",
)


def judged(house: Any, method: str, target: bytes, body: bytes, media: bytes) -> int:
    """Sends it; fails for a 500, a silent end, or a refusal that has changed what is stored there."""
    before, version = house.revision, seen(house, target)
    reply = house.send(method, target, body, (b"Content-Type", media))
    assert reply.status, f"no answer to {method} {target!r} {media!r} {body!r}"
    odd = any(text in reply.body for text in ODD)
    assert reply.status < 500 or odd, (method, target, media, body, reply.body)
    if reply.status >= 400:
        assert house.revision == before or seen(house, target) == version, (reply.status, reply.body)
        assert json.loads(reply.body)["status"] == "Failure"
    return int(reply.status)


def cleared(house: Any, name: str) -> None:
    house.send("DELETE", collection(name) + b"?gracePeriodSeconds=0")


@FUZZ
@given(spoiled(), st.sampled_from([b"", b"?fieldValidation=Strict", b"?dryRun=All"]))
def test_objects_with_something_changed(house: Any, spoiled: tuple[str, Any], query: bytes) -> None:
    name, tree = spoiled
    if judged(house, "POST", collection(name) + query, json.dumps(tree).encode(), JSON) == 201:
        cleared(house, name)


@FUZZ
@given(spoiled(), st.binary(max_size=3), st.integers(0, 2**16), st.integers(0, 255))
def test_protobuf_with_something_changed(
    house: Any, spoiled: tuple[str, Any], tail: bytes, place: int, value: int
) -> None:
    name, _ = spoiled
    try:
        message = bytearray(protobuf.encode(filled(name, "fuzz")) + tail)
    except protobuf.ProtobufError:  # the table has placeholders where keys and certificates belong
        return
    message[4 + place % (len(message) - 4)] = value
    if judged(house, "POST", collection(name), bytes(message), PROTOBUF) == 201:
        cleared(house, name)


@FUZZ
@given(
    st.binary(max_size=200), st.sampled_from([JSON, YAML, PROTOBUF, b"text/plain", b"", b"application/cbor", b";;=,"])
)
def test_bytes_of_any_kind(house: Any, body: bytes, media: bytes) -> None:
    judged(house, "POST", CONFIG_MAPS, body, media)
    judged(house, "POST", CONFIG_MAPS, b"k8s\0" + body, PROTOBUF)


@FUZZ
@given(VALUES, st.sampled_from([JSON, YAML]))
def test_json_of_any_shape(house: Any, value: Any, media: bytes) -> None:
    judged(house, "POST", CONFIG_MAPS, json.dumps(value).encode(), media)
    judged(house, "DELETE", CONFIG_MAPS + b"/none", json.dumps(value).encode(), media)
    judged(house, "POST", b"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json.dumps(value).encode(), media)


_DEEP = 100_000


@pytest.mark.parametrize("media", [JSON, YAML])
@pytest.mark.parametrize(
    "body",
    [
        b"[" * _DEEP,
        b"[" * _DEEP + b"]" * _DEEP,
        b'{"metadata":{"name":"deep"},"data":' + b'{"a":' * _DEEP + b"1" + b"}" * (_DEEP + 1),
        b'{"metadata":{"name":"many","labels":' + b"[" * 990 + b"]" * 990 + b"}}",
        b'{"metadata":{"name":"x","generation":' + b"9" * 100_000 + b"}}",
        b'{"metadata":{"name":"x","generation":1e999999999}}',
        b'{"metadata":{"name":"x","name":"y"},"data":{"a":"1","a":"2"},"data":{}}',
        b'{"metadata":{"name":"\xff\xfe"}}',
        b'{"metadata":{"name":"x"},"data":{"a":"\xed\xa0\x80"}}',
        b'{"metadata":{"name":"x"},"data":{"a":"\\ud800"}}',
        b'{"metadata":{"name":"x\\u0000"}}',
        b"\xef\xbb\xbf{}",
        b"{" + b'"a":1,' * 200_000 + b'"b":1}',
        b'{"metadata":{"name":"x"},"data":{"a":' + b'"' + b"\\u0041" * 400_000 + b'"}}',
        b"a: &a [x]\nb: [" + b"*a," * 1000 + b"]",
        b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: &d [*c,*c]\ne: &e [*d,*d]\n" * 1,
        b"".join(b"%c: &%c [%b]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) if c > 97 else b"a: &a [x]\n" for c in range(97, 107)),
        b"%YAML 9.9\n---\n!!python/object/apply:os.system ['true']",
        b"? [a]\n: b",
        b"---\n---\n---",
        b"x" * (3 * 1024 * 1024 + 1),
    ],
    ids=lambda body: body[:16].decode("latin-1") if isinstance(body, bytes) else None,
)  # fmt: skip
def test_bodies_that_mean_harm(house: Any, body: bytes, media: bytes) -> None:
    if judged(house, "POST", CONFIG_MAPS, body, media) == 201:
        house.send("DELETE", CONFIG_MAPS)


_POINTERS = st.one_of(
    st.sampled_from(["", "/", "/metadata", "/metadata/labels/a~1b", "/data/x", "/data/-", "/metadata/finalizers/0", "~", "/~2"]),
    st.lists(TEXTS, max_size=3).map(lambda parts: "/" + "/".join(parts)),
)  # fmt: skip
_OPERATIONS = st.fixed_dictionaries(
    {"op": st.one_of(st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), SCALARS), "path": _POINTERS},
    optional={"value": VALUES, "from": _POINTERS},
)  # fmt: skip


@FUZZ
@given(
    st.one_of(VALUES, st.lists(_OPERATIONS, max_size=4)),
    st.sampled_from(["json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml"]),
    st.sampled_from([b"", b"?force=true&fieldManager=f", b"?fieldManager=f", b"?dryRun=All&fieldManager=f"]),
    st.sampled_from(["v1/configmaps", "v1/pods", "apps/v1/deployments", "v1/services", "v1/nodes"]),
)
def test_patches(house: Any, patch: Any, kind: str, query: bytes, name: str) -> None:
    path = collection(name) + b"/patched"
    tree = filled(name, "patched")
    house.send("POST", collection(name), json.dumps(tree).encode(), (b"Content-Type", JSON))
    media = f"application/{kind}".encode()
    judged(house, "PATCH", path + query, json.dumps(patch).encode(), media)
    if isinstance(patch, dict):
        head = {"apiVersion": tree["apiVersion"], "kind": tree["kind"], "metadata": {"name": "patched"}}
        judged(house, "PATCH", path + query, json.dumps({**patch, **head}).encode(), media)
        judged(house, "PATCH", path + query, json.dumps({"spec": patch, "data": patch}).encode(), media)
    judged(house, "PATCH", path + b"/status" + query, json.dumps({"status": patch}).encode(), media)
    house.send("DELETE", path + b"?gracePeriodSeconds=0")


@FUZZ
@given(spoiled(["apps/v1/deployments", "v1/pods", "v1/services", "batch/v1/jobs", "v1/persistentvolumeclaims"]))
def test_updates_with_something_changed(house: Any, spoiled: tuple[str, Any]) -> None:
    name, tree = spoiled
    right = json.dumps(filled(name, "fuzz")).encode()
    house.send("POST", collection(name), right, (b"Content-Type", JSON))
    for below in (b"/fuzz", b"/fuzz/status", b"/fuzz/scale"):
        judged(house, "PUT", collection(name) + below, json.dumps(tree).encode(), JSON)
    cleared(house, name)


@pytest.mark.parametrize(
    ("method", "target", "body", "media"),
    [
        ("POST", b"/api/v1/namespaces/default/services", b'{"metadata":{"name":"x"},"spec":{"ports":true}}', JSON),
        ("PUT", b"/api/v1/namespaces/default/services/x", b'{"metadata":{"name":"x"},"spec":{"ports":[[]]}}', JSON),
        ("POST", b"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", b'{"spec":true}', JSON),
        ("POST", b"/apis/authentication.k8s.io/v1/tokenreviews", b'{"spec":{"token":5}}', JSON),
        ("POST", CONFIG_MAPS, b"18446744073709551616", JSON),
        ("PATCH", CONFIG_MAPS + b"/x?fieldManager=f", b'{"metadata":true}', b"application/apply-patch+yaml"),
    ],
)
def test_what_was_found_once_stays_refused(house: Any, method: str, target: bytes, body: bytes, media: bytes) -> None:
    right = b'{"metadata":{"name":"x"},"spec":{"ports":[{"port":80}]}}'
    house.send("POST", b"/api/v1/namespaces/default/services", right, (b"Content-Type", JSON))
    assert judged(house, method, target, body, media) == 400
    house.send("DELETE", b"/api/v1/namespaces/default/services/x")
