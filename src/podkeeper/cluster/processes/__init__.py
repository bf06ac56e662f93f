"""The processes of a cluster, one module each: how its parts are made and put together, and how long they live."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from podkeeper.cluster.layout import Layout
from podkeeper.cluster.settings import Settings

#: Runs a component until it is told to stop.
Process = Callable[[Layout, Settings, argparse.Namespace], Coroutine[Any, Any, None]]


class _Processes(Mapping[str, Any]):
    """Component name -> Process; a module is loaded when its component is asked for, and no other is."""

    names = ("apiserver", "controllers", "scheduler", "node")

    def __getitem__(self, name: str) -> Process:
        from importlib import import_module

        if name not in self.names:
            raise KeyError(name)
        process: Process = import_module(f"{__name__}.{name}").run
        return process

    def __iter__(self) -> Any:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


PROCESSES = _Processes()
