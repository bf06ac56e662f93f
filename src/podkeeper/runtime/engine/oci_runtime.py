"""crun or runc as a program: one method per command, errors read from its JSON log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from podkeeper.runtime.engine.processes import ProcessIdentity, run, spawn
from podkeeper.runtime.failures import RuntimeFailure

LOG = "runtime.log"
PID_FILE = "pid"


class OciRuntimeFailure(RuntimeFailure):
    """The OCI runtime refused. ``cause`` is its own last word."""

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


class OciRuntime:
    """One OCI runtime. ``name`` is crun or runc, ``state`` the directory with its own records of containers."""

    def __init__(self, name: str, path: str, state: Path) -> None:
        self.name, self.path, self.state = name, path, state

    def __repr__(self) -> str:
        return f"OciRuntime({self.path}, state={self.state})"

    def options(self, bundle: Path) -> list[str]:
        """What stands before every command's name."""
        return ["--root", str(self.state), "--log", str(bundle / LOG), "--log-format", "json"]

    async def run_detached(self, container_id: str, bundle: Path) -> ProcessIdentity:
        """Creates and starts; the container's streams are /dev/null. OciRuntimeFailure."""
        arguments = ["run", "--detach", "--bundle", str(bundle), "--pid-file", str(bundle / PID_FILE), container_id]
        child = spawn([self.path, *self.options(bundle), *arguments], directory=bundle)
        code = await child.wait()
        if code != 0:
            raise self.failure(f"run {container_id}", bundle, f"exit code {code}")
        return ProcessIdentity.of(int((bundle / PID_FILE).read_text()))

    async def start(self, container_id: str, bundle: Path) -> None:
        """Lets a created container's program run. OciRuntimeFailure."""
        await self._command("start", bundle, ["start", container_id])

    async def has_begun(self, container_id: str, bundle: Path) -> bool:
        """Whether the container's program was started: it runs, or has ended."""
        if not (self.state / container_id).exists():
            return False
        done = await run([self.path, *self.options(bundle), "state", container_id], directory=bundle)
        return done.code == 0 and json.loads(done.output).get("status") in ("running", "stopped")

    async def delete(self, container_id: str, bundle: Path) -> None:
        """Kills and forgets. Succeeds when the runtime does not know the container."""
        try:
            if (self.state / container_id).exists():
                await self._command("delete", bundle, ["delete", "--force", container_id])
        except OciRuntimeFailure:
            if (self.state / container_id).exists():  # else somebody else has deleted it meanwhile
                raise

    async def _command(self, verb: str, bundle: Path, arguments: list[str]) -> None:
        done = await run([self.path, *self.options(bundle), *arguments], directory=bundle)
        if done.code != 0:
            said = done.errors.decode(errors="replace").strip()
            raise self.failure(f"{verb} {arguments[-1]}", bundle, said or f"exit code {done.code}")

    def failure(self, attempt: str, bundle: Path, otherwise: str) -> OciRuntimeFailure:
        """The error with the log's last word, or with ``otherwise`` when the log is silent."""
        cause = last_error(bundle / LOG) or otherwise
        return OciRuntimeFailure(f"{self.name} cannot {attempt}: {cause}", cause)


def last_error(log: Path) -> str:
    """The last error in a runtime's JSON log, "" when there is none."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    found = ""
    for tree in _parsed(lines):
        if tree.get("level") == "error":
            found = str(tree.get("msg", ""))
    return found


def _parsed(lines: list[str]) -> Iterator[dict[str, object]]:
    for line in lines:
        try:
            tree = json.loads(line)
        except ValueError:
            continue
        if isinstance(tree, dict):
            yield tree
