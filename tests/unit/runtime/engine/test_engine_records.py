"""What the engine writes down and reads again: records, exits, settings, logs of the OCI runtime."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from podkeeper.runtime.cri import (
    ContainerConfig,
    DNSConfig,
    Mount,
    NamespaceMode,
    NamespaceOptions,
    Resources,
    SandboxConfig,
    SandboxSecurityContext,
)
from podkeeper.runtime.engine.directories import Directories, write_atomically
from podkeeper.runtime.engine.endings import read_exit, stop_signal_number
from podkeeper.runtime.engine.oci_runtime import OciRuntime, last_error
from podkeeper.runtime.engine.processes import ProcessIdentity
from podkeeper.runtime.engine.records import ContainerRecord, Exit, SandboxRecord, load_all, new_id, save
from podkeeper.runtime.engine.sandboxes import hostname, resolv_conf
from podkeeper.runtime.engine.sweep import EngineSettings, lock
from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.runtime.podnetwork import PortMapping

SANDBOX = SandboxRecord(
    id="s1",
    config=SandboxConfig(
        "pod",
        "default",
        "uid",
        hostname="pod",
        dns=DNSConfig(["10.0.0.10"]),
        port_mappings=[PortMapping(80, 8080)],
        labels={"a": "b"},
        security=SandboxSecurityContext(NamespaceOptions(pid=NamespaceMode.POD)),
    ),
    created_at=1,
    handler="crun",
    cgroup="/podkeeper-n/podx/s1",
    infra=ProcessIdentity(7, 8, "boot"),
    ips=("10.0.0.1",),
)
CONTAINER = ContainerRecord(
    id="c1",
    sandbox_id="s1",
    config=ContainerConfig("main", "sha256:1", env=[("A", "b")], mounts=[Mount("/a", "/b")], resources=Resources(2)),
    created_at=1,
    handler="crun",
    cgroup="/podkeeper-n/podx/c1",
    log_path="/logs/0.log",
    user=(1, 2, (3, 4)),
    stop_signal="SIGTERM",
    image_id="sha256:1",
    image_ref="sha256:1",
    command=("run",),
    exit=Exit(137, "OOMKilled", 5),
)


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    for record in (SANDBOX, CONTAINER):
        (tmp_path / type(record).__name__ / record.id).mkdir(parents=True)
        save(tmp_path / type(record).__name__ / record.id, record)
    ((_, sandbox),) = load_all(tmp_path / "SandboxRecord", SandboxRecord)
    ((_, container),) = load_all(tmp_path / "ContainerRecord", ContainerRecord)
    assert repr(sandbox).replace("[", "(").replace("]", ")") == repr(SANDBOX).replace("[", "(").replace("]", ")")
    assert container is not None
    assert (container.user, container.exit, container.command) == (CONTAINER.user, CONTAINER.exit, CONTAINER.command)


def test_a_torn_record_is_no_record(tmp_path: Path) -> None:
    for name, text in (("a", '{"id":'), ("b", ""), ("c", '{"id": 5}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "record.json").write_text(text)
    (tmp_path / "d").mkdir()
    assert [(path.name, record) for path, record in load_all(tmp_path, SandboxRecord)] == [
        (name, None) for name in "abcd"
    ]
    assert list(load_all(tmp_path / "nothing", SandboxRecord)) == []


def test_identifiers_are_64_hexadecimal_digits_and_differ() -> None:
    ids = {new_id() for _ in range(50)}
    assert len(ids) == 50
    assert all(len(each) == 64 and int(each, 16) >= 0 for each in ids)


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_atomically(file, b"one")
    write_atomically(file, b"two", 0o644)
    assert file.read_bytes() == b"two"
    assert file.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["file"]


def test_how_a_container_ended_is_in_its_monitors_files(tmp_path: Path) -> None:
    (tmp_path / "exits").mkdir()
    assert read_exit(tmp_path, CONTAINER, 9) == Exit(137, "Error", 9, "its monitor was killed, so it was killed too")
    file = tmp_path / "exits" / CONTAINER.id
    file.write_text("0")
    os.utime(file, ns=(5, 5))
    assert read_exit(tmp_path, CONTAINER, 9) == Exit(0, "Completed", 5)
    file.write_text("3")
    os.utime(file, ns=(5, 5))
    assert read_exit(tmp_path, CONTAINER, 9) == Exit(3, "Error", 5)
    (tmp_path / "oom").touch()
    assert read_exit(tmp_path, CONTAINER, 9) == Exit(3, "OOMKilled", 5)
    file.write_text("")
    assert read_exit(tmp_path, CONTAINER, 9).code == 137


@pytest.mark.parametrize(
    ("text", "number"),
    [("SIGTERM", 15), ("TERM", 15), ("sigquit", 3), ("15", 15), ("SIGRTMIN+3", signal.SIGRTMIN + 3)],
)
def test_stop_signals_have_many_names(text: str, number: int) -> None:
    assert stop_signal_number(text) == number


@pytest.mark.parametrize("text", ["SIGNOTHING", "0", "999", "SIGRTMIN+x", ""])
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(RuntimeFailure, match="unknown stop signal"):
        stop_signal_number(text)


def test_the_last_error_in_a_runtimes_log_is_what_counts(tmp_path: Path) -> None:
    log = tmp_path / "runtime.log"
    assert last_error(log) == ""
    lines = [
        '{"level":"error","msg":"first"}',
        '{"level":"error","msg":"last"}',
        '{"level":"info","msg":"later"}',
        "not json",
        "5",
    ]
    log.write_text("\n".join(lines))
    assert last_error(log) == "last"
    failure = OciRuntime("crun", "/usr/bin/crun", tmp_path).failure("start x", tmp_path, "exit code 1")
    assert (str(failure), failure.cause) == ("crun cannot start x: last", "last")
    log.unlink()
    assert str(OciRuntime("crun", "/c", tmp_path).failure("start x", tmp_path, "exit code 1")).endswith("exit code 1")


def test_the_resolver_configuration_has_the_usual_lines() -> None:
    dns = DNSConfig(["10.0.0.10", "1.1.1.1"], ["svc.local"], ["ndots:5", "edns0"])
    expected = "nameserver 10.0.0.10\nnameserver 1.1.1.1\nsearch svc.local\noptions ndots:5 edns0\n"
    assert resolv_conf(dns) == expected
    assert resolv_conf(DNSConfig()) == ""


def test_the_host_name_is_the_nodes_where_the_network_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "node-1")
    assert hostname(SANDBOX.config) == "pod"
    node = SandboxSecurityContext(NamespaceOptions(network=NamespaceMode.NODE))
    assert hostname(SandboxConfig("pod", "default", "uid", hostname="pod", security=node)) == "node-1"


def test_settings_outlive_the_engine_and_its_directory_is_locked(tmp_path: Path) -> None:
    directories = Directories(tmp_path)
    assert EngineSettings.load(directories) is None
    EngineSettings("/podkeeper-n", ("hugetlb",)).save(directories)
    assert EngineSettings.load(directories) == EngineSettings("/podkeeper-n", ("hugetlb",))
    held = lock(directories)
    with pytest.raises(RuntimeFailure, match="another engine"):
        lock(directories)
    os.close(held)
    os.close(lock(directories))
