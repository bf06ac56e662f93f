"""Identities that outlive a process, and the flags of leader election."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from podkeeper.client.leader import LeadershipLost
from podkeeper.cluster import election
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.at(tmp_path / "data")
    layout.create()
    return layout


def flags(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    election.add_flags(parser)
    return parser.parse_args(words)


def test_a_process_takes_up_the_identity_of_the_one_before(layout: Layout) -> None:
    with election.identity(layout, "controllers") as first:
        pass
    with election.identity(layout, "controllers") as second:
        assert second == first
    with election.identity(layout, "scheduler") as other:
        assert other != first


def test_two_processes_at_once_are_two(layout: Layout) -> None:
    with election.identity(layout, "controllers") as first, election.identity(layout, "controllers") as second:
        assert first != second
    with election.identity(layout, "controllers") as third:
        assert third == first


@pytest.mark.parametrize(
    ("words", "expected"), [([], True), (["--leader-elect"], True), (["--leader-elect=false"], False)]
)
def test_election_is_on_unless_said_otherwise(words: list[str], expected: bool) -> None:
    assert flags(*words).leader_elect is expected


@pytest.mark.parametrize("word", ["--leader-elect=maybe", "--leader-elect-retry-period=soon"])
def test_flags_that_mean_nothing_are_refused(word: str) -> None:
    with pytest.raises(SystemExit):
        flags(word)


def test_times_that_cannot_work_are_refused() -> None:
    options = flags("--leader-elect-lease-duration=5s", "--leader-elect-renew-deadline=5s")
    with pytest.raises(ClusterError, match="cannot work with these times"):
        election.elector(None, None, "house", "me", options)  # type: ignore[arg-type]


def test_a_lost_lease_ends_a_component_with_a_plain_error() -> None:
    with pytest.raises(ClusterError, match="leadership is lost: to two"), election.ending_with_leadership():
        raise ExceptionGroup("tasks", [LeadershipLost("to two")])
