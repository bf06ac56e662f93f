"""Address allocation: unique, within the range, kept on disk, given back."""

from __future__ import annotations

import tempfile
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.network.addresses import AddressPool, RangeExhausted

SMALL = IPv4Network("10.0.0.0/28")


@settings(max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=60))
def test_holders_are_distinct_within_the_range_and_survive_reopening(steps: list[tuple[bool, int]]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        pool, model = AddressPool(SMALL, Path(scratch)), set()
        for allocate, number in steps:
            sandbox = f"s{number}"
            if not allocate:
                pool.free(sandbox)
                model.discard(sandbox)
            elif sandbox in model or len(model) < 13:
                address = pool.allocate(sandbox)
                assert address in SMALL.hosts()
                assert address != pool.gateway.ip
                model.add(sandbox)
            else:
                with pytest.raises(RangeExhausted):
                    pool.allocate(sandbox)
        assert sorted(pool.holders().values()) == sorted(model)
        assert AddressPool(SMALL, Path(scratch)).holders() == pool.holders()


def test_a_freed_address_is_not_given_out_at_once(tmp_path: Path) -> None:
    pool = AddressPool(SMALL, tmp_path)
    first = pool.allocate("a")
    pool.free("a")
    assert pool.allocate("b") != first


def test_a_file_that_was_never_filled_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "10.0.0.5").touch()
    assert not AddressPool(SMALL, tmp_path).holders()
    assert not (tmp_path / "10.0.0.5").exists()


def test_a_range_without_room_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too small"):
        AddressPool(IPv4Network("10.0.0.0/31"), tmp_path)
