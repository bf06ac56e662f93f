"""Writes what a cluster begins with, in two waves of concurrent writes: namespaces, then everything in them.

On a restart everything is there already and each object costs one look into the cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from podkeeper.api import resources, timestamps
from podkeeper.api.errors import ApiError
from podkeeper.api.user import AUTHENTICATED_GROUP, MASTERS_GROUP, UserInfo
from podkeeper.apiserver.bootstrap import api_services, objects, policy
from podkeeper.apiserver.config import ApiServerConfig
from podkeeper.foundation.clock import Clock
from podkeeper.registry.storage_versions import is_stored
from podkeeper.registry.verbs import (
    DeleteOptions,
    FieldValidation,
    ListOptions,
    Registry,
    RequestContext,
    ResourceVerbs,
)

Tree = dict[str, Any]
#: From the present object and the wanted one to what is to be written, None for nothing.
Merge = Callable[[Mapping[str, Any], Mapping[str, Any]], Tree | None]

SELF = UserInfo("system:apiserver", groups=(MASTERS_GROUP, AUTHENTICATED_GROUP))


async def ensure_all(registry: Registry, config: ApiServerConfig, port: int, clock: Clock) -> None:
    """Creates or completes every object that a cluster begins with."""
    await _ensure(registry, [(tree, keep) for tree in objects.namespaces()])
    wave: list[tuple[Mapping[str, Any], Merge]] = [(tree, policy.reconciled) for tree in policy.objects()]
    wave += [(tree, keep) for tree in objects.priority_classes()]
    wave += [(tree, replace_content) for tree in objects.kubernetes_service(config, port)]
    wave.append((objects.authentication_config_map(config), replace_content))
    wave.append((objects.service_network(config), keep))
    answered = [row for row in resources.RESOURCES if row.enabled and not is_stored(row)]
    local = api_services.wanted([*registry.resources().values(), *answered])
    wave += [(tree, keep) for tree in local]
    await _ensure(registry, wave)
    await _forget_outlived(registry, [tree["metadata"]["name"] for tree in local])
    await _make_network_ready(registry, timestamps.format_time(clock.time()))


def keep(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> Tree | None:
    """Whatever is there is good."""
    return None


def replace_content(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> Tree | None:
    """Every wanted field must be as wanted; fields that are not wanted stay."""
    changed = {
        key: value for key, value in wanted.items() if key != "metadata" and not _includes(present.get(key), value)
    }
    if not changed:
        return None
    merged = {key: _overlay(present.get(key), value) for key, value in changed.items()}
    return {**present, **merged}


def _includes(have: Any, want: Any) -> bool:
    if isinstance(want, Mapping):
        return isinstance(have, Mapping) and all(_includes(have.get(key), value) for key, value in want.items())
    if isinstance(want, list):
        return isinstance(have, list) and len(have) == len(want) and all(map(_includes, have, want))
    return bool(have == want)


def _overlay(have: Any, want: Any) -> Any:
    if isinstance(want, Mapping) and isinstance(have, Mapping):
        return {**have, **{key: _overlay(have.get(key), value) for key, value in want.items()}}
    return want


async def _ensure(registry: Registry, wave: Sequence[tuple[Mapping[str, Any], Merge]]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for tree, merge in wave:
            verbs = _verbs(registry, tree)
            if verbs is not None:
                tasks.create_task(_ensure_one(verbs, tree, merge))


def _verbs(registry: Registry, tree: Mapping[str, Any]) -> ResourceVerbs | None:
    """The verbs of a tree's kind; None where the registry does not serve it."""
    group, _, version = tree["apiVersion"].rpartition("/")
    row = resources.for_kind(group, version, tree["kind"])
    return registry.verbs(group, version, row.name) if row is not None else None


async def _make_network_ready(registry: Registry, now: str) -> None:
    """A status cannot be created along with its object."""
    verbs = registry.verbs("networking.k8s.io", "v1", "servicecidrs")
    if verbs is None:
        return
    present = (await verbs.get("", "kubernetes")).tree()
    if not (present.get("status") or {}).get("conditions"):
        status = objects.service_network_status(now)
        await verbs.update(_context(), "", "kubernetes", {**_copy(present), "status": status}, "status")


async def _forget_outlived(registry: Registry, names: Sequence[str]) -> None:
    verbs = registry.verbs(api_services.OWN_GROUP, "v1", "apiservices")
    if verbs is None:
        return
    for item in (await verbs.list("", ListOptions())).items:
        if api_services.is_outlived(item.tree(), names):
            await verbs.delete(_context(), "", item.name, DeleteOptions())


async def _ensure_one(verbs: ResourceVerbs, wanted: Mapping[str, Any], merge: Merge) -> None:
    metadata = wanted["metadata"]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    context = _context()
    try:
        present = (await verbs.get(namespace, name)).tree()
    except ApiError as error:
        if error.code != 404:
            raise
        await verbs.create(context, namespace, _copy(wanted))
        return
    changed = merge(present, wanted)
    if changed is None:
        return
    if changed.get("roleRef") != present.get("roleRef"):
        await verbs.delete(context, namespace, name, DeleteOptions())
        await verbs.create(context, namespace, _copy(changed))
        return
    await verbs.update(context, namespace, name, _copy(changed))


def _context() -> RequestContext:
    return RequestContext(user=SELF, field_manager="podkeeper", field_validation=FieldValidation.IGNORE)


def _copy(tree: Any) -> Any:
    """A deep copy of a JSON tree: the registry may change what it is given."""
    if isinstance(tree, Mapping):
        return {key: _copy(value) for key, value in tree.items()}
    return [_copy(value) for value in tree] if isinstance(tree, list) else tree
