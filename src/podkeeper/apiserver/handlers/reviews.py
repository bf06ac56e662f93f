"""The review resources: questions about tokens, identities and permissions, answered and not stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podkeeper.api import resources, timestamps
from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import bad_request
from podkeeper.api.user import UserInfo
from podkeeper.apiserver import received, responses
from podkeeper.apiserver.authentication.authenticator import Authenticator
from podkeeper.apiserver.authentication.service_accounts import InvalidToken
from podkeeper.apiserver.authorization.authorizer import Authorizer
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.handlers import review_checks
from podkeeper.apiserver.handlers.dispatch import SpecialKey
from podkeeper.apiserver.options import write_options
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.foundation.http import Answer

Tree = dict[str, Any]
#: A review, its row, and what its sender is warned of.
_Read = tuple[Tree, Resource, Sequence[str]]
_AUTHENTICATION = "authentication.k8s.io"
_AUTHORIZATION = "authorization.k8s.io"


class Reviews:
    """Handlers of all review resources."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer) -> None:
        self._authenticator, self._authorizer = authenticator, authorizer

    def handlers(self) -> Mapping[SpecialKey, Handle]:
        """By group and resource."""
        return {
            (_AUTHENTICATION, "tokenreviews", ""): self.review_token,
            (_AUTHENTICATION, "selfsubjectreviews", ""): self.review_self,
            (_AUTHORIZATION, "subjectaccessreviews", ""): self.review_subject,
            (_AUTHORIZATION, "localsubjectaccessreviews", ""): self.review_subject_locally,
            (_AUTHORIZATION, "selfsubjectaccessreviews", ""): self.review_own_access,
            (_AUTHORIZATION, "selfsubjectrulesreviews", ""): self.review_own_rules,
        }

    async def review_token(self, call: Call) -> Answer:
        """TokenReview: whose token is it, and is it for these audiences?"""
        review, _, told = _read(call)
        spec = review.get("spec") or {}
        token = spec.get("token")
        if not token:
            raise bad_request("token is required for TokenReview in authentication")
        audiences = spec.get("audiences") or list(self._authenticator.audiences)
        try:
            user, common = await self._authenticator.review(token, audiences)
            review["status"] = {"authenticated": True, "user": user_tree(user), "audiences": list(common)}
        except InvalidToken as error:
            review["status"] = {"user": {}, "error": f"[invalid bearer token, {error}]"}
        return _created(call, review, told)

    async def review_self(self, call: Call) -> Answer:
        """SelfSubjectReview: who am I?"""
        review, _, told = _read(call)
        review["metadata"] = {"creationTimestamp": timestamps.now()}  # whatever the sender said
        review["status"] = {"userInfo": user_tree(call.user)}
        return _created(call, review, told)

    async def review_subject(self, call: Call) -> Answer:
        """SubjectAccessReview: may that user do this?"""
        return await self._answer(call)

    async def review_subject_locally(self, call: Call) -> Answer:
        """LocalSubjectAccessReview: the same within one namespace."""
        return await self._answer(call)

    async def review_own_access(self, call: Call) -> Answer:
        """SelfSubjectAccessReview: may I do this?"""
        return await self._answer(call, call.user)

    async def review_own_rules(self, call: Call) -> Answer:
        """SelfSubjectRulesReview: what may I do in this namespace?"""
        review, _, told = _read(call)
        namespace = (review.get("spec") or {}).get("namespace")
        if not namespace:
            raise bad_request("no namespace on request")
        resource_rules: list[Tree] = []
        path_rules: list[Tree] = []
        for rule in self._rules(call.user, namespace):
            if rule.get("nonResourceURLs"):
                path_rules.append(_only(rule, "verbs", "nonResourceURLs"))
            else:
                resource_rules.append(_only(rule, "verbs", "apiGroups", "resources", "resourceNames"))
        unresolved = self._authorizer.unresolved(call.user)
        status: Tree = {"resourceRules": resource_rules, "nonResourceRules": path_rules, "incomplete": bool(unresolved)}
        if unresolved:
            status["evaluationError"] = unresolved[0] if len(unresolved) == 1 else f"[{', '.join(unresolved)}]"
        review["status"] = status
        return _created(call, review, told)

    def _rules(self, user: UserInfo, namespace: str) -> list[Mapping[str, Any]]:
        return [grant.rule.tree for grant in self._authorizer.rbac.grants(user, namespace)]

    async def _answer(self, call: Call, user: UserInfo | None = None) -> Answer:
        """``user`` is who is asked about, unless the review says it."""
        review, row, told = _read(call)
        review_checks.check(row, review)
        spec = review["spec"]
        decision = await self._authorizer.decide(user or _subject(spec), _asked(spec))
        status: Tree = {"allowed": decision.allowed}
        if decision.denied:
            status["denied"] = True
        if decision.reason:
            status["reason"] = decision.reason
        review["status"] = status
        return _created(call, review, told)


def _read(call: Call) -> _Read:
    info = call.info
    context = call.context(write_options(info, "CreateOptions"))
    row = resources.lookup(info.group, info.version, info.resource)
    assert row is not None
    tree = received.read_typed(call.request, row, context)
    review_checks.settle_namespace(tree.setdefault("metadata", {}), info.namespace)
    return tree, row, context.warnings


def _created(call: Call, review: Tree, told: Sequence[str]) -> Answer:
    ordered = {key: review[key] for key in ("kind", "apiVersion", "metadata", "spec", "status") if key in review}
    return responses.tree(ordered, call.plain_rendering(), 201, responses.warnings(told))


def field_selector(selector: Tree) -> str:
    """A review's field selector as a request would carry it. What it cannot carry is left out: who asks for less than
    he is allowed to see is asked about more."""
    if selector.get("rawSelector"):
        return str(selector["rawSelector"])
    signs = {"In": "=", "NotIn": "!="}
    terms = []
    for each in selector.get("requirements") or ():
        sign, values = signs.get(each.get("operator", "")), each.get("values") or ()
        if sign and len(values) == 1:
            terms.append(f"{each.get('key', '')}{sign}{next(iter(values))}")
    return ",".join(terms)


def _asked(spec: Tree) -> RequestInfo:
    path = spec.get("nonResourceAttributes")
    if path is not None:
        return RequestInfo(path=path.get("path", ""), verb=path.get("verb", ""))
    attributes = spec["resourceAttributes"]
    selector = field_selector(attributes.get("fieldSelector") or {})
    return RequestInfo(
        path="",
        query={"fieldSelector": [selector]} if selector else {},
        verb=attributes.get("verb", ""),
        is_resource=True,
        group=attributes.get("group", ""),
        version=attributes.get("version", ""),
        namespace=attributes.get("namespace", ""),
        resource=attributes.get("resource", ""),
        subresource=attributes.get("subresource", ""),
        name=attributes.get("name", ""),
    )


def _subject(spec: Tree) -> UserInfo:
    extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
    return UserInfo(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), extra)


def user_tree(user: UserInfo) -> Tree:
    """UserInfo as JSON, empty members left out."""
    tree: Tree = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
    tree["extra"] = {key: list(values) for key, values in user.extra.items()}
    return {key: value for key, value in tree.items() if value}


def _only(rule: Mapping[str, Any], *fields: str) -> Tree:
    return {field: list(rule[field]) for field in fields if rule.get(field)}
