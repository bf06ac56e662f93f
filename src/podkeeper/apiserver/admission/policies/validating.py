"""ValidatingAdmissionPolicy: writes judged by expressions.

Expressions are loaded with the first policy that is bound: most clusters have none.
Source: Kubernetes reference, Validating Admission Policy.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from podkeeper.api.errors import ApiError, Cause
from podkeeper.apiserver.admission.figures import AdmissionFigures
from podkeeper.apiserver.admission.plugin import EVERYTHING, Plugin, forbidden
from podkeeper.apiserver.admission.policies.definitions import Definitions, Tree
from podkeeper.apiserver.admission.policies.relevance import Invocation, invocations, namespace_of_write
from podkeeper.apiserver.admission.versioned import versioned
from podkeeper.apiserver.authorization.authorizer import Authorizer
from podkeeper.apiserver.live import LiveObjects
from podkeeper.registry.admission import Attributes

if TYPE_CHECKING:
    from podkeeper.apiserver.admission.policies.judging import Denial, Program

_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}
_FAILURE = "validation.policy.admission.k8s.io/validation_failure"


def _compile(spec: Tree) -> Program:
    from podkeeper.apiserver.admission.policies.judging import compile_policy

    return compile_policy(spec)


class ValidatingAdmissionPolicy(Plugin):
    """Judges by the policies that are bound."""

    interest = EVERYTHING

    def __init__(self, live: LiveObjects, authorizer: Authorizer, figures: AdmissionFigures) -> None:
        super().__init__(live)
        self._authorizer, self._figures = authorizer, figures
        self._definitions = Definitions(live, "validatingadmissionpolicies", _compile)

    async def validate(self, attributes: Attributes) -> None:
        """Raises the first denial of a binding that denies."""
        found = await invocations(self._definitions, attributes, self.live)
        if not found:
            return
        from podkeeper.apiserver.admission import expressions
        from podkeeper.apiserver.admission.policies.judging import judge
        from podkeeper.apiserver.admission.rights import Rights

        namespace = await namespace_of_write(attributes, self.live)
        denied: list[tuple[Invocation[Program], Denial]] = []
        noted: dict[str, list[str]] = {}
        rights = Rights(self._authorizer, attributes.user)
        for each in found:
            write = await versioned(attributes, each.resource, self.live)
            names = expressions.activation(write, rights, namespace)
            for denial, enforced in await rights.settle(partial(judge, each, names, noted)):
                if enforced or "Deny" in each.binding.actions:
                    denied.append((each, denial))
                if not enforced:
                    _report(each, denial, attributes)
                actions = ("deny",) if enforced else [action.lower() for action in each.binding.actions]
                for action in actions:
                    names_of = (each.definition.name, each.binding.name)
                    self._figures.checked(*names_of, action, denial.error, denial.seconds)
        attributes.annotations |= {key: ", ".join(values) for key, values in noted.items()}
        if denied:
            raise _refusal(attributes, *denied[0])


def _report(given: Invocation[Program], denial: Denial, attributes: Attributes) -> None:
    """Warns and notes, as the binding says."""
    policy, binding = given.definition.name, given.binding
    if "Warn" in binding.actions:
        head = f"Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{binding.name}'"
        attributes.warnings.append(f"{head}: {denial.message}")
    if "Audit" in binding.actions:
        failure = {
            "message": denial.message,
            "policy": policy,
            "binding": binding.name,
            "expressionIndex": denial.index,
            "validationActions": list(binding.actions),
        }
        attributes.annotations.setdefault(_FAILURE, json.dumps([failure], separators=(",", ":")))


def _refusal(attributes: Attributes, given: Invocation[Program], denial: Denial) -> ApiError:
    head = f"ValidatingAdmissionPolicy '{given.definition.name}' with binding '{given.binding.name}'"
    message = f"{head} denied request: {denial.message}"
    usual = forbidden(attributes, message)
    reason = denial.reason or "Invalid"
    return ApiError(
        _CODES.get(reason, 422),
        reason,
        usual.message,
        group=usual.group,
        kind=usual.kind,
        name=usual.name,
        causes=[Cause("", message)],
    )
