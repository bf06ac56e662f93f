"""What /metrics tells of priority and fairness, with upstream's names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from podkeeper.apiserver.fairness.admission import FairAdmission
from podkeeper.apiserver.fairness.levels import WAIT_BOUNDS, Level, Tally
from podkeeper.foundation.exposition import Family, Histogram, Labels, Sample


def families(gate: FairAdmission) -> Sequence[Family]:
    """apiserver_flowcontrol_*: seats by priority level, requests by flow schema too."""

    def tallies() -> Iterator[tuple[Labels, Level, Tally]]:
        for level in gate.seats.levels.values():
            for schema, tally in level.tallies.items():
                yield {"flow_schema": schema, "priority_level": level.name}, level, tally

    def counted(name: str, kind: str, text: str, value: Callable[[Tally], float]) -> Family:
        read = lambda: [(labels, value(tally)) for labels, _, tally in tallies()]  # noqa: E731
        return Family(f"apiserver_flowcontrol_{name}", kind, text, read)

    def seats(name: str, text: str, value: Callable[[Level], float]) -> Family:
        read = lambda: [({"priority_level": each.name}, value(each)) for each in gate.seats.levels.values()]  # noqa: E731
        return Family(f"apiserver_flowcontrol_{name}", "gauge", text, read)

    def rejected() -> Iterator[Sample]:
        for labels, _, tally in tallies():
            for reason, count in sorted(tally.rejected.items()):
                yield {**labels, "reason": reason}, count

    def waits() -> Iterator[tuple[Labels, Histogram]]:
        for labels, level, tally in tallies():
            if not level.exempt:
                yield {"execute": "true", **labels}, _with_prompt(tally)
                if any(tally.vain.counts):
                    yield {"execute": "false", **labels}, tally.vain

    prefix = "apiserver_flowcontrol"
    return (
        counted("current_executing_requests", "gauge", "Requests that run now.", lambda tally: tally.running),
        counted("current_executing_seats", "gauge", "Seats in use.", lambda tally: tally.seats),
        counted("current_inqueue_requests", "gauge", "Requests that wait.", lambda tally: tally.waiting),
        counted("dispatched_requests_total", "counter", "Requests that were let run.", lambda tally: tally.started),
        Family(f"{prefix}_rejected_requests_total", "counter", "Requests that were sent away.", rejected),
        Family(f"{prefix}_request_wait_duration_seconds", "histogram", "Seconds in a queue.", waits),
        seats("current_limit_seats", "Seats that can be used now.", lambda level: max(level.used, level.nominal)),
        seats("lower_limit_seats", "Seats that are never lent.", lambda level: level.least),
        seats("nominal_limit_seats", "Seats of its own.", lambda level: level.nominal),
        seats("upper_limit_seats", "Seats with all that can be borrowed.", lambda level: level.most),
    )


def _with_prompt(tally: Tally) -> Histogram:
    """The waits of all that ran: those who found a seat free are not counted one by one, they waited no time."""
    every = Histogram(WAIT_BOUNDS)
    every.counts, every.total = list(tally.waits.counts), tally.waits.total
    every.counts[0] += tally.started - sum(tally.waits.counts)
    return every
