"""Getting at parts of a plain tree while filling in defaults."""

from __future__ import annotations

from typing import Any

from podkeeper.api.quantity import Quantity, QuantityError

Tree = dict[str, Any]


def child(tree: Tree, key: str) -> Tree:
    """The object under that key, made when it is absent."""
    found = tree.get(key)
    if found is None:
        found = tree[key] = {}
    return found


def members(tree: Tree | None, key: str) -> list[Tree]:
    """The list of objects under that key, empty when it is absent."""
    return (tree.get(key) if tree else None) or []


def fill(tree: Tree, key: str, value: Any) -> None:
    """Sets the field when it is absent or null; a zero counts as given."""
    if tree.get(key) is None:
        tree[key] = value


def fill_empty(tree: Tree, key: str, value: Any) -> None:
    """Sets the field when it is absent, null, empty or zero."""
    if not tree.get(key):
        tree[key] = value


def round_amounts(amounts: Tree | None) -> None:
    """Rounds a resource list's amounts up to thousandths, the finest that resources are counted in."""
    if not amounts:
        return
    for key, amount in amounts.items():
        if isinstance(amount, str) and amount.isalnum() and amount[-1] not in "nu":
            continue  # whole, or with a suffix that cannot need it
        if isinstance(amount, str | float):
            amounts[key] = _rounded(amount)


def _rounded(amount: str | float) -> str | float:
    try:
        quantity = Quantity(amount)
    except QuantityError:
        return amount  # decoding refuses it
    exact = Quantity.from_milli(quantity.milli_value(), quantity.family)
    return amount if exact == quantity else str(exact)
