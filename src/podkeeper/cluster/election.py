"""Which of several controller or scheduler processes acts: the leases of upstream's components in kube-system.

A process that starts again takes up the identity of the one before it, and with it the lease, without waiting for its
end: a lock on the file that holds the identity proves that nobody else goes by it.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import socket
import uuid
from collections.abc import Awaitable, Callable, Iterator

from podkeeper.client.api import Api
from podkeeper.client.leader import ElectionConfig, LeaderElector, LeadershipLost
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout
from podkeeper.foundation.clock import Clock

CONTROLLERS, SCHEDULER = "kube-controller-manager", "kube-scheduler"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Upstream's flags, by upstream's names. Times are longer than upstream's: they cost a durable write each."""
    group = parser.add_argument_group("leader election")
    group.add_argument(
        "--leader-elect",
        type=_truth,
        nargs="?",
        const=True,
        default=True,
        metavar="BOOL",
        help="wait until no other process of this kind acts (default: true)",
    )
    for flag, seconds, text in (
        ("lease-duration", 60.0, "a leader that is silent for so long is replaced"),
        ("renew-deadline", 40.0, "a leader that cannot renew for so long gives up"),
        ("retry-period", 10.0, "between attempts to take or renew"),
    ):
        group.add_argument(
            f"--leader-elect-{flag}",
            type=_seconds,
            default=seconds,
            metavar="SECONDS",
            help=f"{text} (default: {seconds:g}s)",
        )


@contextlib.contextmanager
def identity(layout: Layout, component: str) -> Iterator[str]:
    """``HOST_UUID``: the component's last one if the process that had it is gone, else a new one."""
    with open(layout.run / f"{component}.identity", "a+") as file:
        fresh = f"{socket.gethostname()}_{uuid.uuid4()}"
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield fresh
            return
        file.seek(0)
        if not (name := file.read().strip()):
            file.write(name := fresh)
            file.flush()
        yield name


def elector(api: Api, clock: Clock, name: str, own: str, options: argparse.Namespace) -> LeaderElector:
    """The candidate for one lease, as the flags say. Raises ClusterError for times that cannot work."""
    duration, deadline = options.leader_elect_lease_duration, options.leader_elect_renew_deadline
    if not duration > deadline > options.leader_elect_retry_period > 0:
        raise ClusterError(
            "leader election cannot work with these times", "lease-duration > renew-deadline > retry-period > 0"
        )
    config = ElectionConfig(
        name,
        own,
        lease_duration=duration,
        renew_deadline=deadline,
        retry_period=options.leader_elect_retry_period,
    )
    return LeaderElector(api, config, clock)


@contextlib.contextmanager
def ending_with_leadership() -> Iterator[None]:
    """What runs inside a task group ends as a whole when a lease is lost. Raises ClusterError then."""
    try:
        yield
    except* LeadershipLost as lost:
        raise ClusterError(f"leadership is lost: {lost.exceptions[0]}") from None


async def lead(candidate: LeaderElector | None, work: Callable[[], Awaitable[None]]) -> None:
    """Runs ``work`` as the leader, or at once without an election. Raises LeadershipLost."""
    await (work() if candidate is None else candidate.run(work))


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def _seconds(text: str) -> float:
    try:
        return float(text.removesuffix("s"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
