"""A cluster's settings: chosen at the first ``up``, kept in the data directory, the same ever after."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from podkeeper.cluster.errors import ClusterError

#: Arguments of the API server that may be given several times: their values are kept as one text, with commas.
REPEATED = frozenset({"oidc-required-claim", "service-account-issuer", "service-account-key-file"})
_NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class Settings:
    """Addresses are text; ``port`` is the API server's, ``kubelet_port`` the node server's; ``runtime_config`` says
    which API versions are served beside the stable ones, ``apiserver_args`` what else the API server is told, by
    upstream's names of flags."""

    node_name: str
    node_ip: str
    port: int = 6443
    kubelet_port: int = 10250
    pod_cidr: str = "10.244.0.0/24"
    service_cidr: str = "10.96.0.0/16"
    cluster_domain: str = "cluster.local"
    runtime_config: str = ""
    encrypt_secrets: bool = False
    apiserver_args: Mapping[str, str] = field(default_factory=dict)

    @property
    def server(self) -> str:
        """The API server's URL as clients on and off this machine reach it."""
        host = f"[{self.node_ip}]" if ":" in self.node_ip else self.node_ip
        return f"https://{host}:{self.port}"

    @property
    def kubernetes_service_ip(self) -> str:
        """The address of the service default/kubernetes: the first of the service range."""
        return str(ipaddress.ip_network(self.service_cidr)[1])


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for; None leaves the choice to what was chosen before, or to the default."""

    node_name: str | None = None
    node_ip: str | None = None
    port: int | None = None
    runtime_config: str | None = None
    encrypt_secrets: bool | None = None
    apiserver_args: Mapping[str, str] | None = None


def load(path: Path) -> Settings | None:
    """The settings of an existing cluster, None where there is none yet."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        return Settings(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise ClusterError(
            f"cannot read the settings in {path}: {error}",
            "restore the file, or remove the cluster with: podkeeper reset",
        ) from error


def decide(present: Settings | None, wishes: Wishes) -> Settings:
    """Merges what is there and what is wished for. Raises ClusterError when a cluster would have to change identity."""
    wished = {key: value for key, value in asdict(wishes).items() if value is not None}
    if present is None:
        chosen = {"node_name": default_node_name(), "node_ip": default_node_ip(), **wished}
        return _checked(Settings(**chosen))
    changed = [key for key, value in wished.items() if getattr(present, key) != value]
    if "node_name" in changed:
        raise ClusterError(
            f"this cluster's node is named {present.node_name}, not {wished['node_name']}",
            "use another --data-dir, or remove this cluster with: podkeeper reset",
        )
    return _checked(replace(present, **{key: wished[key] for key in changed}))


def save(path: Path, settings: Settings) -> None:
    """Writes the settings; after a power cut there are the old ones or the new ones, never a part."""
    temporary = path.with_suffix(".new")
    with open(temporary, "w") as file:
        file.write(json.dumps(asdict(settings), indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def default_node_name() -> str:
    """This machine's host name as a node name: lower case, other characters as dashes."""
    name = re.sub(r"[^a-z0-9.-]+", "-", socket.gethostname().lower()).strip("-.")
    return name or "node"


def default_node_ip() -> str:
    """The address this machine would use towards the outside, else any of its own, else loopback. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address: UDP's connect only looks up the route
        except OSError:
            return _any_address()
        return str(probe.getsockname()[0])


def _any_address() -> str:
    """The first IPv4 address that is not loopback, as the kernel lists local addresses in its routing trie."""
    lines = Path("/proc/self/net/fib_trie").read_text().splitlines()
    for address, kind in pairwise(line.strip() for line in lines):
        if kind.startswith("/32 host LOCAL") and not address.startswith("|-- 127."):
            return address.removeprefix("|-- ")
    return "127.0.0.1"


def _checked(settings: Settings) -> Settings:
    if settings.runtime_config:
        _check_runtime_config(settings.runtime_config)
    if settings.apiserver_args:
        _check_apiserver_args(settings.apiserver_args)
    if len(settings.node_name) > 253 or not _NODE_NAME.fullmatch(settings.node_name):
        raise ClusterError(f"{settings.node_name!r} is not a node name", "use lower case letters, digits, '-' and '.'")
    try:
        ipaddress.ip_address(settings.node_ip)
    except ValueError as error:
        raise ClusterError(
            f"{settings.node_ip!r} is not an IP address", "give --node-ip an address of this machine"
        ) from error
    if not 0 < settings.port < 65536:
        raise ClusterError(f"{settings.port} is not a port", "use a number from 1 to 65535")
    return settings


def _check_runtime_config(text: str) -> None:
    from podkeeper.registry import runtime_config  # the catalogue, which few starts need here

    try:
        runtime_config.served(text)
    except ValueError as error:
        raise ClusterError(f"--runtime-config: {error}", "for example: api/beta=true,batch/v1=false") from error


def _check_apiserver_args(args: Mapping[str, str]) -> None:
    from podkeeper.apiserver import serving_flags  # few clusters have any
    from podkeeper.apiserver.admission import flags as admission_flags
    from podkeeper.apiserver.authentication import flags

    try:
        flags.read(args)
        serving_flags.read(args)
        admission_flags.read(args)
    except ValueError as error:
        raise ClusterError(f"--apiserver-arg: {error}", "docs/apiserver.md lists the arguments") from error
