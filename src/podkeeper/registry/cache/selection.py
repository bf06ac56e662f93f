"""Which objects a list or watch means: a namespace (or all), labels, fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Protocol

from msgspec import Struct

from podkeeper.api.selectors import fields as field_selectors
from podkeeper.api.selectors import labels as label_selectors
from podkeeper.registry.cache.selectable import NAME, NAMESPACE
from podkeeper.registry.item import Head, StoredItem


class HeadSource(Protocol):
    """A served version in which labels or selectable fields may differ from those that are stored."""

    def head(self, stored: StoredItem) -> Head:
        """Labels and selectable fields of the object as that version shows it."""
        ...


class Selection(Struct, frozen=True, dict=True):
    """Hashable, so that equal selections share work. ``namespace`` empty: all of them. With ``shown`` it means objects
    as that version shows them, and nothing that is known of stored ones finds them."""

    namespace: str = ""
    labels: label_selectors.Selector = label_selectors.EVERYTHING
    fields: field_selectors.Selector = field_selectors.EVERYTHING
    shown: HeadSource | None = None

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
        """The fields of stored objects, other than name and namespace, that must have exactly one value."""
        if self.shown is not None:
            return {}
        return {key: value for key, value in self.fields.equalities.items() if key not in (NAME, NAMESPACE)}

    def matches(self, item: StoredItem) -> bool:
        """Whether the object is meant. Decodes no more of it than needed."""
        if self.namespace and item.namespace != self.namespace:
            return False
        return all(test(item) for test in self._tests)

    @cached_property
    def _tests(self) -> Sequence[Callable[[StoredItem], bool]]:
        """Beside the namespace, in order of cost."""
        tests: list[Callable[[StoredItem], bool]] = []
        own = [each for each in self.fields.requirements if each.field in (NAME, NAMESPACE)]
        if own:
            where = field_selectors.Selector(tuple(own))
            tests.append(lambda item: where.matches({NAME: item.name, NAMESPACE: item.namespace}))
        head = _stored_head if self.shown is None else self.shown.head
        for requirement in self.labels.requirements:
            tests.append(lambda item, test=requirement.test: test(head(item).labels))  # type: ignore[misc]
        others = [each for each in self.fields.requirements if each not in own]
        if others:
            rest = field_selectors.Selector(tuple(others))
            tests.append(lambda item: rest.matches(head(item).fields))
        return tests or ([] if not self.labels.nothing else [lambda item: False])


def _stored_head(item: StoredItem) -> Head:
    return item.head
