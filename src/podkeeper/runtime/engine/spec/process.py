"""The process section: what runs, as whom, with which environment and rights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from podkeeper.runtime.cri import ContainerConfig
from podkeeper.runtime.engine.spec import apparmor, capabilities
from podkeeper.runtime.engine.spec.users import User
from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.runtime.images.config import ImageConfig

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def command(config: ContainerConfig, image: ImageConfig) -> tuple[str, ...]:
    """Kubernetes' rule: a command replaces entrypoint and cmd of the image, arguments alone replace its cmd.

    Source: "Define a Command and Arguments for a Container" in the Kubernetes documentation.
    """
    inherited = (*image.entrypoint, *(config.args or image.cmd))
    found = (*config.command, *config.args) if config.command else inherited
    if not found:
        raise RuntimeFailure(
            f"container {config.name}: no command specified, neither by the container nor by its image"
        )
    return found


def environment(config: ContainerConfig, image: ImageConfig, hostname: str, user: User) -> list[str]:
    """The image's variables, then the container's own on top, one value per name, in order of first mention."""
    found: dict[str, str] = {"PATH": DEFAULT_PATH}
    found |= dict(image.env)
    found.setdefault("HOSTNAME", hostname)
    if config.tty:
        found.setdefault("TERM", "xterm")
    found.setdefault("HOME", user.home)
    found |= _last_of_each(config.env)
    return [f"{name}={value}" for name, value in found.items()]


def _last_of_each(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    return dict(pairs)


def section(config: ContainerConfig, image: ImageConfig, hostname: str, user: User) -> dict[str, Any]:
    """``process`` of an app container."""
    security = config.security
    granted = capabilities.granted(
        security.add_capabilities, security.drop_capabilities, privileged=security.privileged
    )
    tree: dict[str, Any] = {
        "terminal": config.tty,
        "user": user.section(),
        "args": list(command(config, image)),
        "env": environment(config, image, hostname, user),
        "cwd": config.working_dir or image.working_dir or "/",
        "capabilities": capabilities.section(granted),
        "noNewPrivileges": security.no_new_privs,
    }
    if confinement := apparmor.profile(security.apparmor):
        tree["apparmorProfile"] = confinement
    adjustment = config.resources.oom_score_adj
    if adjustment is not None:
        tree["oomScoreAdj"] = possible_oom_score(adjustment)
    return tree


def possible_oom_score(wanted: int) -> int:
    """``wanted``, or our own value where lowering it needs CAP_SYS_RESOURCE and we lack that (proc(5))."""
    if "SYS_RESOURCE" in capabilities.available():
        return wanted
    return max(wanted, _own_oom_score())


@cache
def _own_oom_score() -> int:
    return int(Path("/proc/self/oom_score_adj").read_text())
