"""The Container Runtime Interface as the kubelet sees it: plain values and two Protocols.

The shapes follow CRI v1 (https://github.com/kubernetes/cri-api, runtime.v1) with Python names, so that the
embedded engine and a gRPC client for containerd or CRI-O are interchangeable. Times are nanoseconds since the epoch,
0 meaning not yet; memory is bytes; CPU quotas and periods are microseconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from enum import Enum
from typing import Protocol

from msgspec import Struct, field

from podkeeper.runtime.podnetwork import PortMapping


class NamespaceMode(Enum):
    """Whose namespace a container uses."""

    POD = 0
    CONTAINER = 1
    NODE = 2
    TARGET = 3


class SandboxState(Enum):
    """READY exactly as long as the infra container lives."""

    READY = 0
    NOTREADY = 1


class ContainerState(Enum):
    """CREATED -> RUNNING -> EXITED; UNKNOWN when the facts are lost (the monitor was killed too)."""

    CREATED = 0
    RUNNING = 1
    EXITED = 2
    UNKNOWN = 3


class MountPropagation(Enum):
    """How mounts below a volume travel between host and container."""

    PRIVATE = 0
    HOST_TO_CONTAINER = 1
    BIDIRECTIONAL = 2


class SecurityProfile(Struct, frozen=True):
    """A seccomp or AppArmor profile: ``RuntimeDefault``, ``Unconfined`` or ``Localhost`` with a path or name."""

    type: str = "RuntimeDefault"
    localhost_ref: str = ""


class NamespaceOptions(Struct, frozen=True):
    """Namespaces of a sandbox and of its containers. ``target_id`` names a container when pid is TARGET."""

    network: NamespaceMode = NamespaceMode.POD
    pid: NamespaceMode = NamespaceMode.CONTAINER
    ipc: NamespaceMode = NamespaceMode.POD
    target_id: str = ""


class SandboxSecurityContext(Struct, frozen=True):
    """What the infra container gets and its containers inherit."""

    namespaces: NamespaceOptions = NamespaceOptions()
    run_as_user: int | None = None
    run_as_group: int | None = None
    supplemental_groups: Sequence[int] = ()
    readonly_rootfs: bool = False
    privileged: bool = False
    seccomp: SecurityProfile = SecurityProfile()
    selinux: Mapping[str, str] = field(default_factory=dict)


class DNSConfig(Struct, frozen=True):
    """What becomes the sandbox's resolv.conf."""

    servers: Sequence[str] = ()
    searches: Sequence[str] = ()
    options: Sequence[str] = ()


class Resources(Struct, frozen=True):
    """Linux resources of a container (or, summed, of a pod). None leaves the kernel's default.

    ``memory_limit`` in bytes, ``unified`` are raw cgroup v2 settings, ``hugepage_limits`` page size -> bytes.
    """

    cpu_period: int | None = None
    cpu_quota: int | None = None
    cpu_shares: int | None = None
    memory_limit: int | None = None
    memory_swap_limit: int | None = None
    oom_score_adj: int | None = None
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids_limit: int | None = None
    hugepage_limits: Mapping[str, int] = field(default_factory=dict)
    unified: Mapping[str, str] = field(default_factory=dict)


class SandboxConfig(Struct, frozen=True):
    """What RunPodSandbox needs. ``attempt`` counts rebuilds of the same pod's sandbox, from 0.

    ``cgroup_parent`` is a path below the cgroup root (``/podkeeper-NODE/burstable/podUID``), created by the kubelet.
    ``log_directory`` is absolute; a container's ``log_path`` is relative to it.
    """

    name: str
    namespace: str
    uid: str
    attempt: int = 0
    hostname: str = ""
    log_directory: str = ""
    dns: DNSConfig | None = None
    port_mappings: Sequence[PortMapping] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    cgroup_parent: str = ""
    security: SandboxSecurityContext = SandboxSecurityContext()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = Resources()
    runtime_handler: str = ""


class Mount(Struct, frozen=True):
    """A bind mount. ``host_path`` exists when the container is created; symlinks in it are not resolved again."""

    container_path: str
    host_path: str
    readonly: bool = False
    recursive_readonly: bool = False
    propagation: MountPropagation = MountPropagation.PRIVATE


