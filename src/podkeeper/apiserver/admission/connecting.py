"""CONNECT: exec, attach, port-forward and proxy are judged before they begin. What is judged are their options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.handlers.dispatch import SpecialKey
from podkeeper.apiserver.requestinfo import flag
from podkeeper.foundation.http import Answer
from podkeeper.registry.admission import Admission, Attributes, Operation
from podkeeper.registry.verbs import Registry

Tree = dict[str, Any]

_STREAMS = ("stdin", "stdout", "stderr", "tty")
#: Kind of the options by resource and subresource.
_KINDS = {
    ("pods", "exec"): "PodExecOptions",
    ("pods", "attach"): "PodAttachOptions",
    ("pods", "portforward"): "PodPortForwardOptions",
    ("pods", "proxy"): "PodProxyOptions",
    ("services", "proxy"): "ServiceProxyOptions",
    ("nodes", "proxy"): "NodeProxyOptions",
}


def judged(
    handlers: Mapping[SpecialKey, Handle], admission: Admission, registry: Registry
) -> Mapping[SpecialKey, Handle]:
    """The handlers, those of connections behind admission."""
    return {
        key: _Judged(handle, admission, registry) if (key[1], key[2]) in _KINDS else handle
        for key, handle in handlers.items()
    }


class _Judged:
    """One handler behind admission."""

    def __init__(self, handle: Handle, admission: Admission, registry: Registry) -> None:
        self._handle, self._admission, self._registry = handle, admission, registry

    async def __call__(self, call: Call) -> Answer:
        verbs = self._registry.verbs("", "v1", call.info.resource)
        if verbs is not None:
            attributes = Attributes(
                operation=Operation.CONNECT,
                resource=verbs.resource,
                namespace=call.info.namespace,
                name=call.info.name,
                user=call.user,
                tree=options_of(call),
                subresource=call.info.subresource,
            )
            await self._admission.mutate(attributes)
            await self._admission.validate(attributes)
        return await self._handle(call)


def options_of(call: Call) -> Tree:
    """The options of a connection as an object."""
    info = call.info
    kind = _KINDS[info.resource, info.subresource]
    tree: Tree = {"kind": kind, "apiVersion": "v1"}
    if info.subresource == "portforward":
        ports = [int(each) for each in _all(info.query, "ports") if each.isdigit()]
        return tree | ({"ports": ports} if ports else {})
    if info.subresource == "proxy":
        return tree | ({"path": f"/{info.rest}"} if info.rest else {})
    tree |= {name: True for name in _STREAMS if flag(info.query.get(name))}
    if info.first("container"):
        tree["container"] = info.first("container")
    if info.subresource == "exec":
        tree["command"] = list(_all(info.query, "command"))
    return tree


def _all(query: Mapping[str, Sequence[str]], name: str) -> Sequence[str]:
    return query.get(name) or ()
