"""Priority: turns a pod's class into a number, and keeps one default among the classes."""

from __future__ import annotations

from typing import Any

from podkeeper.apiserver.admission.plugin import Plugin, forbidden, interest
from podkeeper.registry.admission import Attributes

_GROUP = "scheduling.k8s.io"
_LOWER = "PreemptLowerPriority"


class Priority(Plugin):
    """Sets spec.priority and spec.preemptionPolicy."""

    interest = interest("CREATE UPDATE", "/pods", f"{_GROUP}/priorityclasses")

    async def mutate(self, attributes: Attributes) -> None:
        """Computes a new pod's priority; an update keeps it. Raises 403 for an unknown class."""
        if attributes.resource.name != "pods" or attributes.tree is None:
            return
        spec = attributes.tree.setdefault("spec", {})
        if attributes.old is not None:
            before = attributes.old.get("spec") or {}
            for field in ("priority", "preemptionPolicy"):
                if spec.get(field) is None and before.get(field) is not None:
                    spec[field] = before[field]
            return
        name, value, policy = await self._class_of(attributes, spec.get("priorityClassName") or "")
        for field, computed, what in (
            ("priority", value, "integer value of priority"),
            ("preemptionPolicy", policy, "string value of PreemptionPolicy"),
        ):
            given = spec.get(field)
            if given is not None and given != computed:
                raise forbidden(
                    attributes,
                    f"the {what} ({given}) must not be provided in pod spec; "
                    f"priority admission controller computed {computed} from the given PriorityClass name",
                )
            spec[field] = computed
        if name:
            spec["priorityClassName"] = name

    async def validate(self, attributes: Attributes) -> None:
        """Refuses a second default class."""
        tree = attributes.tree
        if attributes.resource.name != "priorityclasses" or tree is None or not tree.get("globalDefault"):
            return
        default = _default((await self.live.followed(_GROUP, "priorityclasses")).all())
        if default is not None and default["metadata"]["name"] != tree["metadata"].get("name"):
            name = default["metadata"]["name"]
            why = f"PriorityClass {name} is already marked as default. Only one default can exist"
            raise forbidden(attributes, why)

    async def _class_of(self, attributes: Attributes, name: str) -> tuple[str, int, str]:
        classes = await self.live.followed(_GROUP, "priorityclasses")
        if name:
            found = classes.get(name) or await self.live.get(_GROUP, "priorityclasses", "", name)
            if found is None:
                raise forbidden(attributes, f"no PriorityClass with name {name} was found")
        else:
            found = _default(classes.all())
            if found is None:
                return "", 0, _LOWER
        return found["metadata"]["name"], int(found.get("value", 0)), found.get("preemptionPolicy") or _LOWER


def _default(classes: Any) -> dict[str, Any] | None:
    """The default class; of several the one with the lowest value."""
    defaults = [each for each in classes if each.get("globalDefault")]
    return min(defaults, key=lambda each: int(each.get("value", 0)), default=None)
