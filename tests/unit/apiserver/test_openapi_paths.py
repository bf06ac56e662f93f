"""How the OpenAPI documents are asked for: forms, hashes, caching, compression, what is refused."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
ANSWERED = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


async def test_version_2_comes_as_json(api: Any) -> None:
    for accept in ("application/json", "*/*", "application/*", "text/html,application/json;q=0.1"):
        reply = await api("GET", "/openapi/v2", accept=accept)
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.tree["swagger"] == "2.0"
    assert "io.k8s.api.core.v1.Pod" in reply.tree["definitions"]


async def test_version_2_comes_as_protobuf_under_both_names(api: Any) -> None:
    """kubectl asks by the old name; the answer bears the name that is a valid media type."""
    for accept in (PROTOBUF, ANSWERED, f"application/json;q=0.5,{PROTOBUF}"):
        reply = await api("GET", "/openapi/v2", accept=accept)
        assert (reply.status, reply.headers["content-type"]) == (200, ANSWERED)
        assert reply.body.startswith(b"\x0a\x032.0")


@pytest.mark.parametrize("path", ["/openapi/v2", "/openapi/v3/api/v1"])
async def test_what_is_not_offered_is_refused(api: Any, path: str) -> None:
    for accept in ("text/html", "application/xml;q=0.1"):
        assert (await api("GET", path, accept=accept)).status == 406


@pytest.mark.parametrize("path", ["/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1"])
async def test_documents_are_revalidated_and_compressed(api: Any, path: str) -> None:
    plain = await api("GET", path)
    zipped = await api("GET", path, accept_encoding="gzip")
    assert "content-encoding" not in plain.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert gzip.decompress(zipped.body) == plain.body
    again = await api("GET", path, if_none_match=plain.headers["etag"])
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", plain.headers["etag"])
    assert "content-type" not in again.headers
    assert "cache-control" not in plain.headers


async def test_the_index_is_json_whatever_the_client_would_like(api: Any) -> None:
    reply = await api("GET", "/openapi/v3", accept="text/html")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")


async def test_the_index_leads_to_every_document(api: Any) -> None:
    paths = (await api("GET", "/openapi/v3")).tree["paths"]
    roots = {"api", "apis", "version", ".well-known/openid-configuration", "openid/v1/jwks"}
    assert roots | {"api/v1", "apis/apps", "apis/apps/v1"} <= paths.keys()
    for name, entry in paths.items():
        reply = await api("GET", entry["serverRelativeURL"])
        assert reply.status == 200, name
        assert reply.tree["openapi"] == "3.0.0"
        assert all(path.startswith(f"/{name}/") for path in reply.tree["paths"]), name


async def test_a_document_that_is_asked_for_by_its_hash_may_be_kept_for_ever(api: Any) -> None:
    url = (await api("GET", "/openapi/v3")).tree["paths"]["apis/apps/v1"]["serverRelativeURL"]
    reply = await api("GET", url)
    assert reply.headers["cache-control"] == "public, immutable"
    assert reply.headers["expires"].endswith("GMT")
    assert f"hash={reply.headers['etag'].strip(chr(34))}" in url


async def test_an_old_hash_leads_to_the_new_one(api: Any) -> None:
    url = (await api("GET", "/openapi/v3")).tree["paths"]["apis/apps/v1"]["serverRelativeURL"]
    reply = await api("GET", "/openapi/v3/apis/apps/v1?hash=0123")
    assert (reply.status, reply.headers["location"]) == (301, url)


async def test_a_document_that_is_not_there_is_not_found(api: Any) -> None:
    assert (await api("GET", "/openapi/v3/apis/apps/v9")).status == 404


@pytest.mark.parametrize("path", ["/openapi/v3/api/v1", "/openapi/v3/apis/apps/v1", "/openapi/v3/version"])
async def test_version_3_comes_as_protobuf_under_both_names(api: Any, path: str) -> None:
    json_tag = (await api("GET", path)).headers["etag"]
    for sign in "@.":
        reply = await api("GET", path, accept=f"application/com.github.proto-openapi.spec.v3{sign}v1.0+protobuf")
        assert (reply.status, reply.headers["content-type"]) == (
            200,
            "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
        )
        assert reply.body.startswith(b"\x0a\x053.0.0")
        # The tag is the document's, as the hash in its URL is.
        assert reply.headers["etag"] == json_tag
    assert (await api("GET", path, accept="application/json;q=0.5,*/*;q=0.1")).body.startswith(b"{")
