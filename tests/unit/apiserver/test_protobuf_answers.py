"""Protobuf over HTTP: bodies and answers of every verb, watches, errors, and what is negotiated when it is not had."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest

from podkeeper.api import protobuf
from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError
from podkeeper.api.user import UserInfo
from podkeeper.apiserver import bodies
from podkeeper.apiserver.call import Call
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.foundation.http import Request
from podkeeper.foundation.http.client import Exchange, request_message

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAPS = "/api/v1/namespaces/default/configmaps"
PROTOBUF = protobuf.MEDIA_TYPE
PARTIAL = f"{PROTOBUF};as=PartialObjectMetadata{{}};g=meta.k8s.io;v=v1"
TABLE = "as=Table;g=meta.k8s.io;v=v1"


def of(reply: Any, status: int = 200) -> Any:
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == PROTOBUF
    return protobuf.decode(reply.body)


async def test_an_object_goes_in_and_out_with_every_verb(api: Any, make_config_map: Any) -> None:
    body = protobuf.encode(make_config_map("pb-verbs", a="é"))
    headers = {"accept": PROTOBUF, "content_type": PROTOBUF}
    made = of(await api("POST", MAPS, body, **headers), 201)
    assert (made["kind"], made["data"]) == ("ConfigMap", {"a": "é"})
    path = f"{MAPS}/pb-verbs"
    assert of(await api("GET", path, accept=PROTOBUF)) == made == (await api("GET", path)).tree
    changed = protobuf.encode({**made, "data": {"a": "2"}})
    put = of(await api("PUT", path, changed, **headers))
    assert put["data"] == {"a": "2"}
    assert put["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
    patch = {"data": {"b": "3"}}
    patched = of(await api("PATCH", path, patch, accept=PROTOBUF, content_type="application/merge-patch+json"))
    assert patched["data"] == {"a": "2", "b": "3"}
    options = protobuf.encode({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0})
    deleted = of(await api("DELETE", path, options, **headers))
    assert (deleted["kind"], deleted["status"], deleted["details"]["name"]) == ("Status", "Success", "pb-verbs")


async def test_a_list_is_the_same_in_both_forms(api: Any, make_pod: Any) -> None:
    path = "/api/v1/namespaces/default/pods"
    for name in ("pb-list-1", "pb-list-2"):
        assert (await api("POST", path, make_pod(name))).status == 201
    for query in ("", "?limit=1", "?fieldSelector=metadata.name%3Dpb-list-2"):
        plain = (await api("GET", path + query)).tree
        listing = of(await api("GET", path + query, accept=PROTOBUF))
        for item in plain["items"]:
            del item["apiVersion"], item["kind"]  # not in a list in protobuf
            for container in item["spec"]["containers"]:
                container.setdefault("resources", {})
        assert listing == plain
    again = [await api("GET", path, accept=PROTOBUF) for _ in range(2)]
    assert again[0].body == again[1].body


async def test_deleting_a_collection_tells_what_was_deleted(api: Any, make_config_map: Any) -> None:
    labelled = make_config_map("pb-collection")
    labelled["metadata"]["labels"] = {"pb": "collection"}
    await api("POST", MAPS, labelled)
    gone = of(await api("DELETE", f"{MAPS}?labelSelector=pb%3Dcollection", accept=PROTOBUF))
    assert gone["kind"] == "ConfigMapList"
    assert [item["metadata"]["name"] for item in gone["items"]] == ["pb-collection"]


async def test_metadata_alone(api: Any, make_config_map: Any) -> None:
    await api("POST", MAPS, make_config_map("pb-partial", a="1"))
    one = of(await api("GET", f"{MAPS}/pb-partial", accept=PARTIAL.format("")))
    assert (one["kind"], one["metadata"]["name"]) == ("PartialObjectMetadata", "pb-partial")
    some = of(await api("GET", MAPS, accept=PARTIAL.format("List")))
    assert some["kind"] == "PartialObjectMetadataList"
    assert "pb-partial" in [item["metadata"]["name"] for item in some["items"]]


async def test_errors_are_status_messages(api: Any) -> None:
    status = of(await api("GET", f"{MAPS}/nothing", accept=PROTOBUF), 404)
    assert (status["kind"], status["reason"]) == ("Status", "NotFound")
    assert status["message"] == 'configmaps "nothing" not found'
    assert of(await api("POST", MAPS, b"{", accept=PROTOBUF), 400)["reason"] == "BadRequest"


async def test_subresources_speak_their_own_kind(api: Any) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "example/app:1"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    path = "/apis/apps/v1/namespaces/default/deployments"
    made = await api("POST", path, {"metadata": {"name": "pb"}, "spec": spec})
    assert made.status == 201
    scale = of(await api("GET", f"{path}/pb/scale", accept=PROTOBUF))
    assert (scale["apiVersion"], scale["kind"], scale["spec"]) == ("autoscaling/v1", "Scale", {"replicas": 2})
    scale["spec"]["replicas"] = 0
    changed = protobuf.encode(scale)
    assert of(await api("PUT", f"{path}/pb/scale", changed, accept=PROTOBUF, content_type=PROTOBUF))["spec"] == {}


async def test_reviews_tokens_and_discovery(api: Any) -> None:
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    review |= {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = of(await api("POST", path, protobuf.encode(review), accept=PROTOBUF, content_type=PROTOBUF), 201)
    assert answer["status"]["allowed"] is True
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    token = of(await api("POST", path, protobuf.encode(request), accept=PROTOBUF, content_type=PROTOBUF), 201)
    assert token["status"]["token"].count(".") == 2
    assert of(await api("GET", "/api", accept=PROTOBUF))["versions"] == ["v1"]
    rows = of(await api("GET", "/api/v1", accept=PROTOBUF))["resources"]
    assert "pods" in [row["name"] for row in rows]
    aggregated = f"{PROTOBUF};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    reply = await api("GET", "/apis", accept=aggregated)
    groups = protobuf.decode(reply.body)
    assert groups["kind"] == "APIGroupDiscoveryList"
    assert "apps" in [group["metadata"]["name"] for group in groups["items"]]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (f"{PROTOBUF},application/json", PROTOBUF),
        (f"application/json,{PROTOBUF}", "application/json"),
        (f"application/json;q=0.5,{PROTOBUF};q=0.9", PROTOBUF),
        (f"{PROTOBUF};q=0.1, application/json;q=0.2", "application/json"),
        (f"{PROTOBUF};{TABLE},application/json;{TABLE}", "application/json"),
        (f"{PROTOBUF};{TABLE},{PROTOBUF}", PROTOBUF),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
    ],
)
async def test_the_client_gets_what_it_likes_best_of_what_there_is(api: Any, accept: str, expected: str) -> None:
    assert (await api("GET", MAPS, accept=accept)).headers["content-type"] == expected


async def test_tables_are_never_protobuf(api: Any, make_config_map: Any) -> None:
    reply = await api("GET", MAPS, accept=f"{PROTOBUF};{TABLE}")
    assert reply.status == 406
    served = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    assert reply.message == f"only the following media types are accepted: {served}"
    refused = await api("POST", MAPS, make_config_map("pb-unmade"), accept=f"{PROTOBUF};{TABLE}")
    assert refused.status == 406
    assert (await api("GET", f"{MAPS}/pb-unmade")).status == 404


async def test_bodies_that_are_wrong_change_nothing(api: Any) -> None:
    unknown = "the object provided is unrecognized (must be of type ConfigMap): "
    for body, message in (
        (b"k8s\0", f"{unknown}empty body (6b387300)"),
        (
            b"{}",
            f"{unknown}provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] ({{}})",
        ),
        (
            protobuf.wrap("v1", "ConfigMap", b"\x0a\xff"),
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: unexpected EOF',
        ),
        (
            protobuf.wrap("v1", "Nothing", b""),
            'Nothing in version "v1" cannot be handled as a ConfigMap: no kind "Nothing" is registered for version '
            '"v1" in scheme "pkg/api/legacyscheme/scheme.go:30"',
        ),
    ):
        reply = await api("POST", MAPS, body, content_type=PROTOBUF)
        assert (reply.status, reply.message) == (400, message)
    other = protobuf.encode({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pb-other"}})
    assert (await api("POST", MAPS, other, content_type=PROTOBUF)).status == 400


async def test_a_body_need_not_say_what_the_path_says(api: Any) -> None:
    message = protobuf.message("v1", "ConfigMap", {"metadata": {"name": "pb-unnamed"}})
    made = of(await api("POST", MAPS, protobuf.wrap("", "", message), accept=PROTOBUF, content_type=PROTOBUF), 201)
    assert (made["apiVersion"], made["kind"], made["metadata"]["name"]) == ("v1", "ConfigMap", "pb-unnamed")


class Frames:
    """A watch in protobuf, frame by frame."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self._pieces, self._data = exchange, exchange.pieces(), b""

    @classmethod
    async def open(cls, api: Any, path: str, accept: str = f"{PROTOBUF};stream=watch") -> Frames:
        lines = {"host": "test", "authorization": f"Bearer {api.token}", "accept": accept}
        message = request_message("GET", path, [(k.encode(), v.encode()) for k, v in lines.items()])
        address = ("127.0.0.1", api.server.server.port)
        exchange = await Exchange.send(address, api._tls(None), message)
        assert exchange.status == 200
        assert dict(exchange.headers)[b"content-type"] == b"application/vnd.kubernetes.protobuf;stream=watch"
        return cls(exchange)

    async def next(self) -> Any:
        async with asyncio.timeout(20):
            while len(self._data) < 4 or len(self._data) < 4 + struct.unpack_from(">I", self._data)[0]:
                self._data += await anext(self._pieces)
        (length,) = struct.unpack_from(">I", self._data)
        event, self._data = self._data[4 : 4 + length], self._data[4 + length :]
        return protobuf.decode(protobuf.wrap("v1", "WatchEvent", event))

    def close(self) -> None:
        self._exchange.close()


