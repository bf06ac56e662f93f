"""Who one is and what one may do: certificates, tokens, RBAC, nodes, reviews, impersonation."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from podkeeper.apiserver.authentication.service_accounts import TokenIssuer
from podkeeper.foundation.certificates import Authority
from podkeeper.foundation.keyfiles import KeyPair
from podkeeper.foundation.signing_keys import SigningKey

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEFAULT = "/api/v1/namespaces/default"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
RULE = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}


async def make_account(api: Any, name: str) -> str:
    await api("POST", f"{DEFAULT}/serviceaccounts", {"metadata": {"name": name}})
    reply = await api("POST", f"{DEFAULT}/serviceaccounts/{name}/token", {"spec": {}})
    assert reply.status == 201, reply.body
    return str(reply.tree["status"]["token"])


async def test_nobody_may_see_health_and_version_and_nothing_else(api: Any) -> None:
    assert (await api("GET", "/version", token="")).status == 200
    for path, message in (
        (
            "/api/v1/pods",
            'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" '
            "at the cluster scope",
        ),
        (
            "/apis/apps/v1/namespaces/default/deployments/x/scale",
            'deployments.apps "x" is forbidden: User "system:anonymous" cannot get resource "deployments/scale" '
            'in API group "apps" in the namespace "default"',
        ),
        ("/", 'forbidden: User "system:anonymous" cannot get path "/"'),
    ):
        reply = await api("GET", path, token="")
        assert (reply.status, reply.tree["reason"], reply.message) == (403, "Forbidden", message)


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "x" * 43])
async def test_wrong_credentials_are_not_nobody(api: Any, token: str) -> None:
    reply = await api("GET", "/version", token=token)
    assert (reply.status, reply.tree["reason"]) == (401, "Unauthorized")


async def test_another_scheme_is_no_credential(api: Any) -> None:
    assert (await api("GET", "/api/v1/pods", token="", authorization="Basic YTpi")).status == 403


async def test_a_client_certificate_names_user_and_groups(api: Any) -> None:
    pair = api.server.client_pair("jane", ("dev", "ops"))
    reply = await api("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, pair=pair)
    user = reply.tree["status"]["userInfo"]
    assert (user["username"], user["groups"]) == ("jane", ["ops", "dev", "system:authenticated"]) or user["groups"] == [
        "dev",
        "ops",
        "system:authenticated",
    ]
    refused = await api("GET", f"{DEFAULT}/pods", pair=pair)
    assert refused.message == (
        'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"'
    )


@pytest.mark.parametrize("groups", [("dev",), ("system:masters",)])
async def test_a_certificate_of_another_authority_is_a_wrong_credential(
    api: Any, tmp_path: Path, groups: tuple[str, ...]
) -> None:
    pair = KeyPair(tmp_path / "jane.crt", tmp_path / "jane.key")
    Authority.open(tmp_path).issue_client(pair, "jane", groups)
    for path in ("/version", "/api/v1/pods"):
        reply = await api("GET", path, pair=pair)
        assert (reply.status, reply.tree["reason"], reply.message) == (401, "Unauthorized", "Unauthorized")


async def test_a_token_counts_beside_a_certificate_that_does_not(api: Any, tmp_path: Path) -> None:
    pair = KeyPair(tmp_path / "jane.crt", tmp_path / "jane.key")
    Authority.open(tmp_path).issue_client(pair, "jane", ("system:masters",))
    token = await make_account(api, "both")
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    reply = await api("POST", review, {}, pair=pair, authorization=f"Bearer {token}")
    assert reply.tree["status"]["userInfo"]["username"] == "system:serviceaccount:default:both"
    assert (await api("POST", review, {}, pair=pair, authorization="Bearer nonsense")).status == 401
    assert (await api("POST", review, {}, pair=pair, authorization="Basic YTpi")).status == 401


async def test_roles_grant_and_their_loss_takes_back(api: Any) -> None:
    token = await make_account(api, "reader")
    path = f"{DEFAULT}/configmaps"
    assert (await api("GET", path, token=token)).status == 403
    await api("POST", f"{RBAC}/namespaces/default/roles", {"metadata": {"name": "read"}, "rules": [RULE]})
    binding = {
        "metadata": {"name": "read"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "read"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}],
    }
    assert (await api("POST", f"{RBAC}/namespaces/default/rolebindings", binding)).status == 201
    assert (await api("GET", path, token=token)).status == 200
    assert (await api("GET", "/api/v1/namespaces/kube-system/configmaps", token=token)).status == 403
    assert (await api("POST", path, {"metadata": {"name": "x"}}, token=token)).status == 403
    access = {"resourceAttributes": {"namespace": "default", "verb": "list", "resource": "configmaps"}}
    review = {"spec": access | {"user": "system:serviceaccount:default:reader"}}
    status = (await api("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)).tree["status"]
    assert status == {
        "allowed": True,
        "reason": 'RBAC: allowed by RoleBinding "read/default" of Role "read" to ServiceAccount "reader/default"',
    }
    await api("DELETE", f"{RBAC}/namespaces/default/roles/read")
    refused = await api("GET", path, token=token)
    assert refused.status == 403
    assert refused.message.endswith(': RBAC: role.rbac.authorization.k8s.io "read" not found')


async def test_a_service_account_token_says_who_it_is(api: Any) -> None:
    token = await make_account(api, "teller")
    reply = await api("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, token=token)
    user = reply.tree["status"]["userInfo"]
    assert user["username"] == "system:serviceaccount:default:teller"
    assert user["groups"] == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
    assert user["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("JTI=")
    review = {"spec": {"token": token}}
    status = (await api("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)).tree["status"]
    assert (status["authenticated"], status["user"]["username"]) == (True, user["username"])
    elsewhere = {"spec": {"token": token, "audiences": ["vault"]}}
    status = (await api("POST", "/apis/authentication.k8s.io/v1/tokenreviews", elsewhere)).tree["status"]
    assert "authenticated" not in status


async def test_a_token_ends_with_its_account(api: Any) -> None:
    token = await make_account(api, "mortal")
    assert (await api("GET", "/api", token=token)).status == 200
    await api("DELETE", f"{DEFAULT}/serviceaccounts/mortal")
    assert (await api("GET", "/api", token=token)).status == 401
    await api("POST", f"{DEFAULT}/serviceaccounts", {"metadata": {"name": "mortal"}})
    assert (await api("GET", "/api", token=token)).status == 401  # another account of the same name


async def test_a_bound_token_ends_with_its_pod(api: Any, make_pod: Any) -> None:
    pod = (await api("POST", f"{DEFAULT}/pods", make_pod("holder"))).tree
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "holder", "uid": pod["metadata"]["uid"]}
    path = f"{DEFAULT}/serviceaccounts/default/token"
    reply = await api("POST", path, {"spec": {"boundObjectRef": reference, "expirationSeconds": 600}})
    token = reply.tree["status"]["token"]
    who = await api("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, token=token)
    extra = who.tree["status"]["userInfo"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["holder"]
    await api("DELETE", f"{DEFAULT}/pods/holder?gracePeriodSeconds=0")
    assert (await api("GET", "/api", token=token)).status == 401
    wrong = await api("POST", path, {"spec": {"boundObjectRef": reference | {"name": "other"}}})
    assert wrong.status == 404


async def test_tokens_of_others_and_of_the_past_are_refused(api: Any) -> None:
    await make_account(api, "late")
    account = (await api("GET", f"{DEFAULT}/serviceaccounts/late")).tree
    config = api.server.config
    key = SigningKey.load(config.service_account_key)
    identity = ("default", "late", account["metadata"]["uid"])
    now = int(time.time())
    good = TokenIssuer(config.issuer, key).mint(identity, config.audiences, now, 600)
    assert (await api("GET", "/api", token=good)).status == 200
    old = TokenIssuer(config.issuer, key).mint(identity, config.audiences, now - 1000, 600)
    other_issuer = TokenIssuer("https://elsewhere", key).mint(identity, config.audiences, now, 600)
    other_audience = TokenIssuer(config.issuer, key).mint(identity, ["vault"], now, 600)
    other_uid = TokenIssuer(config.issuer, key).mint(("default", "late", "0"), config.audiences, now, 600)
    for token in (old, other_issuer, other_audience, other_uid, good[:-4] + "AAAA"):
        assert (await api("GET", "/api", token=token)).status == 401


async def test_bounds_of_a_token_request(api: Any) -> None:
    await make_account(api, "bounded")
    path = f"{DEFAULT}/serviceaccounts/bounded/token"
    short = await api("POST", path, {"spec": {"expirationSeconds": 60}})
    assert short.status == 422
    assert "may not specify a duration less than 10 minutes" in short.message
    named = await api("POST", path, {"spec": {"audiences": ["vault"], "expirationSeconds": 700}})
    assert (named.tree["spec"]["audiences"], named.tree["spec"]["expirationSeconds"]) == (["vault"], 700)
    assert (await api("GET", "/api", token=named.tree["status"]["token"])).status == 401  # not for this audience
    assert (await api("POST", f"{DEFAULT}/serviceaccounts/none/token", {"spec": {}})).status == 404


async def test_own_rules_and_access(api: Any) -> None:
    token = await make_account(api, "asker")
    review = {"spec": {"resourceAttributes": {"verb": "delete", "resource": "nodes"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert (await api("POST", path, review, token=token)).tree["status"] == {"allowed": False}
    assert (await api("POST", path, review)).tree["status"]["allowed"] is True
    rules = await api(
        "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "default"}}, token=token
    )
    resources = [name for rule in rules.tree["status"]["resourceRules"] for name in rule["resources"]]
    assert "selfsubjectaccessreviews" in resources
    local = "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews"
    elsewhere = {
        "spec": {"user": "x", "resourceAttributes": {"namespace": "kube-system", "verb": "get", "resource": "pods"}}
    }
    assert (await api("POST", local, elsewhere)).status == 422


async def test_acting_as_another_needs_permission_for_each_part(api: Any) -> None:
    who = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    reply = await api("POST", who, {}, impersonate_user="bob", impersonate_group="dev")
    assert reply.tree["status"]["userInfo"] == {"username": "bob", "groups": ["dev", "system:authenticated"]}
    token = await make_account(api, "pretender")
    refused = await api("POST", who, {}, token=token, impersonate_user="bob")
    assert refused.message.startswith(
        'selfsubjectreviews.authentication.k8s.io is forbidden: User "system:serviceaccount:default:pretender" '
        "cannot impersonate-on:user-info:create resource"
    )


@pytest.mark.parametrize("header", ["impersonate_group", "impersonate_uid"])
async def test_a_part_of_nobody_cannot_be_taken(api: Any, header: str) -> None:
    reply = await api("GET", "/api", **{header: "someone"})
    assert (reply.status, reply.tree["reason"]) == (500, "InternalError")
    assert reply.message.endswith("without impersonating a user")


async def test_a_node_reads_what_its_pods_refer_to(api: Any, make_pod: Any) -> None:
    node = api.server.client_pair("system:node:n1", ("system:nodes",))
    for name in ("mine", "foreign"):
        await api("POST", f"{DEFAULT}/secrets", {"metadata": {"name": name}})
    volumes = [{"name": "v", "secret": {"secretName": "mine"}}]
    await api("POST", f"{DEFAULT}/pods", make_pod("on-n1", volumes=volumes, nodeName="n1"))
    assert (await api("GET", f"{DEFAULT}/secrets/mine", pair=node)).status == 200
    refused = await api("GET", f"{DEFAULT}/secrets/foreign", pair=node)
    assert refused.status == 403
    assert refused.message.endswith(": no relationship found between node 'n1' and this object")
    assert (await api("GET", f"{DEFAULT}/secrets", pair=node)).status == 403
    other = api.server.client_pair("system:node:n2", ("system:nodes",))
    assert (await api("GET", f"{DEFAULT}/secrets/mine", pair=other)).status == 403
    assert (await api("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", pair=node)).status == 200
    assert (await api("GET", "/api/v1/pods", pair=node)).status == 403


async def test_a_node_writes_only_its_own(api: Any, make_pod: Any) -> None:
    node = api.server.client_pair("system:node:n1", ("system:nodes",))
    own = {"metadata": {"name": "n1", "labels": {"kubernetes.io/hostname": "n1"}}}
    made = await api("POST", "/api/v1/nodes", own, pair=node)
    assert made.status == 201
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    assert taint in made.tree["spec"]["taints"]
    other = await api("POST", "/api/v1/nodes", {"metadata": {"name": "n2"}}, pair=node)
    assert other.message == 'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"'
    role = {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}
    patched = await api("PATCH", "/api/v1/nodes/n1", role, pair=node, content_type="application/merge-patch+json")
    assert patched.message == (
        'nodes "n1" is forbidden: is not allowed to modify labels: node-role.kubernetes.io/control-plane'
    )
    lease = {"metadata": {"name": "n1"}, "spec": {"holderIdentity": "n1"}}
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    assert (await api("POST", leases, lease, pair=node)).status == 201
    assert (await api("POST", leases, {"metadata": {"name": "n9"}}, pair=node)).status == 403
    await api("POST", f"{DEFAULT}/pods", make_pod("on-n2", nodeName="n2"))
    status = {"status": {"phase": "Running"}}
    foreign = await api(
        "PATCH", f"{DEFAULT}/pods/on-n2/status", status, pair=node, content_type="application/merge-patch+json"
    )
    assert foreign.message == (
        'pods "on-n2" is forbidden: node "n1" can only update pod status for pods with spec.nodeName set to itself'
    )
    assert (await api("POST", f"{DEFAULT}/pods", make_pod("mirror", nodeName="n1"), pair=node)).status == 403


async def test_anyone_can_check_tokens_with_the_public_documents(api: Any) -> None:
    document = (await api("GET", "/.well-known/openid-configuration")).tree
    assert document["issuer"] == api.server.config.issuer
    keys = (await api("GET", "/openid/v1/jwks")).tree["keys"]
    assert (keys[0]["kty"], keys[0]["alg"]) == ("EC", "ES256")
    assert keys[0]["kid"] == SigningKey.load(api.server.config.service_account_key).key_id


async def test_nobody_grants_what_he_does_not_hold(api: Any) -> None:
    manage = {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["roles", "rolebindings"],
        "verbs": ["create", "update"],
    }
    await api("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "manager"}, "rules": [manage, RULE]})
    subject = {"kind": "User", "name": "mallory", "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "manager"}
    binding = {"metadata": {"name": "manager"}, "roleRef": reference, "subjects": [subject]}
    await api("POST", f"{RBAC}/namespaces/default/rolebindings", binding)
    pair = api.server.client_pair("mallory")
    roles, bindings = f"{RBAC}/namespaces/default/roles", f"{RBAC}/namespaces/default/rolebindings"
    held = await api("POST", roles, {"metadata": {"name": "held"}, "rules": [RULE]}, pair=pair)
    assert held.status == 201
    more = RULE | {"verbs": ["get", "delete"]}
    refused = await api("POST", roles, {"metadata": {"name": "more"}, "rules": [more]}, pair=pair)
    assert (refused.status, refused.message) == (
        403,
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "mallory" (groups=["system:authenticated"]) is '
        "attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["configmaps"], Verbs:["delete"]}',
    )
    crown = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    taken = await api(
        "POST", bindings, {"metadata": {"name": "crown"}, "roleRef": crown, "subjects": [subject]}, pair=pair
    )
    assert taken.status == 403
    assert "attempting to grant RBAC permissions not currently held" in taken.message
    fair = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "held"}
    given = await api(
        "POST", bindings, {"metadata": {"name": "fair"}, "roleRef": fair, "subjects": [subject]}, pair=pair
    )
    assert given.status == 201


async def grant(api: Any, user: str, name: str, *rules: dict[str, Any]) -> None:
    role = {"metadata": {"name": name}, "rules": list(rules)}
    assert (await api("POST", f"{RBAC}/clusterroles", role)).status == 201
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    assert (await api("POST", f"{RBAC}/clusterrolebindings", binding)).status == 201


async def test_constrained_impersonation_is_for_named_deeds_alone(api: Any) -> None:
    deputy = api.server.client_pair("deputy")
    identities = {"apiGroups": ["authentication.k8s.io"], "resources": ["users"], "verbs": ["impersonate:user-info"]}
    deeds = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["impersonate-on:user-info:list"]}
    await grant(api, "deputy", "deputy", identities | {"resourceNames": ["panda"]}, deeds)
    await grant(api, "panda", "panda", RULE | {"verbs": ["list", "get", "create"]})
    path = f"{DEFAULT}/configmaps"
    assert (await api("GET", path, pair=deputy, impersonate_user="panda")).status == 200
    refused = await api("POST", path, {"metadata": {"name": "x"}}, pair=deputy, impersonate_user="panda")
    assert (refused.status, refused.message) == (
        403,
        'configmaps is forbidden: User "deputy" cannot impersonate-on:user-info:create resource "configmaps" '
        'in API group "" in the namespace "default"',
    )
    refused = await api("GET", path, pair=deputy, impersonate_user="bear")
    assert (refused.status, refused.message) == (
        403,
        'users.authentication.k8s.io "bear" is forbidden: User "deputy" cannot impersonate:user-info resource "users" '
        'in API group "authentication.k8s.io" at the cluster scope',
    )
    assert (await api("GET", path, pair=deputy, impersonate_user="panda", impersonate_group="ops")).status == 403


async def test_a_node_is_impersonated_with_its_groups_and_masters_only_in_the_old_way(api: Any) -> None:
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    reply = await api("POST", review, {}, impersonate_user="system:node:n1")
    assert reply.tree["status"]["userInfo"]["groups"] == ["system:nodes", "system:authenticated"]
    reply = await api("POST", review, {}, impersonate_user="x", impersonate_group="system:masters")
    assert reply.tree["status"]["userInfo"]["groups"] == ["system:masters", "system:authenticated"]
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["impersonate:user-info"]}
    on = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["impersonate-on:user-info:create"]}
    await grant(api, "climber", "climber", everything, on)
    pair = api.server.client_pair("climber")
    assert (await api("POST", review, {}, pair=pair, impersonate_user="x")).status == 201
    refused = await api("POST", review, {}, pair=pair, impersonate_user="x", impersonate_group="system:masters")
    assert refused.status == 403


async def test_a_refusal_to_grant_lists_what_is_not_held(api: Any) -> None:
    everywhere = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["create"]}
    await grant(api, "granter", "granter", everywhere, RULE)
    pair = api.server.client_pair("granter")
    wide = {"metadata": {"name": "wide"}, "rules": [RULE | {"resources": ["pods"]}, RULE]}
    refused = await api("POST", f"{RBAC}/clusterroles", wide, pair=pair)
    assert (refused.status, refused.message) == (
        403,
        'clusterroles.rbac.authorization.k8s.io "wide" is forbidden: user "granter" (groups=["system:authenticated"]) '
        "is attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}',
    )
    selector = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    gathering = {"metadata": {"name": "gathering"}, "aggregationRule": selector}
    refused = await api("POST", f"{RBAC}/clusterroles", gathering, pair=pair)
    assert refused.message.endswith("must have cluster-admin privileges to use an aggregationRule")
    assert (await api("POST", f"{RBAC}/clusterroles", wide | {"rules": [RULE]}, pair=pair)).status == 201


async def test_whoever_changes_a_role_must_hold_all_of_it(api: Any) -> None:
    writing = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["create", "update", "patch"]}
    await grant(api, "labeller", "labeller", writing, RULE)
    pair = api.server.client_pair("labeller")
    strange = {"apiGroups": ["example.com"], "resources": ["things"], "verbs": ["delete"]}
    await api("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "strange"}, "rules": [strange]})
    merge = {"pair": pair, "content_type": "application/merge-patch+json"}
    path = f"{RBAC}/clusterroles/strange"
    refused = await api("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, **merge)
    assert refused.status == 403
    assert '{APIGroups:["example.com"], Resources:["things"], Verbs:["delete"]}' in refused.message
    assert (await api("PATCH", path, {"metadata": {"finalizers": ["example.com/x"]}}, **merge)).status == 200
    assert (await api("PATCH", path, {"metadata": {"finalizers": None}}, **merge)).status == 200


async def test_a_binding_to_a_role_that_is_not_there_needs_the_right_to_bind_it(api: Any) -> None:
    writing = {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["clusterrolebindings", "clusterroles"],
        "verbs": ["create", "update"],
    }
    await grant(api, "binder", "binder", writing, RULE)
    pair = api.server.client_pair("binder")
    subject = {"kind": "User", "name": "binder", "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "phantom"}
    binding = {"metadata": {"name": "to-phantom"}, "roleRef": reference, "subjects": [subject]}
    refused = await api("POST", f"{RBAC}/clusterrolebindings", binding, pair=pair)
    assert (refused.status, refused.message) == (404, 'clusterroles.rbac.authorization.k8s.io "phantom" not found')
    bind = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["bind"]}
    await grant(api, "binder", "may-bind", bind | {"resourceNames": ["phantom"]})
    assert (await api("POST", f"{RBAC}/clusterrolebindings", binding, pair=pair)).status == 201
    for namespace in ("", "namespaces/default/"):  # a second binding to it changes no text
        kind = "rolebindings" if namespace else "clusterrolebindings"
        again = {"metadata": {"name": "again"}, "roleRef": reference, "subjects": [subject]}
        assert (await api("POST", f"{RBAC}/{namespace}{kind}", again)).status == 201
    nothing = await api("GET", "/api/v1/namespaces/default/secrets", pair=pair)
    assert nothing.message.endswith(': RBAC: clusterrole.rbac.authorization.k8s.io "phantom" not found')
    role = {"metadata": {"name": "more"}, "rules": [RULE | {"resources": ["pods"]}]}
    refused = await api("POST", f"{RBAC}/clusterroles", role, pair=pair)
    unknown = 'clusterroles.rbac.authorization.k8s.io "phantom" not found'
    assert refused.message.endswith(f"; resolution errors: [{unknown}]")


async def test_refusals_and_reasons_are_written_as_go_writes_them(api: Any) -> None:
    refused = await api("GET", "/api/v1/namespaces/a%22b/pods/x%0Ay", impersonate_user='o"brien\\')
    assert (refused.status, refused.message) == (
        403,
        r'pods "x\ny" is forbidden: User "o\"brien\\" cannot get resource "pods" in API group "" '
        r'in the namespace "a\"b"',
    )
    refused = await api("GET", "/secret", impersonate_user="jane")
    assert refused.tree == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'forbidden: User "jane" cannot get path "/secret"',
        "reason": "Forbidden",
        "details": {},
        "code": 403,
    }
    account = {"kind": "ServiceAccount", "name": "builder", "namespace": "default"}
    binding = {
        "metadata": {"name": "builders"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [account],
    }
    await api("POST", f"{RBAC}/namespaces/default/rolebindings", binding)
    attributes = {"namespace": "default", "verb": "get", "resource": "pods"}
    spec = {"user": "system:serviceaccount:default:builder", "resourceAttributes": attributes}
    reply = await api("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
    assert reply.tree["status"]["reason"] == (
        'RBAC: allowed by RoleBinding "builders/default" of ClusterRole "view" to ServiceAccount "builder/default"'
    )
