"""ImageLocality: nodes that have the pod's large images already are better, the more so the more nodes have them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from podkeeper.scheduler.columns import Columns
from podkeeper.scheduler.framework import MAX_SCORE, Scores
from podkeeper.scheduler.pod_facts import PodFacts

# Images below the first add nothing, those above the second (per container) no more. Source: upstream's plugin.
MIN_BYTES = 23 * 1024 * 1024
MAX_BYTES_PER_CONTAINER = 1000 * 1024 * 1024


class ImageLocality:
    """Sizes are weighed by the share of nodes that have the image, so that one node is not flooded."""

    name = "ImageLocality"
    weight = 1.0

    def score(self, pod: PodFacts, columns: Columns, fits: NDArray[np.intp]) -> Scores | None:
        """See Score."""
        bytes_there = np.zeros(columns.size)
        for container in (*pod.spec.init_containers, *pod.spec.containers):
            holders = columns.images.get(_tagged(container.image), {})
            for row, size in holders.items():
                bytes_there[row] += size * len(holders) / max(len(columns), 1)
        if not bytes_there.any():
            return None
        count = len(pod.spec.init_containers) + len(pod.spec.containers)
        ceiling = max(MAX_BYTES_PER_CONTAINER * count, MIN_BYTES + 1)
        clipped = np.clip(bytes_there[fits], MIN_BYTES, ceiling)
        return np.floor(MAX_SCORE * (clipped - MIN_BYTES) / (ceiling - MIN_BYTES))


def _tagged(image: str) -> str:
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"
