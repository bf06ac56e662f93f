"""Which objects a list or watch means: a namespace (or all), labels, fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from podkeeper.api.selectors import fields as field_selectors
from podkeeper.api.selectors import labels as label_selectors
from podkeeper.registry.cache.selectable import NAME, NAMESPACE
from podkeeper.registry.item import StoredItem


@dataclass(frozen=True)
class Selection:
    """Hashable, so that equal selections share work. ``namespace`` empty: all of them."""

    namespace: str = ""
    labels: label_selectors.Selector = label_selectors.EVERYTHING
    fields: field_selectors.Selector = field_selectors.EVERYTHING

    @cached_property
    def name(self) -> str | None:
        """The one name that can match, if the fields demand one."""
        return self.fields.equalities.get(NAME)

    @cached_property
    def plain(self) -> bool:
        """Whether everything in the namespace matches."""
        return self.labels.empty and self.fields.empty

    @cached_property
    def exact_fields(self) -> Mapping[str, str]:
        """The fields other than name and namespace that must have exactly one value."""
        return {key: value for key, value in self.fields.equalities.items() if key not in (NAME, NAMESPACE)}

    @cached_property
    def _needs_head(self) -> bool:
        named = all(each.field in (NAME, NAMESPACE) for each in self.fields.requirements)
        return not (named and self.labels.empty)

    def matches(self, item: StoredItem) -> bool:
        """Whether the object is meant. Decodes no more of it than needed."""
        if self.namespace and item.namespace != self.namespace:
            return False
        if self.plain:
            return True
        name = self.name
        if name is not None and item.name != name:
            return False
        if not self._needs_head:
            return self.fields.matches({NAME: item.name, NAMESPACE: item.namespace})
        head = item.head
        return self.labels.matches(head.labels) and (self.fields.empty or self.fields.matches(head.fields))
