"""What the server is told of audit: the policy, and where events go."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct


class LogOptions(Struct, frozen=True):
    """``path`` "-" is standard output. Days, files and megabytes; 0 days and 0 files keep all."""

    path: str = ""
    max_age: int = 0
    max_backups: int = 0
    max_size: int = 100


class BatchOptions(Struct, frozen=True):
    """Events that may wait and that go together, seconds that one waits at most, batches a second (0: any number) and
    how many of them may come at once; ``largest`` is the bytes of a batch, 0 for any size."""

    buffer: int = 10000
    most: int = 400
    wait: float = 30.0
    rate: float = 10.0
    burst: int = 15
    largest: int = 0


class WebhookOptions(Struct, frozen=True):
    """The kubeconfig file of a server that takes events, and seconds before a batch is tried again."""

    kubeconfig: Path
    backoff: float = 10.0


class OutletOptions(Struct, frozen=True):
    """One place that events go to: a log file or a webhook. ``batches`` None: each at once; ``strict``: a request whose
    beginning cannot be told fails. ``longest`` is in bytes, 0 for any length."""

    target: LogOptions | WebhookOptions
    batches: BatchOptions | None = None
    strict: bool = False
    longest: int = 0


class AuditOptions(Struct, frozen=True):
    """Without a policy and an outlet nothing is told."""

    policy: Path | None = None
    outlets: tuple[OutletOptions, ...] = ()
