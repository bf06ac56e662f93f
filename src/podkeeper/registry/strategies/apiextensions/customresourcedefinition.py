"""CustomResourceDefinitions: the status remembers every version that objects may have been stored in, and a definition
waits for its objects to go before it goes itself."""

from __future__ import annotations

from podkeeper.registry.strategies.base import Origin, Rules, Strategy, Tree

#: Held by a definition that is being deleted until its objects are gone.
CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"

_PENDING = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"


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

    def holds_deletion(self, tree: Tree) -> bool:
        """The first request to delete only marks it: its objects go first."""
        return not tree["metadata"].get("deletionTimestamp")

    def prepare_for_deletion(self, tree: Tree) -> None:
        """Takes the finalizer, and says what comes."""
        metadata, status = tree["metadata"], tree.setdefault("status", {})
        metadata.pop("deletionGracePeriodSeconds", None)
        metadata["finalizers"] = [*(metadata.get("finalizers") or ()), CLEANUP_FINALIZER]
        terminating = {
            "type": "Terminating",
            "status": "True",
            "lastTransitionTime": metadata["deletionTimestamp"],
            "reason": "InstanceDeletionPending",
            "message": _PENDING,
        }
        others = [each for each in status.get("conditions") or () if each["type"] != "Terminating"]
        status["conditions"] = [*others, terminating]


def _storage_versions(tree: Tree) -> list[str]:
    return [each["name"] for each in (tree.get("spec") or {}).get("versions") or () if each.get("storage")]
