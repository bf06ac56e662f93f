"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from podkeeper.cluster.layout import DEFAULT_DATA_DIR, Layout

F = TypeVar("F", bound=Callable[..., Any])


def _layout(_context: click.Context, _parameter: click.Parameter, value: Path) -> Layout:
    return Layout.at(value)


def data_dir(function: F) -> F:
    """``--data-dir D``, handed on as a Layout."""
    return click.option(
        "--data-dir",
        "layout",
        type=click.Path(path_type=Path, file_okay=False, readable=False),
        default=DEFAULT_DATA_DIR,
        show_default=True,
        callback=_layout,
        help="Where the cluster keeps everything.",
    )(function)


def namespace(function: F) -> F:
    """``-n NAMESPACE``."""
    return click.option("-n", "--namespace", default="default", show_default=True, help="The namespace to work in.")(
        function
    )
