"""Errors as the Status objects that clients get."""

from __future__ import annotations

from podkeeper.api.errors import Cause, invalid


def test_an_invalid_object_says_the_same_thing_once() -> None:
    twice = Cause("FieldValueRequired", "Required value", "spec.image")
    other = Cause("FieldValueRequired", "Required value", "spec.name")
    assert invalid("Pod", "", "p", [twice, twice]).message == 'Pod "p" is invalid: spec.image: Required value'
    error = invalid("Pod", "", "p", [twice, other, twice])
    assert error.message == 'Pod "p" is invalid: [spec.image: Required value, spec.name: Required value]'
    assert len(error.details()["causes"]) == 3