async def test_a_watch_is_made_of_frames(api: Any, make_config_map: Any) -> None:
    query = "?watch=1&fieldSelector=metadata.name%3Dpb-watched&allowWatchBookmarks=true&sendInitialEvents=true"
    frames = await Frames.open(api, f"{MAPS}{query}&resourceVersionMatch=NotOlderThan")
    try:
        bookmark = await frames.next()
        assert (bookmark["type"], bookmark["object"]["kind"]) == ("BOOKMARK", "ConfigMap")
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        await api("POST", MAPS, make_config_map("pb-watched", a="1"))
        await api("DELETE", f"{MAPS}/pb-watched")
        seen = [await frames.next() for _ in range(2)]
        assert [event["type"] for event in seen] == ["ADDED", "DELETED"]
        assert all(event["object"]["data"] == {"a": "1"} for event in seen)
        assert seen[0]["object"]["apiVersion"] == "v1"
    finally:
        frames.close()


async def test_a_watch_of_metadata_alone(api: Any, make_config_map: Any) -> None:
    query = "?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    name = "&fieldSelector=metadata.name%3Dpb-meta"
    frames = await Frames.open(api, f"{MAPS}{query}{name}", PARTIAL.format(""))
    try:
        assert (await frames.next())["object"]["kind"] == "PartialObjectMetadata"
        await api("POST", MAPS, make_config_map("pb-meta", a="1"))
        added = (await frames.next())["object"]
        assert (added["kind"], added["metadata"]["name"]) == ("PartialObjectMetadata", "pb-meta")
    finally:
        frames.close()


