"""SubjectAccessReview, LocalSubjectAccessReview and SelfSubjectReview say what is so."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.testing.raw_client import RawClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTHORIZATION = "/apis/authorization.k8s.io/v1"
AUTHENTICATION = "/apis/authentication.k8s.io"


@pytest.mark.parametrize("granted", [False, True])
async def test_reviews_say_what_a_request_meets(api: RawClient, namespace: Any, granted: bool) -> None:
    where = await namespace()
    made = await api("POST", f"/api/v1/namespaces/{where}/serviceaccounts", {"metadata": {"name": "e2e"}})
    user, uid = f"system:serviceaccount:{where}:e2e", made.tree["metadata"]["uid"]
    groups = ["system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{where}"]
    if granted:
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
        subject = {"kind": "ServiceAccount", "name": "e2e", "namespace": where}
        binding = {"metadata": {"name": "e2e"}, "subjects": [subject], "roleRef": role}
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{where}/rolebindings"
        assert (await api("POST", path, binding)).status == 201
    asked = {"verb": "list", "resource": "configmaps", "namespace": where, "version": "v1"}
    spec = {"resourceAttributes": asked, "user": user, "groups": groups, "uid": uid}
    review = await api("POST", f"{AUTHORIZATION}/subjectaccessreviews", {"spec": spec})
    assert (review.status, review.tree["status"]["allowed"]) == (201, granted)
    listed = await impersonating(api, f"/api/v1/namespaces/{where}/configmaps", user, uid, groups)
    assert listed == (200 if granted else 403)
    path = f"{AUTHORIZATION}/namespaces/{where}/localsubjectaccessreviews"
    local = await api("POST", path, {"metadata": {"namespace": where}, "spec": spec})
    assert (local.status, local.tree["status"]["allowed"]) == (201, granted)


async def impersonating(api: RawClient, path: str, user: str, uid: str, groups: list[str]) -> int:
    """The status of a GET as another user; repeated headers are sent as one line each by clients in Go."""
    reply = await api("GET", path, impersonate_user=user, impersonate_uid=uid, impersonate_group=groups[-1])
    return int(reply.status)


async def test_who_asks_is_told_who_he_is(api: RawClient) -> None:
    groups = (await api("GET", "/apis")).tree["groups"]
    found = next(each for each in groups if each["name"] == "authentication.k8s.io")
    assert "v1" in [each["version"] for each in found["versions"]]
    names = [each["name"] for each in (await api("GET", f"{AUTHENTICATION}/v1")).tree["resources"]]
    assert "selfsubjectreviews" in names
    mask = {
        "impersonate_user": "jane-doe",
        "impersonate_uid": "uniq-id",
        "impersonate_group": "developers",
        "impersonate_extra_known-languages": "python",
    }
    review = await api("POST", f"{AUTHENTICATION}/v1/selfsubjectreviews", {}, **mask)
    assert (review.status, review.tree["status"]["userInfo"]) == (
        201,
        {
            "username": "jane-doe",
            "uid": "uniq-id",
            "groups": ["developers", "system:authenticated"],
            "extra": {"known-languages": ["python"]},
        },
    )
