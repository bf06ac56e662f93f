"""AdmissionReview, version 1: what a webhook is asked, and what its answer means.

Source: admission.k8s.io/v1 in the Kubernetes API reference, and Dynamic Admission Control, "Response".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError, Cause
from podkeeper.apiserver.admission.versioned import Kind, VersionedWrite, kind_of
from podkeeper.registry.admission import Attributes, Operation

Tree = Mapping[str, Any]

API_VERSION, KIND = "admission.k8s.io/v1", "AdmissionReview"
_OPTIONS = {
    Operation.CREATE: "CreateOptions",
    Operation.UPDATE: "UpdateOptions",
    Operation.DELETE: "DeleteOptions",
}


class BadReview(Exception):
    """An answer that breaks the rules, in upstream's words."""

    code = 503


class Verdict(Struct, frozen=True):
    """What a webhook answered. ``patch`` None: it changes nothing; ``status`` explains a refusal."""

    allowed: bool
    status: Tree
    patch: list[Any] | None = None
    warnings: Sequence[str] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


def review(write: VersionedWrite, uid: str) -> dict[str, Any]:
    """The question about a write."""
    return {"kind": KIND, "apiVersion": API_VERSION, "request": request(write, uid)}


def request(write: VersionedWrite, uid: str) -> dict[str, Any]:
    """An AdmissionRequest, as webhooks get it and expressions see it."""
    given = write.attributes
    own_kind = kind_of(given.resource, given.subresource, given.tree or given.old)
    tree: dict[str, Any] = {
        "uid": uid,
        "kind": _kind(write.kind),
        "resource": _resource(write.resource),
        "requestKind": _kind(own_kind),
        "requestResource": _resource(given.resource),
        "operation": given.operation.value,
        "userInfo": _user(given),
        "object": write.tree,
        "oldObject": write.old,
        "dryRun": given.dry_run,
        "options": options(given),
    }
    optional = {
        "subResource": given.subresource,
        "requestSubResource": given.subresource,
        "name": given.name,
        "namespace": given.namespace,
    }
    return tree | {name: value for name, value in optional.items() if value}


def options(given: Attributes) -> dict[str, Any] | None:
    """The options of the request, with those that are known to the chain."""
    kind = _OPTIONS.get(given.operation)
    if kind is None:
        return None
    dry_run = {"dryRun": ["All"]} if given.dry_run else {}
    return {"kind": kind, "apiVersion": "meta.k8s.io/v1"} | given.options | dry_run


def _kind(kind: Kind) -> dict[str, str]:
    group, version, name = kind
    return {"group": group, "version": version, "kind": name}


def _resource(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "resource": resource.name}


def _user(given: Attributes) -> dict[str, Any]:
    user = given.user
    tree: dict[str, Any] = {"username": user.name}
    if user.uid:
        tree["uid"] = user.uid
    if user.groups:
        tree["groups"] = list(user.groups)
    if user.extra:
        tree["extra"] = {name: list(values) for name, values in user.extra.items()}
    return tree


def read(answer: Any, uid: str, mutating: bool) -> Verdict:
    """The verdict of an answer. Raises BadReview."""
    if not isinstance(answer, dict) or (answer.get("apiVersion"), answer.get("kind")) != (API_VERSION, KIND):
        raise BadReview(f"expected webhook response of {_gvk(API_VERSION, KIND)}, got {_gvk_of(answer)}")
    response = answer.get("response")
    if not isinstance(response, dict):
        raise BadReview("webhook response was absent")
    if response.get("uid") != uid:
        raise BadReview(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    warnings, annotations = response.get("warnings") or (), response.get("auditAnnotations") or {}
    return Verdict(
        allowed=response.get("allowed") is True,
        status=response.get("status") or {},
        patch=_patch(response, mutating),
        warnings=[str(each) for each in warnings],
        annotations={str(key): str(value) for key, value in annotations.items()},
    )


def _patch(response: Tree, mutating: bool) -> list[Any] | None:
    patch, kind = response.get("patch"), response.get("patchType")
    if not mutating:
        if patch:
            raise BadReview("validating webhook may not return response.patch")
        if kind is not None:
            raise BadReview("validating webhook may not return response.patchType")
        return None
    if patch and not kind:
        raise BadReview("webhook returned response.patch but not response.patchType")
    if not patch:
        if kind:
            raise BadReview("webhook returned response.patchType but not response.patch")
        return None
    if kind != "JSONPatch":
        raise BadReview(f'webhook returned invalid response.patchType of "{kind}"')
    try:
        steps: list[Any] = msgspec.json.decode(base64.b64decode(patch, validate=True))
    except (binascii.Error, TypeError, ValueError) as error:
        raise BadReview(f"webhook returned a response.patch that is no JSON: {error}") from error
    return steps


def _gvk_of(answer: Any) -> str:
    tree = answer if isinstance(answer, dict) else {}
    return _gvk(str(tree.get("apiVersion") or ""), str(tree.get("kind") or ""))


def _gvk(api_version: str, kind: str) -> str:
    return f"{api_version if '/' in api_version else '/' + api_version}, Kind={kind}"


def code_of(status: Tree) -> int:
    """The code that a client gets of a webhook's refusal."""
    return max(status.get("code") or 0, 400)


def refused(name: str, status: Tree) -> ApiError:
    """The error that a client gets of a webhook's refusal; code, reason and details are the webhook's."""
    denied = f'admission webhook "{name}" denied the request'
    why = status.get("message") or status.get("reason")
    details = status.get("details") or {}
    causes = [
        Cause(each.get("reason", ""), each.get("message", ""), each.get("field", ""))
        for each in details.get("causes") or ()
    ]
    return ApiError(
        code_of(status),
        status.get("reason") or "",
        f"{denied}: {why}" if why else f"{denied} without explanation",
        group=details.get("group") or "",
        kind=details.get("kind") or "",
        name=details.get("name") or "",
        uid=details.get("uid") or "",
        causes=causes,
        retry_after=details.get("retryAfterSeconds") or 0,
    )
