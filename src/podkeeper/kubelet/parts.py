"""What the parts of a kubelet share: made once by ``Kubelet`` and handed to every pod's worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct, field

from podkeeper.api.core import v1
from podkeeper.client.api import Api
from podkeeper.foundation.clock import Clock
from podkeeper.kubelet.config import KubeletConfig
from podkeeper.kubelet.downward import NodeFacts
from podkeeper.kubelet.image_puller import ImagePuller
from podkeeper.kubelet.objects import PodObjects
from podkeeper.kubelet.pod_cgroups import PodCgroups
from podkeeper.kubelet.pod_events import EventSink
from podkeeper.kubelet.probes.figures import ProbeFigures
from podkeeper.kubelet.tokens import TokenSource
from podkeeper.runtime.cri import RuntimeService
from podkeeper.runtime.cri_images import ImageService


class KubeletParts(Struct, frozen=True):
    """Everything a pod's worker works with. ``services`` lists the cluster's services as last seen."""

    config: KubeletConfig
    api: Api
    runtime: RuntimeService
    images: ImageService
    puller: ImagePuller
    cgroups: PodCgroups
    objects: PodObjects
    tokens: TokenSource
    events: EventSink
    clock: Clock
    node: NodeFacts
    services: Callable[[], Iterable[v1.Service]]
    memory_capacity: int
    probes: ProbeFigures = field(default_factory=ProbeFigures)
