"""Where audit events go: the log file at once or in batches, a webhook in batches."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from podkeeper.apiserver.audit.batches import Batches, Lines
from podkeeper.apiserver.audit.log import LogFile
from podkeeper.apiserver.audit.options import BatchOptions, LogOptions, OutletOptions
from podkeeper.foundation.clock import Clock

#: Events that could not be told, by what failed: log, webhook, buffered or truncate.
Failures = Counter[str]


class Target(Protocol):
    """What takes events in the end."""

    name: str

    async def deliver(self, lines: Lines) -> bool:
        """Whether these events, each a line of JSON, are told."""
        ...

    async def close(self) -> None: ...


class Outlet(Protocol):
    """One place that events go to."""

    def take(self, line: bytes) -> bool:
        """Whether the event is told, or will be."""
        ...

    async def run(self) -> None:
        """Works until cancelled."""
        ...

    async def close(self) -> None:
        """Tells what is still there."""
        ...


class LogTarget:
    """The log file."""

    name = "log"

    def __init__(self, options: LogOptions) -> None:
        """Raises OSError."""
        self._file = LogFile(options)

    def write(self, lines: Lines) -> bool:
        """Writes all of them at once."""
        return self._file.write(b"".join(lines))

    async def deliver(self, lines: Lines) -> bool:
        """See Target."""
        return self.write(lines)

    async def close(self) -> None:
        """See Target."""
        self._file.close()


class DirectOutlet:
    """The log file, written before the request goes on."""

    def __init__(self, log: LogTarget, failures: Failures) -> None:
        self._log, self._failures = log, failures

    def take(self, line: bytes) -> bool:
        """See Outlet."""
        written = self._log.write((line,))
        if not written:
            self._failures[self._log.name] += 1
        return written

    async def run(self) -> None:
        """See Outlet: there is nothing to be done."""

    async def close(self) -> None:
        """See Outlet."""
        await self._log.close()


class BatchOutlet:
    """Any target, by way of batches."""

    def __init__(self, options: BatchOptions, target: Target, failures: Failures, clock: Clock) -> None:
        def lost(count: int) -> None:
            failures["buffered"] += count

        self._target, self._failures = target, failures
        self._batches = Batches(options, self._deliver, lost, clock)

    def take(self, line: bytes) -> bool:
        """See Outlet."""
        return self._batches.take(line)

    async def run(self) -> None:
        """See Outlet."""
        await self._batches.run()

    async def close(self) -> None:
        """See Outlet."""
        await self._batches.close()
        await self._target.close()

    async def _deliver(self, lines: Lines) -> None:
        if not await self._target.deliver(lines):
            self._failures[self._target.name] += len(lines)


def outlet_of(options: OutletOptions, failures: Failures, clock: Clock) -> Outlet:
    """The outlet. Raises OSError and KubeconfigInvalid."""
    target = options.target
    if isinstance(target, LogOptions):
        log = LogTarget(target)
        if options.batches is None:
            return DirectOutlet(log, failures)
        return BatchOutlet(options.batches, log, failures, clock)
    from podkeeper.apiserver.audit.webhook import AuditWebhook  # few servers have one

    return BatchOutlet(options.batches or BatchOptions(), AuditWebhook(target, clock), failures, clock)
