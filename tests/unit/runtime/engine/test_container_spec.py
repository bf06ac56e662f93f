"""OCI specs: what is asked for, what the image says, and what we add."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from podkeeper.runtime.cri import (
    ContainerConfig,
    ContainerSecurityContext,
    Device,
    Mount,
    MountPropagation,
    NamespaceMode,
    NamespaceOptions,
    Resources,
    SandboxConfig,
    SandboxSecurityContext,
    SecurityProfile,
)
from podkeeper.runtime.engine.spec import (
    apparmor,
    bundle,
    capabilities,
    devices,
    namespaces,
    process,
    resources,
    seccomp,
)
from podkeeper.runtime.engine.spec import mounts as mount_section
from podkeeper.runtime.engine.spec.mounts import SandboxFiles
from podkeeper.runtime.engine.spec.users import User
from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.runtime.images.config import ImageConfig

CONFIG = ContainerConfig("main", "sha256:1")
FILES = SandboxFiles(Path("/s/shm"), Path("/s/resolv.conf"), Path("/s/hostname"))
ROOT = User(0, 0, (), "/root")
POD = NamespaceMode.POD


# Command and environment.


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        ((), (), ("entry", "cmd")),
        ((), ("arg",), ("entry", "arg")),
        (("own",), (), ("own",)),
        (("own",), ("arg",), ("own", "arg")),
    ],
)
def test_command_and_arguments_replace_the_images_as_kubernetes_says(
    command: tuple[str, ...], args: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    image = ImageConfig(entrypoint=("entry",), cmd=("cmd",))
    assert process.command(replace(CONFIG, command=command, args=args), image) == expected


def test_nothing_to_run_is_refused() -> None:
    with pytest.raises(RuntimeFailure, match="main: no command specified"):
        process.command(CONFIG, ImageConfig())


def test_environment_of_the_image_then_of_the_container() -> None:
    image = ImageConfig(env=(("PATH", "/image"), ("A", "image"), ("B", "image")))
    config = replace(CONFIG, env=(("B", "first"), ("B", "own"), ("C", "")), tty=True)
    assert process.environment(config, image, "pod", User(1, 1, (), "/home/one")) == [
        "PATH=/image",
        "A=image",
        "B=own",
        "HOSTNAME=pod",
        "TERM=xterm",
        "HOME=/home/one",
        "C=",
    ]
    assert process.environment(CONFIG, ImageConfig(), "pod", ROOT)[0] == f"PATH={process.DEFAULT_PATH}"


def test_a_score_below_our_own_is_raised_where_we_may_not_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    own = int(Path("/proc/self/oom_score_adj").read_text())
    monkeypatch.setattr(capabilities, "available", lambda: frozenset[str]())
    assert process.possible_oom_score(-998) == max(own, -998)
    assert process.possible_oom_score(1000) == 1000
    monkeypatch.setattr(capabilities, "available", lambda: frozenset({"SYS_RESOURCE"}))
    assert process.possible_oom_score(-998) == -998


# Rights.


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        ((), (), capabilities.DEFAULT),
        (("SYS_TIME",), (), capabilities.DEFAULT | {"SYS_TIME"}),
        (("CAP_sys_time",), ("chown",), (capabilities.DEFAULT | {"SYS_TIME"}) - {"CHOWN"}),
        ((), ("ALL",), frozenset()),
        (("CHOWN",), ("ALL",), {"CHOWN"}),
        (("ALL",), (), frozenset(capabilities.ALL)),
        (("ALL",), ("CHOWN",), frozenset(capabilities.ALL) - {"CHOWN"}),
    ],
)
def test_capabilities_are_added_and_dropped(
    add: tuple[str, ...], drop: tuple[str, ...], expected: frozenset[str]
) -> None:
    assert capabilities.granted(add, drop, privileged=False) == expected


def test_privilege_is_every_capability_that_we_can_give() -> None:
    assert capabilities.granted((), ("ALL",), privileged=True) == frozenset(capabilities.ALL)
    listed = capabilities.section(frozenset(capabilities.ALL))["effective"]
    assert {name.removeprefix("CAP_") for name in listed} == capabilities.available()


def test_an_unknown_capability_is_refused_by_name() -> None:
    with pytest.raises(RuntimeFailure, match="MAKE_COFFEE"):
        capabilities.granted(("MAKE_COFFEE",), (), privileged=False)


names = st.lists(st.sampled_from(capabilities.ALL), max_size=5)


@given(add=names, drop=names)
def test_what_is_dropped_by_name_is_never_there(add: list[str], drop: list[str]) -> None:
    granted = capabilities.granted(add, drop, privileged=False)
    assert not granted & set(drop)
    assert set(add) - set(drop) <= granted


# Namespaces.


def kinds(tree: list[dict[str, Any]]) -> dict[str, str]:
    return {each["type"]: each.get("path", "") for each in tree}


def test_the_infra_container_owns_all_namespaces_but_the_nodes() -> None:
    assert set(kinds(namespaces.of_sandbox(NamespaceOptions()))) == {"mount", "network", "uts", "ipc", "pid"}
    node = NamespaceOptions(NamespaceMode.NODE, NamespaceMode.NODE, NamespaceMode.NODE)
    assert set(kinds(namespaces.of_sandbox(node))) == {"mount"}


@pytest.mark.parametrize(
    ("mode", "pid"),
    [
        (NamespaceMode.CONTAINER, {"pid": ""}),
        (NamespaceMode.POD, {"pid": "/proc/7/ns/pid"}),
        (NamespaceMode.TARGET, {"pid": "/proc/9/ns/pid"}),
        (NamespaceMode.NODE, {}),
    ],
)
def test_app_containers_join_the_infra_containers_namespaces(mode: NamespaceMode, pid: dict[str, str]) -> None:
    joined = kinds(namespaces.of_container(NamespaceOptions(), NamespaceOptions(pid=mode), 7, 9))
    shared = {"network": "/proc/7/ns/net", "uts": "/proc/7/ns/uts", "ipc": "/proc/7/ns/ipc"}
    assert joined == {"mount": "", **shared, **pid}


def test_app_containers_of_a_node_sandbox_join_nothing() -> None:
    node = NamespaceOptions(NamespaceMode.NODE, NamespaceMode.NODE, NamespaceMode.NODE)
    assert kinds(namespaces.of_container(node, node, 7)) == {"mount": ""}


def test_a_cgroup_namespace_of_its_own_where_version_2_is_alone() -> None:
    config, image = replace(CONFIG, resources=Resources(hugepage_limits={"2MB": 8})), ImageConfig(cmd=("run",))
    old = bundle.of_container(config, image, ROOT, surroundings())["linux"]
    new = bundle.of_container(config, image, ROOT, replace(surroundings(), version_2=True, huge_pages=True))["linux"]
    assert "cgroup" not in kinds(old["namespaces"])
    assert "hugepageLimits" not in old["resources"]
    assert kinds(new["namespaces"])["cgroup"] == ""
    assert new["resources"]["hugepageLimits"] == [{"pageSize": "2MB", "limit": 8}]
    privileged = replace(config, security=ContainerSecurityContext(privileged=True))
    spec = bundle.of_container(privileged, image, ROOT, replace(surroundings(), version_2=True))
    assert "cgroup" not in kinds(spec["linux"]["namespaces"])


# Mounts.


def test_volumes_come_parents_first_and_in_the_given_order() -> None:
    volumes = [Mount("/a/b", "/1"), Mount("/z", "/2"), Mount("/a", "/3"), Mount("/y", "/4")]
    found = mount_section.section(FILES, volumes, privileged=False, readonly_rootfs=False)
    assert [each["destination"] for each in found][-4:] == ["/z", "/a", "/y", "/a/b"]


def test_a_volume_takes_the_place_of_a_file_of_ours() -> None:
    volumes = [Mount("/etc/resolv.conf", "/mine"), Mount("/dev/shm/", "/memory")]
    found = mount_section.section(FILES, volumes, privileged=False, readonly_rootfs=False)
    sources = {os.path.normpath(each["destination"]): each["source"] for each in found}
    assert (sources["/etc/resolv.conf"], sources["/dev/shm"]) == ("/mine", "/memory")
    assert len(sources) == len(found)


def test_a_mount_keeps_its_rights_and_propagation() -> None:
    volume = Mount("/v", "/link", readonly=True, recursive_readonly=True, propagation=MountPropagation.BIDIRECTIONAL)
    assert mount_section.volume_mount(volume)["options"] == ["rbind", "rshared", "ro", "rro"]
    assert mount_section.root_propagation([]) == "rprivate"
    assert mount_section.root_propagation([volume, Mount("/w", "/w")]) == "rshared"


@pytest.mark.parametrize(("privileged", "write"), [(False, "ro"), (True, "rw")])
def test_the_kernels_own_files_are_writable_for_the_privileged_alone(privileged: bool, write: str) -> None:
    found = mount_section.section(FILES, (), privileged=privileged, readonly_rootfs=False)
    options = {each["destination"]: each["options"] for each in found}
    assert write in options["/sys"]
    assert write in options["/sys/fs/cgroup"]


# Devices and resources.


def test_devices_are_named_by_what_they_are_on_the_host() -> None:
    wanted = [Device("/dev/mine", "/dev/null", "r")]
    (node,) = devices.nodes(wanted, privileged=False)
    assert (node["path"], node["type"], node["major"], node["minor"]) == ("/dev/mine", "c", 1, 3)
    assert devices.rules(wanted, privileged=False)[-1] == {
        "allow": True,
        "access": "r",
        "type": "c",
        "major": 1,
        "minor": 3,
    }
    assert devices.rules((), privileged=False)[0] == {"allow": False, "access": "rwm"}
    assert devices.rules((), privileged=True) == [{"allow": True, "access": "rwm"}]


@pytest.mark.parametrize(("path", "fault"), [("/dev/nothing-here", "No such file"), ("/etc/passwd", "not a device")])
def test_what_is_no_device_is_refused(path: str, fault: str) -> None:
    with pytest.raises(RuntimeFailure, match=fault):
        devices.nodes([Device("/dev/x", path)], privileged=False)


def test_resources_that_are_not_asked_for_are_absent() -> None:
    assert resources.section(Resources()) == {}
    full = Resources(
        cpu_shares=2, cpu_quota=5, memory_limit=6, pids_limit=7, cpuset_cpus="0", hugepage_limits={"2MB": 8}
    )
    assert resources.section(full) == {
        "cpu": {"shares": 2, "quota": 5, "cpus": "0"},
        "memory": {"limit": 6},
        "pids": {"limit": 7},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 8}],
    }
    assert resources.limits(full).memory == 6


# Seccomp.


def allowed(profile: dict[str, Any]) -> set[str]:
    return {
        name
        for rule in profile["syscalls"]
        if rule["action"] == "SCMP_ACT_ALLOW" and "args" not in rule
        for name in rule["names"]
    }


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_the_default_profile_lets_programs_work_and_keeps_the_kernel_closed(architecture: str) -> None:
    usual = allowed(seccomp.default(capabilities.DEFAULT, architecture))
    assert {"read", "openat", "execve", "socket", "futex", "epoll_wait", "clone3"} - usual == {"socket", "clone3"}
    closed = {"mount", "init_module", "kexec_load", "reboot", "bpf", "unshare", "setns", "keyctl", "swapon"}
    assert not closed & usual


def test_a_capability_opens_the_calls_that_it_is_for() -> None:
    more = allowed(seccomp.default(capabilities.DEFAULT | {"SYS_ADMIN"}, "amd64"))
    assert {"mount", "unshare", "clone", "clone3"} <= more
    assert "init_module" not in more


def test_namespaces_cannot_be_made_without_sys_admin() -> None:
    rules = seccomp.default(capabilities.DEFAULT, "amd64")["syscalls"]
    clone = next(rule for rule in rules if rule["names"] == ["clone"])
    assert clone["args"] == [{"index": 0, "value": 0x7E020000, "op": "SCMP_CMP_MASKED_EQ"}]
    clone3 = next(rule for rule in rules if rule["names"] == ["clone3"])
    assert (clone3["action"], clone3["errnoRet"]) == ("SCMP_ACT_ERRNO", 38)


def test_profiles_by_kind(tmp_path: Path) -> None:
    def section(profile: SecurityProfile, privileged: bool = False) -> Any:
        return seccomp.section(profile, frozenset(), "amd64", privileged=privileged)

    own = tmp_path / "own.json"
    own.write_text(json.dumps({"defaultAction": "SCMP_ACT_LOG"}))
    assert section(SecurityProfile("Unconfined")) is None
    assert section(SecurityProfile("RuntimeDefault"), privileged=True) is None
    assert section(SecurityProfile("RuntimeDefault"))["defaultAction"] == "SCMP_ACT_ERRNO"
    assert section(SecurityProfile("Localhost", str(own))) == {"defaultAction": "SCMP_ACT_LOG"}
    with pytest.raises(RuntimeFailure, match=r"nothing\.json"):
        section(SecurityProfile("Localhost", str(tmp_path / "nothing.json")))


# AppArmor.


def test_an_apparmor_profile_of_the_node_needs_apparmor() -> None:
    named = SecurityProfile("Localhost", "my-profile")
    assert apparmor.profile(named, enabled=True) == "my-profile"
    assert apparmor.profile(SecurityProfile("RuntimeDefault"), enabled=True) == ""
    with pytest.raises(RuntimeFailure, match="my-profile"):
        apparmor.profile(named, enabled=False)


# The whole.


def surroundings(**namespace_modes: NamespaceMode) -> bundle.Surroundings:
    security = SandboxSecurityContext(NamespaceOptions(**namespace_modes))
    sandbox = SandboxConfig("pod", "default", "uid", hostname="pod", security=security)
    return bundle.Surroundings(sandbox, 7, 0, FILES, Path("/rootfs"), "/group/id", "pod")


def test_an_app_container_hides_what_the_kernel_shows_unless_told_not_to() -> None:
    image = ImageConfig(cmd=("run",))
    usual = bundle.of_container(CONFIG, image, ROOT, surroundings())["linux"]
    assert "/proc/kcore" in usual["maskedPaths"]
    assert "/proc/sys" in usual["readonlyPaths"]
    unmasked = replace(CONFIG, security=ContainerSecurityContext(masked_paths=(), readonly_paths=()))
    open_wide = bundle.of_container(unmasked, image, ROOT, surroundings())["linux"]
    assert (open_wide["maskedPaths"], open_wide["readonlyPaths"]) == ([], [])
    privileged = replace(CONFIG, security=ContainerSecurityContext(privileged=True))
    everything = bundle.of_container(privileged, image, ROOT, surroundings())["linux"]
    assert "maskedPaths" not in everything
    assert "seccomp" not in everything


def test_annotations_of_a_pod_never_reach_the_oci_runtime() -> None:
    """crun obeys annotations: one of them replaces the seccomp filter."""
    config = replace(CONFIG, annotations={"run.oci.seccomp_bpf_data": "AAAA", "run.oci.handler": "krun"})
    assert "annotations" not in bundle.of_container(config, ImageConfig(cmd=("run",)), ROOT, surroundings())


def test_the_infra_container_can_do_nothing() -> None:
    config = SandboxConfig("pod", "default", "uid", hostname="pod", sysctls={"net.core.somaxconn": "1024"})
    spec = bundle.of_sandbox(config, Path("/pause"), "/group/id")
    assert spec["process"]["capabilities"]["bounding"] == []
    assert spec["process"]["noNewPrivileges"]
    assert spec["root"]["readonly"]
    assert spec["hostname"] == "pod"
    assert spec["linux"]["sysctl"]["net.core.somaxconn"] == "1024"
    assert spec["linux"]["sysctl"]["net.ipv4.ip_unprivileged_port_start"] == "0"


def test_a_sandbox_in_the_nodes_network_changes_nothing_of_it() -> None:
    security = SandboxSecurityContext(NamespaceOptions(network=NamespaceMode.NODE))
    config = SandboxConfig("pod", "default", "uid", hostname="pod", security=security)
    spec = bundle.of_sandbox(config, Path("/pause"), "/group/id")
    assert spec["linux"]["sysctl"] == {}
    assert "hostname" not in spec
