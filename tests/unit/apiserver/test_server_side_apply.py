"""Field management over HTTPS: who is said to manage what, and what applying does."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.asyncio(loop_scope="module")

Tree = dict[str, Any]
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


async def apply(api: Any, path: str, config: Tree, manager: str = "me", **options: Any) -> Any:
    query = f"?fieldManager={manager}" + ("&force=true" if options.pop("force", False) else "")
    return await api("PATCH", path + query, yaml.safe_dump(config).encode(), content_type=APPLY, **options)


def claims(tree: Tree) -> dict[tuple[str, str, str], Any]:
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"]
        for entry in tree["metadata"].get("managedFields", ())
    }


def deployment(name: str, **spec: Any) -> Tree:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template} | spec
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


async def test_the_manager_is_who_the_client_says_or_the_program_that_it_is(api: Any, make_config_map: Any) -> None:
    said = await api("POST", f"{CONFIG_MAPS}?fieldManager=me", make_config_map("said", a="1"))
    assert list(claims(said.tree)) == [("me", "Update", "")]
    (entry,) = said.tree["metadata"]["managedFields"]
    assert entry["time"] == said.tree["metadata"]["creationTimestamp"]
    assert entry["fieldsV1"] == {"f:data": {".": {}, "f:a": {}}}
    named = await api("POST", CONFIG_MAPS, make_config_map("named", a="1"), user_agent="robot/v1 (linux)")
    assert list(claims(named.tree)) == [("robot", "Update", "")]


async def test_a_configuration_creates_and_then_changes(api: Any, make_config_map: Any) -> None:
    path = f"{CONFIG_MAPS}/applied"
    made = await apply(api, path, make_config_map("applied", a="1", b="1"))
    assert (made.status, made.tree["data"]) == (201, {"a": "1", "b": "1"})
    changed = await apply(api, path, make_config_map("applied", a="2"))
    assert (changed.status, changed.tree["data"]) == (200, {"a": "2"})
    assert claims(changed.tree) == {("me", "Apply", ""): {"f:data": {"f:a": {}}}}
    again = await apply(api, path, make_config_map("applied", a="2"))
    assert again.tree == changed.tree


async def test_a_configuration_leaves_the_name_to_the_url_where_the_object_is_there(
    api: Any, make_config_map: Any
) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "2"}}
    missing = await apply(api, f"{CONFIG_MAPS}/nameless", config)
    why = "the name of the object (nameless based on URL) was undeterminable: name must be provided"
    assert (missing.status, missing.message) == (400, why)
    await api("POST", CONFIG_MAPS, make_config_map("nameless", b="1"))
    applied = await apply(api, f"{CONFIG_MAPS}/nameless", config)
    assert (applied.status, applied.tree["metadata"]["name"]) == (200, "nameless")
    assert applied.tree["data"] == {"a": "2", "b": "1"}


async def test_conflicts_name_manager_and_field(api: Any, make_config_map: Any) -> None:
    await api("POST", f"{CONFIG_MAPS}?fieldManager=owner", make_config_map("fought", a="1"))
    path = f"{CONFIG_MAPS}/fought"
    refused = await apply(api, path, make_config_map("fought", a="2"))
    assert (refused.status, refused.tree["reason"]) == (409, "Conflict")
    assert refused.message == 'Apply failed with 1 conflict: conflict with "owner" using v1: .data.a'
    assert (await api("GET", path)).tree["data"] == {"a": "1"}
    forced = await apply(api, path, make_config_map("fought", a="2"), force=True)
    assert forced.tree["data"] == {"a": "2"}


async def test_what_admission_and_the_server_add_belongs_to_nobody(api: Any, make_pod: Any) -> None:
    made = await apply(api, "/api/v1/namespaces/default/pods/bare", make_pod("bare"))
    assert made.tree["spec"]["tolerations"]
    spec = claims(made.tree)["me", "Apply", ""]["f:spec"]
    assert spec == {"f:containers": {'k:{"name":"main"}': {".": {}, "f:image": {}, "f:name": {}}}}


async def test_the_status_has_managers_of_its_own(api: Any) -> None:
    await apply(api, f"{DEPLOYMENTS}/faces", deployment("faces"))
    query = "?fieldManager=controller"
    status = {"status": {"replicas": 1}, "spec": {"replicas": 7}}
    done = await api("PATCH", f"{DEPLOYMENTS}/faces/status{query}", status, content_type=MERGE)
    assert claims(done.tree)["controller", "Update", "status"] == {"f:status": {"f:replicas": {}}}
    assert done.tree["spec"]["replicas"] == 1


async def test_scaling_takes_the_replicas_by_its_own_subresource(api: Any) -> None:
    path = f"{DEPLOYMENTS}/scaled"
    await apply(api, path, deployment("scaled", replicas=2))
    await api("PATCH", f"{path}/scale?fieldManager=scaler", {"spec": {"replicas": 3}}, content_type=MERGE)
    found = (await api("GET", path)).tree
    assert claims(found)["scaler", "Update", "scale"] == {"f:spec": {"f:replicas": {}}}
    refused = await apply(api, path, deployment("scaled", replicas=2))
    with_whom = 'conflict with "scaler" with subresource "scale" using apps/v1'
    assert refused.message == f"Apply failed with 1 conflict: {with_whom}: .spec.replicas"


async def test_a_scale_is_applied_too(api: Any) -> None:
    path = f"{DEPLOYMENTS}/scale-applied"
    without = deployment("scale-applied")
    await apply(api, path, without)
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "scale-applied"}}
    done = await apply(api, f"{path}/scale", scale | {"spec": {"replicas": 4}}, "scaler", force=True)
    assert done.tree["spec"]["replicas"] == 4
    assert ("scaler", "Apply", "scale") in claims((await api("GET", path)).tree)


async def test_a_dry_run_shows_the_outcome_and_stores_nothing(api: Any, make_config_map: Any) -> None:
    path = f"{CONFIG_MAPS}/dry?fieldManager=me&dryRun=All"
    body = yaml.safe_dump(make_config_map("dry", a="1")).encode()
    assert (await api("PATCH", path, body, content_type=APPLY)).tree["data"] == {"a": "1"}
    assert (await api("GET", f"{CONFIG_MAPS}/dry")).status == 404


async def test_managers_are_forgotten_on_demand(api: Any, make_config_map: Any) -> None:
    await apply(api, f"{CONFIG_MAPS}/forgets", make_config_map("forgets", a="1"))
    patch = {"metadata": {"managedFields": [{}]}}
    done = await api("PATCH", f"{CONFIG_MAPS}/forgets", patch, content_type=MERGE)
    assert "managedFields" not in done.tree["metadata"]


async def test_creating_by_apply_wants_the_permission_to_create(api: Any, make_config_map: Any) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch", "get"]}]
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    await api("POST", f"{roles}/roles", {"metadata": {"name": "patcher"}, "rules": rules})
    subjects = [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "patcher"}
    await api("POST", f"{roles}/rolebindings", {"metadata": {"name": "p"}, "subjects": subjects, "roleRef": role})
    token = await api("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {}})
    bearer = token.tree["status"]["token"]
    config = make_config_map("not-mine", a="1")
    refused = await apply(api, f"{CONFIG_MAPS}/not-mine", config, token=bearer)
    assert (refused.status, "cannot create resource" in refused.message) == (403, True)
    await api("POST", f"{CONFIG_MAPS}?fieldManager=me", config)
    assert (await apply(api, f"{CONFIG_MAPS}/not-mine", config, token=bearer)).status == 200


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"apiVersion": "v2"}, 400, "Incorrect version specified in apply patch"),
        ({"metadata": {"name": "other"}}, 400, "does not match the name on the URL"),
        ({"data": {"a": 1}}, 400, "cannot unmarshal"),
        ({"spex": {}}, 500, ".spex: field not declared in schema"),
    ],
)
async def test_bad_configurations_change_nothing(
    api: Any, make_config_map: Any, change: Tree, status: int, message: str
) -> None:
    refused = await apply(api, f"{CONFIG_MAPS}/bad", make_config_map("bad") | change)
    assert refused.status == status, refused.tree
    assert message in refused.message
    assert (await api("GET", f"{CONFIG_MAPS}/bad")).status == 404


async def test_when_a_manager_wrote_is_no_change_alone(api: Any) -> None:
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    endpoints = [{"addresses": ["10.9.0.1"]}]
    tree = {"metadata": {"name": "timed"}, "addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 80}]}
    made = (await api("POST", f"{path}?fieldManager=me", tree)).tree
    made["metadata"]["labels"] = {"a": "b"}
    (entry,) = made["metadata"]["managedFields"]
    entry["time"] = "2020-01-01T00:00:00Z"
    labelled = (await api("PUT", f"{path}/timed?fieldManager=other", made)).tree
    assert labelled["metadata"]["managedFields"][0]["time"] == "2020-01-01T00:00:00Z"
    # Conditions that are left out are there all the same: nothing changes, though the list is written anew.
    patch = [{"op": "replace", "path": "/endpoints", "value": endpoints}]
    json_patch = "application/json-patch+json"
    again = await api("PATCH", f"{path}/timed?fieldManager=me", patch, content_type=json_patch)
    assert (again.status, again.tree) == (200, labelled)
    first, *rest = labelled["metadata"]["managedFields"]
    earlier = [first | {"time": "2019-01-01T00:00:00Z"}, *rest]
    written = labelled | {"metadata": labelled["metadata"] | {"managedFields": earlier}}
    assert (await api("PUT", f"{path}/timed", written)).tree == labelled
    assert (await api("DELETE", f"{path}/timed")).status == 200