class Device(Struct, frozen=True):
    """A device node of the host. ``permissions`` out of ``rwm``."""

    container_path: str
    host_path: str
    permissions: str = "rwm"


class ContainerSecurityContext(Struct, frozen=True):
    """Who the container's process is and what it may do. ``add_capabilities`` may be ``ALL``, without CAP_.

    ``masked_paths`` and ``readonly_paths`` None mean the engine's defaults, () none at all (procMount Unmasked);
    ``strict_groups``: no groups from the image's /etc/group (supplementalGroupsPolicy Strict).
    """

    privileged: bool = False
    add_capabilities: Sequence[str] = ()
    drop_capabilities: Sequence[str] = ()
    namespaces: NamespaceOptions = NamespaceOptions()
    run_as_user: int | None = None
    run_as_username: str = ""
    run_as_group: int | None = None
    supplemental_groups: Sequence[int] = ()
    strict_groups: bool = False
    readonly_rootfs: bool = False
    no_new_privs: bool = False
    masked_paths: Sequence[str] | None = None
    readonly_paths: Sequence[str] | None = None
    seccomp: SecurityProfile = SecurityProfile()
    apparmor: SecurityProfile = SecurityProfile()


class ContainerConfig(Struct, frozen=True):
    """What CreateContainer needs. ``command`` replaces the image's entrypoint, ``args`` its cmd, as in Kubernetes.

    ``image`` is the image id that ImageService answered. ``log_path`` is relative to the sandbox's log directory.
    ``env`` comes on top of the image's own environment.
    """

    name: str
    image: str
    attempt: int = 0
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    working_dir: str = ""
    env: Sequence[tuple[str, str]] = ()
    mounts: Sequence[Mount] = ()
    devices: Sequence[Device] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    log_path: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    resources: Resources = Resources()
    security: ContainerSecurityContext = ContainerSecurityContext()
    stop_signal: str = ""


class SandboxStatus(Struct, frozen=True):
    """A sandbox as the engine knows it; the identity fields repeat its config."""

    id: str
    name: str
    namespace: str
    uid: str
    attempt: int
    state: SandboxState
    created_at: int
    ips: tuple[str, ...] = ()
    pid: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    runtime_handler: str = ""


class ContainerStatus(Struct, frozen=True):
    """A container as the engine knows it. ``reason`` is Completed, Error, OOMKilled, StartError or ContainerCannotRun.

    ``image`` is the name it was created with, ``image_id`` the id, ``image_ref`` the repository digest where known.
    ``exit_code`` is 128 + signal for a process ended by a signal.
    """

    id: str
    sandbox_id: str
    name: str
    attempt: int
    state: ContainerState
    image: str
    image_id: str
    image_ref: str
    created_at: int
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    pid: int = 0
    log_path: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = Resources()
    mounts: Sequence[Mount] = ()
    stop_signal: str = ""
    user: tuple[int, int, tuple[int, ...]] = (0, 0, ())


class Usage(Struct, frozen=True):
    """What a container or sandbox uses: CPU nanoseconds since it began, memory bytes; ``timestamp`` is when read."""

    timestamp: int
    cpu_ns: int
    memory_working_set: int
    memory_usage: int
    memory_rss: int = 0
    pids: int = 0
    rootfs_bytes: int = 0
    rootfs_inodes: int = 0


class EventKind(Enum):
    """What happened to a container or sandbox."""

    CREATED = 0
    STARTED = 1
    STOPPED = 2
    DELETED = 3


class RuntimeEvent(Struct, frozen=True):
    """One change of state. ``container_id`` is empty when the sandbox (its infra container) itself is meant."""

    kind: EventKind
    sandbox_id: str
    pod_uid: str
    container_id: str = ""


