"""Kubernetes' authorizer library: may the requester, or a service account, do this as well?

An embedder gives a variable of the type ``kubernetes.authorization.Authorizer`` an ``Authorizer`` over a function that
decides; the decision is made when an expression calls ``check``, and whoever decides may remember it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from podkeeper.api.cel import types
from podkeeper.api.cel.library import Library
from podkeeper.api.cel.types import Type
from podkeeper.api.cel.values import EvaluationError

authz = Library("kubernetes.authz", since=(1, 27))

AUTHORIZER = types.opaque("kubernetes.authorization.Authorizer")
RESOURCE_CHECK = types.opaque("kubernetes.authorization.ResourceCheck")
_NAMES = "kubernetes.authorization"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. ``service_account`` is a namespace and a name; without one, the requester is meant.

    A question about a path has ``path`` and ``verb``; one about a resource the rest.
    """

    service_account: tuple[str, str] | None = None
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""
    verb: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer; ``error`` is what went wrong while it was looked for."""

    allowed: bool
    reason: str = ""
    error: str = ""
    cel_type: ClassVar[Type] = types.opaque("kubernetes.authorization.Decision")


Decide = Callable[[Question], Decision]


@dataclass(frozen=True, slots=True)
class Authorizer:
    """Where questions begin."""

    decide: Decide
    question: Question = Question()
    cel_type: ClassVar[Type] = AUTHORIZER


@dataclass(frozen=True, slots=True)
class PathCheck(Authorizer):
    cel_type: ClassVar[Type] = types.opaque("kubernetes.authorization.PathCheck")


@dataclass(frozen=True, slots=True)
class GroupCheck(Authorizer):
    cel_type: ClassVar[Type] = types.opaque("kubernetes.authorization.GroupCheck")


@dataclass(frozen=True, slots=True)
class ResourceCheck(Authorizer):
    cel_type: ClassVar[Type] = RESOURCE_CHECK


@authz.method(f"path({_NAMES}.Authorizer, string) -> {_NAMES}.PathCheck")
def path(given: Authorizer, text: str) -> PathCheck:
    if not text:
        raise EvaluationError("path must not be empty")
    return PathCheck(given.decide, replace(given.question, path=text))


@authz.method(f"serviceAccount({_NAMES}.Authorizer, string, string) -> {_NAMES}.Authorizer")
def service_account(given: Authorizer, namespace: str, name: str) -> Authorizer:
    return Authorizer(given.decide, replace(given.question, service_account=(namespace, name)))


@authz.method(f"group({_NAMES}.Authorizer, string) -> {_NAMES}.GroupCheck")
def group(given: Authorizer, text: str) -> GroupCheck:
    return GroupCheck(given.decide, replace(given.question, group=text))


@authz.method(f"resource({_NAMES}.GroupCheck, string) -> {_NAMES}.ResourceCheck")
def resource(given: GroupCheck, text: str) -> ResourceCheck:
    return ResourceCheck(given.decide, replace(given.question, resource=text))


def _declare_part(function: str, part: str) -> None:
    @authz.method(f"{function}({_NAMES}.ResourceCheck, string) -> {_NAMES}.ResourceCheck")
    def narrowed(given: ResourceCheck, text: str) -> ResourceCheck:
        return ResourceCheck(given.decide, replace(given.question, **{part: text}))  # type: ignore[arg-type]  # all are texts


for _function, _part in {
    "subresource": "subresource",
    "namespace": "namespace",
    "name": "name",
    "fieldSelector": "field_selector",
    "labelSelector": "label_selector",
}.items():
    _declare_part(_function, _part)


@authz.method(
    f"check({_NAMES}.PathCheck, string) -> {_NAMES}.Decision",
    f"check({_NAMES}.ResourceCheck, string) -> {_NAMES}.Decision",
)
def check(given: Authorizer, verb: str) -> Decision:
    return given.decide(replace(given.question, verb=verb))


@authz.method(f"allowed({_NAMES}.Decision) -> bool")
def allowed(given: Decision) -> bool:
    return given.allowed


@authz.method(f"reason({_NAMES}.Decision) -> string")
def reason(given: Decision) -> str:
    return given.reason


@authz.method(f"errored({_NAMES}.Decision) -> bool")
def errored(given: Decision) -> bool:
    return bool(given.error)


@authz.method(f"error({_NAMES}.Decision) -> string")
def error(given: Decision) -> str:
    return given.error
