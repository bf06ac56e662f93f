"""The node's process: images, pod network, container engine and kubelet. Containers outlive it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from ipaddress import IPv4Network

from podkeeper.api.core import v1
from podkeeper.api.pods import conditions
from podkeeper.client.events import EventRecorder
from podkeeper.client.informer import Informer
from podkeeper.client.reflector import Selection
from podkeeper.cluster import network_namespace
from podkeeper.cluster.credentials import Credentials
from podkeeper.cluster.ending import until_stopped
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout
from podkeeper.cluster.pipes import tell_ready
from podkeeper.cluster.processes.connection import connected
from podkeeper.cluster.settings import Settings
from podkeeper.foundation.cgroups import detect, missing_controllers, open_cgroups
from podkeeper.foundation.clock import Clock, SystemClock
from podkeeper.kubelet.config import KubeletConfig
from podkeeper.kubelet.kubelet import Kubelet
from podkeeper.network.bridge import BridgeConfig, BridgeNetwork
from podkeeper.network.nftables import NftablesError
from podkeeper.runtime.engine.config import EngineConfig
from podkeeper.runtime.engine.engine import Engine
from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig

_log = logging.getLogger(__name__)


async def run(layout: Layout, settings: Settings, _options: argparse.Namespace) -> None:
    """Runs the node until told to stop."""
    clock = SystemClock()
    async with (
        until_stopped(),
        _engine(layout, settings, clock) as engine,
        connected(layout, "node", clock) as api,
    ):
        events = EventRecorder(api, "kubelet", host=settings.node_name, clock=clock)
        kubelet = Kubelet(kubelet_config(layout, settings), api, engine, engine, open_cgroups(), events, clock)
        nodes = Informer(api.of(v1.Node), clock, Selection(field_selector=f"metadata.name={settings.node_name}"))
        nodes.add_handler(_tell_when_ready)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(events.run(), name="events")
            tasks.create_task(nodes.run(), name="own node")
            tasks.create_task(kubelet.run(), name="kubelet")


@contextlib.asynccontextmanager
async def _engine(layout: Layout, settings: Settings, clock: Clock) -> AsyncIterator[Engine]:
    """The container engine over images and pod network. Raises ClusterError for what this machine lacks."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            images = ImageStore(ImageStoreConfig(layout.images), clock)
            stack.push_async_callback(images.close)
            await images.tidy()
            _warn_of_missing_controllers()
            network_namespace.remember(layout)
            network = await BridgeNetwork.open(BridgeConfig(layout.network, IPv4Network(settings.pod_cidr)))
            stack.callback(network.close)
            config = EngineConfig(layout.runtime, layout.cgroup(settings.node_name), clock=clock)
            engine = await Engine.open(config, network, images)
            stack.push_async_callback(engine.close)
        except RuntimeFailure as error:
            raise ClusterError(f"the container engine cannot start: {error}") from error
        except (NftablesError, OSError) as error:
            raise ClusterError(
                f"the pod network cannot be set up: {error}", "see that the kernel has nf_tables, bridge and veth"
            ) from error
        yield engine


def _warn_of_missing_controllers() -> None:
    for controller in missing_controllers(detect()):
        _log.warning(
            "the kernel offers no %s controller, so pods' limits of it do not hold; try booting with cgroup_enable=%s",
            controller,
            controller,
        )


def _tell_when_ready(_old: v1.Node | None, new: v1.Node | None) -> None:
    if new is not None and new.status and conditions.is_true(new.status.conditions, "Ready"):
        tell_ready()


def kubelet_config(layout: Layout, settings: Settings) -> KubeletConfig:
    """The kubelet's configuration for this node."""
    made = Credentials.of(layout)
    return KubeletConfig(
        node_name=settings.node_name,
        node_ip=settings.node_ip,
        root_dir=layout.kubelet,
        log_dir=layout.pod_logs,
        hostname=settings.node_name,
        cgroup_root=layout.cgroup(settings.node_name),
        port=settings.kubelet_port,
        serving=made.kubelet_server,
        client_ca=made.authority.certificate,
        cluster_domain=settings.cluster_domain,
    )
