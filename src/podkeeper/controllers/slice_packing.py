"""Spreads endpoints over slices of bounded size so that as few slices as possible change. Pure.

What is in a slice stays there; slices that change anyway take what is new; what is left goes into one slice that has
room for all of it, else into new ones. Slices that would be deleted are used again for ones that would be created.
Source: https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#distribution-of-endpointslices
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct, field

from podkeeper.api.discovery import v1 as discovery
from podkeeper.api.meta import v1 as meta
from podkeeper.controllers.slice_contents import Contents, Group

MOST_ENDPOINTS = 100


class Head(Struct, frozen=True):
    """What all slices of one owner have in their metadata. Labels and annotations of others are not kept."""

    metadata: meta.ObjectMeta
    #: Annotations that are renewed when a slice changes, and no reason to change it.
    stamps: Mapping[str, str] = field(default_factory=dict)


class Plan(Struct):
    """What to write. ``update`` has the objects as they are to be."""

    create: list[discovery.EndpointSlice] = field(default_factory=list)
    update: list[discovery.EndpointSlice] = field(default_factory=list)
    delete: list[discovery.EndpointSlice] = field(default_factory=list)


def plan(head: Head, existing: Sequence[discovery.EndpointSlice], wanted: Contents, most: int = MOST_ENDPOINTS) -> Plan:
    """The writes that make ``existing`` say what is ``wanted``."""
    found = Plan()
    by_group: dict[Group, list[discovery.EndpointSlice]] = {}
    for each in existing:
        by_group.setdefault((each.address_type, each.ports), []).append(each)
    for group, slices in by_group.items():
        if group not in wanted:
            found.delete += slices
    for group, endpoints in wanted.items():
        _pack(found, head, group, by_group.get(group, ()), endpoints, most)
    return found


def with_placeholders(
    found: Plan, head: Head, existing: Sequence[discovery.EndpointSlice], types: Iterable[str]
) -> None:
    """Leaves an empty slice for each address type where there would be none at all, so that consumers see the
    service."""
    if found.create or len(found.delete) < len(existing):
        return
    for address_type in types:
        empty = _new(head, (address_type, ()), ())
        kept = next((each for each in found.delete if _is_placeholder(each, empty)), None)
        if kept is None:
            found.create.append(empty)
        else:
            found.delete.remove(kept)


def reuse(found: Plan) -> Plan:
    """Turns creations into updates of slices that would be deleted, where the address type is the same."""
    for wanted in list(found.create):
        old = next((each for each in found.delete if each.address_type == wanted.address_type), None)
        if old is not None:
            found.create.remove(wanted)
            found.delete.remove(old)
            found.update.append(msgspec.structs.replace(wanted, metadata=_kept(old.metadata, wanted.metadata)))
    return found


def _pack(
    found: Plan,
    head: Head,
    group: Group,
    existing: Sequence[discovery.EndpointSlice],
    wanted: Sequence[discovery.Endpoint],
    most: int,
) -> None:
    left = {_identity(each): each for each in wanted}
    changing: list[tuple[discovery.EndpointSlice, list[discovery.Endpoint]]] = []
    same: list[discovery.EndpointSlice] = []
    for each in existing:
        kept = [left.pop(key) for key in map(_identity, each.endpoints) if key in left]
        if not kept:
            found.delete.append(each)
        elif tuple(kept) != each.endpoints or not _has_head(each, head):
            changing.append((each, kept))
        else:
            same.append(each)
    remaining = list(left.values())
    for _, endpoints in sorted(changing, key=lambda pair: -len(pair[1])):
        room = most - len(endpoints)
        endpoints += remaining[:room]
        remaining = remaining[room:]
    while remaining:
        target = _with_room(same, len(remaining), most)
        if target is not None:
            same.remove(target)
            changing.append((target, [*target.endpoints, *remaining]))
            break
        found.create.append(_new(head, group, tuple(remaining[:most])))
        remaining = remaining[most:]
    found.update += [_changed(head, each, tuple(endpoints)) for each, endpoints in changing]


def _with_room(slices: Sequence[discovery.EndpointSlice], count: int, most: int) -> discovery.EndpointSlice | None:
    """The fullest slice that can take all that is left."""
    fitting = [each for each in slices if len(each.endpoints) + count <= most]
    return max(fitting, key=lambda each: len(each.endpoints), default=None)


def _identity(endpoint: discovery.Endpoint) -> tuple[object, ...]:
    """What makes two endpoints one: the rest may change in place."""
    target = endpoint.target_ref
    who = (target.namespace, target.name) if target else ()
    return (tuple(sorted(endpoint.addresses)), endpoint.hostname, who)


def _new(head: Head, group: Group, endpoints: tuple[discovery.Endpoint, ...]) -> discovery.EndpointSlice:
    annotations = {**head.metadata.annotations, **head.stamps}
    metadata = msgspec.structs.replace(head.metadata, annotations=annotations)
    return discovery.EndpointSlice(metadata=metadata, address_type=group[0], ports=group[1], endpoints=endpoints)


def _changed(
    head: Head, present: discovery.EndpointSlice, endpoints: tuple[discovery.Endpoint, ...]
) -> discovery.EndpointSlice:
    fresh = _new(head, (present.address_type, present.ports), endpoints)
    return msgspec.structs.replace(fresh, metadata=_kept(present.metadata, fresh.metadata))


def _kept(present: meta.ObjectMeta, wanted: meta.ObjectMeta) -> meta.ObjectMeta:
    """The present object's identity with the wanted labels, annotations and owners."""
    return msgspec.structs.replace(
        present, labels=wanted.labels, annotations=wanted.annotations, owner_references=wanted.owner_references
    )


def _has_head(present: discovery.EndpointSlice, head: Head) -> bool:
    annotations = {key: value for key, value in present.metadata.annotations.items() if key not in head.stamps}
    return present.metadata.labels == head.metadata.labels and annotations == head.metadata.annotations


def _is_placeholder(present: discovery.EndpointSlice, empty: discovery.EndpointSlice) -> bool:
    same = (present.address_type, present.ports, present.endpoints) == (empty.address_type, (), ())
    return same and present.metadata.labels == empty.metadata.labels
