"""What /metrics tells of priority and fairness, with upstream's names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from podkeeper.apiserver.exposition import Family, Sample
from podkeeper.apiserver.fairness.admission import FairAdmission
from podkeeper.apiserver.fairness.levels import Level


def families(gate: FairAdmission) -> Sequence[Family]:
    """apiserver_flowcontrol_*, by priority level."""

    def family(name: str, kind: str, text: str, value: Callable[[Level], float]) -> Family:
        def read() -> Iterator[Sample]:
            for level in gate.seats.levels.values():
                yield {"priority_level": level.name}, value(level)

        return Family(f"apiserver_flowcontrol_{name}", kind, text, read)

    def rejected() -> Iterator[Sample]:
        for level in gate.seats.levels.values():
            for reason, count in sorted(level.rejected.items()):
                yield {"priority_level": level.name, "reason": reason}, count

    return (
        family("current_executing_requests", "gauge", "Requests that run now.", lambda level: level.running),
        family("current_executing_seats", "gauge", "Seats in use.", lambda level: level.used),
        family("current_inqueue_requests", "gauge", "Requests that wait.", lambda level: len(level.queues or ())),
        family(
            "current_limit_seats", "gauge", "Seats that can be used now.", lambda level: max(level.used, level.nominal)
        ),
        family("dispatched_requests_total", "counter", "Requests that were let run.", lambda level: level.dispatched),
        family("lower_limit_seats", "gauge", "Seats that are never lent.", lambda level: level.least),
        family("nominal_limit_seats", "gauge", "Seats of its own.", lambda level: level.nominal),
        family("upper_limit_seats", "gauge", "Seats with all that can be borrowed.", lambda level: level.most),
        Family("apiserver_flowcontrol_rejected_requests_total", "counter", "Requests that were sent away.", rejected),
    )
