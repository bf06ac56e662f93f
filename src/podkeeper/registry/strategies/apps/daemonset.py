"""DaemonSets: an annotation counts the changes of the pod template, as it has since the kind's first versions."""

from __future__ import annotations

from podkeeper.registry.strategies.base import Origin, Rules, Strategy, Tree

COUNTER = "deprecated.daemonset.template.generation"


class DaemonSetStrategy(Strategy):
    """Source: upstream's daemonset strategy, whose templateGeneration apps/v1 shows as an annotation."""

    rules = Rules(generation=True, status=True)

    def prepare_for_create(self, tree: Tree, origin: Origin) -> None:
        """The first template."""
        super().prepare_for_create(tree, origin)
        _count(tree, max(1, _counted(tree)))

    def prepare_for_update(self, new: Tree, old: Tree) -> None:
        """Another template counts."""
        super().prepare_for_update(new, old)
        changed = (new.get("spec") or {}).get("template") != (old.get("spec") or {}).get("template")
        _count(new, _counted(old) + changed)

    def prepare_for_status_update(self, new: Tree, old: Tree) -> None:
        """The same template."""
        super().prepare_for_status_update(new, old)
        _count(new, _counted(old))


def _counted(tree: Tree) -> int:
    text = (tree["metadata"].get("annotations") or {}).get(COUNTER, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _count(tree: Tree, generation: int) -> None:
    metadata = tree["metadata"]
    metadata["annotations"] = (metadata.get("annotations") or {}) | {COUNTER: str(generation)}
