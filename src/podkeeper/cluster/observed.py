"""What the processes of controllers and scheduler show of themselves, and at which ports: upstream's."""

from __future__ import annotations

import argparse
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from podkeeper.client.delegation import DelegatedAccess
from podkeeper.client.leader import LeaderElector
from podkeeper.client.rest import RestApi
from podkeeper.cluster import election
from podkeeper.cluster.component_server import ComponentServer, Shown
from podkeeper.cluster.credentials import Credentials
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.exposition import Family
from podkeeper.foundation.listening import open_listener

log = logging.getLogger(__name__)

PORTS = {"controllers": 10257, "scheduler": 10259}


def add_flags(parser: argparse.ArgumentParser, *components: str) -> None:
    """Upstream's flags; a process of two components has a port for each."""
    group = parser.add_argument_group("health and figures")
    group.add_argument("--bind-address", default="0.0.0.0", metavar="IP", help="where to listen (default: 0.0.0.0)")  # noqa: S104 - upstream's default; figures need credentials
    for index, component in enumerate(components):
        flag = f"--{component}-secure-port" if index else "--secure-port"
        text = f"port of the {component}' figures" if component.endswith("s") else f"port of the {component}'s figures"
        group.add_argument(
            flag,
            dest=f"{component}_port",
            type=int,
            default=PORTS[component],
            metavar="PORT",
            help=f"{text}, 0 for none (default: {PORTS[component]})",
        )


class Observed(Struct, frozen=True):
    """One component to be looked at. ``families`` are its own figures, ``resources`` those of what it works on."""

    component: str
    api: RestApi
    candidate: LeaderElector | None
    families: Callable[[], Sequence[Family]]
    resources: Callable[[], Sequence[Family]] | None = None

    async def serve(self, options: argparse.Namespace, made: Credentials, clock: Clock) -> None:
        """Serves until cancelled; at once over where there is no port to be had, which is no reason not to work."""
        listener = _listen(options.bind_address, getattr(options, f"{self.component}_port"), self.component)
        if listener is None:
            return
        shown = Shown(
            self._figures,
            {"leaderElection": lambda: True} if self.candidate is not None else {},
            lambda: _settings(self.component, options),
            self.resources,
        )
        access = DelegatedAccess(self.api, clock)
        serving = made.components[self.component]
        await ComponentServer(shown, access, serving, made.authority.certificate).serve(listener)

    def _figures(self) -> Sequence[Family]:
        from podkeeper.apiserver import version
        from podkeeper.foundation import process_metrics

        leading = self.candidate.families() if self.candidate is not None else ()
        return (*process_metrics.families(version.info()), *self.api.families(), *leading, *self.families())


def _listen(address: str, port: int, component: str) -> socket.socket | None:
    if not port:
        return None
    try:
        return open_listener(address, port)
    except OSError as error:
        log.warning("the %s show no figures: %s:%d cannot be had: %s", component, address, port, error.strerror)
        return None


def _settings(component: str, options: argparse.Namespace) -> Mapping[str, Any]:
    """The document of /configz: what was chosen, by upstream's names."""
    name = election.CONTROLLERS if component == "controllers" else election.SCHEDULER
    leading = {
        "LeaderElect": options.leader_elect,
        "LeaseDuration": f"{options.leader_elect_lease_duration:g}s",
        "RenewDeadline": f"{options.leader_elect_renew_deadline:g}s",
        "RetryPeriod": f"{options.leader_elect_retry_period:g}s",
        "ResourceLock": "leases",
        "ResourceName": name,
        "ResourceNamespace": "kube-system",
    }
    if component == "controllers":
        generic = {"Address": options.bind_address, "Port": options.controllers_port, "LeaderElection": leading}
        return {"kubecontrollermanager.config.k8s.io": {"Generic": {**generic, "Controllers": ["*"]}}}
    return {"componentconfig": {"LeaderElection": leading, "Profiles": [{"SchedulerName": "default-scheduler"}]}}
