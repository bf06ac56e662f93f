"""The pause program: the same bytes at every build, GNU's and LLVM's assemblers agree, and it does what it must."""

from __future__ import annotations

import ctypes
import hashlib
import os
import select
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from podkeeper.runtime import pause
from podkeeper.runtime.pause.assembler import AssemblyError, assemble

ARCHITECTURES = ("amd64", "arm64")
DIGESTS = {
    "amd64": "c6e0f8e7bdf9176332679a74441c00bc115af37903d2bc1334ea9b52c2613833",
    "arm64": "4dd1ed61613598187b1c0563e40221664c69a0cba3592c4e7709e609f4f94226",
}
GNU = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
LLVM = {"amd64": "x86-64", "arm64": "aarch64"}
PR_SET_CHILD_SUBREAPER = 36


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_build_gives_the_same_bytes(architecture: str) -> None:
    assert hashlib.sha256(pause.build(architecture)).hexdigest() == DIGESTS[architecture]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_program_is_a_few_hundred_bytes_with_a_stack_that_is_not_executable(architecture: str) -> None:
    program = pause.build(architecture)
    assert len(program) < 400
    count = struct.unpack_from("<H", program, 56)[0]
    headers = [struct.unpack_from("<IIQQQQQQ", program, 64 + 56 * number) for number in range(count)]
    assert {(kind, flags) for kind, flags, *_ in headers} == {(1, 5), (0x6474E551, 6)}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_gnu_assembler_makes_the_same_machine_code(architecture: str, tmp_path: Path) -> None:
    prefix = GNU[architecture]
    tools = [shutil.which(f"{prefix}-{name}") for name in ("as", "objcopy")]
    if None in tools:
        pytest.skip(f"binutils for {prefix} are not installed")
    gnu_as, objcopy = (str(tool) for tool in tools)
    source = tmp_path / "pause.S"
    source.write_text(pause.source(architecture))
    subprocess.run([gnu_as, "-o", tmp_path / "pause.o", source], check=True)
    check_object(architecture, objcopy, tmp_path)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_llvm_assembler_makes_the_same_machine_code(architecture: str, tmp_path: Path) -> None:
    assembler, objcopy = shutil.which("llvm-mc"), shutil.which("llvm-objcopy")
    if assembler is None or objcopy is None:
        pytest.skip("llvm-mc and llvm-objcopy are not installed")
    source = tmp_path / "pause.S"
    source.write_text(pause.source(architecture))
    command = [assembler, f"-arch={LLVM[architecture]}", "-filetype=obj", "-o", tmp_path / "pause.o", source]
    subprocess.run(command, check=True)
    check_object(architecture, objcopy, tmp_path)


def check_object(architecture: str, objcopy: str, directory: Path) -> None:
    code = directory / "pause.bin"
    subprocess.run([objcopy, "-O", "binary", "-j", ".text", directory / "pause.o", code], check=True)
    assert code.read_bytes() == assemble(pause.source(architecture), architecture)


@pytest.mark.parametrize(
    ("architecture", "source"),
    [
        ("amd64", "nop"),
        ("amd64", "mov eax, ebx"),
        ("amd64", "jz somewhere\nsomewhere:"),
        ("amd64", "cmp eax, 128"),
        ("arm64", "mov w0, #1"),
        ("arm64", "mov x0, #65536"),
        ("arm64", "cmp x0, #4096"),
        ("arm64", "b nowhere"),
    ],
)
def test_what_the_assembler_does_not_know_it_refuses_by_name(architecture: str, source: str) -> None:
    with pytest.raises(AssemblyError, match=source.split()[0]):
        assemble(source, architecture)


def test_both_sources_ship_with_the_package() -> None:
    names = {entry.name for entry in resources.files(pause).iterdir()}
    assert {f"pause_{architecture}.S" for architecture in ARCHITECTURES} <= names


def test_installing_twice_leaves_one_program(tmp_path: Path) -> None:
    pause.install(tmp_path)
    before = (tmp_path / "pause").stat().st_ino
    pause.install(tmp_path)
    assert (tmp_path / "pause").stat().st_ino == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["dev", "pause", "proc"]
    (tmp_path / "pause").chmod(0o755)
    (tmp_path / "pause").write_bytes(b"something else")
    pause.install(tmp_path)
    assert (tmp_path / "pause").read_bytes() == pause.build(pause.architecture())


def spin_until(condition: Callable[[], bool]) -> None:
    """For what the kernel has no event for: that a process came to a system call, that a zombie was collected."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        os.sched_yield()


def waits_for_signals(pid: int) -> bool:
    """Whether a process is inside rt_sigtimedwait (number 128 on x86-64, 137 on arm64)."""
    return Path(f"/proc/{pid}/syscall").read_text().split()[0] in ("128", "137")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_code_0_at_a_signal(tmp_path: Path, number: int) -> None:
    process = subprocess.Popen([pause.install(tmp_path) / "pause"])
    try:
        spin_until(lambda: waits_for_signals(process.pid))
        process.send_signal(signal.SIGCHLD)
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_it_collects_the_orphans_that_it_inherits(tmp_path: Path) -> None:
    """A shell starts children, tells their ids and ends: pause, above it, becomes their parent and must reap all."""
    program = pause.install(tmp_path) / "pause"
    report, tell = os.pipe()
    hold, release = os.pipe()
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        if os.fork() == 0:
            os.close(release)
            for _ in range(5):
                child = os.fork()
                if child == 0:
                    os.read(hold, 1)
                    os._exit(0)
                os.write(tell, struct.pack("i", child))
            os._exit(0)
        for descriptor in (report, tell, hold, release):
            os.close(descriptor)
        os.execv(program, [str(program)])
    os.close(tell)
    os.close(hold)
    try:
        orphans = [struct.unpack("i", os.read(report, 4))[0] for _ in range(5)]
        descriptors = [os.pidfd_open(orphan) for orphan in orphans]
        os.close(release)
        for descriptor in descriptors:
            assert select.select([descriptor], [], [], 10)[0]
            os.close(descriptor)
        spin_until(lambda: not any(Path(f"/proc/{orphan}").exists() for orphan in orphans))
    finally:
        os.close(report)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
