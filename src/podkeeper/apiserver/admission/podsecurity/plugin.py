"""The plugin: pods are refused, workloads and namespaces get warnings, everything is noted for the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podkeeper.api.errors import invalid
from podkeeper.apiserver.admission.matching import namespace_of
from podkeeper.apiserver.admission.plugin import Plugin, forbidden, interest
from podkeeper.apiserver.admission.podsecurity import labels, levels
from podkeeper.apiserver.admission.podsecurity.labels import Policy
from podkeeper.apiserver.admission.podsecurity.levels import LevelVersion
from podkeeper.apiserver.admission.podsecurity.pod import PodView
from podkeeper.apiserver.admission.podsecurity.updates import is_significant
from podkeeper.apiserver.config import PodSecurityConfig
from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.admission import Attributes

Tree = Mapping[str, Any]

_ANNOTATION = "pod-security.kubernetes.io/"
_EXEMPT, _ENFORCED = f"{_ANNOTATION}exempt", f"{_ANNOTATION}enforce-policy"
#: More pods of a namespace are not looked at when its labels change.
_MOST_PODS = 3000
#: Where a workload keeps its template.
_TEMPLATES = {
    "/replicationcontrollers": ("spec", "template"),
    "/podtemplates": ("template",),
    "apps/daemonsets": ("spec", "template"),
    "apps/deployments": ("spec", "template"),
    "apps/replicasets": ("spec", "template"),
    "apps/statefulsets": ("spec", "template"),
    "batch/jobs": ("spec", "template"),
    "batch/cronjobs": ("spec", "jobTemplate", "spec", "template"),
}


class PodSecurity(Plugin):
    """Judges pods by the standards that their namespaces' labels name."""

    interest = interest(
        "CREATE UPDATE", "/pods", "/pods/ephemeralcontainers", "/pods/resize", "/namespaces", *_TEMPLATES
    )

    def __init__(self, live: LiveObjects, config: PodSecurityConfig) -> None:
        super().__init__(live)
        self._config = config
        defaults = (
            LevelVersion(level, None if version == "latest" else int(version.removeprefix("v1.")))
            for level, version in (config.enforce, config.audit, config.warn)
        )
        self._defaults = Policy(*defaults)

    async def validate(self, attributes: Attributes) -> None:
        """Raises 403 for a pod, and 422 for labels that mean nothing."""
        if attributes.resource.name == "namespaces":
            await self._judge_namespace(attributes)
            return
        config = self._config
        if attributes.namespace in config.exempt_namespaces:
            attributes.annotations[_EXEMPT] = "namespace"
            return
        if attributes.user.name in config.exempt_users:
            attributes.annotations[_EXEMPT] = "user"
            return
        namespace = await namespace_of(attributes.namespace, self.live) or {"metadata": {}}
        policy, mistakes = labels.read(namespace["metadata"].get("labels") or {}, self._defaults)
        if policy.is_privileged and not mistakes:
            if attributes.resource.name == "pods":
                attributes.annotations[_ENFORCED] = str(policy.enforce)
            return
        if mistakes:
            text = f"Failed to parse policy: {mistakes[0].field}: {mistakes[0].message}"
            attributes.annotations[f"{_ANNOTATION}error"] = text
        if attributes.resource.name == "pods":
            self._judge_pod(attributes, policy)
        else:
            self._judge_template(attributes, policy)

    def _judge_pod(self, attributes: Attributes, policy: Policy) -> None:
        assert attributes.tree is not None
        if attributes.old is not None and not is_significant(attributes.tree, attributes.old):
            return
        pod = PodView.of(attributes.tree)
        if pod.spec.get("runtimeClassName") in self._config.exempt_runtime_classes:
            attributes.annotations[_EXEMPT] = "runtimeClass"
            return
        found = levels.violations(policy.enforce, pod)
        attributes.annotations[_ENFORCED] = str(policy.enforce)
        self._foretell(attributes, pod, policy, warn=not found)
        if found:
            raise forbidden(attributes, f'violates PodSecurity "{policy.enforce}": {levels.detail(found)}')

    def _judge_template(self, attributes: Attributes, policy: Policy) -> None:
        place: Any = attributes.tree
        for name in _TEMPLATES[f"{attributes.resource.group}/{attributes.resource.name}"]:
            place = (place or {}).get(name)
        if not place:
            return
        pod = PodView.of(place)
        if pod.spec.get("runtimeClassName") in self._config.exempt_runtime_classes:
            attributes.annotations[_EXEMPT] = "runtimeClass"
        else:
            self._foretell(attributes, pod, policy, warn=True)

    def _foretell(self, attributes: Attributes, pod: PodView, policy: Policy, warn: bool) -> None:
        """What would be refused by the levels to audit and to warn of."""
        audited = levels.violations(policy.audit, pod)
        if audited:
            text = f'would violate PodSecurity "{policy.audit}": {levels.detail(audited)}'
            attributes.annotations[f"{_ANNOTATION}audit-violations"] = text
        warned = levels.violations(policy.warn, pod) if warn else []
        if warned:
            attributes.warnings.append(f'would violate PodSecurity "{policy.warn}": {levels.detail(warned)}')

    async def _judge_namespace(self, attributes: Attributes) -> None:
        new, mistakes = labels.read(_labels(attributes.tree), self._defaults)
        if attributes.old is None:
            if mistakes:
                raise invalid("Namespace", "", attributes.name, mistakes)
            return
        old, before = labels.read(_labels(attributes.old), self._defaults)
        if mistakes and mistakes != before:
            raise invalid("Namespace", "", attributes.name, mistakes)
        relaxed = new.enforce.minor == old.enforce.minor and not new.enforce.is_stricter_than(old.enforce)
        if new.enforce == old.enforce or new.enforce.level == levels.PRIVILEGED or relaxed:
            return
        if attributes.name not in self._config.exempt_namespaces:
            attributes.warnings.extend(await self._existing(attributes.name, new.enforce))

    async def _existing(self, namespace: str, wanted: LevelVersion) -> list[str]:
        """What is said about the pods that are there already."""
        pods = await self.live.list("", "pods", namespace)
        names: dict[str, list[str]] = {}
        for tree in pods[:_MOST_PODS]:
            pod = PodView.of(tree)
            if pod.spec.get("runtimeClassName") in self._config.exempt_runtime_classes:
                continue
            found = levels.violations(wanted, pod)
            if found:
                names.setdefault(", ".join(each.reason for each in found), []).append(tree["metadata"]["name"])
        warnings = []
        if len(pods) > _MOST_PODS:
            what = f"the first {_MOST_PODS} of {len(pods)} existing pods"
            warnings.append(f"new PodSecurity enforce level only checked against {what}")
        if names:
            what = f'existing pods in namespace "{namespace}"'
            warnings.append(f'{what} violate the new PodSecurity enforce level "{wanted}"')
        return warnings + sorted(f"{_first(pods_of)}: {reasons}" for reasons, pods_of in names.items())


def _labels(tree: Tree | None) -> Mapping[str, str]:
    found: Mapping[str, str] = ((tree or {}).get("metadata") or {}).get("labels") or {}
    return found


def _first(names: list[str]) -> str:
    others = len(names) - 1
    if not others:
        return names[0]
    return f"{min(names)} (and {others} other {'pod' if others == 1 else 'pods'})"
