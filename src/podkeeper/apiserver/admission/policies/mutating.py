"""MutatingAdmissionPolicy: writes changed by expressions.

Expressions are loaded with the first policy that is bound: most clusters have none.
Source: Kubernetes reference, Mutating Admission Policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from podkeeper.api.errors import ApiError, Cause
from podkeeper.apiserver.admission.plugin import EVERYTHING, Plugin, forbidden
from podkeeper.apiserver.admission.policies.definitions import Definitions, Tree
from podkeeper.apiserver.admission.policies.relevance import Invocation, invocations, namespace_of_write
from podkeeper.apiserver.admission.reinvocation import Invocations
from podkeeper.apiserver.admission.versioned import VersionedWrite, versioned
from podkeeper.apiserver.authorization.authorizer import Authorizer
from podkeeper.apiserver.live import LiveObjects
from podkeeper.apiserver.webhooks.mutating import put
from podkeeper.registry.admission import Attributes

if TYPE_CHECKING:
    from podkeeper.api.cel import Budget
    from podkeeper.apiserver.admission.expressions import Compiled
    from podkeeper.apiserver.admission.policies.changing import Program
    from podkeeper.apiserver.admission.rights import Rights


def _compile(spec: Tree) -> Program:
    from podkeeper.apiserver.admission.policies.changing import compile_policy

    return compile_policy(spec)


class MutatingAdmissionPolicy(Plugin):
    """Changes what the policies that are bound change."""

    interest = EVERYTHING

    def __init__(self, live: LiveObjects, authorizer: Authorizer) -> None:
        super().__init__(live)
        self._authorizer = authorizer
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
        from podkeeper.apiserver.admission.rights import Rights

        if given.problem:
            raise MutationFailed(given.problem)
        program = given.definition.program
        if attributes.tree is None:
            return
        rights = Rights(self._authorizer, attributes.user)
        write = await versioned(attributes, given.resource, self.live)
        names = partial(_names, given, rights=rights, namespace=namespace)
        if not await rights.settle(lambda: program.conditions.hold(names(write, Budget()), Budget())):
            return
        if not turns.is_due(attributes, given.uid):
            return
        changed = False
        for expression, patches in program.mutations:
            write = await versioned(attributes, given.resource, self.live)
            value = await rights.settle(partial(_value, expression, partial(names, write)))
            tree = patched(write, value) if patches else merged(write, value, self.live)
            if tree != write.tree:
                await put(write, tree, self.live)
                changed = True
        if changed:
            turns.changed(attributes)
        turns.invoked(given.uid, program.reinvoked)


def _names(
    given: Invocation[Program], write: VersionedWrite, budget: Budget, *, rights: Rights, namespace: Tree | None
) -> dict[str, Any]:
    """The variables of a write; what the policy's own ones cost comes out of ``budget``."""
    from podkeeper.apiserver.admission import expressions

    names = expressions.activation(write, rights, namespace) | {"params": given.param}
    names["variables"] = expressions.Composed(given.definition.program.variables, names, budget)
    return names


def _value(expression: Compiled, names: Callable[[Budget], Mapping[str, Any]]) -> Any:
    from podkeeper.api.cel import Budget

    budget = Budget()
    return expression.evaluate(names(budget), budget)


def _refusal(attributes: Attributes, problems: Sequence[str]) -> ApiError:
    usual = forbidden(attributes, "")
    causes = [Cause("", problem) for problem in problems]
    return ApiError(403, "Invalid", problems[0], group=usual.group, kind=usual.kind, name=usual.name, causes=causes)
