"""Paths and methods to request attributes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api.errors import ApiError
from podkeeper.apiserver.requestinfo import RequestInfo, RequestInfos, flag, parse

CASES = [
    # method, target, (verb, group, version, namespace, resource, subresource, name)
    ("GET", "/api/v1/pods", ("list", "", "v1", "", "pods", "", "")),
    ("GET", "/api/v1/namespaces/other/pods", ("list", "", "v1", "other", "pods", "", "")),
    ("GET", "/api/v1/namespaces/other/pods/p", ("get", "", "v1", "other", "pods", "", "p")),
    ("HEAD", "/api/v1/namespaces/other/pods/p", ("get", "", "v1", "other", "pods", "", "p")),
    ("GET", "/api/v1/namespaces/other/pods/p/log", ("get", "", "v1", "other", "pods", "log", "p")),
    ("GET", "/api/v1/namespaces", ("list", "", "v1", "", "namespaces", "", "")),
    ("GET", "/api/v1/namespaces/other", ("get", "", "v1", "other", "namespaces", "", "other")),
    ("PUT", "/api/v1/namespaces/other/finalize", ("update", "", "v1", "other", "namespaces", "finalize", "other")),
    ("PUT", "/api/v1/namespaces/other/status", ("update", "", "v1", "other", "namespaces", "status", "other")),
    ("GET", "/api/v1/pods?watch=true", ("watch", "", "v1", "", "pods", "", "")),
    ("GET", "/api/v1/pods?watch", ("watch", "", "v1", "", "pods", "", "")),
    ("GET", "/api/v1/pods?watch=false", ("list", "", "v1", "", "pods", "", "")),
    ("GET", "/api/v1/pods?watch=0", ("list", "", "v1", "", "pods", "", "")),
    ("GET", "/api/v1/watch/namespaces/other/pods", ("watch", "", "v1", "other", "pods", "", "")),
    ("GET", "/api/v1/watch/namespaces/other/pods/p", ("watch", "", "v1", "other", "pods", "", "p")),
    ("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dp", ("list", "", "v1", "", "pods", "", "p")),
    ("POST", "/apis/apps/v1/namespaces/d/deployments", ("create", "apps", "v1", "d", "deployments", "", "")),
    (
        "PATCH",
        "/apis/apps/v1/namespaces/d/deployments/x/scale",
        ("patch", "apps", "v1", "d", "deployments", "scale", "x"),
    ),
    (
        "DELETE",
        "/apis/apps/v1/namespaces/d/deployments",
        ("deletecollection", "apps", "v1", "d", "deployments", "", ""),
    ),
    ("DELETE", "/api/v1/nodes/n", ("delete", "", "v1", "", "nodes", "", "n")),
]


@pytest.mark.parametrize(("method", "target", "expected"), CASES)
def test_resource_paths(method: str, target: str, expected: tuple[str, ...]) -> None:
    info = parse(method, target.encode())
    found = (info.verb, info.group, info.version, info.namespace, info.resource, info.subresource, info.name)
    assert info.is_resource
    assert found == expected


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz/ping"])
def test_plain_paths_have_the_method_as_verb(path: str) -> None:
    info = parse("GET", path.encode())
    assert not info.is_resource
    assert (info.verb, info.path) == ("get", path)


def test_proxy_paths_keep_what_follows() -> None:
    info = parse("GET", b"/api/v1/namespaces/d/pods/p/proxy/a/b?x=1")
    assert (info.subresource, info.name, info.rest, info.raw_query) == ("proxy", "p", "a/b", "x=1")


def test_a_watch_path_without_a_resource_is_a_bad_request() -> None:
    with pytest.raises(ApiError) as caught:
        parse("GET", b"/api/v1/watch")
    assert caught.value.code == 400


def test_an_escaped_slash_stays_within_its_segment() -> None:
    assert parse("GET", b"/api/v1/namespaces/d/configmaps/a%2Fb").name == "a/b"


@pytest.mark.parametrize(
    ("values", "expected"),
    [(None, False), (["true"], True), ([""], True), (["False"], False), (["0"], False), (["no"], True)],
)
def test_flags_are_true_unless_they_say_otherwise(values: list[str] | None, expected: bool) -> None:
    assert flag(values) is expected


@given(
    st.lists(
        st.sampled_from(["api", "apis", "v1", "pods", "namespaces", "/", "%2F", "?", "=", "&", "watch"]), max_size=12
    )
)
def test_any_target_without_a_legacy_verb_is_read(parts: list[str]) -> None:
    text = "".join(parts)
    refused = "proxy" in text or "watch" in text
    if not refused:
        info = parse("GET", f"/{text}".encode())
        assert isinstance(info, RequestInfo)
        assert info.is_resource == (info.resource != "")


def test_the_cache_forgets_when_it_is_full() -> None:
    infos = RequestInfos(capacity=2)
    first = infos.of("GET", b"/api/v1/pods")
    assert infos.of("GET", b"/api/v1/pods") is first
    infos.of("GET", b"/api/v1/nodes")
    infos.of("GET", b"/api/v1/secrets")
    assert infos.of("GET", b"/api/v1/pods") is not first
