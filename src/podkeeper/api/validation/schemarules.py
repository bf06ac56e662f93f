"""Rules in CEL of custom resources' schemas: they compile, say what they say, and cost no more than may be.

What a rule may cost is estimated from the sizes that the schema allows, times how often its place may occur. Source:
apiextensions-apiserver, pkg/apis/apiextensions/validation.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from podkeeper.api.cel import CelError, Declaration, Environment, Program, WrongType, of_structural, types
from podkeeper.api.cel.declarations import MAX_REQUEST
from podkeeper.api.cel.ranges import MAX
from podkeeper.api.errors import Cause
from podkeeper.api.structural import fieldpaths
from podkeeper.api.structural.rules import OLD, child_declaration, environment_of
from podkeeper.api.structural.schema import Schema
from podkeeper.api.validation.fields import Found

Tree = dict[str, Any]

#: What one expression, and those of a schema together, may cost at the most.
EXPRESSION_LIMIT = 10_000_000
SCHEMA_LIMIT = 100_000_000
#: How many of the dearest expressions are named when they cost too much together.
_NAMED = 4

_BREAK = re.compile(r"[\n\r]")
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_ADVICE = (
    "try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared"
)
_TOGETHER = "estimated rule cost total"
_CONTRIBUTED = f"contributed to {_TOGETHER} exceeding cost limit for entire OpenAPIv3 schema"
_TOTAL = f"x-kubernetes-validations {_TOGETHER} for entire OpenAPIv3 schema"


def schema_rules(found: Found, at: str, schema: Schema) -> None:
    """All rules of an object's schema, which is good otherwise."""
    if not schema.has_rules:
        return
    start = _Place(at, schema, schema, None, 1, "")
    texts = Found()
    _each(start, lambda place: _texts(texts, place))
    if texts:
        found.extend(texts)
        return
    bill = _Bill(found)
    _each(replace(start, declaration=of_structural(schema, root=True)), bill.take)
    bill.close(at)


class _Place(Struct, frozen=True):
    """A place of a schema: ``schema`` has the rules, ``spine`` the types (they differ within allOf).

    ``times`` is how often it may occur in an object (None: nobody says), ``uncorrelated`` the list whose items cannot
    be told apart that it is in.
    """

    at: str
    schema: Schema
    spine: Schema
    declaration: Declaration | None
    times: int | None
    uncorrelated: str

    def _below(self, at: str, schema: Schema, spine: Schema, declaration: Declaration | None) -> _Place:
        return replace(self, at=f"{self.at}.{at}", schema=schema, spine=spine, declaration=declaration)

    def places(self) -> list[_Place]:
        """Those right below."""
        own, spine, declaration = self.schema, self.spine, self.declaration
        found = []
        for name, each in own.properties.items():
            if name in spine.properties:
                inner = child_declaration(declaration, name, spine.properties[name]) if declaration else None
                inside = self._below(f"properties[{name}]", each, spine.properties[name], inner)
                found.append(replace(inside, uncorrelated=self.uncorrelated or (self.at if spine.atomic_map else "")))
        member = declaration.items if declaration else None
        if own.values is not None and spine.values is not None:
            inside = self._below("additionalProperties", own.values, spine.values, member)
            found.append(inside._repeated(self, "maxProperties", correlates=True))
        if own.items is not None and spine.items is not None:
            inside = self._below("items", own.items, spine.items, member)
            found.append(inside._repeated(self, "maxItems", correlates=spine.list_type == "map"))
        found += [self._below(f"allOf[{i}]", each, spine, declaration) for i, each in enumerate(own.all_of)]
        return found

    def _repeated(self, parent: _Place, limit: str, correlates: bool) -> _Place:
        most = parent.spine.tree.get(limit)
        times = None if most is None or self.times is None else min(MAX, self.times * max(0, most))
        return replace(self, times=times, uncorrelated=self.uncorrelated or ("" if correlates else parent.at))

    def occurrences(self) -> int:
        """How often it may occur at the most; where nobody says, what fits into the largest request."""
        if self.times is not None:
            return self.times
        assert self.declaration is not None
        return MAX_REQUEST // (self.declaration.min_size + 1)


def _each(place: _Place, visit: Any) -> None:
    """Visits the places that have rules, the inner ones first."""
    if not place.schema.has_rules:
        return
    for each in place.places():
        _each(each, visit)
    if place.schema.rules:
        visit(place)


