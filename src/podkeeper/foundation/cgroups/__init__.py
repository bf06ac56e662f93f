"""Control groups of version 1, version 2 and the hybrid of both, behind one small Protocol.

A group is named by one path below the roots of the hierarchies (``/podkeeper-node/burstable/pod42``): version 1 has a
directory of that name in every hierarchy, version 2 has one. Knows no Kubernetes.
"""

from podkeeper.foundation.cgroups.layout import CgroupMode, Layout, detect, missing_controllers
from podkeeper.foundation.cgroups.tree import CgroupError, Cgroups, CgroupUsage, Limits
from podkeeper.foundation.cgroups.v1 import CgroupsV1
from podkeeper.foundation.cgroups.v2 import CgroupsV2

__all__ = [
    "CgroupError",
    "CgroupMode",
    "CgroupUsage",
    "Cgroups",
    "CgroupsV1",
    "CgroupsV2",
    "Layout",
    "Limits",
    "detect",
    "missing_controllers",
    "open_cgroups",
]


def open_cgroups(layout: Layout | None = None) -> Cgroups:
    """The machine's control groups (or those of ``layout``)."""
    found = layout or detect()
    return CgroupsV2(found) if found.mode is CgroupMode.UNIFIED else CgroupsV1(found)
