"""A write as somebody outside sees it: its objects in the version that was asked for, and what kind they are."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from podkeeper.api.catalogue import Resource
from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.admission import Attributes
from podkeeper.registry.custom.view import CustomView

Tree = dict[str, Any]
#: Group, version and kind.
Kind = tuple[str, str, str]


class VersionedWrite(Struct):
    """The objects of a write as those of ``resource``, and of the ``kind`` that they have there."""

    attributes: Attributes
    resource: Resource
    kind: Kind
    tree: Tree | None
    old: Tree | None

    @property
    def is_own(self) -> bool:
        """The version is that of the request."""
        return self.resource is self.attributes.resource


def kind_of(resource: Resource, subresource: str, tree: Tree | None) -> Kind:
    """The kind of what a write carries: that of the body where it says one, of the subresource, or of the resource."""
    if tree is not None and tree.get("kind") and tree.get("apiVersion"):
        group, _, version = str(tree["apiVersion"]).rpartition("/")
        return group, version, str(tree["kind"])
    found = resource.subresources.get(subresource)
    if found is not None:
        return found.group, found.version, found.kind
    return resource.group, resource.version, resource.kind


async def versioned(attributes: Attributes, resource: Resource, live: LiveObjects) -> VersionedWrite:
    """The write as one of ``resource``, a served version of what is written."""
    own = attributes.resource
    if resource is own:
        tree, old = attributes.tree, attributes.old
        return VersionedWrite(attributes, own, kind_of(own, attributes.subresource, tree or old), tree, old)
    tree = await converted(attributes.tree, own, resource, live)
    old = await converted(attributes.old, own, resource, live)
    return VersionedWrite(attributes, resource, kind_of(resource, attributes.subresource, tree or old), tree, old)


async def converted(tree: Tree | None, source: Resource, target: Resource, live: LiveObjects) -> Tree | None:
    """An object of one served version in another one; what is of another kind than the resource stays as it is."""
    if tree is None or source is target or tree.get("kind") != source.kind:
        return tree
    view, given = _view(target, live), _view(source, live).to_storage(tree)
    if isinstance(view, CustomView):
        await view.supply([given])
    return view.from_storage(given)  # type: ignore[no-any-return]


def _view(resource: Resource, live: LiveObjects) -> Any:
    verbs: Any = live.registry.verbs(resource.group, resource.version, resource.name)
    return verbs.kind.view
