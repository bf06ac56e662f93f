"""One audited request as an Event of audit.k8s.io/v1, growing from stage to stage.

Source: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/#audit-k8s-io-v1-Event
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from podkeeper.api import timestamps
from podkeeper.api.errors import ApiError
from podkeeper.api.user import UserInfo
from podkeeper.apiserver import bodies
from podkeeper.apiserver.audit.policy import Level, Ruling
from podkeeper.apiserver.authorization.authorizer import Decision
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.foundation.http import Request, Response

Tree = dict[str, Any]
_WRITING = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_STATUS_FIELDS = ("status", "message", "reason", "details", "code")


class Event:
    """What is known of a request so far. ``annotations`` are added by those who judge it."""

    __slots__ = ("annotations", "ruling", "tree")

    def __init__(self, identity: str, request: Request, info: RequestInfo, ruling: Ruling, now: float) -> None:
        self.ruling = ruling
        self.annotations: dict[str, str] = {}
        self.tree: Tree = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": ruling.level.label,
            "auditID": identity,
            "stage": "",
            "requestURI": request.target.decode("latin-1"),
            "verb": info.verb,
            "user": {},
            "sourceIPs": source_ips(request),
            "userAgent": request.header(b"user-agent")[:1024],
            "requestReceivedTimestamp": timestamps.format_micro_time(now),
        }
        if info.is_resource:
            self.tree["objectRef"] = _reference(info)
        if ruling.level >= Level.REQUEST and info.verb in _WRITING and request.body and info.is_resource:
            self._note_request(request)

    def identify(self, user: UserInfo) -> None:
        """Who asks."""
        self.tree["user"] = _user(user)

    def impersonate(self, user: UserInfo) -> None:
        """As whom."""
        self.tree["impersonatedUser"] = _user(user)

    def judge(self, decision: Decision) -> None:
        """Whether it may be done, and why."""
        self.annotations["authorization.k8s.io/decision"] = "allow" if decision.allowed else "forbid"
        self.annotations["authorization.k8s.io/reason"] = decision.reason

    def answer(self, answer: Response) -> None:
        """What came of it: the code, the words of a Status, and the object where the level says so."""
        status: Tree = {"metadata": {}, "code": answer.status}
        wanted = self.ruling.level >= Level.REQUEST_RESPONSE and "objectRef" in self.tree
        found = _decoded(answer.body, b"") if wanted or answer.status >= 400 else None
        if isinstance(found, dict) and found.get("kind") == "Status":
            status |= {key: found[key] for key in _STATUS_FIELDS if key in found}
        self.tree["responseStatus"] = status
        if wanted and isinstance(found, dict):
            self.tree["responseObject"] = self._plain(found)

    def line(self, stage: str, now: float, *, cut: bool = False) -> bytes:
        """The event at a stage; ``cut``: without contents, and marked so."""
        tree = {**self.tree, "stage": stage, "stageTimestamp": timestamps.format_micro_time(now)}
        annotations = self.annotations
        if cut:
            tree = {key: value for key, value in tree.items() if key not in ("requestObject", "responseObject")}
            annotations = {**annotations, "audit.k8s.io/truncated": "true"}
        if annotations:
            tree["annotations"] = annotations
        return orjson.dumps(tree) + b"\n"

    def _note_request(self, request: Request) -> None:
        found = _decoded(request.body, request.headers.get(b"content-type", b""))
        if found is None:
            return
        self.tree["requestObject"] = self._plain(found) if isinstance(found, dict) else found
        metadata = found.get("metadata") if isinstance(found, dict) else None
        if isinstance(metadata, dict):
            for name in ("name", "namespace", "uid", "resourceVersion"):
                if isinstance(metadata.get(name), str) and metadata[name]:
                    self.tree["objectRef"].setdefault(name, metadata[name])

    def _plain(self, tree: Tree) -> Tree:
        """The object, without managedFields where the policy leaves them out."""
        if not self.ruling.omit_managed_fields:
            return tree
        items = tree.get("items")
        if isinstance(items, list):
            return {**tree, "items": [self._plain(each) if isinstance(each, dict) else each for each in items]}
        metadata = tree.get("metadata")
        if not isinstance(metadata, dict):
            return tree
        return {**tree, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


def source_ips(request: Request) -> list[str]:
    """Where the request comes from: what proxies say of it, then who is connected."""
    said = request.header(b"x-forwarded-for") or request.header(b"x-real-ip")
    addresses = [part.strip() for part in said.split(",") if part.strip()][:32]
    return list(dict.fromkeys([*addresses, request.peer.address])) if request.peer.address else addresses


def _reference(info: RequestInfo) -> Mapping[str, str]:
    pairs = {
        "resource": info.resource,
        "namespace": info.namespace,
        "name": info.name,
        "apiGroup": info.group,
        "apiVersion": info.version,
        "subresource": info.subresource,
    }
    return {key: value for key, value in pairs.items() if value}


def _user(user: UserInfo) -> Tree:
    groups, extra = list(user.groups), {key: list(values) for key, values in user.extra.items()}
    pairs = {"username": user.name, "uid": user.uid, "groups": groups, "extra": extra}
    return {key: value for key, value in pairs.items() if value}


def _decoded(body: bytes, media: bytes) -> Any:
    """A body as a tree, None where it cannot be read: the answer says what is wrong with it."""
    if body[:1] in (b"{", b"[") and b"yaml" not in media:
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return None
    try:
        return bodies.decode(Request("", b"", {b"content-type": media or _guessed(body)}, body), "Object")
    except ApiError:
        return None


def _guessed(body: bytes) -> bytes:
    return b"application/vnd.kubernetes.protobuf" if body.startswith(b"k8s\0") else b"application/yaml"
