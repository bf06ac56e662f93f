"""What is wrong with reviews and token requests is told in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTHORIZATION = "/apis/authorization.k8s.io/v1"
AUTHENTICATION = "/apis/authentication.k8s.io/v1"
DEFAULT = "/api/v1/namespaces/default"
TOKEN = f"{DEFAULT}/serviceaccounts/default/token"
LOCAL = "namespaces/default/localsubjectaccessreviews"

PODS = {"verb": "get", "resource": "pods", "namespace": "x"}
ROOT = {"path": "/"}
NEITHER = (
    'spec.resourceAttributes: Invalid value: "null": exactly one of nonResourceAttributes or resourceAttributes must '
    "be specified"
)


@pytest.mark.parametrize(
    ("path", "review", "mistakes"),
    [
        (
            "subjectaccessreviews",
            {},
            f'[{NEITHER}, spec.user: Invalid value: "": at least one of user or group must be specified]',
        ),
        ("selfsubjectaccessreviews", {}, NEITHER),
        (
            "subjectaccessreviews",
            {"spec": {"user": "a", "resourceAttributes": PODS, "nonResourceAttributes": ROOT}},
            'spec.nonResourceAttributes: Invalid value: {"Path":"/","Verb":""}: cannot be specified in combination '
            "with resourceAttributes",
        ),
        (
            "selfsubjectaccessreviews",
            {"metadata": {"name": "n"}, "spec": {"resourceAttributes": PODS}},
            'metadata: Invalid value: {"name":"n"}: must be empty',
        ),
        (
            LOCAL,
            {"metadata": {"labels": {"a": "b"}}, "spec": {"user": "a", "nonResourceAttributes": ROOT}},
            '[metadata: Invalid value: {"namespace":"default","labels":{"a":"b"}}: must be empty except for namespace, '
            'spec.nonResourceAttributes: Invalid value: {"Path":"/","Verb":""}: disallowed on this kind of request]',
        ),
        (
            LOCAL,
            {"spec": {"user": "a", "resourceAttributes": PODS}},
            'spec.resourceAttributes.namespace: Invalid value: "x": must match metadata.namespace',
        ),
    ],
)
async def test_mistakes_of_access_reviews(api: Any, path: str, review: Any, mistakes: str) -> None:
    reply = await api("POST", f"{AUTHORIZATION}/{path}", review)
    assert (reply.status, reply.message.partition(' "" is invalid: ')[2]) == (422, mistakes)


async def test_a_review_of_another_namespace_is_refused(api: Any) -> None:
    review = {"metadata": {"namespace": "other"}, "spec": {"user": "a", "resourceAttributes": PODS}}
    reply = await api("POST", f"{AUTHORIZATION}/{LOCAL}", review)
    why = "the namespace of the provided object does not match the namespace sent on the request"
    assert (reply.status, reply.message) == (400, why)


async def test_a_review_of_oneself_says_when(api: Any) -> None:
    reply = await api("POST", f"{AUTHENTICATION}/selfsubjectreviews", {"metadata": {"name": "ignored"}})
    assert set(reply.tree["metadata"]) == {"creationTimestamp"}
    assert reply.tree["metadata"]["creationTimestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (
            {"metadata": {"name": "other"}},
            422,
            'TokenRequest.authentication.k8s.io "default" is invalid: metadata.name: Invalid value: "other": must '
            "match the service account name if specified",
        ),
        (
            {"metadata": {"namespace": "other"}},
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            {"spec": {"boundObjectRef": {"kind": "ConfigMap", "apiVersion": "v1", "name": "x"}}},
            400,
            "cannot bind token to object of type /v1, Kind=ConfigMap",
        ),
        (
            {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "apps/v1", "name": "x"}}},
            400,
            "cannot bind token to object of type apps/v1, Kind=Pod",
        ),
        ({"spec": {"boundObjectRef": {"kind": "Pod", "name": "x"}}}, 404, 'pods "x" not found'),
        (
            {"spec": {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "s", "uid": "u"}}},
            409,
            'Operation cannot be fulfilled on Secret "s": the UID in the bound object reference (u) does not match the '
            "UID in record. The object might have been deleted and then recreated",
        ),
    ],
)
async def test_mistakes_of_token_requests(api: Any, request_: Any, code: int, message: str) -> None:
    await api("POST", f"{DEFAULT}/secrets", {"metadata": {"name": "s"}})
    reply = await api("POST", TOKEN, {"spec": {}} | request_)
    assert (reply.status, reply.message) == (code, message)


async def test_an_account_is_looked_for_before_its_request_is_judged(api: Any) -> None:
    reply = await api("POST", f"{DEFAULT}/serviceaccounts/none/token", {"spec": {"expirationSeconds": 5}})
    assert (reply.status, reply.message) == (404, 'serviceaccounts "none" not found')


@pytest.mark.parametrize("path", ["/version", "/openid/v1/jwks", "/.well-known/openid-configuration"])
async def test_public_documents_are_only_read(api: Any, path: str) -> None:
    reply = await api("POST", path, {})
    assert (reply.status, reply.tree["reason"]) == (405, "MethodNotAllowed")
