"""The review resources: questions about tokens, identities and permissions, answered and not stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podkeeper.api import resources
from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import Cause, bad_request, invalid
from podkeeper.api.user import UserInfo
from podkeeper.apiserver import received, responses
from podkeeper.apiserver.authentication.authenticator import Authenticator
from podkeeper.apiserver.authentication.service_accounts import InvalidToken
from podkeeper.apiserver.authorization.authorizer import Authorizer
from podkeeper.apiserver.call import Call, Handle
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
        review["metadata"].setdefault("creationTimestamp", None)
        review["status"] = {"userInfo": user_tree(call.user)}
        return _created(call, review, told)

    async def review_subject(self, call: Call) -> Answer:
        """SubjectAccessReview: may that user do this?"""
        review, row, told = _read(call)
        spec = review.get("spec") or {}
        _check_subject(row, spec)
        return await self._answer(call, (review, row, told), _subject(spec), spec)

    async def review_subject_locally(self, call: Call) -> Answer:
        """LocalSubjectAccessReview: the same within one namespace."""
        review, row, told = _read(call)
        spec = review.get("spec") or {}
        _check_subject(row, spec)
        attributes = spec.get("resourceAttributes") or {}
        if attributes.get("namespace", "") != call.info.namespace:
            raise bad_request(
                "spec.resourceAttributes.namespace must match namespace: "
                f"{attributes.get('namespace', '')} != {call.info.namespace}"
            )
        return await self._answer(call, (review, row, told), _subject(spec), spec)

    async def review_own_access(self, call: Call) -> Answer:
        """SelfSubjectAccessReview: may I do this?"""
        review, row, told = _read(call)
        return await self._answer(call, (review, row, told), call.user, review.get("spec") or {})

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

    async def _answer(self, call: Call, read: _Read, user: UserInfo, spec: Tree) -> Answer:
        review, row, told = read
        decision = await self._authorizer.decide(user, _asked(row, spec))
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
    tree.setdefault("metadata", {})
    return tree, row, context.warnings


def _created(call: Call, review: Tree, told: Sequence[str]) -> Answer:
    ordered = {key: review[key] for key in ("kind", "apiVersion", "metadata", "spec", "status") if key in review}
    return responses.tree(ordered, call.plain_rendering(), 201, responses.warnings(told))


def _check_subject(row: Resource, spec: Tree) -> None:
    causes = []
    if not spec.get("user") and not spec.get("groups"):
        causes.append(
            Cause("FieldValueRequired", "Required value: at least one of user or group must be specified", "spec.user")
        )
    causes += _attribute_causes(spec)
    if causes:
        raise invalid(row.kind, row.group, "", causes)


def _attribute_causes(spec: Tree) -> list[Cause]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is None:
        return [cause for name in ("fieldSelector", "labelSelector") for cause in _selector_causes(resource, name)]
    if resource is not None and path is not None:
        text = 'Invalid value: "null": cannot be specified in combination with resourceAttributes'
        return [Cause("FieldValueInvalid", text, "spec.nonResourceAttributes")]
    if resource is None and path is None:
        text = 'Invalid value: "null": exactly one of nonResourceAttributes or resourceAttributes must be specified'
        return [Cause("FieldValueInvalid", text, "spec.resourceAttributes")]
    return []


def _selector_causes(resource: Tree, name: str) -> list[Cause]:
    selector, path = resource.get(name), f"spec.resourceAttributes.{name}"
    if selector is None:
        return []
    raw, requirements = selector.get("rawSelector") or "", selector.get("requirements") or []
    if raw and requirements:
        text = f'Invalid value: "{raw}": may not specified at the same time as requirements'
        return [Cause("FieldValueInvalid", text, f"{path}.rawSelector")]
    if not raw and not requirements:
        text = f"Required value: when {path} is specified, requirements or rawSelector is required"
        return [Cause("FieldValueRequired", text, f"{path}.requirements")]
    return []


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


def _asked(row: Resource, spec: Tree) -> RequestInfo:
    causes = _attribute_causes(spec)
    if causes:
        raise invalid(row.kind, row.group, "", causes)
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
