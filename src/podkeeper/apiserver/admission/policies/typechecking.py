"""What is wrong with a ValidatingAdmissionPolicy's expressions, checked against the types that it is about.

A policy is never refused for it: objects of other types, or of types that come later, may be what it means. The
warnings stand in its status. Source: Kubernetes reference, Validating Admission Policy, "Type checking".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from podkeeper.api import schema
from podkeeper.api.catalogue import Resource
from podkeeper.api.cel import CelError, Declaration, Environment
from podkeeper.api.cel.declarations import of_builtin, of_structural
from podkeeper.apiserver.admission import expressions
from podkeeper.apiserver.admission.expressions import Variables
from podkeeper.apiserver.admission.policies import params
from podkeeper.apiserver.live import LiveObjects

Tree = Mapping[str, Any]

#: No more types are looked at for one rule.
_MOST_TYPES = 10


def warnings(spec: Tree, live: LiveObjects) -> list[dict[str, str]]:
    """``expressionWarnings`` of a policy's spec."""
    checked = [(shown, _environment(spec, declared, live)) for shown, declared in _types(spec, live)]
    found = []
    for place, text in _expressions(spec):
        said = [f"{shown}: {problem}\n" for shown, environment in checked if (problem := _problem(text, environment))]
        if said:
            found.append({"fieldRef": place, "warning": "\n".join(said)})
    return found


def _expressions(spec: Tree) -> Iterator[tuple[str, str]]:
    for index, validation in enumerate(spec.get("validations") or ()):
        for field in ("expression", "messageExpression"):
            if validation.get(field):
                yield f"spec.validations[{index}].{field}", validation[field]


def _problem(text: str, environment: Environment) -> str:
    try:
        environment.compile(text, None)
    except CelError as error:
        return str(error)
    return ""


def _environment(spec: Tree, declared: Declaration, live: LiveObjects) -> Environment:
    given = _params(spec, live)
    texts = [(each["name"], each["expression"]) for each in spec.get("variables") or ()]

    def environment(composed: Declaration) -> Environment:
        if given is None:
            return expressions.environment_of(Variables(composed=composed, object_type=declared))
        return expressions.environment_of(Variables(True, composed=composed, object_type=declared, params_type=given))

    _, composed = expressions.compose(texts, environment)
    return environment(composed)


def _params(spec: Tree, live: LiveObjects) -> Declaration | None:
    kind = spec.get("paramKind")
    resource = params.resource_of(kind, live) if kind else None
    return None if resource is None else declaration_of(resource, live)


def _types(spec: Tree, live: LiveObjects) -> list[tuple[str, Declaration]]:
    """The types that the rules name, each with its name in messages; rules with wildcards name none."""
    found: dict[tuple[str, str, str], Resource] = {}
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        groups, versions = rule.get("apiGroups") or (), rule.get("apiVersions") or ()
        if "*" in groups or "*" in versions:
            continue
        for resource in _named(groups, versions, rule.get("resources") or (), live)[:_MOST_TYPES]:
            found[resource.group, resource.version, resource.kind] = resource
    types = []
    for (group, version, kind), resource in sorted(found.items()):
        declared = declaration_of(resource, live)
        if declared is not None:
            types.append((f"{group}/{version}, Kind={kind}", declared))
    return types


def _named(groups: Sequence[str], versions: Sequence[str], names: Sequence[str], live: LiveObjects) -> list[Resource]:
    plain = sorted(name for name in names if "*" not in name and "/" not in name)
    verbs = (
        live.registry.verbs(group, version, name)
        for group in sorted(groups)
        for version in sorted(versions)
        for name in plain
    )
    return [each.resource for each in verbs if each is not None]


def declaration_of(resource: Resource, live: LiveObjects) -> Declaration | None:
    """The fields of a resource's objects; None where nothing is known of them."""
    built_in = schema.for_kind(resource.group, resource.version, resource.kind)
    if built_in is not None:
        return of_builtin(built_in.name)
    verbs = live.registry.verbs(resource.group, resource.version, resource.name)
    version = getattr(getattr(verbs, "kind", None), "version", None)
    return None if version is None else of_structural(version.schema, root=True)
