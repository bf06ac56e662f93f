"""Rules in CEL (``x-kubernetes-validations``) of a schema: compiled once, then judged over objects.

A ``RuleBook`` has a tree of nodes beside the schema, of the places that have rules at or below them; judging walks an
object along it. What has not changed since the old object is not blamed, but for transition rules.

Source: Kubernetes reference, Custom Resources, "Validation rules"; apiextensions-apiserver, pkg/apiserver/schema/cel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from podkeeper.api.cel import (
    Budget,
    BudgetExceeded,
    Declaration,
    Environment,
    EvaluationError,
    Program,
    of_structural,
    types,
)
from podkeeper.api.cel.escaping import escape
from podkeeper.api.cel.values import NONE, Optional
from podkeeper.api.errors import Cause
from podkeeper.api.structural import fieldpaths
from podkeeper.api.structural.correlation import Correlation, matching_items
from podkeeper.api.structural.schema import Schema
from podkeeper.api.validation.fields import Found, joined

Tree = dict[str, Any]

SELF, OLD = "self", "oldSelf"
#: What upstream shows in place of the path to the object itself.
_ROOT = "<nil>"
_LONGEST_MESSAGE = 5 * 1024
_OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"


class Rule(Struct, frozen=True):
    """A compiled rule. ``path`` is where its failures are shown, below the place that it judges."""

    tree: Tree
    program: Program
    message: Program | None = None
    path: str = ""

    @property
    def is_transition(self) -> bool:
        """Whether it compares with what was."""
        return OLD in self.program.uses

    @property
    def takes_optional(self) -> bool:
        """Whether ``oldSelf`` is an optional value, so that the rule holds for new values too."""
        return bool(self.tree.get("optionalOldSelf"))

    @property
    def text(self) -> str:
        """What stands for the rule in messages."""
        return str(self.tree.get("message") or self.tree["rule"]).strip()


class Node(Struct, frozen=True):
    """A place with rules, or on the way to some."""

    schema: Schema
    rules: tuple[Rule, ...] = ()
    properties: Mapping[str, Node] = field(default_factory=dict)
    values: Node | None = None
    items: Node | None = None
    all_of: tuple[Node, ...] = ()


def environment_of(declaration: Declaration, rule: Tree) -> Environment:
    """Where a rule of a place is compiled."""
    old = declaration
    if rule.get("optionalOldSelf"):
        old = Declaration(types.optional_of(declaration.type), max_elements=None, items=declaration)
    return Environment({SELF: declaration, OLD: old})


def child_declaration(declaration: Declaration, name: str, schema: Schema) -> Declaration | None:
    """The declaration of a property; also of one that expressions cannot name."""
    escaped = escape(name)
    if escaped is None:
        return of_structural(schema, schema.embedded)
    return declaration.fields.get(escaped)


def _node(judged: Schema, spine: Schema, declaration: Declaration | None) -> Node | None:
    """``judged`` has the rules, ``spine`` the types; they differ within allOf."""
    if declaration is None or not judged.has_rules:
        return None
    properties = {}
    for name, each in judged.properties.items():
        if name in spine.properties:
            inner = child_declaration(declaration, name, spine.properties[name])
            node = _node(each, spine.properties[name], inner)
            if node is not None:
                properties[name] = node
    items = values = None
    if judged.items is not None and spine.items is not None:
        items = _node(judged.items, spine.items, declaration.items)
    if judged.values is not None and spine.values is not None:
        values = _node(judged.values, spine.values, declaration.items)
    all_of = tuple(filter(None, (_node(each, spine, declaration) for each in judged.all_of)))
    rules = tuple(_compiled(each, spine, declaration) for each in judged.rules)
    return Node(spine, rules, properties, values, items, all_of)


def _compiled(tree: Tree, schema: Schema, declaration: Declaration) -> Rule:
    environment = environment_of(declaration, tree)
    message = None
    if tree.get("messageExpression"):
        message = environment.compile(tree["messageExpression"], types.STRING)
    return Rule(tree, environment.compile(tree["rule"]), message, fieldpaths.normalized(tree.get("fieldPath"), schema))


class RuleBook:
    """The rules of an object's schema, which was accepted with them; without ``root`` it is that of a part of one."""

    def __init__(self, schema: Schema, root: bool = True) -> None:
        self._root = _node(schema, schema, of_structural(schema, root))

    def judge(self, tree: Any, old: Tree | None) -> list[Cause]:
        """What the rules have against an object; ``old`` is what it replaces."""
        run = _Run(Found(), Budget())
        if self._root is not None:
            run.place(self._root, tree, Correlation() if old is None else Correlation(old), "")
        return run.found


