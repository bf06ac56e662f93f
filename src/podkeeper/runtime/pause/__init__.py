"""The infra container's program, assembled here from the annotated sources beside this module."""

from __future__ import annotations

import platform
from importlib import resources
from pathlib import Path

from podkeeper.runtime.pause import assembler, elf

PROGRAM = "pause"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture() -> str:
    """This machine's architecture in image terms. LookupError for one that has no pause program."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise LookupError(f"no pause program for {machine}: there is one for {' and '.join(_ARCHITECTURES)}")
    return _ARCHITECTURES[machine]


def source(arch: str) -> str:
    """The annotated assembly for ``amd64`` or ``arm64``."""
    return resources.files(__package__).joinpath(f"pause_{arch}.S").read_text()


def build(arch: str) -> bytes:
    """The whole ELF file."""
    return elf.executable(assembler.assemble(source(arch), arch), arch)


def install(root: Path) -> Path:
    """Makes ``root`` a root file system with the program and the mount points that OCI runtimes insist on."""
    program, content = root / PROGRAM, build(architecture())
    for mount_point in ("dev", "proc"):
        (root / mount_point).mkdir(parents=True, exist_ok=True)
    if not (program.exists() and program.read_bytes() == content):
        temporary = root / f".{PROGRAM}"
        temporary.write_bytes(content)
        temporary.chmod(0o555)
        temporary.replace(program)
    return root
