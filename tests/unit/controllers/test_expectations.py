"""What a controller has done and does not see yet."""

from __future__ import annotations

from podkeeper.controllers.expectations import PATIENCE_SECONDS, Expectations
from podkeeper.testing.fake_clock import FakeClock


def test_nothing_done_is_nothing_to_wait_for() -> None:
    assert Expectations(FakeClock()).seconds_left("key") == 0


def test_what_was_made_is_waited_for_until_it_is_seen() -> None:
    expectations = Expectations(FakeClock())
    expectations.expect_created("key", "a")
    expectations.expect_created("key", "b")
    expectations.appeared("key", "a")
    assert expectations.seconds_left("key") > 0
    assert expectations.seconds_left("other") == 0
    expectations.went("key", "b")  # seen at its end only, which will do
    assert expectations.seconds_left("key") == 0


def test_what_was_deleted_is_waited_for_until_it_goes() -> None:
    expectations = Expectations(FakeClock())
    expectations.expect_deleted("key", "a")
    expectations.appeared("key", "a")
    assert expectations.seconds_left("key") > 0
    expectations.went("key", "a")
    assert expectations.seconds_left("key") == 0


async def test_an_event_that_never_comes_is_given_up_on() -> None:
    clock = FakeClock()
    expectations = Expectations(clock)
    expectations.expect_created("key", "a")
    await clock.advance(PATIENCE_SECONDS - 1)
    assert expectations.seconds_left("key") == 1
    await clock.advance(1)
    assert expectations.seconds_left("key") == 0


def test_an_owner_that_is_gone_expects_nothing() -> None:
    expectations = Expectations(FakeClock())
    expectations.expect_created("key", "a")
    expectations.forget("key")
    assert expectations.seconds_left("key") == 0
