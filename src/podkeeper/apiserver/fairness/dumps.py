"""/debug/api_priority_and_fairness/dump_*: levels, queues and waiting requests as upstream prints them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from podkeeper.api import timestamps
from podkeeper.apiserver import responses
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.fairness.admission import Described, FairAdmission
from podkeeper.apiserver.fairness.levels import Level
from podkeeper.foundation.http import Answer

Row = Sequence[str]

_LEVELS: Row = (
    "PriorityLevelName",
    "ActiveQueues",
    "IsIdle",
    "IsQuiescing",
    "WaitingRequests",
    "ExecutingRequests",
    "DispatchedRequests",
    "RejectedRequests",
    "TimedoutRequests",
    "CancelledRequests",
)
_QUEUES: Row = (
    "PriorityLevelName",
    "Index",
    "PendingRequests",
    "ExecutingRequests",
    "SeatsInUse",
    "NextDispatchR",
    "InitialSeatsSum",
    "MaxSeatsSum",
    "TotalWorkSum",
)
_REQUESTS: Row = (
    "PriorityLevelName",
    "FlowSchemaName",
    "QueueIndex",
    "RequestIndexInQueue",
    "FlowDistingsher",
    "ArriveTime",
    "InitialSeats",
    "FinalSeats",
    "AdditionalLatency",
    "StartTime",
)
_DETAILS: Row = ("UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource")


def handlers(gate: FairAdmission) -> Mapping[str, Handle]:
    """The three endpoints by path."""

    async def levels(call: Call) -> Answer:
        return _table(_LEVELS, map(_level_row, _levels(gate)))

    async def queues(call: Call) -> Answer:
        return _table(_QUEUES, (row for level in _levels(gate) for row in _queue_rows(level)))

    async def requests(call: Call) -> Answer:
        detailed = bool(call.info.first("includeRequestDetails"))
        rows = (row for level in _levels(gate) for row in _request_rows(level, detailed))
        return _table((*_REQUESTS, *_DETAILS) if detailed else _REQUESTS, rows)

    below = "/debug/api_priority_and_fairness/dump_"
    return {f"{below}priority_levels": levels, f"{below}queues": queues, f"{below}requests": requests}


def _levels(gate: FairAdmission) -> Sequence[Level]:
    return [level for _, level in sorted(gate.seats.levels.items())]


def _level_row(level: Level) -> Row:
    if level.exempt:
        numbers = ("0", str(not level.running).lower(), "false", "0", str(level.running), str(level.dispatched))
        return (level.name, *numbers, "0", "0", "0")
    active = level.queues.contents() if level.queues else {}
    waiting = sum(len(queue) for queue in active.values())
    idle = str(not waiting and not level.running).lower()
    counts = (len(active), idle, "false", waiting, level.running, level.dispatched)
    timed_out = level.rejected["time-out"]
    return (level.name, *map(str, counts), str(level.rejected.total() - timed_out), str(timed_out), "0")


def _queue_rows(level: Level) -> Iterator[Row]:
    if level.queues is None:
        return
    contents = level.queues.contents()
    for index in range(level.queues.count):
        waiting = contents.get(index, ())
        seats = str(sum(each.seats for each in waiting))
        start = f"{waiting[0].start:.8f}ss" if waiting else "0.00000000ss"
        yield (level.name, str(index), str(len(waiting)), "0", "0", start, seats, seats, f"{seats}.00000000ss")


def _request_rows(level: Level, detailed: bool) -> Iterator[Row]:
    contents = level.queues.contents() if level.queues else {}
    for index, queue in contents.items():
        for place, waiting in enumerate(queue):
            described = waiting.described
            if not isinstance(described, Described):
                continue
            flow, info = described.flow, described.info
            arrived = timestamps.format_micro_time(described.arrived)
            where = (level.name, flow.schema, str(index), str(place), flow.distinguisher)
            row = (*where, arrived, str(waiting.seats), "0", "0s", "0001-01-01T00:00:00Z")
            version = f"{info.group}/{info.version}" if info.group else info.version
            details = (described.user.name, info.verb, info.path, info.namespace, info.name, version)
            yield (*row, *details, info.resource, info.subresource) if detailed else row


def _table(header: Row, rows: Iterator[Row]) -> Answer:
    """Columns as wide as their widest cell, commas between."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) + 2 for column in range(len(header))]
    text = "".join(
        "".join(f"{cell},".ljust(width) for cell, width in zip(line[:-1], widths, strict=False)) + line[-1] + "\n"
        for line in lines
    )
    return responses.text(text)
