"""The verbs over HTTPS: what goes in, what comes out, and every way to be refused."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


async def test_an_object_from_creation_to_deletion(api: Any, make_config_map: Any) -> None:
    made = await api("POST", CONFIG_MAPS, make_config_map("life", a="1"))
    assert (made.status, made.tree["data"]) == (201, {"a": "1"})
    path = f"{CONFIG_MAPS}/life"
    assert (await api("GET", path)).tree == made.tree
    changed = await api("PUT", path, made.tree | {"data": {"a": "2"}})
    assert (changed.status, changed.tree["data"]["a"]) == (200, "2")
    patched = await api("PATCH", path, {"data": {"b": "3"}}, content_type="application/merge-patch+json")
    assert patched.tree["data"] == {"a": "2", "b": "3"}
    stale = await api("PUT", path, made.tree)
    assert (stale.status, stale.tree["reason"]) == (409, "Conflict")
    gone = await api("DELETE", path)
    details = {"name": "life", "kind": "configmaps", "uid": made.tree["metadata"]["uid"]}
    assert (gone.status, gone.tree["status"], gone.tree["details"]) == (200, "Success", details)
    missing = await api("GET", path)
    assert (missing.status, missing.message) == (404, 'configmaps "life" not found')


async def test_kinds_that_answer_the_object_when_it_is_deleted(api: Any) -> None:
    await api("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "leaving"}})
    gone = await api("DELETE", "/api/v1/namespaces/default/serviceaccounts/leaving")
    assert (gone.status, gone.tree["kind"], gone.tree["metadata"]["name"]) == (200, "ServiceAccount", "leaving")


async def test_a_collection_is_deleted_by_label(api: Any, make_config_map: Any) -> None:
    for name, label in (("c1", "x"), ("c2", "x"), ("c3", "y")):
        tree = make_config_map(name)
        tree["metadata"]["labels"] = {"group": label}
        await api("POST", CONFIG_MAPS, tree)
    gone = await api("DELETE", f"{CONFIG_MAPS}?labelSelector=group%3Dx")
    assert (gone.tree["kind"], [each["metadata"]["name"] for each in gone.tree["items"]]) == (
        "ConfigMapList",
        ["c1", "c2"],
    )
    left = await api("GET", f"{CONFIG_MAPS}?labelSelector=group")
    assert [each["metadata"]["name"] for each in left.tree["items"]] == ["c3"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b"",
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; "
            "json parse error: unexpected end of JSON input (<empty>)",
        ),
        (
            b"{x}",
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; "
            "json parse error: invalid character 'x' looking for beginning of object key string ({x})",
        ),
        (
            b'{"kind":"Secret","apiVersion":"v1"}',
            'Secret in version "v1" cannot be handled as a ConfigMap: '
            "converting (v1.Secret) to (core.ConfigMap): unknown conversion",
        ),
        (
            b'{"kind":"Nonsense","apiVersion":"v1"}',
            'Nonsense in version "v1" cannot be handled as a ConfigMap: no kind "Nonsense" is registered for version '
            '"v1" in scheme "pkg/api/legacyscheme/scheme.go:30"',
        ),
        (
            b'{"kind":"Event","apiVersion":"events.k8s.io/v1"}',
            'Event in version "v1" cannot be handled as a ConfigMap: '
            "converting (v1.Event) to (core.ConfigMap): unknown conversion",
        ),
    ],
)
async def test_bodies_that_are_no_object_of_the_kind(api: Any, body: bytes, message: str) -> None:
    # An empty body needs a content type of its own: the client sends one only with a body.
    reply = await api("POST", CONFIG_MAPS, body, content_type="application/json")
    assert (reply.status, reply.tree["reason"], reply.message) == (400, "BadRequest", message)


async def test_a_body_nested_too_deeply_is_refused(api: Any) -> None:
    reply = await api("POST", CONFIG_MAPS, b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
    assert reply.status == 400


async def test_a_body_that_is_too_large_changes_nothing(api: Any, make_config_map: Any) -> None:
    reply = await api("POST", CONFIG_MAPS, make_config_map("huge", a="x" * (4 << 20)))
    assert (reply.status, reply.tree["reason"]) == (413, "RequestEntityTooLarge")
    assert reply.message == "Request entity too large: limit is 3145728"
    assert (await api("GET", f"{CONFIG_MAPS}/huge")).status == 404


async def test_media_types_that_cannot_be_read_or_written(api: Any, make_config_map: Any) -> None:
    form = await api("POST", CONFIG_MAPS, b"a=b", content_type="application/x-www-form-urlencoded")
    assert (form.status, form.tree["reason"]) == (415, "UnsupportedMediaType")
    patch = await api("PATCH", f"{CONFIG_MAPS}/x", b"{}", content_type="application/json")
    assert patch.status == 415
    picture = await api("GET", CONFIG_MAPS, accept="image/png")
    assert (picture.status, picture.tree["reason"]) == (406, "NotAcceptable")


async def test_yaml_in_and_out(api: Any) -> None:
    text = b"metadata:\n  name: inyaml\ndata:\n  day: '2020-01-01'\n"
    made = await api("POST", CONFIG_MAPS, text, content_type="application/yaml", accept="application/yaml")
    assert made.status == 201
    assert made.headers["content-type"] == "application/yaml"
    assert b"\ndata:\n  day: '2020-01-01'\nkind: ConfigMap\n" in made.body


async def test_unknown_and_duplicate_fields(api: Any) -> None:
    body = b'{"metadata":{"name":"strict"},"extra":1,"data":{"a":"1","a":"2"}}'
    strict = await api("POST", f"{CONFIG_MAPS}?fieldValidation=Strict", body)
    assert strict.status == 400
    assert strict.message.startswith(
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
    )
    warned = await api("POST", f"{CONFIG_MAPS}?fieldValidation=Warn&dryRun=All", body)
    assert warned.status == 201
    assert warned.headers["warning"].startswith("299 - ")
    ignored = await api("POST", f"{CONFIG_MAPS}?fieldValidation=Ignore&dryRun=All", body)
    assert "warning" not in ignored.headers
    assert (await api("GET", f"{CONFIG_MAPS}/strict")).status == 404


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("limit=many", 400, 'strconv.ParseInt: parsing "many": invalid syntax'),
        (
            "resourceVersionMatch=Exact",
            422,
            'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden '
            "unless resourceVersion is provided",
        ),
    ],
)
async def test_query_parameters_of_lists_are_checked(api: Any, query: str, code: int, message: str) -> None:
    reply = await api("GET", f"{CONFIG_MAPS}?{query}")
    assert (reply.status, reply.message) == (code, message)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "dryRun=Some",
            'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: "Some": supported values: "All"',
        ),
        (
            "fieldValidation=Lax",
            'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Lax": supported values: '
            '"", "Ignore", "Strict", "Warn"',
        ),
    ],
)
async def test_query_parameters_of_writes_are_checked(api: Any, make_config_map: Any, query: str, message: str) -> None:
    reply = await api("POST", f"{CONFIG_MAPS}?{query}", make_config_map("q"))
    assert (reply.status, reply.message) == (422, message)


async def test_paths_that_lead_nowhere(api: Any) -> None:
    text = await api("GET", "/nowhere")
    assert (text.status, text.body) == (404, b"404 page not found\n")
    group = await api("GET", "/apis/example.com/v1/things")
    assert (group.status, group.body) == (404, b"404 page not found\n")
    resource = await api("GET", "/api/v1/things")
    assert (resource.status, resource.message) == (404, "the server could not find the requested resource")
    assert (await api("GET", "/api/v1/pods/name-without-namespace")).status == 404
    assert (await api("GET", "/api/v1/namespaces/default/nodes")).status == 404
    for method, path in (("POST", "/api/v1/pods"), ("POST", f"{PODS}/named"), ("DELETE", "/api/v1/namespaces")):
        reply = await api(method, path, {})
        assert (reply.status, reply.tree["reason"]) == (405, "MethodNotAllowed"), path


async def test_tables_for_people(api: Any, make_pod: Any) -> None:
    await api("POST", PODS, make_pod("tabled"))
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    table = (await api("GET", PODS, accept=accept)).tree
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    names = [column["name"] for column in table["columnDefinitions"]]
    assert names[:5] == ["Name", "Ready", "Status", "Restarts", "Age"]
    row = next(row for row in table["rows"] if row["cells"][0] == "tabled")
    assert row["cells"][1:4] == ["0/1", "Pending", "0"]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    bare = (await api("GET", f"{PODS}/tabled?includeObject=None", accept=accept)).tree
    assert bare["rows"][0]["object"] is None
    whole = (await api("GET", f"{PODS}/tabled?includeObject=Object", accept=accept)).tree
    assert whole["rows"][0]["object"]["kind"] == "Pod"


async def test_metadata_alone(api: Any, make_config_map: Any) -> None:
    await api("POST", CONFIG_MAPS, make_config_map("partial", a="1"))
    one = await api(
        "GET", f"{CONFIG_MAPS}/partial", accept="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    )
    assert (one.tree["kind"], one.tree["metadata"]["name"], "data" in one.tree) == (
        "PartialObjectMetadata",
        "partial",
        False,
    )
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    listed = (await api("GET", CONFIG_MAPS, accept=accept)).tree
    assert listed["kind"] == "PartialObjectMetadataList"
    assert {each["kind"] for each in listed["items"]} == {"PartialObjectMetadata"}
    wrong = await api("GET", CONFIG_MAPS, accept="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
    assert wrong.status == 406


async def test_long_lists_are_compressed_for_who_takes_that(api: Any, make_config_map: Any) -> None:
    for number in range(3):
        await api("POST", CONFIG_MAPS, make_config_map(f"long{number}", a="x" * 100_000))
    plain = await api("GET", CONFIG_MAPS)
    packed = await api("GET", CONFIG_MAPS, accept_encoding="gzip")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    short = await api("GET", f"{CONFIG_MAPS}/long0", accept_encoding="gzip")
    assert "content-encoding" not in short.headers
    for number in range(3):
        await api("DELETE", f"{CONFIG_MAPS}/long{number}")


async def test_scale_is_read_and_written(api: Any) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    path = "/apis/apps/v1/namespaces/default/deployments"
    assert (await api("POST", path, {"metadata": {"name": "scaled"}, "spec": spec})).status == 201
    scale = (await api("GET", f"{path}/scaled/scale")).tree
    assert (scale["kind"], scale["spec"]["replicas"], scale["status"]["selector"]) == ("Scale", 1, "a=b")
    reply = await api("PUT", f"{path}/scaled/scale", scale | {"spec": {"replicas": 3}})
    assert (reply.status, reply.tree["spec"]["replicas"]) == (200, 3)
    assert (await api("GET", f"{path}/scaled")).tree["spec"]["replicas"] == 3


async def test_a_pod_is_bound_once(api: Any, make_pod: Any) -> None:
    await api("POST", PODS, make_pod("bound"))
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "bound"},
        "target": {"kind": "Node", "name": "n1"},
    }
    reply = await api("POST", f"{PODS}/bound/binding", binding)
    assert (reply.status, reply.tree["status"]) == (201, "Success")
    assert (await api("GET", f"{PODS}/bound")).tree["spec"]["nodeName"] == "n1"
    assert (await api("POST", f"{PODS}/bound/binding", binding)).status == 409


async def test_health_version_and_index(api: Any) -> None:
    assert (await api("GET", "/livez", token="")).body == b"ok"
    verbose = await api("GET", "/readyz?verbose")
    assert b"[+]ping ok\n" in verbose.body
    assert verbose.body.endswith(b"readyz check passed\n")
    assert (await api("GET", "/readyz/ping")).body == b"ok"
    assert (await api("GET", "/readyz/nonsense")).status == 404
    version = (await api("GET", "/version", token="")).tree
    assert (version["major"], version["minor"], version["gitVersion"][:6]) == ("1", "36", "v1.36.")
    assert "/version" in (await api("GET", "/")).tree["paths"]
    assert b"apiserver_request_total{" in (await api("GET", "/metrics")).body


async def test_a_failure_inside_is_told_without_its_trace(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("secret detail")

    verbs = api.server.registry.verbs("", "v1", "configmaps")
    monkeypatch.setattr(type(verbs), "get", broken)
    reply = await api("GET", f"{CONFIG_MAPS}/any")
    assert (reply.status, reply.tree["reason"]) == (500, "InternalError")
    assert "secret detail" not in reply.body.decode()


async def test_errors_come_in_yaml_to_those_who_take_nothing_else(api: Any) -> None:
    reply = await api("GET", f"{CONFIG_MAPS}/missing", accept="application/yaml")
    assert reply.status == 404
    assert b"reason: NotFound" in reply.body


async def test_defaults_of_a_cluster_are_there(api: Any) -> None:
    service = (await api("GET", "/api/v1/namespaces/default/services/kubernetes")).tree
    assert service["spec"]["clusterIP"] == "10.96.0.1"
    found = (await api("GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")).tree
    assert found["endpoints"][0]["addresses"] == [api.server.config.advertise_address]
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        assert (await api("GET", f"/api/v1/namespaces/{name}")).status == 200
    refused = await api("DELETE", "/api/v1/namespaces/default")
    assert (refused.status, refused.message) == (
        403,
        'namespaces "default" is forbidden: this namespace may not be deleted',
    )
    trust = await api("GET", "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")
    assert "BEGIN CERTIFICATE" in json.dumps(trust.tree["data"])


async def test_whoever_uses_a_deprecated_api_is_told(api: Any) -> None:
    told = '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
    for path in ("/api/v1/endpoints", "/api/v1/endpoints?watch=1&timeoutSeconds=1"):
        assert (await api("GET", path)).headers["warning"] == told
    assert "warning" not in (await api("GET", "/api/v1/services")).headers
