"""Which groups and versions discovery shows first, by the priorities of the APIServices that stand for them. Pure.

Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/api-service-v1/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from podkeeper.api.structural.definition import priority
from podkeeper.apiserver.bootstrap.api_services import priorities_of

#: Those of a group and of one of its versions, by both.
RemotePriorities = Mapping[tuple[str, str], tuple[int, int]]


class Priorities:
    """Sort keys; ``remote`` are the priorities of what other servers answer."""

    def __init__(self, remote: RemotePriorities = MappingProxyType({})) -> None:
        self._remote = remote

    def of_versions(self, group: str) -> Callable[[str], Any]:
        """For versions of a group: equal ones are ordered as upstream prefers them, v2, v1, v1beta1."""
        return lambda version: (-self._of(group, version)[1], priority(version))

    def of_group(self, group: str, versions: Iterable[str]) -> Any:
        """For groups of the aggregated form: equal ones are ordered by name."""
        return -max(self._of(group, each)[0] for each in versions), group

    def of_listed_group(self, group: str, versions: Iterable[str]) -> Any:
        """For groups of the list: equal ones are ordered by the first names of their APIServices."""
        return min((-self._of(group, each)[0], f"{each}.{group}") for each in versions)

    def _of(self, group: str, version: str) -> tuple[int, int]:
        return self._remote.get((group, version)) or priorities_of(group, version)