class ExecResult(Struct, frozen=True):
    """The outcome of a command that ran to its end."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Process(Protocol):
    """A command that runs inside a container (exec), or the container's own streams (attach)."""

    async def read(self) -> tuple[int, bytes] | None:
        """The next output as (1 stdout | 2 stderr, bytes); None when both streams have ended. One caller at a time."""
        ...

    async def write(self, data: bytes) -> None:
        """Feeds stdin and waits until it is taken. Data for a process that has closed its stdin is dropped."""
        ...

    async def close_stdin(self) -> None:
        """Ends stdin. Safe to call twice. For attach: of a container whose stdin is for one client; of another's, and
        of a terminal's, it ends the streams instead, and the container keeps its stdin."""
        ...

    def resize(self, width: int, height: int) -> None:
        """Sets the terminal's size in characters; without a terminal nothing happens."""
        ...

    async def wait(self) -> int:
        """The exit code; 128 + signal for a process ended by a signal. For attach 0, to be asked when the streams have
        ended: how the container ends is in its status."""
        ...

    async def close(self) -> None:
        """Lets go: an exec'd process is killed, an attached container lives on. Safe to call twice."""
        ...


class RuntimeService(Protocol):
    """Sandboxes and containers. Safe for concurrent calls; calls about one pod come from one worker in order.

    Everything acknowledged survives the caller's death: a new service over the same directory lists the same
    sandboxes and containers, running ones undisturbed. Stop and remove calls succeed when their object is gone.
    """

    async def run_sandbox(self, config: SandboxConfig) -> str:
        """Creates and starts the infra container with its namespaces and network; all or nothing. Returns its id."""
        ...

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """Kills what still runs in it (containers, then the infra container) and frees its network."""
        ...

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Stops it, then removes it with all its containers and files, logs excepted."""
        ...

    async def sandbox_status(self, sandbox_id: str) -> SandboxStatus:
        """Raises NotFound."""
        ...

    async def list_sandboxes(self) -> Sequence[SandboxStatus]:
        """Every sandbox of this engine."""
        ...

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        """Prepares root file system and spec, joined to the sandbox's namespaces. Returns the id; nothing runs yet.

        Raises RuntimeFailure for what cannot run (no such user, no command, sandbox not ready).
        """
        ...

    async def start_container(self, container_id: str) -> None:
        """Starts a created container, once. Raises RuntimeFailure (and the container becomes EXITED with
        reason StartError and code 128) when its command cannot be executed."""
        ...

    async def stop_container(self, container_id: str, timeout: float) -> None:
        """Sends the stop signal, waits up to ``timeout`` seconds, then SIGKILLs; returns when it has exited."""
        ...

    async def remove_container(self, container_id: str) -> None:
        """Removes a container and its root file system, killing it first if it runs. Its log stays."""
        ...

    async def container_status(self, container_id: str) -> ContainerStatus:
        """Raises NotFound."""
        ...

    async def list_containers(self, sandbox_id: str = "") -> Sequence[ContainerStatus]:
        """Every container of this engine, or of one sandbox; infra containers are not among them."""
        ...

    async def update_container(self, container_id: str, resources: Resources) -> None:
        """Changes the resources of a created or running container in place."""
        ...

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: float = 0) -> ExecResult:
        """Runs a command to its end, output bounded to 16 MiB. ``timeout`` seconds (0: none), then TimeoutError."""
        ...

    async def exec(self, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool) -> Process:
        """Starts a command in a running container. With ``tty`` stderr is part of stdout."""
        ...

    async def attach(self, container_id: str) -> Process:
        """The streams of a running container's own process, from now on."""
        ...

    async def port_forward(self, sandbox_id: str, port: int) -> Process:
        """A TCP connection to localhost:port inside the sandbox's network; output is stream 1."""
        ...

    async def reopen_log(self, container_id: str) -> None:
        """After rotation: makes the monitor write to a new file at the container's log path."""
        ...

    async def container_usage(self, container_id: str) -> Usage:
        """Raises NotFound."""
        ...

    async def sandbox_usage(self, sandbox_id: str) -> Usage:
        """The infra container's own usage. Raises NotFound."""
        ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Changes from now on, in order, none lost while iterated. Exits come from the kernel, never from polling."""
        ...

    async def info(self) -> RuntimeInfo:
        """Name, version and conditions of the engine."""
        ...


class RuntimeInfo(Struct, frozen=True):
    """``ready`` and ``network_ready`` with a reason when they are not; ``handler`` is the OCI runtime in use."""

    name: str
    version: str
    ready: bool
    network_ready: bool
    message: str = ""
    handler: str = ""
