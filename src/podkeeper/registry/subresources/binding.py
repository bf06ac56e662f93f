"""pods/binding: gives a pod its node, once. Source: the Binding reference page and upstream's messages."""

from __future__ import annotations

from typing import Any

from podkeeper.api import timestamps
from podkeeper.api.errors import ApiError, Cause, bad_request, conflict, invalid
from podkeeper.registry.item import StoredItem
from podkeeper.registry.served import ServedKind
from podkeeper.registry.updating import Target, change
from podkeeper.registry.verbs import RequestContext

Tree = dict[str, Any]


async def bind(kind: ServedKind, context: RequestContext, namespace: str, name: str, binding: Tree) -> None:
    """Raises ApiError: 400, 404, 409 when the pod is bound or going away, 422."""
    _check(binding, namespace, name)
    now = timestamps.format_time(kind.backing.clock.time())
    await change(kind, context, Target(namespace, name, "binding"), lambda current: _bound(current, binding, now))


def _check(binding: Tree, namespace: str, name: str) -> None:
    if not isinstance(binding, dict) or not isinstance(binding.get("target") or {}, dict):
        raise bad_request('Binding in version "v1" cannot be handled as a Binding')
    metadata, target = binding.get("metadata") or {}, binding.get("target") or {}
    if metadata.get("name") and metadata["name"] != name:
        raise bad_request(f"name in URL does not match name in Binding object: {name} != {metadata['name']}")
    if metadata.get("namespace") and metadata["namespace"] != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    mistakes = []
    if target.get("kind") not in (None, "", "Node"):
        text = f'Unsupported value: "{target["kind"]}": supported values: "Node", ""'
        mistakes.append(Cause("FieldValueNotSupported", text, "target.kind"))
    if not target.get("name"):
        mistakes.append(Cause("FieldValueRequired", "Required value", "target.name"))
    if mistakes:
        raise invalid("Binding", "", name, mistakes)


def _bound(current: StoredItem, binding: Tree, now: str) -> Tree:
    tree = current.fresh_tree()
    metadata, spec = tree["metadata"], tree["spec"]
    wanted = binding.get("metadata") or {}
    uid = wanted.get("uid")
    if uid and uid != metadata["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata['uid']}"
        raise _refused(current.name, why)
    if metadata.get("deletionTimestamp"):
        raise _refused(current.name, f"pod {current.name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _refused(current.name, f'pod {current.name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _refused(current.name, f"pod {current.name} has non-empty .spec.schedulingGates")
    spec["nodeName"] = binding["target"]["name"]
    for member in ("annotations", "labels"):
        if wanted.get(member):
            metadata[member] = (metadata.get(member) or {}) | wanted[member]
    set_condition(tree, {"type": "PodScheduled", "status": "True"}, now)
    return tree


def set_condition(tree: Tree, condition: Tree, now: str) -> None:
    """Puts a pod condition in place; its transition time moves only when its status does."""
    conditions = tree.setdefault("status", {}).setdefault("conditions", [])
    for index, present in enumerate(conditions):
        if present.get("type") == condition["type"]:
            same = present.get("status") == condition["status"]
            moved = present.get("lastTransitionTime", now) if same else now
            conditions[index] = condition | {"lastTransitionTime": moved}
            return
    conditions.append(condition | {"lastTransitionTime": now})


def _refused(name: str, why: str) -> ApiError:
    return conflict("pods/binding", "", name, why)
