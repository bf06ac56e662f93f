"""How discovery is asked for: which form a client gets for its Accept header, what it may keep, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
BETA = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"


async def test_kubectls_accept_header_gets_the_aggregated_form(api: Any) -> None:
    accept = f"application/json;{FORM},{BETA},application/json"
    for path in ("/api", "/apis"):
        reply = await api("GET", path, accept=accept)
        assert reply.headers["content-type"] == f"application/json;{FORM}"
        assert reply.tree["apiVersion"] == "apidiscovery.k8s.io/v2"
    assert (await api("GET", "/api", accept=accept)).tree["items"][0]["versions"][0]["version"] == "v1"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (f"{BETA},application/json", "APIGroupList"),  # the beta form is off since 1.33
        ("application/json", "APIGroupList"),
        ("*/*", "APIGroupList"),
        (f"application/json,application/json;{FORM}", "APIGroupList"),
        (f"application/json;q=0.5,application/json;{FORM}", "APIGroupDiscoveryList"),
        (f"application/cbor;{FORM},application/json", "APIGroupList"),
        (f"text/html,*/*;{FORM}", "APIGroupDiscoveryList"),
    ],
)
async def test_the_form_is_what_the_client_likes_best(api: Any, accept: str, kind: str) -> None:
    assert (await api("GET", "/apis", accept=accept)).tree["kind"] == kind


async def test_both_forms_come_in_yaml_too(api: Any) -> None:
    reply = await api("GET", "/apis", accept=f"application/yaml;{FORM}")
    assert reply.headers["content-type"] == f"application/yaml;{FORM}"
    assert b"\nkind: APIGroupDiscoveryList\n" in b"\n" + reply.body
    assert b"kind: APIResourceList" in (await api("GET", "/api/v1", accept="application/yaml")).body


@pytest.mark.parametrize("path", ["/api", "/apis", "/apis/apps", "/apis/apps/v1", "/api/v1"])
async def test_what_is_not_offered_is_refused(api: Any, path: str) -> None:
    for accept in ("text/html", BETA):
        reply = await api("GET", path, accept=accept)
        assert (reply.status, reply.tree["reason"]) == (406, "NotAcceptable")


async def test_an_unchanged_document_is_not_sent_again(api: Any) -> None:
    accept = f"application/json;{FORM}"
    first = await api("GET", "/apis", accept=accept)
    assert (first.headers["cache-control"], first.headers["vary"]) == ("public", "Accept")
    tag = first.headers["etag"]
    for held in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = await api("GET", "/apis", accept=accept, if_none_match=held)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
        assert "content-type" not in again.headers
    assert (await api("GET", "/apis", accept=accept, if_none_match=tag[:-2] + '"')).status == 200


async def test_other_methods_are_refused(api: Any) -> None:
    for path in ("/api", "/apis", "/apis/apps", "/apis/apps/v1"):
        reply = await api("POST", path, {})
        assert (reply.status, reply.tree["reason"]) == (405, "MethodNotAllowed")


@pytest.mark.parametrize("path", ["/api/v2", "/apis/apps/v9", "/apis/nothing.example", "/apis/nothing.example/v1"])
async def test_what_is_not_served_is_not_found(api: Any, path: str) -> None:
    reply = await api("GET", path)
    assert (reply.status, reply.body) == (404, b"404 page not found\n")


async def test_a_slash_at_the_end_means_the_same(api: Any) -> None:
    for path in ("/api", "/apis", "/apis/apps", "/apis/apps/v1", "/api/v1"):
        assert (await api("GET", f"{path}/")).body == (await api("GET", path)).body


async def test_an_anonymous_client_discovers_nothing(api: Any) -> None:
    assert (await api("GET", "/apis", token="")).status in (401, 403)
