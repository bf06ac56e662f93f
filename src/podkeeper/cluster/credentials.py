"""Where a cluster's certificates and keys are; podkeeper.cluster.pki makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from podkeeper.cluster.layout import Layout
from podkeeper.foundation.keyfiles import KeyPair


@dataclass(frozen=True, slots=True)
class Credentials:
    """Paths of everything that is made at the first start."""

    authority: KeyPair
    apiserver: KeyPair
    kubelet_client: KeyPair
    kubelet_server: KeyPair
    #: What controllers and scheduler serve their figures with.
    components: Mapping[str, KeyPair]
    service_accounts: Path
    admin_token: Path
    encryption: Path

    @classmethod
    def of(cls, layout: Layout) -> Credentials:
        """Where things are, whether or not they have been made."""
        pki = layout.pki

        def pair(name: str) -> KeyPair:
            return KeyPair(pki / f"{name}.crt", pki / f"{name}.key")

        return cls(
            authority=pair("ca"),
            apiserver=pair("apiserver"),
            kubelet_client=pair("apiserver-kubelet-client"),
            kubelet_server=pair("kubelet"),
            components={name: pair(f"{name}-server") for name in ("controllers", "scheduler")},
            service_accounts=pki / "sa.key",
            admin_token=pki / "admin.token",
            encryption=pki / "encryption.json",
        )
