"""ValidatingAdmissionPolicy, MutatingAdmissionPolicy and their bindings.

Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from podkeeper.api import names
from podkeeper.api.validation import matching
from podkeeper.api.validation.expressions import Expressions
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.selectors import label_selector

if TYPE_CHECKING:
    from podkeeper.api.admissionregistration import v1 as registration

_ACTIONS = ("Audit", "Deny", "Warn")
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_NOT_FOUND_ACTIONS = ("Deny", "Allow")
_PATCHES = (("ApplyConfiguration", "applyConfiguration"), ("JSONPatch", "jsonPatch"))
_MAX_ANNOTATIONS = 20
_MAX_VALUE_EXPRESSION = 5 * 1024
_IDENTIFIER = re.compile("[_a-zA-Z][_a-zA-Z0-9]*")
_LITERALS = ("true", "false", "null", "in")
_KEPT_FOR_LATER = ("as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop")
_ALSO_KEPT = ("package", "namespace", "return", "var", "void", "while")
_RESERVED = frozenset(_LITERALS + _KEPT_FOR_LATER + _ALSO_KEPT)
_NOTHING_TO_DO = "validations or auditAnnotations must contain at least one item"
_BOTH = "name and selector are mutually exclusive"
_TWICE = (
    "must not contain both Deny and Warn (repeating the same validation failure information in the API response and "
    "headers serves no purpose)"
)


def validating(found: Found, obj: registration.ValidatingAdmissionPolicy) -> None:
    """A new ValidatingAdmissionPolicy."""
    _validating(found, obj, True)


def validating_update(
    found: Found, new: registration.ValidatingAdmissionPolicy, old: registration.ValidatingAdmissionPolicy
) -> None:
    """Everything may change; conditions that do not change are not looked at again."""
    _validating(found, new, _conditions(new) != _conditions(old))


def _validating(found: Found, obj: registration.ValidatingAdmissionPolicy, conditions: bool) -> None:
    spec = obj.spec
    expressions = _policy(found, spec, conditions)
    if not spec.validations and not spec.audit_annotations:
        found.required("spec.validations", _NOTHING_TO_DO)
        found.required("spec.auditAnnotations", _NOTHING_TO_DO)
        return
    for path, each in indexed("spec.validations", spec.validations):
        _validation(found, path, each, expressions)
    if len(spec.audit_annotations) > _MAX_ANNOTATIONS:
        why = f"must not have more than {_MAX_ANNOTATIONS} auditAnnotations"
        found.invalid("spec.auditAnnotations", spec.audit_annotations, why)
    seen = set()
    for path, annotation in indexed("spec.auditAnnotations", spec.audit_annotations):
        _annotation(found, path, obj.metadata.name, annotation, expressions)
        if annotation.key in seen:
            found.duplicate(f"{path}.key", annotation.key)
        seen.add(annotation.key)


def mutating(found: Found, obj: registration.MutatingAdmissionPolicy) -> None:
    """A new MutatingAdmissionPolicy."""
    _mutating(found, obj, True)


def mutating_update(
    found: Found, new: registration.MutatingAdmissionPolicy, old: registration.MutatingAdmissionPolicy
) -> None:
    """Everything may change; conditions that do not change are not looked at again."""
    _mutating(found, new, _conditions(new) != _conditions(old))


def _mutating(found: Found, obj: registration.MutatingAdmissionPolicy, conditions: bool) -> None:
    spec = obj.spec
    expressions = _policy(found, spec, conditions)
    found.one_of("spec.reinvocationPolicy", spec.reinvocation_policy, ("Never", "IfNeeded"))
    if not spec.mutations:
        found.required("spec.mutations", "mutations must contain at least one item")
    for path, mutation in indexed("spec.mutations", spec.mutations):
        _mutation(found, path, mutation, expressions)


def validating_binding(found: Found, obj: registration.ValidatingAdmissionPolicyBinding) -> None:
    """A new or changed binding of a ValidatingAdmissionPolicy."""
    mutating_binding(found, obj)
    at, actions = "spec.validationActions", obj.spec.validation_actions
    seen = set()
    for path, action in indexed(at, actions):
        if action not in _ACTIONS:
            found.unsupported(path, action, _ACTIONS)
        if action in seen:
            found.duplicate(path, action)
        seen.add(action)
    if {"Deny", "Warn"} <= seen:
        found.invalid(at, actions, _TWICE)
    if not actions:
        found.required(at, "at least one validation action is required")


def validating_binding_update(found: Found, new: Any, old: Any) -> None:
    """Everything may change."""
    validating_binding(found, new)


def mutating_binding(found: Found, obj: Any) -> None:
    """What the bindings of both sorts of policies share: policy, parameters, and a narrower match."""
    spec = obj.spec
    if not spec.policy_name:
        found.required("spec.policyName")
    else:
        found.check("spec.policyName", spec.policy_name, names.dns_subdomain)
    if spec.param_ref is not None:
        _parameters(found, "spec.paramRef", spec.param_ref)
    if spec.match_resources is not None:
        matching.match_resources(found, "spec.matchResouces", spec.match_resources)  # upstream's spelling


def mutating_binding_update(found: Found, new: Any, old: Any) -> None:
    """Everything may change."""
    mutating_binding(found, new)


def _conditions(policy: Any) -> Any:
    """Conditions, and what decides what they may name."""
    return policy.spec.match_conditions, policy.spec.param_kind is None


def _policy(found: Found, spec: Any, conditions: bool) -> Expressions:
    """What both sorts share; what knows of its variables."""
    found.one_of("spec.failurePolicy", spec.failure_policy, matching.FAILURE_POLICIES)
    if spec.param_kind is not None:
        _parameter_kind(found, "spec.paramKind", spec.param_kind)
    if spec.match_constraints is None:
        found.required("spec.matchConstraints")
    else:
        matching.match_resources(found, "spec.matchConstraints", spec.match_constraints)
        if not spec.match_constraints.resource_rules:
            found.required("spec.matchConstraints.resourceRules")
    expressions = Expressions(found, spec.param_kind is not None)
    if conditions:
        matching.conditions(found, "spec.matchConditions", spec.match_conditions, expressions)
    for path, variable in indexed("spec.variables", spec.variables):
        if not variable.name.strip():
            found.required(f"{path}.name", "name is not specified")
        elif not _IDENTIFIER.fullmatch(variable.name) or variable.name in _RESERVED:
            found.invalid(f"{path}.name", variable.name, "name is not a valid CEL identifier")
        if not variable.expression.strip():
            found.required(f"{path}.expression", "expression is not specified")
        else:
            expressions.variable(f"{path}.expression", variable.name, variable.expression)
    return expressions


def _parameter_kind(found: Found, at: str, kind: registration.ParamKind) -> None:
    version = kind.api_version
    if not version:
        found.required(f"{at}.apiVersion")
    elif version.count("/") > 1:
        found.invalid(f"{at}.apiVersion", version, f"unexpected GroupVersion string: {version}")
    else:
        group, _, number = version.rpartition("/")
        if group and (messages := names.dns_subdomain(group)):
            found.invalid(f"{at}.apiVersion", group, ",".join(messages))
        if not number:
            found.invalid(f"{at}.apiVersion", version, "version must be specified")
        elif messages := names.dns_1035_label(number):
            found.invalid(f"{at}.apiVersion", number, ",".join(messages))
    if not kind.kind:
        found.required(f"{at}.kind")
    elif messages := names.dns_1035_label(kind.kind.lower()):
        why = "may have mixed case, but should otherwise match: " + ",".join(messages)
        found.invalid(f"{at}.kind", kind.kind, why)


def _validation(found: Found, at: str, each: registration.Validation, expressions: Expressions) -> None:
    if not each.expression.strip():
        found.required(f"{at}.expression", "expression is not specified")
    else:
        expressions.validation(f"{at}.expression", each.expression)
    if each.message_expression and not each.message_expression.strip():
        found.invalid(f"{at}.messageExpression", each.message_expression, "must be non-empty if specified")
    elif each.message_expression:
        expressions.message(f"{at}.messageExpression", each.message_expression)
    message = each.message.strip()
    if each.message and not message:
        found.invalid(f"{at}.message", each.message, "message must be non-empty if specified")
    elif "\n" in message or "\r" in message:
        found.invalid(f"{at}.message", each.message, "message must not contain line breaks")
    if each.reason and each.reason not in _REASONS:
        found.unsupported(f"{at}.reason", each.reason, _REASONS)


def _annotation(
    found: Found, at: str, policy: str, annotation: registration.AuditAnnotation, expressions: Expressions
) -> None:
    found.check(f"{at}.key", f"{policy}/{annotation.key}", names.qualified_name)
    expression = annotation.value_expression.strip()
    if not expression:
        found.required(f"{at}.valueExpression", "valueExpression is not specified")
    elif len(expression) > _MAX_VALUE_EXPRESSION:
        found.required(f"{at}.valueExpression", f"must not exceed {_MAX_VALUE_EXPRESSION} bytes in length")
    else:
        expressions.annotation(f"{at}.valueExpression", annotation.value_expression)


def _mutation(found: Found, at: str, mutation: registration.Mutation, expressions: Expressions) -> None:
    """The patch that its type names, and no other."""
    kinds = tuple(kind for kind, _ in _PATCHES)
    if mutation.patch_type not in kinds:
        found.one_of(f"{at}.patchType", mutation.patch_type, kinds)
        return
    patches = (mutation.apply_configuration, mutation.json_patch)
    for (kind, name), patch in zip(_PATCHES, patches, strict=True):
        if kind != mutation.patch_type:
            if patch is not None:
                why = f"must not be specified when patchType is {mutation.patch_type}"
                found.invalid(f"{at}.{name}", f"{{{name}}}", why)
        elif patch is None:
            found.required(f"{at}.{name}", f"must be specified when patchType is {kind}")
        elif not patch.expression.strip():
            found.required(f"{at}.{name}.expression", "expression is not specified")
        else:
            expressions.mutation(f"{at}.{name}.expression", patch.expression, kind == "JSONPatch")


def _parameters(found: Found, at: str, reference: registration.ParamRef) -> None:
    name, selector = reference.name, reference.selector
    if name:
        found.check(f"{at}.name", name, names.path_segment)
        if selector is not None:
            found.forbidden(f"{at}.name", _BOTH)
    if selector is not None:
        label_selector(found, f"{at}.selector", selector)
        if name:
            found.forbidden(f"{at}.selector", _BOTH)
    if not name and selector is None:
        found.required(at, "one of name or selector must be specified")
    found.one_of(f"{at}.parameterNotFoundAction", reference.parameter_not_found_action, _NOT_FOUND_ACTIONS)
