"""Which form a client gets: Accept headers in all their corners, first alone, then over HTTPS."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from podkeeper.api.errors import ApiError
from podkeeper.apiserver.negotiation import JSON, PROTOBUF, ROUTED, YAML, Rendering, accepted, clauses
from podkeeper.registry import assembly
from podkeeper.testing.api_server import running_api_server
from podkeeper.testing.raw_client import RawClient

PODS, CONFIG_MAPS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


@pytest.mark.parametrize(
    ("header", "rendering"),
    [
        ("", Rendering()),
        ("*/*", Rendering()),
        ("*", Rendering()),
        ("application/*", Rendering()),
        ("application/yaml", Rendering(YAML)),
        ("application/json; charset=utf-8", Rendering()),
        ("application/json;pretty=1", Rendering(pretty=True)),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8", Rendering()),
        ("application/json;q=0.5,application/yaml;q=0.9", Rendering(YAML)),
        # What is named comes before what is meant by a wildcard, whatever its quality.
        ("*/*,application/yaml;q=0.1", Rendering(YAML)),
        ("application/*;q=0.9,application/yaml;q=0.1", Rendering(YAML)),
        # No quality excludes; one that is no number is 0.
        ("application/json;q=0", Rendering()),
        ("application/json;q=many,application/yaml;q=0.1", Rendering(YAML)),
        (f"{TABLE},application/json", Rendering(JSON, "Table", "v1")),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", Rendering(JSON, "Table", "v1beta1")),
        ("application/yaml;as=Table;v=v1;g=meta.k8s.io", Rendering(YAML, "Table", "v1")),
        # No Table in protobuf, and none of a version that is not there.
        (f"{PROTOBUF};as=Table;v=v1;g=meta.k8s.io,application/yaml", Rendering(YAML)),
        ("application/json;as=Table;v=v2;g=meta.k8s.io,application/yaml", Rendering(YAML)),
        ("application/json;g=meta.k8s.io;v=v1,application/yaml", Rendering(YAML)),
        (f"{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1", Rendering(PROTOBUF, "PartialObjectMetadata", "v1")),
        ("application/json;stream=watch", Rendering()),
        ("application/yaml;stream=watch,application/json", Rendering()),
        ("application/json;stream=other,application/yaml", Rendering(YAML)),
        ("application/json;sv=v2,application/yaml", Rendering(YAML)),
        ("application/cbor,application/json", Rendering()),
    ],
)
def test_what_an_accept_header_means(header: str, rendering: Rendering) -> None:
    assert accepted(header.encode()) == rendering


@pytest.mark.parametrize("header", ["image/png", "application/cbor", "APPLICATION/JSON", "json", TABLE + ";x/y,a/b/c"])
def test_what_cannot_be_served(header: str) -> None:
    if header.startswith(TABLE):
        assert accepted(header.encode()).transform == "Table"
        return
    with pytest.raises(ApiError) as caught:
        accepted(header.encode())
    assert (caught.value.code, caught.value.message) == (
        406,
        f"only the following media types are accepted: {JSON}, {YAML}, {PROTOBUF}",
    )


def test_objects_without_protobuf_come_in_the_next_form() -> None:
    assert accepted(f"{PROTOBUF},application/yaml".encode(), custom=True) == Rendering(YAML)
    assert accepted(b"application/*", custom=True) == Rendering()


def test_upstreams_router_looks_for_a_media_type_by_its_name() -> None:
    assert accepted(b" application/json;as=Table;v=v1;g=meta.k8s.io", routed=ROUTED).transform == "Table"
    for header in (b"application/*", b"image/png,application/cbor"):
        with pytest.raises(ApiError) as caught:
            accepted(header, routed=ROUTED)
        assert caught.value.message == f"406: Not Acceptable\n\nAvailable representations: {JSON}, {YAML}, {PROTOBUF}"


def test_clauses_that_are_none_are_passed_over() -> None:
    assert clauses("a,b/c/d, e/f ;g;h=;i=j=k; l = m ") == [("e/f", {"l": "m"})]


@pytest.mark.asyncio(loop_scope="module")
async def test_refusals_as_the_router_words_them(api: Any) -> None:
    one = await api("GET", f"{CONFIG_MAPS}/none", accept="image/png")
    assert one.tree == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"406: Not Acceptable\n\nAvailable representations: {JSON}, {YAML}, {PROTOBUF}",
        "reason": "NotAcceptable",
        "details": {},
        "code": 406,
    }
    several = await api("GET", CONFIG_MAPS, accept="application/cbor")
    assert several.message.endswith(f"{PROTOBUF}, {JSON};stream=watch, {PROTOBUF};stream=watch")
    unread = await api("POST", CONFIG_MAPS, b"\xd9\xd9\xf7\xa0", content_type="application/cbor")
    assert (unread.status, unread.message) == (
        415,
        f"the body of the request was in an unknown format - accepted media types include: {JSON}, {YAML}, {PROTOBUF}",
    )
    patch = await api("PATCH", f"{CONFIG_MAPS}/none", b"{}", content_type="application/json")
    assert (patch.status, patch.message, patch.tree["details"]) == (415, "415: Unsupported Media Type", {})


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
async def test_other_methods(api: Any, method: str) -> None:
    reply = await api(method, CONFIG_MAPS)
    assert (reply.status, reply.message, reply.tree["details"]) == (
        405,
        "the server does not allow this method on the requested resource",
        {},
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_json_for_eyes(api: Any, make_config_map: Any) -> None:
    await api("POST", CONFIG_MAPS, make_config_map("seen", a="1"))
    path = f"{CONFIG_MAPS}/seen"
    for headers, query, pretty in (
        ({}, "", False),
        ({"user_agent": "curl/8.5.0"}, "", True),
        ({"user_agent": "Mozilla/5.0 (X11)"}, "", True),
        ({"user_agent": "curl/8.5.0"}, "?pretty=false", False),
        ({}, "?pretty=true", True),
        ({}, "?pretty=T", True),
        ({}, "?pretty=yes", False),
        ({"accept": "application/json;pretty=1"}, "", True),
    ):
        reply = await api("GET", path + query, **headers)
        assert reply.body.startswith(b'{\n  "') is pretty, (headers, query)
    missing = await api("GET", f"{CONFIG_MAPS}/missing", user_agent="curl/8.5.0")
    assert missing.body.startswith(b'{\n  "kind": "Status"')


@pytest.mark.asyncio(loop_scope="module")
async def test_long_answers_are_compressed(api: Any, make_config_map: Any) -> None:
    made = await api("POST", CONFIG_MAPS, make_config_map("long", a="x" * (130 << 10)), accept_encoding="gzip")
    assert (made.status, made.headers["content-encoding"]) == (201, "gzip")
    for encoding, packed in (("gzip", True), ("deflate, gzip", True), ("gzip;q=1", False), ("identity", False)):
        reply = await api("GET", f"{CONFIG_MAPS}/long", accept_encoding=encoding)
        assert (reply.headers.get("content-encoding") == "gzip") is packed
        text = gzip.decompress(reply.body) if packed else reply.body
        assert json.loads(text)["metadata"]["name"] == "long"
    await api("POST", CONFIG_MAPS, make_config_map("short", a="x" * (127 << 10)))
    short = await api("GET", f"{CONFIG_MAPS}/short", accept_encoding="gzip")
    assert "content-encoding" not in short.headers
    await api("DELETE", f"{CONFIG_MAPS}/long")


@pytest.mark.asyncio(loop_scope="module")
async def test_tables_carry_as_much_of_objects_as_is_wanted(api: Any, make_config_map: Any) -> None:
    await api("POST", CONFIG_MAPS, make_config_map("included"))
    for query, kind in (
        ("", "PartialObjectMetadata"),
        ("?includeObject=", "PartialObjectMetadata"),
        ("?includeObject=Metadata", "PartialObjectMetadata"),
        ("?includeObject=Object", "ConfigMap"),
        ("?includeObject=None", None),
    ):
        reply = await api("GET", f"{CONFIG_MAPS}/included{query}", accept=TABLE)
        assert (reply.tree["rows"][0]["object"] or {}).get("kind") == kind, query
    for path in (f"{CONFIG_MAPS}/included?includeObject=All", f"{CONFIG_MAPS}?watch=1&includeObject=All"):
        wrong = await api("GET", path, accept=TABLE)
        assert (wrong.status, wrong.message) == (
            400,
            'Unable to convert to Table as requested: includeObject: Invalid value: "All": '
            "must be 'Metadata', 'Object', 'None', or empty",
        )


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("path", "kind", "why"),
    [
        (
            CONFIG_MAPS,
            "PartialObjectMetadata",
            "PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)",
        ),
        (
            "/api/v1/namespaces/default",
            "PartialObjectMetadataList",
            "PartialObjectMetadataList, but the requested object is not a list (*core.Namespace)",
        ),
        (
            "/apis/apps/v1/deployments",
            "PartialObjectMetadata",
            "PartialObjectMetadata, but the requested object is a list (*apps.DeploymentList)",
        ),
    ],
)
async def test_lists_and_objects_are_not_taken_for_one_another(api: Any, path: str, kind: str, why: str) -> None:
    reply = await api("GET", path, accept=f"application/json;as={kind};g=meta.k8s.io;v=v1")
    assert (reply.status, reply.tree["reason"], reply.message) == (406, "NotAcceptable", f"you requested {why}")
    assert "details" not in reply.tree


@pytest.mark.asyncio(loop_scope="module")
async def test_watches_in_other_forms(api: Any, make_config_map: Any) -> None:
    yaml = await api("GET", f"{CONFIG_MAPS}?watch=1", accept="application/yaml,application/json")
    assert yaml.status == 406
    told = f"only the following media types are accepted: {JSON};stream=watch, {PROTOBUF};stream=watch"
    assert told.encode() in yaml.body
    await api("POST", CONFIG_MAPS, make_config_map("watched"))
    query = "watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    query += "&fieldSelector=metadata.name%3Dwatched&timeoutSeconds=1"
    metadata = await events(api, f"{CONFIG_MAPS}?{query}", PARTIAL)
    assert [(each["type"], each["object"]["kind"]) for each in metadata[:2]] == [
        ("ADDED", "PartialObjectMetadata"),
        ("BOOKMARK", "PartialObjectMetadata"),
    ]


@pytest.mark.asyncio
async def test_tables_have_bookmarks(tmp_path: Path, make_config_map: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "BOOKMARK_PERIOD", 0.1)
    query = "watch=true&allowWatchBookmarks=true&fieldSelector=metadata.name%3Dwatched"
    async with running_api_server(tmp_path) as server:
        api = RawClient(server)
        await api("POST", CONFIG_MAPS, make_config_map("watched"))
        watch = await api.watch(f"{CONFIG_MAPS}?{query}", accept=TABLE)
        rows = [await watch.next(), await watch.next()]
        watch.close()
    assert [each["type"] for each in rows] == ["ADDED", "BOOKMARK"]
    first, bookmark = (each["object"] for each in rows)
    assert [len(each["rows"]) for each in (first, bookmark)] == [1, 1]
    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert bookmark["columnDefinitions"] is None
    assert bookmark["metadata"]["resourceVersion"] == bookmark["rows"][0]["object"]["metadata"]["resourceVersion"]


async def events(api: Any, path: str, accept: str) -> list[Any]:
    reply = await api("GET", path, accept=accept)
    assert reply.status == 200
    return [json.loads(line) for line in reply.body.splitlines()]