def _texts(found: Found, place: _Place) -> None:
    for index, rule in enumerate(place.schema.rules):
        at = f"{place.at}.x-kubernetes-validations[{index}]"
        _message(found, at, rule.get("rule") or "", rule.get("message") or "")
        expression, reason = rule.get("messageExpression"), rule.get("reason")
        if expression and not expression.strip():
            found.required(f"{at}.messageExpression", "messageExpression must be non-empty if specified")
        if reason is not None and reason not in _REASONS:
            found.unsupported(f"{at}.reason", reason, _REASONS)
        if path := rule.get("fieldPath"):
            _field_path(found, f"{at}.fieldPath", path, place.spine)


def _message(found: Found, at: str, rule: str, message: str) -> None:
    said = message.strip()
    if not rule.strip():
        found.required(f"{at}.rule", "rule is not specified")
    elif message and not said:
        found.invalid(f"{at}.message", message, "message must be non-empty if specified")
    elif _BREAK.search(said):
        found.invalid(f"{at}.message", message, "message must not contain line breaks")
    elif _BREAK.search(rule.strip()) and not said:
        found.required(f"{at}.message", "message must be specified if rule contains line breaks")


def _field_path(found: Found, at: str, path: str, schema: Schema) -> None:
    if not path.strip():
        found.invalid(at, path, "fieldPath must be non-empty if specified")
    if _BREAK.search(path):
        found.invalid(at, path, "fieldPath must not contain line breaks")
    try:
        fieldpaths.resolve(path, schema)
    except fieldpaths.BadPath:
        found.invalid(at, path, "fieldPath must be a valid path")


class _Bill(Struct):
    """Compiles rules and adds up what they may cost."""

    found: Found
    costs: list[tuple[int, str]] = field(default_factory=list)

    def take(self, place: _Place) -> None:
        """The rules of a place."""
        if place.declaration is None:
            why = "internal error: failed to retrieve type information for x-kubernetes-validations"
            self.found.append(Cause("InternalError", f"Internal error: {why}", f"{place.at}.x-kubernetes-validations"))
            return
        for index, rule in enumerate(place.schema.rules):
            self._rule(place, f"{place.at}.x-kubernetes-validations[{index}]", rule, place.declaration)

    def _rule(self, place: _Place, at: str, rule: Tree, declaration: Declaration) -> None:
        environment = environment_of(declaration, rule)
        program = self._compiled(f"{at}.rule", rule, environment, "rule")
        if program is None:
            return
        self._charge(f"{at}.rule", "estimated rule cost", min(MAX, program.estimate().high * place.occurrences()))
        if rule.get("messageExpression"):
            message = self._compiled(f"{at}.messageExpression", rule, environment, "messageExpression")
            if message is not None:
                self._charge(f"{at}.messageExpression", "estimated messageExpression cost", message.estimate().high)
        if OLD in program.uses:
            if place.uncorrelated:
                why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {place.uncorrelated}"
                self.found.invalid(f"{at}.rule", rule["rule"], why)
        elif rule.get("optionalOldSelf") is not None:
            why = "may not be set if oldSelf is not used in rule"
            self.found.invalid(f"{at}.optionalOldSelf", rule["optionalOldSelf"], why)

    def _compiled(self, at: str, rule: Tree, environment: Environment, member: str) -> Program | None:
        is_rule = member == "rule"
        try:
            return environment.compile(rule[member], types.BOOL if is_rule else types.STRING)
        except WrongType:
            why = "cel expression must evaluate to a bool" if is_rule else f"{member} must evaluate to a string"
        except CelError as error:
            why = f"{'' if is_rule else f'{member} '}compilation failed: {error}"
        self.found.invalid(at, rule, why)
        return None

    def _charge(self, at: str, what: str, cost: int) -> None:
        self.costs.append((cost, at))
        if cost > EXPRESSION_LIMIT:
            self.found.forbidden(at, _too_dear(what, cost, EXPRESSION_LIMIT))

    def close(self, at: str) -> None:
        """What all rules cost together."""
        total = sum(cost for cost, _ in self.costs)
        if total > SCHEMA_LIMIT:
            for _, place in sorted(self.costs, key=lambda each: -each[0])[:_NAMED]:
                self.found.forbidden(place, _CONTRIBUTED)
            self.found.forbidden(at, _too_dear(_TOTAL, total, SCHEMA_LIMIT))


def _too_dear(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown} ({_ADVICE})"