class _Exhausted(Exception):
    """No further rule is run."""


class _Run:
    """One object."""

    def __init__(self, found: Found, budget: Budget) -> None:
        self.found, self._budget = found, budget

    def place(self, node: Node, value: Any, old: Correlation, at: str) -> None:
        """Judges a place and those below it, until the budget is spent."""
        try:
            self._place(node, value, old, at)
        except _Exhausted:
            return

    def _place(self, node: Node, value: Any, old: Correlation, at: str) -> None:
        if value is None:
            return
        for rule in node.rules:
            if not rule.is_transition or old.known or rule.takes_optional:
                self._rule(rule, node.schema, value, old, at)
        for each in node.all_of:
            self._place(each, value, old, at)
        if isinstance(value, list) and node.items is not None:
            before = matching_items(node.schema, value, old.value)
            for index, item in enumerate(value):
                self._place(node.items, item, old.below(value, before[index]), f"{at}[{index}]")
        elif isinstance(value, dict):
            self._members(node, value, old, at)

    def _members(self, node: Node, value: Tree, old: Correlation, at: str) -> None:
        for name, member in value.items():
            child, path = node.properties.get(name), joined(at, name)
            if child is None and name not in node.schema.properties:
                child, path = node.values, f"{at}[{name}]"
            if child is not None:
                self._place(child, member, old.member(node.schema, value, name), path)

    def _rule(self, rule: Rule, schema: Schema, value: Any, old: Correlation, at: str) -> None:
        given = {SELF: value}
        if rule.takes_optional:
            given[OLD] = Optional(old.value) if old.known else NONE
        elif old.known:
            given[OLD] = old.value
        try:
            if rule.program.evaluate(given, self._budget) is True:
                return
        except BudgetExceeded as error:
            self._stop(schema, at, _exceeded(error, rule.text))
        except EvaluationError as error:
            self.found.invalid(at or _ROOT, schema.type, _failed(error, rule.text))
            return
        detail = self._message(rule, schema, given, joined(at, rule.path) if rule.path else at)
        if rule.is_transition or not old.unchanged(value):
            _blame(self.found, joined(at, rule.path) if rule.path else at or _ROOT, schema.type, detail, rule.tree)

    def _message(self, rule: Rule, schema: Schema, given: Tree, at: str) -> str:
        """What to say of a rule that does not hold: its expression's text where that gives one."""
        if rule.message is not None:
            try:
                text = str(rule.message.evaluate(given, self._budget)).strip()
            except BudgetExceeded as error:
                self._stop(schema, at, _message_exceeded(error, rule.tree["messageExpression"]))
            except EvaluationError:
                text = ""
            if text and "\n" not in text and len(text.encode()) <= _LONGEST_MESSAGE:
                return text
        return rule.text if rule.tree.get("message") else f"failed rule: {rule.text}"

    def _stop(self, schema: Schema, at: str, why: str) -> None:
        self.found.invalid(at or _ROOT, schema.type, why)
        raise _Exhausted


def _exceeded(error: BudgetExceeded, rule: str) -> str:
    if "actual cost limit" not in str(error):
        return _OUT_OF_BUDGET
    return f"'{error}': no further validation rules will be run due to call cost exceeds limit for rule: {rule}"


def _message_exceeded(error: BudgetExceeded, expression: str) -> str:
    if "actual cost limit" not in str(error):
        return f"messageExpression evaluation failed {_OUT_OF_BUDGET.removeprefix('validation failed ')}"
    why = "no further validation rules will be run due to call cost exceeds limit for messageExpression"
    return f'{why}: "{expression}"'


def _failed(error: EvaluationError, rule: str) -> str:
    if str(error).startswith("no such overload"):
        what = "call arguments did not match a supported operator, function or macro signature for rule"
        return f"'{error}': {what}: {rule}"
    return f"{error} evaluating rule: {rule}"


def _blame(found: Found, at: str, kind: str, detail: str, rule: Tree) -> None:
    match rule.get("reason"):
        case "FieldValueForbidden":
            found.forbidden(at, detail)
        case "FieldValueRequired":
            found.required(at, detail)
        case "FieldValueDuplicate":
            found.duplicate(at, kind)
        case _:
            found.invalid(at, kind, detail)
