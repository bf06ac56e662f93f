"""Strategic merge patch: merge keys, directives, order, and idempotence."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.api import schema
from podkeeper.api.errors import ApiError
from podkeeper.api.patches import strategic
from podkeeper.api.patches.trees import copied


def kind(group: str, version: str, name: str) -> schema.TypeSchema:
    found = schema.for_kind(group, version, name)
    assert found is not None
    return found


def pod(patch: Any, **spec: Any) -> Any:
    return strategic.apply({"spec": spec}, {"spec": patch}, kind("", "v1", "Pod"))["spec"]


def names(members: list[dict[str, Any]]) -> list[str]:
    return [member["name"] for member in members]


TWO = [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]


def test_members_merge_by_their_key() -> None:
    patched = pod({"containers": [{"name": "b", "image": "z"}]}, containers=TWO)
    assert patched["containers"] == [{"name": "a", "image": "x"}, {"name": "b", "image": "z"}]


def test_new_members_come_before_the_ones_that_the_patch_does_not_name() -> None:
    assert names(pod({"containers": [{"name": "c"}]}, containers=TWO)["containers"]) == ["c", "a", "b"]


def test_a_member_is_deleted_by_directive() -> None:
    patched = pod({"containers": [{"name": "a", "$patch": "delete"}]}, containers=TWO)
    assert names(patched["containers"]) == ["b"]


def test_a_list_is_replaced_by_directive() -> None:
    patched = pod({"containers": [{"name": "c"}, {"$patch": "replace"}]}, containers=TWO)
    assert patched["containers"] == [{"name": "c"}]


def test_an_object_is_replaced_or_emptied_by_directive() -> None:
    security = {"runAsUser": 1, "runAsGroup": 2}
    assert pod({"securityContext": {"$patch": "replace", "runAsUser": 3}}, securityContext=security) == {
        "securityContext": {"runAsUser": 3}
    }
    assert pod({"securityContext": {"$patch": "delete"}}, securityContext=security) == {"securityContext": {}}


def test_nulls_delete_and_leave_no_trace() -> None:
    assert pod({"nodeName": None, "affinity": None}, nodeName="n") == {}
    assert pod({"securityContext": {"runAsUser": None, "runAsGroup": 1}}) == {"securityContext": {"runAsGroup": 1}}


def test_atomic_lists_are_replaced() -> None:
    tolerations = [{"key": "a"}, {"key": "b"}]
    assert pod({"tolerations": [{"key": "c"}]}, tolerations=tolerations) == {"tolerations": [{"key": "c"}]}


def test_maps_merge() -> None:
    tree = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    patched = strategic.apply(tree, {"metadata": {"labels": {"b": None, "c": "3"}}}, kind("", "v1", "Pod"))
    assert patched["metadata"]["labels"] == {"a": "1", "c": "3"}


def test_scalars_merge_as_a_set_and_are_deleted_by_list() -> None:
    tree = {"metadata": {"finalizers": ["a/x", "b/y"]}}
    added = strategic.apply(tree, {"metadata": {"finalizers": ["c/z", "a/x"]}}, kind("", "v1", "Pod"))
    assert sorted(added["metadata"]["finalizers"]) == ["a/x", "b/y", "c/z"]
    gone = strategic.apply(tree, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/x"]}}, kind("", "v1", "Pod"))
    assert gone["metadata"] == {"finalizers": ["b/y"]}


def test_the_order_that_the_patch_sets() -> None:
    patch = {
        "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}],
        "containers": [{"name": "c", "image": "z"}],
    }
    patched = pod(patch, containers=TWO)
    assert names(patched["containers"]) == ["c", "b", "a"]


def test_members_that_the_order_does_not_name_keep_their_place() -> None:
    live = [{"name": "a"}, {"name": "sidecar"}, {"name": "b"}]
    patch = {"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}]}
    assert names(pod(patch, containers=live)["containers"]) == ["a", "sidecar", "b"]


def test_what_the_patch_changes_must_stand_in_the_order() -> None:
    patch = {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "b"}]}
    with pytest.raises(ApiError) as caught:
        pod(patch, containers=TWO)
    assert caught.value.code == 500
    assert caught.value.message == (
        "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n"
    )


def test_retain_keys_drops_the_union_members_that_are_not_meant() -> None:
    volumes = [{"name": "v", "emptyDir": {}}]
    patch = {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]}
    assert pod(patch, volumes=volumes) == {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}
    with pytest.raises(ApiError, match="retainKeys"):
        pod({"volumes": [{"name": "v", "$retainKeys": ["name"], "hostPath": {}}]}, volumes=volumes)


def test_service_ports_merge_by_port() -> None:
    tree = {"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]}}
    patch = {"spec": {"ports": [{"port": 81, "nodePort": 30000}]}}
    patched = strategic.apply(tree, patch, kind("", "v1", "Service"))
    assert patched["spec"]["ports"] == [{"port": 80, "name": "a"}, {"port": 81, "name": "b", "nodePort": 30000}]


@pytest.mark.parametrize(
    ("patch", "code", "message"),
    [
        ({"containers": [{"image": "x"}]}, 500, "map: map[image:x] does not contain declared merge key: name"),
        ({"containers": [["a"]]}, 500, "list element types are not identical: [[map[name:a] map[name:b]] [[a]]]"),
        (
            {"containers": [{"name": "a", "$patch": "explode"}]},
            500,
            "unknown patch type: explode in map: map[$patch:explode name:a]",
        ),
        (
            {"containers": [{"$patch": "delete"}]},
            500,
            "map: map[$patch:delete] does not contain declared merge key: name",
        ),
        ({"containers": [{"$patch": "merge"}]}, 500, "merging lists cannot yet be specified in the patch"),
        ({"$patch": "explode"}, 500, "unknown patch type: explode in map: map[$patch:explode]"),
        ({"$patch": "merge"}, 500, "unknown patch type: merge in map: map[$patch:merge]"),
        ({"$setElementOrder/containers": "a"}, 500, "expected a []interface {}, but received a string"),
        ({"$deleteFromPrimitiveList": ["y"]}, 400, "invalid patch format of primitive list"),
        ({"$setElementOrder": []}, 400, "invalid patch format of setElementOrder list"),
        ({"$setElementOrderOf/containers": []}, 400, "invalid patch format of setElementOrder list"),
        ({"$retainKeys": "y"}, 400, "invalid patch format of retainKeys"),
    ],
)
def test_refusals(patch: Any, code: int, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        pod(patch, containers=[{"name": "a"}, {"name": "b"}])
    assert (caught.value.code, caught.value.message) == (code, message)


def test_a_patch_must_be_an_object() -> None:
    with pytest.raises(ApiError) as caught:
        strategic.apply({}, [], kind("", "v1", "Pod"))
    assert caught.value.code == 400


names_of = st.sampled_from("abcd")
containers = st.lists(
    st.fixed_dictionaries({"name": names_of}, optional={"image": names_of, "args": st.lists(names_of, max_size=2)}),
    max_size=4,
    unique_by=lambda container: container["name"],
)
labels = st.dictionaries(names_of, names_of, max_size=3)
pods = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({"labels": labels}), "spec": st.fixed_dictionaries({"containers": containers})}
)
pod_patches = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries({"labels": st.dictionaries(names_of, names_of | st.none(), max_size=3)}),
        "spec": st.fixed_dictionaries({"containers": containers}),
    },
)


@given(pods, pod_patches)
@settings(max_examples=150)
def test_applying_twice_is_applying_once(tree: Any, patch: Any) -> None:
    once = strategic.apply(tree, patch, kind("", "v1", "Pod"))
    assert strategic.apply(once, patch, kind("", "v1", "Pod")) == once


@given(pods, pod_patches)
@settings(max_examples=100)
def test_loses_no_member_and_changes_neither_argument(tree: Any, patch: Any) -> None:
    before, asked = copied(tree), copied(patch)
    patched = strategic.apply(tree, patch, kind("", "v1", "Pod"))
    assert (tree, patch) == (before, asked)
    wanted = {c["name"] for c in tree["spec"]["containers"]}
    wanted |= {c["name"] for c in patch.get("spec", {}).get("containers", [])}
    assert {c["name"] for c in patched["spec"]["containers"]} == wanted


def test_deleting_from_a_list_of_scalars_in_all_its_forms() -> None:
    tree = {"metadata": {"name": "x", "finalizers": ["a", "b"]}}

    def left(value: Any) -> Any:
        patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": value}}
        return strategic.apply(tree, patch, kind("", "v1", "Pod"))["metadata"].get("finalizers")

    assert left(["a", "c"]) == ["b"]
    assert left(None) is None
    assert left("a") == ["a", "b"]
