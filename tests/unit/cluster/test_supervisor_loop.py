"""The supervisor's loop over scripted processes and a clock that jumps to whatever is due next: nothing waits."""

from __future__ import annotations

import os
import selectors
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from podkeeper.cluster.layout import Layout
from podkeeper.cluster.supervisor import COMPONENTS, READY_SECONDS, STABLE_SECONDS, STOP_SECONDS, Supervisor


@dataclass
class Clock:
    """Seconds that pass when the script says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Scripted:
    """A process that ends when the script says so; ``stubborn`` ones do not end when asked."""

    name: str
    stubborn: bool
    stage: Stage
    code: int | None = None
    pipes: list[int] = field(default_factory=lambda: [*os.pipe(), *os.pipe()])

    @property
    def ended(self) -> int:
        return self.pipes[0]

    @property
    def ready(self) -> int:
        return self.pipes[2]

    def say_ready(self) -> None:
        os.write(self.pipes[3], b"ready\n")

    def end(self, code: int) -> None:
        self.code = code
        os.write(self.pipes[1], b"x")

    def terminate(self) -> None:
        self.stage.told.append(f"terminate {self.name}")
        if not self.stubborn and self.code is None:
            self.end(0)

    def kill(self) -> None:
        self.stage.told.append(f"kill {self.name}")
        self.end(-signal.SIGKILL)

    def wait(self, seconds: float | None = None) -> int | None:
        assert self.code is not None or seconds is not None, "waits for ever"
        self.stage.told += [f"wait {self.name} {seconds:.0f}"] if seconds is not None else []
        return self.code

    def close(self) -> None:
        for descriptor in self.pipes:
            os.close(descriptor)
        self.pipes = []


class SteppingSelector(selectors.DefaultSelector):
    """Instead of waiting it moves the clock; when nothing is due either, the script's next step is taken."""

    def __init__(self, clock: Clock, steps: Iterator[Callable[[], object]]) -> None:
        super().__init__()
        self._clock, self._steps = clock, steps

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        while not (found := super().select(0)):
            if timeout is not None:
                self._clock.now += timeout
                return []
            next(self._steps)()
        return found


class Stage:
    """Runs a supervisor through a script of steps and keeps what was launched, told and reported."""

    def __init__(self, root: Path) -> None:
        self.clock, self.layout = Clock(), Layout.at(root)
        self.launched: list[tuple[float, Scripted]] = []
        self.told: list[str] = []
        self.reports: list[str] = []
        self.stubborn: set[str] = set()
        self.silent: set[str] = set()

    def launch(self, _layout: Layout, name: str) -> Scripted:
        process = Scripted(name, name in self.stubborn, self)
        self.launched.append((self.clock(), process))
        if name not in self.silent:
            process.say_ready()
        return process

    def current(self, name: str) -> Scripted:
        return [process for _, process in self.launched if process.name == name][-1]

    def starts(self, name: str) -> list[float]:
        first = self.launched[0][0]
        return [round(when - first, 3) for when, process in self.launched if process.name == name]

    def supervisor(self, script: Iterator[Callable[[], object]]) -> Supervisor:
        selector = SteppingSelector(self.clock, script)
        return Supervisor(self.layout, self.reports.append, launch=self.launch, clock=self.clock, selector=selector)

    def run(self, *steps: Callable[[], object]) -> None:
        script = iter((*steps, stop))
        self.supervisor(script).run()
        assert next(script, None) is None, "it stopped before the script's end"


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_everything_starts_says_so_and_stops_in_order(stage: Stage) -> None:
    stage.run()
    assert [process.name for _, process in stage.launched] == ["apiserver", "controllers", "node"]
    assert sorted(stage.reports) == ["apiserver ready", "controllers ready", "node ready"]
    assert [each for each in stage.told if each.startswith("terminate")] == [
        "terminate node",
        "terminate controllers",
        "terminate apiserver",
    ]
    assert all(process.pipes == [] for _, process in stage.launched), "descriptors are left open"


@pytest.mark.parametrize("name", COMPONENTS)
def test_what_dies_is_started_again_and_nothing_else_is(stage: Stage, name: str) -> None:
    stage.run(lambda: stage.current(name).end(3))
    assert {each: len(stage.starts(each)) for each in COMPONENTS} == {**dict.fromkeys(COMPONENTS, 1), name: 2}
    log = stage.layout.log(name)
    assert f"{name} ended with code 3, starting again in 0.2 s, see {log}" in stage.reports
    assert stage.reports.count(f"{name} ready") == 2


def test_what_keeps_dying_is_started_ever_more_slowly(stage: Stage) -> None:
    stage.run(*[lambda: stage.current("node").end(1)] * 8)
    pauses = [round(b - a, 3) for a, b in zip(stage.starts("node"), stage.starts("node")[1:], strict=False)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_what_has_run_for_long_is_started_again_at_once(stage: Stage) -> None:
    def die_after(seconds: float) -> None:
        stage.clock.now += seconds
        stage.current("node").end(1)

    stage.run(*[lambda: die_after(0)] * 4, lambda: die_after(STABLE_SECONDS + 1))
    ends = [line for line in stage.reports if "ended" in line]
    assert "starting again in 1.6 s" in ends[-2]
    assert "starting again in 0.2 s" in ends[-1]


def test_what_does_not_become_ready_is_named_once_and_left_to_go_on(stage: Stage) -> None:
    stage.silent.add("node")
    stage.run(stage.clock, lambda: stage.current("node").say_ready())
    late = f"node is not ready after {READY_SECONDS:.0f} s, see {stage.layout.log('node')}"
    assert stage.reports.count(late) == 1
    assert stage.reports[-1] == "node ready"
    assert len(stage.starts("node")) == 1


def test_an_end_and_readiness_at_once_are_borne(stage: Stage) -> None:
    def both() -> None:
        stage.current("node").say_ready()
        stage.current("node").end(1)

    stage.silent.add("node")
    stage.run(both, lambda: stage.current("node").say_ready())
    assert len(stage.starts("node")) == 2


def test_what_does_not_stop_is_killed_and_the_rest_still_stops_well(stage: Stage) -> None:
    stage.stubborn.add("controllers")
    stage.run()
    assert stage.told == [
        "terminate node",
        f"wait node {STOP_SECONDS:.0f}",
        "terminate controllers",
        f"wait controllers {STOP_SECONDS:.0f}",
        "kill controllers",
        "terminate apiserver",
        f"wait apiserver {STOP_SECONDS:.0f}",
    ]
    assert stage.reports[-1] == f"controllers did not stop within {STOP_SECONDS:.0f} s and is killed"


def test_nothing_is_started_again_while_it_stops(stage: Stage) -> None:
    def die_and_stop() -> None:
        stage.current("node").end(1)
        stop()

    script = iter([die_and_stop])
    stage.supervisor(script).run()
    assert len(stage.starts("node")) == 1
    assert "terminate node" not in stage.told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_either_signal_stops_it_and_its_handlers_do_not_stay(stage: Stage, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    stage.supervisor(iter([lambda: os.kill(os.getpid(), number)])).run()
    assert len(stage.told) == 6
    assert signal.getsignal(number) is before


def test_what_a_component_said_last_is_passed_on(stage: Stage) -> None:
    def die() -> None:
        stage.layout.log("node").write_text("earlier\nerror: no OCI runtime works\ntry: apt-get install crun\n")
        stage.current("node").end(1)

    stage.layout.logs.mkdir()
    stage.run(die)
    assert any(line.startswith("node ended with code 1 (no OCI runtime works), starting") for line in stage.reports)