async def test_a_version_that_is_gone_is_an_error_frame(api: Any) -> None:
    current = int((await api("GET", MAPS)).tree["metadata"]["resourceVersion"])
    await api.server.store.compact(current)
    api.server.registry.verbs("", "v1", "configmaps").kind.cache.window.since = current
    frames = await Frames.open(api, f"{MAPS}?watch=1&resourceVersion=1")
    try:
        event = await frames.next()
        assert (event["type"], event["object"]["kind"], event["object"]["code"]) == ("ERROR", "Status", 410)
    finally:
        frames.close()


def custom_call(accept: str) -> tuple[Call, Resource]:
    resource = Resource("example.com", "v1", "pods", "Pod", "pod", True, ("get",), schema={})
    request = Request("GET", b"/", {b"accept": accept.encode()})
    return Call(request, RequestInfo(path="/", verb="get"), UserInfo("admin"), authorizer=None), resource  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (f"{PROTOBUF},application/json", "application/json"),
        (f"{PROTOBUF};q=0.9,application/yaml;q=0.5,application/json;q=0.4", "application/yaml"),
        (PARTIAL.format(""), PROTOBUF),
    ],
)
async def test_objects_of_custom_resources_come_in_another_form(accept: str, media_type: str) -> None:
    call, resource = custom_call(accept)
    assert call.rendering(resource).media_type == media_type


async def test_nothing_else_than_protobuf_is_no_way_to_read_or_write_custom_resources() -> None:
    call, resource = custom_call(PROTOBUF)
    with pytest.raises(ApiError) as refused:
        call.rendering(resource)
    assert refused.value.code == 406
    assert refused.value.message == (
        f"only the following media types are accepted: application/json, application/yaml, {PROTOBUF}"
    )
    request = Request("POST", b"/", {b"content-type": PROTOBUF.encode()}, b"k8s\0")
    with pytest.raises(ApiError) as unread:
        bodies.decode(request, "Pod", "example.com/v1")
    assert unread.value.code == 415
