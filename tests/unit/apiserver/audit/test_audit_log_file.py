"""The audit log's file: lines, rotation, what is kept."""

from __future__ import annotations

import os
from pathlib import Path

from podkeeper.apiserver.audit.log import LogFile, outdated, rotated
from podkeeper.apiserver.audit.options import LogOptions


def test_lines_are_appended_and_kept_from_others(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "audit.log"
    for line in (b"one\n", b"two\n"):
        file = LogFile(LogOptions(str(path)))
        file.write(line)
        file.close()
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_file_makes_room_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    file = LogFile(LogOptions(str(path), max_size=1))
    line = b"x" * 700_000 + b"\n"
    for _ in range(2):
        file.write(line)
    file.close()
    assert path.read_bytes() == line
    (old,) = rotated(path)
    assert old.read_bytes() == line


def test_old_files_go_by_number_and_by_age(tmp_path: Path) -> None:
    files = []
    for day in range(1, 6):
        file = tmp_path / f"audit-2026-01-0{day}T00-00-00.000.log"
        file.touch()
        os.utime(file, (day * 86400, day * 86400))
        files.append(file)
    (tmp_path / "audit-of-something-else.log").touch()
    found = rotated(tmp_path / "audit.log")
    assert list(found) == files[::-1]
    now = 6 * 86400.0
    assert outdated(found, now, LogOptions()) == []
    assert outdated(found, now, LogOptions(max_backups=2)) == files[2::-1]
    assert outdated(found, now, LogOptions(max_age=3)) == [files[1], files[0]]


def test_a_full_disk_is_said_and_stops_nobody() -> None:
    file = LogFile(LogOptions("/dev/full"))
    assert [file.write(b"line\n") for _ in range(2)] == [False, False]
    file.close()
