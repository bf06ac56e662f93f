"""The field managers of a served kind: one for the object itself and one for each subresource that writes it.

What a face cannot change is hidden from its managers, as upstream's strategies reset it: the status from writers of the
object, everything else from writers of its status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podkeeper.api import schema, timestamps
from podkeeper.api.apply import FieldManager, Node, Writer, nodes
from podkeeper.api.resources import lookup
from podkeeper.registry.conversion import UnsupportedVersion, conversion_for

if TYPE_CHECKING:
    from podkeeper.registry.custom.view import CustomView
    from podkeeper.registry.served import ServedKind
    from podkeeper.registry.verbs import RequestContext

Tree = dict[str, Any]

STATUS = "status"
#: Who writes when no client does.
SERVER = "kube-apiserver"


class FieldManagers:
    """Makes them when they are first needed."""

    def __init__(self, kind: ServedKind) -> None:
        self._kind = kind
        self._by_face: dict[str, FieldManager] = {}

    def of(self, subresource: str = "") -> FieldManager:
        """The manager of a face; "" is the object itself."""
        found = self._by_face.get(subresource)
        if found is None:
            row = self._kind.resource
            found = FieldManager(
                (row.api_version, row.kind), self._node(), self._convert, subresource, self._hidden(subresource)
            )
            self._by_face[subresource] = found
        return found

    def writer(self, context: RequestContext) -> Writer:
        """Who writes, and when."""
        now = timestamps.format_time(self._kind.backing.clock.time())
        return Writer(context.field_manager or SERVER, now)

    def _hidden(self, subresource: str) -> tuple[str, ...]:
        version = self._kind.version
        if subresource == STATUS:
            properties = version.schema.properties if version else schema.for_class(self._kind.served_class).properties
            return tuple(name for name in properties if name not in ("metadata", STATUS))
        return (STATUS,) if self._kind.strategy.rules.status else ()

    def _node(self) -> Node:
        version = self._kind.version
        if version is not None:
            return nodes.of_structural(version.schema)
        return nodes.of_type(schema.for_class(self._kind.served_class))

    def _convert(self, tree: Tree, api_version: str) -> tuple[Tree, Node] | None:
        """The same object in another version that this API has; None for a version that is gone."""
        if self._kind.custom is not None:
            return self._converted_custom(self._kind.custom, tree, api_version)
        group, _, version = api_version.rpartition("/")
        row = lookup(group, version, self._kind.resource.name)
        kind = schema.for_kind(group, version, self._kind.resource.kind)
        if row is None or kind is None:
            return None
        try:
            conversion = conversion_for(row)
        except UnsupportedVersion:
            return None
        stored = self._kind.view.to_storage(tree)
        converted = stored if conversion is None else conversion.from_storage(stored)
        return converted, nodes.of_type(kind)

    def _converted_custom(self, view: CustomView, tree: Tree, api_version: str) -> tuple[Tree, Node] | None:
        converted = view.in_version(tree, api_version)
        if converted is None:
            return None
        found, version = converted
        return found, nodes.of_structural(version.schema)
