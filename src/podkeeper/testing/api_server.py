"""A whole API server over a memory store on 127.0.0.1, in this event loop, with throw-away certificates.

async with running_api_server(tmp_path) as server:
    server.url, server.admin_token, server.authority, server.registry
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from msgspec.structs import replace

from podkeeper.apiserver.admission.chain import AdmissionChain
from podkeeper.apiserver.config import ApiServerConfig
from podkeeper.apiserver.server import ApiServer
from podkeeper.foundation.certificates import Authority, new_private_key, private_key_pem
from podkeeper.foundation.clock import Clock, SystemClock
from podkeeper.foundation.keyfiles import KeyPair, write_private
from podkeeper.foundation.listening import open_listener
from podkeeper.registry.assembly import RegistryConfig, StoreRegistry, open_registry
from podkeeper.storage.memory import MemoryStore
from podkeeper.storage.store import Store

#: What the service default/kubernetes names; of the network for documentation, so that nothing can be there.
ADVERTISED = "192.0.2.1"


@dataclass(frozen=True, slots=True)
class TestServer:
    """A running server and what its clients need."""

    __test__: ClassVar[bool] = False  # no test case, whatever its name begins with
    url: str
    admin_token: str
    authority: Authority
    directory: Path
    config: ApiServerConfig
    server: ApiServer
    registry: StoreRegistry
    store: Store

    def client_pair(self, user: str, groups: tuple[str, ...] = ()) -> KeyPair:
        """A client certificate for a user."""
        name = user.replace(":", "-")
        pair = KeyPair(self.directory / f"{name}.crt", self.directory / f"{name}.key")
        self.authority.issue_client(pair, user, groups)
        return pair

    def tls(self, pair: KeyPair | None = None) -> ssl.SSLContext:
        """A client's TLS context that trusts the server, with a client certificate if given."""
        context = ssl.create_default_context(cafile=str(self.authority.pair.certificate))
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.key)
        return context


def prepare_config(directory: Path) -> tuple[ApiServerConfig, Authority]:
    """Certificates and keys in ``directory`` and a configuration that names them; the port is chosen at start."""
    authority = Authority.open(directory)

    def pair(name: str) -> KeyPair:
        return KeyPair(directory / f"{name}.crt", directory / f"{name}.key")

    serving, kubelet = pair("apiserver"), pair("apiserver-kubelet-client")
    authority.issue_server(serving, "kube-apiserver", ["localhost", "127.0.0.1"])
    authority.issue_client(kubelet, "kube-apiserver-kubelet-client", ("system:masters",))
    if not (directory / "sa.key").exists():
        write_private(directory / "sa.key", private_key_pem(new_private_key()))
    config = ApiServerConfig(
        certificate=serving.certificate,
        key=serving.key,
        client_ca=authority.pair.certificate,
        service_account_key=directory / "sa.key",
        admin_token_file=directory / "admin.token",
        kubelet_client_certificate=kubelet.certificate,
        kubelet_client_key=kubelet.key,
        advertise_address=ADVERTISED,
    )
    return config, authority


@asynccontextmanager
async def running_api_server(
    directory: Path, *, store: Store | None = None, clock: Clock | None = None, port: int = 0, **told: Any
) -> AsyncIterator[TestServer]:
    """Runs a server until the block ends. A store that is passed in stays open. ``told`` are fields of its
    configuration."""
    config, authority = prepare_config(directory)
    config = replace(config, **told)
    clock = clock or SystemClock()
    backing = store or MemoryStore()
    admission = AdmissionChain(config.admission)
    registry = await open_registry(backing, admission, clock, RegistryConfig())
    server = ApiServer(config, registry, admission, clock)
    started = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(registry.run(started))
        await started.wait()
        serving = tasks.create_task(server.serve(open_listener("127.0.0.1", port)))
        await server.on_listening.wait()
        token = config.admin_token_file.read_text().strip()
        url = f"https://127.0.0.1:{server.port}"
        try:
            yield TestServer(url, token, authority, directory, config, server, registry, backing)
        finally:
            serving.cancel()
            await asyncio.wait([serving])
            following.cancel()
            if store is None:
                await backing.close()
