"""The Common Expression Language with Kubernetes' libraries and costs.

    environment = Environment({"self": of_structural(schema, root=True)})
    program = environment.compile("self.replicas <= 5")
    program.evaluate({"self": tree}, Budget())

Compiling raises CelError with every issue; evaluating raises EvaluationError, or BudgetExceeded where an expression
costs too much. Nothing here waits or touches the world. docs/cel.md describes the parts.
"""

from podkeeper.api.cel.costs import Budget, BudgetExceeded
from podkeeper.api.cel.declarations import Declaration, of_builtin, of_fields, of_structural, optional
from podkeeper.api.cel.environment import Environment, Program, WrongType
from podkeeper.api.cel.source import CelError, Issue
from podkeeper.api.cel.values import EvaluationError

__all__ = [
    "Budget",
    "BudgetExceeded",
    "CelError",
    "Declaration",
    "Environment",
    "EvaluationError",
    "Issue",
    "Program",
    "WrongType",
    "of_builtin",
    "of_fields",
    "of_structural",
    "optional",
]
