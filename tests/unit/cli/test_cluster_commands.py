"""up, down, status, token and reset where no cluster runs: what they say, and what they leave alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from podkeeper.cli.commands import podkeeper

WITHOUT_CLUSTER = {
    "status": (1, "FAIL cluster: there is none in {}; start one with: podkeeper up --detach"),
    "down": (0, "the cluster was not running"),
    "token --as-admin": (1, "error: there is no cluster in {}\ntry: podkeeper up --detach"),
    "get pods": (1, "error: there is no cluster in {}\ntry: podkeeper up --detach"),
    "reset": (0, "nothing of a cluster is in {}"),
    "reset --yes": (0, "nothing of a cluster is in {}"),
}


def run(command: str, data_dir: Path, *words: str) -> Result:
    result = CliRunner().invoke(podkeeper, [*command.split(), "--data-dir", str(data_dir), *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


@pytest.mark.parametrize("command", WITHOUT_CLUSTER)
def test_without_a_cluster_every_command_says_so_and_makes_nothing(command: str, tmp_path: Path) -> None:
    place = tmp_path / "with space and ü"
    code, text = WITHOUT_CLUSTER[command]
    said = run(command, place)
    assert (said.exit_code, said.output) == (code, text.format(place) + "\n")
    assert not place.exists()


@pytest.mark.parametrize("command", ["status", "down", "get pods", "reset --yes", "up --detach", "image ls"])
def test_a_file_is_no_data_directory(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = run(command, tmp_path / "file")
    assert (said.exit_code, "is a file" in said.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--port 0", "error: 0 is not a port"),
        ("--port 70000", "error: 70000 is not a port"),
        ("--node-name A_B", "error: 'A_B' is not a node name"),
        ("--node-ip 300.1.1.1", "error: '300.1.1.1' is not an IP address"),
        ("--node-ip 192.0.2.1", "error: 192.0.2.1 is not an address of this machine"),
    ],
)
def test_up_with_settings_that_cannot_be_starts_and_makes_nothing(words: str, why: str, tmp_path: Path) -> None:
    said = run(f"up --detach {words}", tmp_path / "data")
    assert (said.exit_code, said.stderr.startswith(why)) == (1, True), said.stderr
    assert not (tmp_path / "data").exists()


def test_a_path_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    said = run("image ls", Path("/proc/nowhere"))
    assert (said.exit_code, said.stderr) == (1, "error: cannot use /proc/nowhere: No such file or directory\n")


def test_reset_asks_at_a_terminal_alone(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text("{}")
    said = run("reset", tmp_path)
    assert (said.exit_code, said.stderr) == (
        1,
        "error: reset asks first, and there is no terminal to ask at\ntry: podkeeper reset --yes\n",
    )
    assert (tmp_path / "cluster.json").exists()


def test_reset_removes_what_is_ours_and_leaves_what_is_not(tmp_path: Path) -> None:
    settings = {"node_name": "nobody-has-this-one", "node_ip": "127.0.0.1"}
    (tmp_path / "cluster.json").write_text(json.dumps(settings))
    (tmp_path / "store" / "deep").mkdir(parents=True)
    (tmp_path / "thesis.tex").touch()
    said = run("reset --yes", tmp_path)
    assert (said.exit_code, said.output) == (0, f"nothing of the cluster in {tmp_path} is left\n")
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.tex"]


def test_reset_removes_the_directory_when_nothing_else_is_in_it(tmp_path: Path) -> None:
    place = tmp_path / "data"
    (place / "node").mkdir(parents=True)
    assert run("reset --yes", place).exit_code == 0
    assert not place.exists()


@pytest.mark.parametrize("words", ["fly", "image burn", "up --fast", "get --help me", "token"])
def test_unknown_words_are_usage_errors(words: str) -> None:
    code = CliRunner().invoke(podkeeper, words.split()).exit_code
    assert code == (0 if "--help" in words else 2)
