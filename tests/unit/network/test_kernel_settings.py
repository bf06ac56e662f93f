"""Kernel settings of the network: set once, noted as they were first found, put back."""

from __future__ import annotations

from pathlib import Path

import pytest

from podkeeper.network.sysctls import Sysctls


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    root = tmp_path / "sys"
    (root / "net/ipv4").mkdir(parents=True)
    (root / "net/ipv4/ip_forward").write_text("0\n")
    return root


def test_the_first_value_is_put_back_however_often_it_is_set(tmp_path: Path, proc: Path) -> None:
    note, file = tmp_path / "sysctls.json", proc / "net/ipv4/ip_forward"
    for _ in range(2):  # the second time is a process's restart
        Sysctls(note, proc).set("net/ipv4/ip_forward", "1")
        assert file.read_text() == "1"
    Sysctls(note, proc).restore()
    assert file.read_text() == "0"
    assert not note.exists()


def test_what_goes_with_its_interface_is_not_put_back(tmp_path: Path, proc: Path) -> None:
    note, file = tmp_path / "sysctls.json", proc / "net/ipv4/ip_forward"
    Sysctls(note, proc).set("net/ipv4/ip_forward", "1", restore=False)
    Sysctls(note, proc).restore()
    assert file.read_text() == "1"


def test_a_process_that_dies_while_it_notes_leaves_the_old_note(
    tmp_path: Path, proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, other = tmp_path / "sysctls.json", proc / "net/ipv4/other"
    other.write_text("5")
    Sysctls(note, proc).set("net/ipv4/ip_forward", "1")
    before = note.read_text()

    def die(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            Sysctls(note, proc).set("net/ipv4/other", "6")
    assert note.read_text() == before
    assert other.read_text() == "5"


def test_nothing_to_put_back_is_fine(tmp_path: Path, proc: Path) -> None:
    Sysctls(tmp_path / "sysctls.json", proc).restore()
