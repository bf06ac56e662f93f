"""ServiceAccounts: their life, the tokens that pods get of them, the issuer's documents, the root CA of namespaces."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from podkeeper.testing.raw_client import RawClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

STRATEGIC = "application/strategic-merge-patch+json"
TOKEN_PLACE = "/var/run/secrets/kubernetes.io/serviceaccount"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


async def test_an_account_through_its_life(api: RawClient, namespace: Any) -> None:
    where = await namespace()
    accounts = f"/api/v1/namespaces/{where}/serviceaccounts"
    selected = "labelSelector=test-serviceaccount-static%3Dtrue"
    labels = {"test-serviceaccount-static": "true"}
    made = await api("POST", accounts, {"metadata": {"name": "testserviceaccount", "labels": labels}})
    gotten = await api("GET", f"{accounts}/testserviceaccount")
    assert gotten.tree["metadata"]["uid"] == made.tree["metadata"]["uid"]
    watch = await api.watch(f"{accounts}?watch=true&timeoutSeconds=180&{selected}")
    assert (await watch.next())["type"] == "ADDED"
    # what a client in Go makes of an account with this one field, members without a meaning included
    patch = {"metadata": {"creationTimestamp": None}, "automountServiceAccountToken": False}
    assert (await api("PATCH", f"{accounts}/testserviceaccount", patch, content_type=STRATEGIC)).status == 200
    assert (await watch.next())["type"] == "MODIFIED"
    listed = (await api("GET", f"/api/v1/serviceaccounts?{selected}")).tree["items"]
    found = [(each["metadata"]["namespace"], each["automountServiceAccountToken"]) for each in listed]
    assert found == [(where, False)]
    assert (await api("DELETE", accounts)).status == 200
    assert (await watch.next())["type"] == "DELETED"
    watch.close()


async def test_an_account_is_updated(api: RawClient, namespace: Any) -> None:
    accounts = f"/api/v1/namespaces/{await namespace()}/serviceaccounts"
    body = {"metadata": {"name": "e2e-sa"}, "automountServiceAccountToken": False}
    made = await api("POST", accounts, body)
    assert made.tree["automountServiceAccountToken"] is False
    updated = await api("PUT", f"{accounts}/e2e-sa", made.tree | {"automountServiceAccountToken": True})
    assert updated.tree["automountServiceAccountToken"] is True


async def test_pods_and_accounts_opt_out_of_tokens(api: RawClient, namespace: Any) -> None:
    where = f"/api/v1/namespaces/{await namespace()}"
    for name, mounts in (("mount", True), ("nomount", False)):
        account = {"metadata": {"name": name}, "automountServiceAccountToken": mounts}
        assert (await api("POST", f"{where}/serviceaccounts", account)).status == 201
    for account, of_pod, expected in (
        ("default", None, True),
        ("mount", None, True),
        ("nomount", None, False),
        ("default", True, True),
        ("mount", True, True),
        ("nomount", True, True),
        ("default", False, False),
        ("mount", False, False),
        ("nomount", False, False),
    ):
        spec = {"containers": [{"name": "token-test", "image": "agnhost"}], "serviceAccountName": account}
        if of_pod is not None:
            spec["automountServiceAccountToken"] = of_pod
        pod = {"metadata": {"generateName": f"pod-service-account-{account}-"}, "spec": spec}
        made = (await api("POST", f"{where}/pods", pod)).tree
        places = [each["mountPath"] for each in made["spec"]["containers"][0].get("volumeMounts", ())]
        assert (TOKEN_PLACE in places) is expected, (account, of_pod)


async def test_every_namespace_has_the_root_ca(cluster: RawClient, namespace: Any) -> None:
    path = f"/api/v1/namespaces/{await namespace()}/configmaps/kube-root-ca.crt"
    first = (await cluster.until(path, lambda reply: reply.status == 200)).tree
    body = {"gracePeriodSeconds": 0}
    assert (await cluster("DELETE", path, body)).status == 200
    uid = first["metadata"]["uid"]
    await cluster.until(path, lambda reply: reply.status == 200 and reply.tree["metadata"]["uid"] != uid)
    emptied = await cluster("PUT", path, {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": ""}})
    assert emptied.status == 200
    restored = await cluster.until(path, lambda reply: reply.status == 200 and reply.tree["data"].get("ca.crt"))
    assert restored.tree["data"] == first["data"]


async def test_a_token_is_verified_with_the_documents_of_its_issuer(api: RawClient, namespace: Any) -> None:
    where = await namespace()
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}
    binding = {
        "metadata": {"name": f"{where}-discovery"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": where}],
        "roleRef": role | {"name": "system:service-account-issuer-discovery"},
    }
    assert (await api("POST", BINDINGS, binding)).status == 201
    tokens = f"/api/v1/namespaces/{where}/serviceaccounts/default/token"
    asked = {"spec": {"audiences": ["oidc-discovery-test"], "expirationSeconds": 600}}
    granted = (await api("POST", tokens, asked)).tree["status"]["token"]
    own = (await api("POST", tokens, {"spec": {}})).tree["status"]["token"]
    issuer = jwt.decode(granted, options={"verify_signature": False})["iss"]
    document = await api("GET", "/.well-known/openid-configuration", token=own)
    assert document.headers["content-type"] == "application/json"
    assert document.tree["issuer"] == issuer
    _, _, path = document.tree["jwks_uri"].removeprefix("https://").partition("/")
    keys = await api("GET", f"/{path}", token=own)
    assert keys.headers["content-type"] == "application/jwk-set+json"
    key = jwt.PyJWKSet.from_dict(keys.tree)[jwt.get_unverified_header(granted)["kid"]]
    algorithms = document.tree["id_token_signing_alg_values_supported"]
    claims = jwt.decode(granted, key, algorithms, audience="oidc-discovery-test", issuer=issuer)
    assert (claims["kubernetes.io"]["namespace"], claims["sub"]) == (where, f"system:serviceaccount:{where}:default")
    assert claims["kubernetes.io"]["serviceaccount"]["name"] == "default"
    assert (await api("GET", "/openid/v1/jwks", token="")).status == 403  # not for nobody


async def test_a_token_names_account_and_groups(api: RawClient, namespace: Any) -> None:
    where = await namespace()
    tokens = f"/api/v1/namespaces/{where}/serviceaccounts/default/token"
    token = (await api("POST", tokens, {"spec": {}})).tree["status"]["token"]
    status = (await api("POST", REVIEWS, {"spec": {"token": token}})).tree["status"]
    assert (status["authenticated"], status.get("error", "")) == (True, "")
    assert status["user"]["username"] == f"system:serviceaccount:{where}:default"
    assert set(status["user"]["groups"]) == {
        "system:authenticated",
        "system:serviceaccounts",
        f"system:serviceaccounts:{where}",
    }
