"""MutatingAdmissionPolicy: writes changed by expressions.

Expressions are loaded with the first policy that is bound: most clusters have none.
Source: Kubernetes reference, Mutating Admission Policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from podkeeper.api.errors import ApiError, Cause
from podkeeper.apiserver.admission.plugin import EVERYTHING, Plugin, forbidden
from podkeeper.apiserver.admission.policies.definitions import Definitions, Tree
from podkeeper.apiserver.admission.policies.relevance import Invocation, invocations, namespace_of_write
from podkeeper.apiserver.admission.reinvocation import Invocations
from podkeeper.apiserver.admission.versioned import versioned
from podkeeper.apiserver.authorization.rbac import RbacIndex
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.webhooks.mutating import put
from podkeeper.registry.admission import Attributes

if TYPE_CHECKING:
    from podkeeper.api.cel import Budget
    from podkeeper.apiserver.admission.policies.changing import Program


def _compile(spec: Tree) -> Program:
    from podkeeper.apiserver.admission.policies.changing import compile_policy

    return compile_policy(spec)


class MutatingAdmissionPolicy(Plugin):
    """Changes what the policies that are bound change."""

    interest = EVERYTHING

    def __init__(self, live: LiveObjects, rbac: RbacIndex) -> None:
        super().__init__(live)
        self._rbac = rbac
        self._definitions = Definitions(live, "mutatingadmissionpolicies", _compile)

    async def mutate(self, attributes: Attributes) -> None:
        """Carries out one policy after the other. Raises 403 for the first that fails and may not."""
        found = await invocations(self._definitions, attributes, self.live)
        if not found:
            return
        from podkeeper.apiserver.admission.expressions import ExpressionFailed
        from podkeeper.apiserver.admission.policies.changing import MutationFailed

        namespace = await namespace_of_write(attributes, self.live)
        turns = Invocations.of(attributes, self.name)
        turns.begin(attributes)
        problems: list[str] = []
        for each in found:
            try:
                await self._carry_out(each, attributes, namespace, turns)
            except (ExpressionFailed, MutationFailed) as problem:
                if not each.definition.ignores_failures:
                    who = f"policy '{each.definition.name}' with binding '{each.binding.name}'"
                    problems.append(f"{who} denied request: {problem}")
        turns.end(attributes)
        if problems:
            raise _refusal(attributes, problems)

    async def _carry_out(
        self, given: Invocation[Program], attributes: Attributes, namespace: Tree | None, turns: Invocations
    ) -> None:
        from podkeeper.api.cel import Budget
        from podkeeper.apiserver.admission.policies.changing import MutationFailed, merged, patched

        if given.problem:
            raise MutationFailed(given.problem)
        program = given.definition.program
        if attributes.tree is None:
            return
        if not program.conditions.hold(await self._names(given, attributes, namespace, Budget()), Budget()):
            return
        if not turns.is_due(attributes, given.uid):
            return
        changed = False
        for expression, patches in program.mutations:
            budget = Budget()
            write = await versioned(attributes, given.resource, self.live)
            value = expression.evaluate(await self._names(given, attributes, namespace, budget), budget)
            tree = patched(write, value) if patches else merged(write, value, self.live)
            if tree != write.tree:
                await put(write, tree, self.live)
                changed = True
        if changed:
            turns.changed(attributes)
        turns.invoked(given.uid, program.reinvoked)

    async def _names(
        self, given: Invocation[Program], attributes: Attributes, namespace: Tree | None, budget: Budget
    ) -> dict[str, Any]:
        from podkeeper.apiserver.admission import expressions

        write = await versioned(attributes, given.resource, self.live)
        names = expressions.activation(write, self._rbac, namespace) | {"params": given.param}
        names["variables"] = expressions.Composed(given.definition.program.variables, names, budget)
        return names


def _refusal(attributes: Attributes, problems: Sequence[str]) -> ApiError:
    usual = forbidden(attributes, "")
    causes = [Cause("", problem) for problem in problems]
    return ApiError(403, "Invalid", problems[0], group=usual.group, kind=usual.kind, name=usual.name, causes=causes)
