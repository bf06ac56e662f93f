"""Optional values: made, asked and unwrapped. ``a.?b`` and ``a[?b]`` are declared here and run by the evaluator."""

from __future__ import annotations

from podkeeper.api.cel.library import Library
from podkeeper.api.cel.values import LISTS, MAPS, NONE, Duration, EvaluationError, Optional, Timestamp, Value

optionals = Library("optional", since=(1, 28))

optionals.function(
    "_[?_](list(T), int) -> optional_type(T)",
    "_[?_](optional_type(list(T)), int) -> optional_type(T)",
    "_[?_](map(K, V), K) -> optional_type(V)",
    "_[?_](optional_type(map(K, V)), K) -> optional_type(V)",
    "_[_](optional_type(list(T)), int) -> optional_type(T)",
    "_[_](optional_type(map(K, V)), K) -> optional_type(V)",
)(lambda *_values: NONE)


@optionals.function("optional.of(T) -> optional_type(T)")
def of(value: Value) -> Optional:
    return Optional(value)


@optionals.function("optional.ofNonZeroValue(T) -> optional_type(T)")
def of_non_zero(value: Value) -> Optional:
    return NONE if is_zero(value) else Optional(value)


def is_zero(value: Value) -> bool:
    """Whether a value is what its type begins with: false, 0, empty, null, none."""
    if isinstance(value, Optional):
        return not value.present
    if isinstance(value, LISTS + MAPS):
        return len(value) == 0
    if isinstance(value, Timestamp | Duration):
        return value.nanos == 0
    return value is None or (isinstance(value, bool | int | float | str | bytes) and not value)


@optionals.function("optional.none() -> optional_type(T)")
def none() -> Optional:
    return NONE


@optionals.method("value(optional_type(T)) -> T")
def value_(given: Optional) -> Value:
    if not given.present:
        raise EvaluationError("optional.none() dereference")
    return given.value


@optionals.method("hasValue(optional_type(T)) -> bool")
def has_value(given: Optional) -> bool:
    return given.present


@optionals.method("or(optional_type(T), optional_type(T)) -> optional_type(T)")
def or_(given: Optional, other: Optional) -> Optional:
    return given if given.present else other


@optionals.method("orValue(optional_type(T), T) -> T")
def or_value(given: Optional, other: Value) -> Value:
    return given.value if given.present else other
