"""The API server's process: store, registry, HTTP."""

from __future__ import annotations

import argparse
import asyncio
import resource
import sqlite3
from pathlib import Path

from podkeeper.apiserver import serving_flags
from podkeeper.apiserver.admission import flags as admission_flags
from podkeeper.apiserver.admission.chain import AdmissionChain
from podkeeper.apiserver.authentication import flags
from podkeeper.apiserver.config import ApiServerConfig
from podkeeper.apiserver.server import ApiServer
from podkeeper.cluster.credentials import Credentials
from podkeeper.cluster.ending import stop_on_request
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout
from podkeeper.cluster.pipes import tell_ready
from podkeeper.cluster.settings import Settings
from podkeeper.foundation.clock import Clock, SystemClock
from podkeeper.foundation.watched_file import WatchedFile
from podkeeper.registry import runtime_config
from podkeeper.registry.assembly import RegistryConfig, open_registry
from podkeeper.registry.encryption.configuration import ConfigurationError
from podkeeper.registry.encryption.store import EncryptedStore, Undecipherable, open_encrypted
from podkeeper.storage.compaction import compact_periodically
from podkeeper.storage.sqlite import SqliteStore
from podkeeper.storage.store import StoreError


async def run(layout: Layout, settings: Settings, options: argparse.Namespace) -> None:
    """Serves until told to stop; what was acknowledged is on disk, whatever ends this process."""
    clock, config = SystemClock(), server_config(layout, settings)
    _allow_descriptors()
    async with stop_on_request() as stop:
        inner = await _open_store(layout.store / "log.db")
        try:
            hidden = _encryption_file(layout, settings)
            encrypted = await _open_encrypted(inner, hidden)
            store = encrypted or inner
            admission = AdmissionChain(config.admission)
            resources = runtime_config.served(settings.runtime_config)
            chosen = RegistryConfig(settings.service_cidr, resources=resources)
            registry = await open_registry(store, admission, clock, chosen)
            server = ApiServer(config, registry, admission, clock)
            async with asyncio.TaskGroup() as tasks:
                started = asyncio.Event()
                following = tasks.create_task(registry.run(started), name="registry")
                compacting = tasks.create_task(compact_periodically(store, clock), name="compaction")
                rewriting = _follow_encryption(tasks, encrypted, hidden, clock)
                await started.wait()
                serving = tasks.create_task(server.serve(options.listener), name="server")
                await server.on_listening.wait()
                tell_ready()
                await stop.wait()
                serving.cancel()
                await asyncio.wait([serving])
                following.cancel()
                compacting.cancel()
                if rewriting is not None:
                    rewriting.cancel()
        finally:
            await inner.close()


def _allow_descriptors() -> None:
    """As many connections as the system allows: the limit that shells set is for programs with ``select``."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def server_config(layout: Layout, settings: Settings) -> ApiServerConfig:
    """The API server's configuration for this cluster."""
    made = Credentials.of(layout)
    serving = serving_flags.read(settings.apiserver_args)
    return ApiServerConfig(
        certificate=made.apiserver.certificate,
        key=made.apiserver.key,
        client_ca=made.authority.certificate,
        service_account_key=made.service_accounts,
        admin_token_file=made.admin_token,
        kubelet_client_certificate=made.kubelet_client.certificate,
        kubelet_client_key=made.kubelet_client.key,
        advertise_address=settings.node_ip,
        issuer=f"https://kubernetes.default.svc.{settings.cluster_domain}",
        kubernetes_service_ip=settings.kubernetes_service_ip,
        service_cidr=settings.service_cidr,
        kubelet_ca=made.authority.certificate,
        authentication=flags.read(settings.apiserver_args),
        authorization=Path(file) if (file := settings.apiserver_args.get("authorization-config")) else None,
        admission=admission_flags.read(settings.apiserver_args),
        limits=serving.limits,
        audit=serving.audit,
    )


async def _open_store(path: Path) -> SqliteStore:
    try:
        return await SqliteStore.open(path)
    except (StoreError, sqlite3.Error) as error:
        raise ClusterError(f"the store cannot be opened: {error}") from error


def _encryption_file(layout: Layout, settings: Settings) -> Path | None:
    named = settings.apiserver_args.get("encryption-provider-config")
    if named:
        return Path(named)
    made = Credentials.of(layout).encryption
    return made if settings.encrypt_secrets else None


async def _open_encrypted(inner: SqliteStore, file: Path | None) -> EncryptedStore | None:
    try:
        return await open_encrypted(inner, file)
    except (ConfigurationError, Undecipherable) as error:
        raise ClusterError(f"the store cannot be opened: {error}") from error


def _follow_encryption(
    tasks: asyncio.TaskGroup, store: EncryptedStore | None, file: Path | None, clock: Clock
) -> asyncio.Task[None] | None:
    if store is None or file is None:
        return None
    return tasks.create_task(store.follow(WatchedFile(file), clock), name="encryption")
