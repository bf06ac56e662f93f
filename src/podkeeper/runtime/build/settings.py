"""Instructions that change an image's configuration and nothing else, each a function from the old to the new one."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.runtime.build import words
from podkeeper.runtime.build.dockerfile import Instruction
from podkeeper.runtime.build.failure import BuildFailure
from podkeeper.runtime.images.config import ImageConfig

DEFAULT_SHELL = ("/bin/sh", "-c")
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?")
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


class Scope(Struct, frozen=True):
    """What variables an instruction sees: build arguments that were declared, overlaid by the image's environment.

    ``own_cmd`` tells whether the CMD so far is this stage's, not its base's.
    """

    arguments: Mapping[str, str]
    escape: str = "\\"
    own_cmd: bool = False

    def variables(self, config: ImageConfig) -> Mapping[str, str]:
        """Name -> value."""
        return {**self.arguments, **dict(config.env)}

    def expand(self, text: str, config: ImageConfig) -> str:
        """One word. Raises BuildFailure."""
        return words.expand(text, self.variables(config), self.escape)

    def split(self, text: str, config: ImageConfig) -> list[str]:
        """The words of a text. Raises BuildFailure."""
        return words.split(text, self.variables(config), self.escape)


Setting = Callable[[ImageConfig, Instruction, Scope], ImageConfig]


def command_line(instruction: Instruction, config: ImageConfig) -> tuple[str, ...]:
    """The exec form as it is, the shell form as an argument of the shell."""
    exec_form = instruction.exec_form
    return (*(config.shell or DEFAULT_SHELL), instruction.rest) if exec_form is None else exec_form


def pairs(instruction: Instruction, config: ImageConfig, scope: Scope) -> list[tuple[str, str]]:
    """``name=value ...`` with quotes, or the old ``name value``. Raises BuildFailure."""
    raw = words.split_raw(instruction.rest, scope.escape)
    if "=" not in raw[0]:
        name, *value = instruction.rest.split(maxsplit=1)
        if not value:
            raise BuildFailure(f"{instruction.keyword} must have two arguments")
        return [(scope.expand(name, config), scope.expand(value[0], config))]
    found = []
    for word in raw:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise BuildFailure(f"syntax error: can't find = in {word!r}: must be of the form name=value")
        found.append((scope.expand(name, config), scope.expand(text, config)))
    return found


def add_environment(config: ImageConfig, added: list[tuple[str, str]]) -> ImageConfig:
    """A variable that is there keeps its place and gets the new value."""
    return replace(config, env=tuple({**dict(config.env), **dict(added)}.items()))


def _env(config: ImageConfig, instruction: Instruction, scope: Scope) -> ImageConfig:
    return add_environment(config, pairs(instruction, config, scope))


def _label(config: ImageConfig, instruction: Instruction, scope: Scope) -> ImageConfig:
    return replace(config, labels={**config.labels, **dict(pairs(instruction, config, scope))})


def _user(config: ImageConfig, instruction: Instruction, scope: Scope) -> ImageConfig:
    return replace(config, user=scope.expand(instruction.rest, config))


def _stop_signal(config: ImageConfig, instruction: Instruction, scope: Scope) -> ImageConfig:
    return replace(config, stop_signal=scope.expand(instruction.rest, config))


def _shell(config: ImageConfig, instruction: Instruction, scope: Scope) -> ImageConfig:
    exec_form = instruction.exec_form
    if not exec_form:
        raise BuildFailure("SHELL requires the arguments to be in JSON form")
    return replace(config, shell=exec_form)


def _cmd(config: ImageConfig, instruction: Instruction, scope: Scope) -> ImageConfig:
    return replace(config, cmd=command_line(instruction, config))


def _entrypoint(config: ImageConfig, instruction: Instruction, scope: Scope) -> ImageConfig:
    """The base's CMD was meant for the base's ENTRYPOINT and goes with it."""
    return replace(config, entrypoint=command_line(instruction, config), cmd=config.cmd if scope.own_cmd else ())


def _volume(config: ImageConfig, instruction: Instruction, scope: Scope) -> ImageConfig:
    exec_form = instruction.exec_form
    paths = list(exec_form) if exec_form is not None else scope.split(instruction.rest, config)
    if not all(path.strip() for path in paths):
        raise BuildFailure("VOLUME specified can not be an empty string")
    return replace(config, volumes=tuple(sorted({*config.volumes, *paths})))


def _expose(config: ImageConfig, instruction: Instruction, scope: Scope) -> ImageConfig:
    ports = set(config.exposed_ports)
    for word in scope.split(instruction.rest, config):
        found = _PORT.fullmatch(word)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if found is None or not first <= last <= 65535:
            raise BuildFailure(f"invalid containerPort: {word}")
        ports |= {f"{port}/{found[3] or 'tcp'}" for port in range(first, last + 1)}
    return replace(config, exposed_ports=tuple(sorted(ports)))


def _healthcheck(config: ImageConfig, instruction: Instruction, scope: Scope) -> ImageConfig:
    """Kept in the configuration; Kubernetes has probes of its own."""
    kind, *rest = instruction.rest.split(maxsplit=1)
    if kind.upper() == "NONE":
        return replace(config, healthcheck={"Test": ["NONE"]})
    if kind.upper() != "CMD" or not rest:
        raise BuildFailure(f"unknown type {kind!r} in HEALTHCHECK (try CMD)")
    command = Instruction(instruction.line, "CMD", (), rest[0])
    exec_form = command.exec_form
    check: dict[str, Any] = {"Test": ["CMD-SHELL", rest[0]] if exec_form is None else ["CMD", *exec_form]}
    for name, value in instruction.flags:
        check[_healthcheck_key(name)] = _count(value) if name == "retries" else _nanoseconds(value)
    return replace(config, healthcheck=check)


def _healthcheck_key(name: str) -> str:
    keys = {
        "interval": "Interval",
        "timeout": "Timeout",
        "start-period": "StartPeriod",
        "start-interval": "StartInterval",
        "retries": "Retries",
    }
    if name not in keys:
        raise BuildFailure(f"unknown flag: --{name}")
    return keys[name]


def _count(text: str) -> int:
    if not text.isdecimal():
        raise BuildFailure(f"invalid number {text!r}")
    return int(text)


def _nanoseconds(text: str) -> int:
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise BuildFailure(f"invalid duration {text!r}")
    return int(sum(float(number) * _UNITS[unit] for number, unit in parts))


def working_directory(config: ImageConfig, instruction: Instruction, scope: Scope) -> str:
    """The absolute path that WORKDIR means; a relative one continues the directory before."""
    path = scope.expand(instruction.rest, config)
    if not path:
        raise BuildFailure("WORKDIR requires exactly one argument")
    joined = posixpath.normpath(posixpath.join("/", config.working_dir, path))
    return joined.replace("//", "/")


SETTINGS: Mapping[str, Setting] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
}
