"""Makes the cluster's certificates, keys and kubeconfigs; renews them in the last quarter of their life.

One CA signs everything. Names and groups are upstream's (https://kubernetes.io/docs/setup/best-practices/certificates/).
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

from podkeeper.cluster.credentials import Credentials
from podkeeper.cluster.layout import Layout
from podkeeper.cluster.settings import Settings
from podkeeper.foundation.certificates import Authority, new_private_key, private_key_pem
from podkeeper.foundation.keyfiles import KeyPair, write_private

#: component -> (user name, groups)
CLIENTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "admin": ("kubernetes-admin", ("system:masters",)),
    "controllers": ("system:kube-controller-manager", ()),
    "scheduler": ("system:kube-scheduler", ()),
}


def make_credentials(layout: Layout, settings: Settings) -> Credentials:
    """Makes or renews what is missing or due."""
    made = Credentials.of(layout)
    authority = Authority.open(layout.pki)
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    names += [f"kubernetes.default.svc.{settings.cluster_domain}", "localhost", settings.node_name]
    addresses = ["127.0.0.1", settings.kubernetes_service_ip, settings.node_ip]
    authority.issue_server(made.apiserver, "kube-apiserver", [*names, *addresses])
    kubelet_names = [settings.node_name, "localhost", "127.0.0.1", settings.node_ip]
    node_user = f"system:node:{settings.node_name}"
    authority.issue_server(made.kubelet_server, node_user, kubelet_names, organizations=("system:nodes",))
    for component, served in made.components.items():
        authority.issue_server(served, CLIENTS[component][0], kubelet_names)
    authority.issue_client(made.kubelet_client, "kube-apiserver-kubelet-client", ("kubeadm:cluster-admins",))
    if not made.service_accounts.exists():
        write_private(made.service_accounts, private_key_pem(new_private_key()))
    if not made.admin_token.exists():
        write_private(made.admin_token, secrets.token_hex(32).encode())
    if settings.encrypt_secrets and not made.encryption.exists():
        write_private(made.encryption, _encryption_configuration())
    clients = {**CLIENTS, "node": (node_user, ("system:nodes",))}
    for component, (user, groups) in clients.items():
        pair = KeyPair(layout.pki / f"{component}.crt", layout.pki / f"{component}.key")
        authority.issue_client(pair, user, groups)
        target = layout.admin_kubeconfig if component == "admin" else layout.kubeconfig(component)
        _write_kubeconfig(target, settings.server, authority.certificate_pem(), pair, user)
    return made


def _encryption_configuration() -> bytes:
    """Secrets in AES-GCM with a new key; what was written before is read, and rewritten."""
    key = {"name": "key1", "secret": base64.b64encode(secrets.token_bytes(32)).decode()}
    providers = [{"aesgcm": {"keys": [key]}}, {"identity": {}}]
    config = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
    return (json.dumps(config, indent=2) + "\n").encode()


def _write_kubeconfig(path: Path, server: str, authority: bytes, pair: KeyPair, user: str) -> None:
    def inline(data: bytes) -> str:
        return base64.b64encode(data).decode()

    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "podkeeper", "cluster": {"server": server, "certificate-authority-data": inline(authority)}}
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": inline(pair.certificate.read_bytes()),
                    "client-key-data": inline(pair.key.read_bytes()),
                },
            }
        ],
        "contexts": [{"name": "podkeeper", "context": {"cluster": "podkeeper", "user": user}}],
        "current-context": "podkeeper",
    }
    data = (json.dumps(config, indent=2) + "\n").encode()  # JSON is YAML, and needs no library to write
    if not path.exists() or path.read_bytes() != data or os.stat(path).st_mode & 0o077:
        write_private(path, data)
