"""CustomResourceDefinitions: the status remembers every version that objects may have been stored in."""

from __future__ import annotations

from podkeeper.registry.strategies.base import Origin, Rules, Strategy, Tree


class CustomResourceDefinitionStrategy(Strategy):
    """Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/"""

    rules = Rules(generation=True, status=True, status_keeps_metadata=True, unconditional_update=False)

    def prepare_for_create(self, tree: Tree, origin: Origin) -> None:
        """Only the storage version has been stored so far."""
        tree["status"] = {"storedVersions": _storage_versions(tree)}

    def prepare_for_update(self, new: Tree, old: Tree) -> None:
        """A new storage version joins those before."""
        super().prepare_for_update(new, old)
        status = new["status"] = dict(old.get("status") or {})
        stored = status.get("storedVersions") or []
        status["storedVersions"] = stored + [each for each in _storage_versions(new) if each not in stored]


def _storage_versions(tree: Tree) -> list[str]:
    return [each["name"] for each in (tree.get("spec") or {}).get("versions") or () if each.get("storage")]
