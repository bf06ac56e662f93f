"""Kubernetes' quantities: ``quantity("1Gi").isLessThan(quantity("2G"))``."""

from __future__ import annotations

from podkeeper.api.cel.libraries.operators import checked_int
from podkeeper.api.cel.library import Library
from podkeeper.api.cel.values import EvaluationError
from podkeeper.api.quantity import Quantity, QuantityError

quantities = Library("kubernetes.quantity", since=(1, 28))


@quantities.function("quantity(string) -> kubernetes.Quantity")
def quantity(text: str) -> Quantity:
    try:
        return Quantity(text)
    except QuantityError as error:
        raise EvaluationError(str(error)) from error


@quantities.function("isQuantity(string) -> bool")
def is_quantity(text: str) -> bool:
    try:
        Quantity(text)
    except QuantityError:
        return False
    return True


@quantities.method("sign(kubernetes.Quantity) -> int")
def sign(value: Quantity) -> int:
    return value.sign()


def _whole(value: Quantity) -> int | None:
    """The amount, if it is a whole number that an int64 holds."""
    return value.value() if value.is_integer() and -(2**63) <= value.value() < 2**63 else None


@quantities.method("isInteger(kubernetes.Quantity) -> bool")
def is_integer(value: Quantity) -> bool:
    return _whole(value) is not None


@quantities.method("asInteger(kubernetes.Quantity) -> int")
def as_integer(value: Quantity) -> int:
    amount = _whole(value)
    if amount is None:
        raise EvaluationError("cannot convert value to integer")
    return checked_int(amount)


@quantities.method("asApproximateFloat(kubernetes.Quantity) -> double")
def as_float(value: Quantity) -> float:
    return value.as_float()


@quantities.method("isLessThan(kubernetes.Quantity, kubernetes.Quantity) -> bool")
def is_less(value: Quantity, other: Quantity) -> bool:
    return value < other


@quantities.method("isGreaterThan(kubernetes.Quantity, kubernetes.Quantity) -> bool")
def is_greater(value: Quantity, other: Quantity) -> bool:
    return value > other


@quantities.method("compareTo(kubernetes.Quantity, kubernetes.Quantity) -> int")
def compare(value: Quantity, other: Quantity) -> int:
    return (value > other) - (value < other)


@quantities.method("add(kubernetes.Quantity, kubernetes.Quantity) -> kubernetes.Quantity")
def add(value: Quantity, other: Quantity) -> Quantity:
    return value + other


@quantities.method("add(kubernetes.Quantity, int) -> kubernetes.Quantity")
def add_int(value: Quantity, other: int) -> Quantity:
    return value + Quantity.from_value(other)


@quantities.method("sub(kubernetes.Quantity, kubernetes.Quantity) -> kubernetes.Quantity")
def subtract(value: Quantity, other: Quantity) -> Quantity:
    return value - other


@quantities.method("sub(kubernetes.Quantity, int) -> kubernetes.Quantity")
def subtract_int(value: Quantity, other: int) -> Quantity:
    return value - Quantity.from_value(other)
