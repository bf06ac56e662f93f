"""ReplicationController: what a ReplicaSet does, with the older kind's plain selector."""

from __future__ import annotations

from typing import Any, ClassVar

from podkeeper.api.core import v1
from podkeeper.api.selectors import labels
from podkeeper.api.selectors.labels import Selector
from podkeeper.controllers.replica_set import ReplicaSets


class ReplicationControllers(ReplicaSets):
    """Keys are replication controllers."""

    name = "replication-controller"
    kind: ClassVar[type[Any]] = v1.ReplicationController
    kind_name = "ReplicationController"
    condition_type: ClassVar[type[Any]] = v1.ReplicationControllerCondition

    def selector(self, replica_set: Any) -> Selector:
        """All labels of the map; an empty one selects nothing."""
        return labels.from_set(replica_set.spec.selector) if replica_set.spec.selector else labels.NOTHING

    def status(self, counts: dict[str, Any], failures: tuple[Any, ...], terminating: int) -> Any:
        """The status of the kind, which counts no pods on their way out."""
        return v1.ReplicationControllerStatus(**counts, conditions=failures)
