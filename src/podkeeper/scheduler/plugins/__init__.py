"""The plugins, in upstream's order: what runs is listed here and nowhere else."""

from __future__ import annotations

from podkeeper.scheduler.framework import Filter, Score
from podkeeper.scheduler.plugins.balanced_allocation import BalancedAllocation
from podkeeper.scheduler.plugins.image_locality import ImageLocality
from podkeeper.scheduler.plugins.node_affinity import NodeAffinity
from podkeeper.scheduler.plugins.node_name import NodeName
from podkeeper.scheduler.plugins.node_ports import NodePorts
from podkeeper.scheduler.plugins.node_resources_fit import NodeResourcesFit
from podkeeper.scheduler.plugins.node_unschedulable import NodeUnschedulable
from podkeeper.scheduler.plugins.taint_toleration import TaintToleration


def default_filters() -> tuple[Filter, ...]:
    """The order decides whose reason a node gets: the first that objects."""
    return (NodeUnschedulable(), NodeName(), TaintToleration(), NodeAffinity(), NodePorts(), NodeResourcesFit())


def default_scores() -> tuple[Score, ...]:
    """With upstream's default weights."""
    return (TaintToleration(), NodeAffinity(), NodeResourcesFit(), BalancedAllocation(), ImageLocality())
