"""What a build is asked for, and what it tells while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field


class BuildOptions(Struct, frozen=True):
    """What to build. ``dockerfile`` defaults to ``context``/Dockerfile, ``target`` to the last stage.

    ``network`` is what RUN has: ``host`` or ``none``. ``youngest`` (seconds since the epoch, SOURCE_DATE_EPOCH) makes
    the result reproducible: no file is younger, and it is the time of creation.
    """

    context: Path
    tags: Sequence[str] = ()
    dockerfile: Path | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    network: str = "host"
    cache: bool = True
    youngest: int | None = None


class BuildEvent(Struct, frozen=True):
    """A step begins, or was found ``cached`` (``text`` is the instruction); or a step has ``output``."""

    line: int
    text: str = ""
    cached: bool = False
    output: bytes = b""


Report = Callable[[BuildEvent], None]
