"""seLinuxOptions: a type of those for containers, no user and no role."""

from __future__ import annotations

from podkeeper.apiserver.admission.podsecurity.pod import PodView, Tree, Violation, plural, quoted, setters

_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t"})


def selinux_options(pod: PodView) -> Violation | None:
    """Baseline since 1.0."""
    return _judge(pod, _TYPES)


def selinux_options_with_engine(pod: PodView) -> Violation | None:
    """Baseline since 1.31: engines inside containers have a type as well."""
    return _judge(pod, _TYPES | {"container_engine_t"})


def _judge(pod: PodView, allowed: frozenset[str]) -> Violation | None:
    kinds: set[str] = set()
    given: set[str] = set()

    def is_bad(security: Tree) -> bool:
        options = security.get("seLinuxOptions") or {}
        kind = options.get("type") or ""
        wrong = {field for field in ("user", "role") if options.get(field)}
        if kind not in allowed:
            kinds.add(kind)
        given.update(wrong)
        return bool(wrong) or kind not in allowed

    on_pod, bad = is_bad(pod.security), pod.named(is_bad)
    if not on_pod and not bad:
        return None
    what = [f"{plural('type', 'types', len(kinds))} {quoted(sorted(kinds))}"] if kinds else []
    what += [f"{field} may not be set" for field in ("user", "role") if field in given]
    detail = f"{setters(on_pod, bad)} set forbidden securityContext.seLinuxOptions: {'; '.join(what)}"
    return Violation("seLinuxOptions", detail)
