"""What a command line names: ``pods``, ``pods,services``, ``pod web db``, ``pod/web service/web``, ``all``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from podkeeper.api.catalogue import Resource
from podkeeper.cli.kinds import Kinds, label
from podkeeper.cluster.errors import ClusterError


@dataclass(frozen=True, slots=True)
class Target:
    """One object, or all of a resource when ``name`` is empty."""

    resource: Resource
    name: str = ""

    def __str__(self) -> str:
        return label(self.resource, self.name) if self.name else self.resource.qualified_name


def parse(words: Sequence[str], kinds: Kinds) -> tuple[Target, ...]:
    """The targets in the order named. Raises ClusterError for words that fit no form or no resource."""
    if any("/" in word for word in words):
        return tuple(_pair(word, kinds) for word in words)
    types, names = words[0], words[1:]
    resources = [resource for word in types.split(",") for resource in kinds.named(word)]
    return tuple(Target(resource, name) for resource in resources for name in names or ("",))


def _pair(word: str, kinds: Kinds) -> Target:
    kind, slash, name = word.partition("/")
    if not (kind and slash and name) or "/" in name:
        raise ClusterError(f"{word!r} does not name an object", "either TYPE NAME..., or TYPE/NAME for each")
    (resource, *more) = kinds.named(kind)
    if more:
        raise ClusterError(f"{kind!r} is not one type", "name a single type before the slash")
    return Target(resource, name)
