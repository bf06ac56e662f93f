"""`podkeeper image` on a data directory without images: what it says to names and files that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from podkeeper.cli.commands import podkeeper


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ("rm nope", 1, "error: there is no image nope on this node"),
        ("rm UPPER", 1, "error: couldn't parse image name"),
        ("pull UPPER::x", 1, "error: couldn't parse image name"),
        ("import /dev/null", 1, "error: import /dev/null: "),
        ("import /nowhere", 2, "Path '/nowhere' does not exist"),
        ("build -t x /nowhere", 2, "Directory '/nowhere' does not exist"),
        ("build /tmp", 2, "Missing option"),
    ],
)
def test_mistakes_are_named(words: str, code: int, why: str, tmp_path: Path) -> None:
    command, *rest = words.split()
    said = CliRunner().invoke(podkeeper, ["image", command, "--data-dir", str(tmp_path / "data"), *rest])
    assert (said.exit_code, why in said.stderr) == (code, True), said.stderr


def test_no_images_are_an_empty_table(tmp_path: Path) -> None:
    said = CliRunner().invoke(podkeeper, ["image", "ls", "--data-dir", str(tmp_path / "data")])
    assert (said.exit_code, said.stdout.split()) == (0, ["IMAGE", "ID", "SIZE"])
