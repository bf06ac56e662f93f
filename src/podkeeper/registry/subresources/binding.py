"""pods/binding: gives a pod its node, once. Source: the Binding reference page and upstream's messages."""

from __future__ import annotations

from typing import Any

import msgspec

from podkeeper.api import timestamps
from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError, Cause, bad_request, conflict, invalid
from podkeeper.api.pods import conditions
from podkeeper.registry.admission import Attributes, Operation
from podkeeper.registry.changing import Target, edit
from podkeeper.registry.served import ServedKind
from podkeeper.registry.verbs import RequestContext

Tree = dict[str, Any]


async def bind(kind: ServedKind, context: RequestContext, namespace: str, name: str, binding: Tree) -> None:
    """Raises ApiError: 400, 404, 409 when the pod is bound or going away, 422."""
    check(binding, namespace, name)
    attributes = Attributes(
        operation=Operation.CREATE,
        resource=kind.resource,
        namespace=namespace,
        name=name,
        user=context.user,
        tree=binding,
        subresource="binding",
        dry_run=context.dry_run,
        warnings=context.warnings,
    )
    await kind.backing.admission.mutate(attributes)
    await kind.backing.admission.validate(attributes)
    now = timestamps.format_time(kind.backing.clock.time())
    await edit(kind, context, Target(namespace, name), lambda pod: bound(pod, binding, now))


def check(binding: Tree, namespace: str, name: str) -> None:
    """Raises 400 or 422 for a body that is no Binding of this pod."""
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


def bound(pod: v1.Pod, binding: Tree, now: str) -> v1.Pod:
    """The pod on its node. Raises 409. Its generation stays: the node is not the client's wish but our answer."""
    wanted, metadata = binding.get("metadata") or {}, pod.metadata
    refusal = _refusal(pod, wanted.get("uid"))
    if refusal:
        raise _refused(metadata.name, refusal)
    replace = msgspec.structs.replace
    if wanted.get("annotations"):
        metadata = replace(metadata, annotations={**metadata.annotations, **wanted["annotations"]})
    if wanted.get("labels"):
        metadata = replace(metadata, labels={**metadata.labels, **wanted["labels"]})
    status = pod.status or v1.PodStatus()
    scheduled = v1.PodCondition(type="PodScheduled", status=conditions.TRUE)
    status = replace(status, conditions=conditions.with_condition(status.conditions, scheduled, now))
    spec = replace(pod.spec or v1.PodSpec(), node_name=binding["target"]["name"])
    return replace(pod, metadata=metadata, spec=spec, status=status)


def _refusal(pod: v1.Pod, uid: str | None) -> str:
    metadata, spec = pod.metadata, pod.spec or v1.PodSpec()
    if uid and uid != metadata.uid:
        return f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata.uid}"
    if metadata.deletion_timestamp:
        return f"pod {metadata.name} is being deleted, cannot be assigned to a host"
    if spec.node_name:
        return f'pod {metadata.name} is already assigned to node "{spec.node_name}"'
    if spec.scheduling_gates:
        return f"pod {metadata.name} has non-empty .spec.schedulingGates"
    return ""


def _refused(name: str, why: str) -> ApiError:
    return conflict("pods/binding", "", name, why)
