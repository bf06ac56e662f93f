"""What embedders give and take: budgets, authorizers, messages, lazily computed variables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from podkeeper.api.cel import Budget, BudgetExceeded, Environment, EvaluationError, of_fields, optional, types
from podkeeper.api.cel.checker import StructType
from podkeeper.api.cel.declarations import of_type
from podkeeper.api.cel.libraries import LIBRARIES, MUTATION_LIBRARIES
from podkeeper.api.cel.libraries.authz import AUTHORIZER, Authorizer, Decision, Question
from podkeeper.api.cel.values import MapValue
from podkeeper.api.cel.views import tree_of

NUMBERS = types.parse_type("list(int)")
TYPED_LISTS = Environment({"l": NUMBERS, "text": types.STRING})


def test_a_run_stops_at_the_limit_of_a_call() -> None:
    program = TYPED_LISTS.compile("l.all(x, l.all(y, l.all(z, x + y + z >= 0)))")
    budget = Budget()

    with pytest.raises(BudgetExceeded, match="operation cancelled: actual cost limit exceeded"):
        program.evaluate({"l": list(range(100))}, budget)

    assert 10_000_000 - 1_100_000 < budget.remaining < 9_000_000


def test_an_error_beyond_the_limit_is_not_absorbed() -> None:
    with pytest.raises(BudgetExceeded):
        TYPED_LISTS.compile("l.all(x, l.all(y, l.all(z, true))) || true").evaluate({"l": list(range(200))})


def test_a_budget_runs_out_over_several_runs() -> None:
    program, budget = TYPED_LISTS.compile("l.all(x, x >= 0)"), Budget(120)

    program.evaluate({"l": list(range(20))}, budget)
    assert budget.remaining == 120 - 102
    with pytest.raises(BudgetExceeded, match="no further validation rules will be run"):
        program.evaluate({"l": list(range(20))}, budget)


GROWING = ["t + t", "t.replace('', t)", "t.split('').join(t)", "'%s%s'.format([t, t])"]


@pytest.mark.parametrize("step", GROWING)
def test_text_that_grows_with_every_step_meets_a_limit(step: str) -> None:
    nested = "text"
    for _ in range(40):
        nested = f"cel.bind(t, {nested}, {step})"

    with pytest.raises((BudgetExceeded, EvaluationError), match=r"limit|more than"):
        TYPED_LISTS.compile(f"size({nested}) > 0").evaluate({"text": "x" * 1000, "l": []})


def test_lists_that_double_with_every_step_meet_a_limit() -> None:
    nested = "l"
    for _ in range(40):
        nested = f"cel.bind(t, {nested}, t + t)"

    with pytest.raises(EvaluationError, match="more than"):
        TYPED_LISTS.compile(f"{nested}.all(x, true)").evaluate({"text": "", "l": [1, 2, 3]})


SHARING = ["b == c", "[b].indexOf(c) == 0", "size(b.flatten(60)) > 0", "'%s'.format([b]) == ''"]


@pytest.mark.parametrize("question", SHARING)
def test_trees_that_share_their_branches_take_no_time_without_end(question: str) -> None:
    loose = Environment({"l": NUMBERS}, homogeneous=False)
    text = question
    for _ in range(40):
        text = f"cel.bind(b, dyn([b, b]), cel.bind(c, dyn([c, c]), {text}))"

    with pytest.raises((BudgetExceeded, EvaluationError), match=r"more than|limit"):
        loose.compile(f"cel.bind(b, dyn([1]), cel.bind(c, dyn([1]), {text}))").evaluate({"l": []})


def test_a_long_concatenation_is_a_list_like_others() -> None:
    members = list(range(100))
    environment = Environment({"l": NUMBERS})
    text = "cel.bind(t, l + l + l, [t[0], t[150], t[299], size(t)] + t.filter(x, x == 7))"

    assert environment.compile(text, None).evaluate({"l": members}) == [0, 50, 99, 300, 7, 7, 7]
    assert environment.compile("l + (l + l) == (l + l) + l && !(l + l == l)").evaluate({"l": members}) is True


def test_an_authorizer_is_asked_what_the_expression_says() -> None:
    asked: list[Question] = []

    def decide(question: Question) -> Decision:
        asked.append(question)
        return Decision(question.verb == "get", "because")

    environment = Environment({"authorizer": AUTHORIZER})
    text = (
        "authorizer.serviceAccount('ns', 'sa').group('apps').resource('deployments').subresource('status')"
        ".namespace('n').name('x').fieldSelector('a=b').labelSelector('c').check('get').allowed()"
        " && authorizer.path('/healthz').check('post').reason() == 'because'"
    )

    assert environment.compile(text).evaluate({"authorizer": Authorizer(decide)}) is True
    assert asked == [
        Question(("ns", "sa"), "", "apps", "deployments", "status", "n", "x", "a=b", "c", "get"),
        Question(path="/healthz", verb="post"),
    ]


def mutations(name: str) -> StructType | None:
    if name == "JSONPatch":
        fields = {"op": types.STRING, "path": types.STRING, "from": types.STRING, "value": types.DYN}
        return StructType(types.object_of(name), fields)
    return StructType(types.object_of(name)) if name.split(".")[0] == "Object" else None


MUTATING = Environment({"object": types.DYN}, (*LIBRARIES, *MUTATION_LIBRARIES), structs=mutations)


def test_messages_of_mutations_become_trees() -> None:
    text = "Object{spec: Object.spec{replicas: object.spec.replicas + 1, ?absent: optional.none(), `a-b`: [1]}}"

    value = MUTATING.compile(text, None).evaluate({"object": {"spec": {"replicas": 1}}})

    assert tree_of(value) == {"spec": {"replicas": 2, "a-b": [1]}}


def test_patches_are_checked_by_their_fields() -> None:
    text = 'JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("a/b~c"), value: {"x": 1}}'

    assert tree_of(MUTATING.compile(text, None).evaluate({})) == {
        "op": "add",
        "path": "/metadata/labels/a~1b~0c",
        "value": {"x": 1},
    }
    with pytest.raises(ValueError, match="undefined field 'nope'"):
        MUTATING.compile("JSONPatch{nope: 1}", None)
    with pytest.raises(ValueError, match="expected type of field 'op' is 'string' but provided type is 'int'"):
        MUTATING.compile("JSONPatch{op: 1}", None)


class Lazy(MapValue):
    """Variables of a policy, computed when they are read."""

    def __init__(self) -> None:
        self.read: list[Any] = []

    def find(self, key: Any) -> Any:
        self.read.append(key)
        if key == "broken":
            raise EvaluationError("composited variable fails")
        return 5

    def __iter__(self) -> Iterator[Any]:
        return iter(())


def test_variables_may_be_computed_when_they_are_read() -> None:
    lazy = Lazy()
    environment = Environment({"variables": types.parse_type("map(string, dyn)")})

    assert environment.compile("variables.a == 5 || variables.broken").evaluate({"variables": lazy}) is True
    assert lazy.read == ["a"]
    with pytest.raises(EvaluationError, match="composited"):
        environment.compile("variables.broken == 1").evaluate({"variables": lazy})


def test_a_program_says_which_variables_it_reads() -> None:
    assert TYPED_LISTS.compile("l.all(text, text > 0)").uses == {"l"}


def test_an_object_may_be_declared_by_its_fields() -> None:
    request = of_fields("Request", {"operation": of_type(types.STRING), "dryRun": of_type(types.BOOL)})
    environment = Environment({"request": request})

    assert environment.compile("request.operation == 'CREATE' && !request.dryRun").evaluate(
        {"request": {"operation": "CREATE", "dryRun": False}}
    )
    with pytest.raises(ValueError, match="undefined field 'op'"):
        environment.compile("request.op == 'x'")


def test_an_old_value_may_be_optional() -> None:
    declared = of_fields("Self", {"n": of_type(types.INT)})
    program = Environment({"self": declared, "oldSelf": optional(declared)}).compile(
        "oldSelf.n.optMap(n, n < self.n).orValue(true) && (!oldSelf.hasValue() || oldSelf.value().n > 0)"
    )

    assert program.evaluate({"self": {"n": 2}, "oldSelf": None}) is True
    assert program.evaluate({"self": {"n": 2}, "oldSelf": {"n": 1}}) is True
    assert program.evaluate({"self": {"n": 2}, "oldSelf": {"n": 3}}) is False
