"""Credentials: made once, private, and renewed when the node's address changes."""

from __future__ import annotations

import dataclasses
import json
import stat
from pathlib import Path

from cryptography import x509

from podkeeper.client.kubeconfig import load
from podkeeper.cluster.credentials import Credentials
from podkeeper.cluster.layout import Layout
from podkeeper.cluster.pki import make_credentials
from podkeeper.cluster.settings import Settings

SETTINGS = Settings(node_name="one", node_ip="192.0.2.7")


def files(root: Path) -> dict[str, bytes]:
    return {str(each.relative_to(root)): each.read_bytes() for each in root.rglob("*") if each.is_file()}


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path)
    make_credentials(layout, SETTINGS)
    before = files(tmp_path)
    make_credentials(layout, SETTINGS)
    assert files(tmp_path) == before


def test_secrets_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path)
    layout.create()
    make_credentials(layout, SETTINGS)
    for path in tmp_path.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.suffix in (".key", ".kubeconfig", ".token"):
            assert mode == 0o600, path
        if path.is_dir():
            assert mode == 0o700, path


def test_a_new_address_renews_the_serving_certificates_and_keeps_the_authority(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path)
    made = make_credentials(layout, SETTINGS)
    authority, serving = made.authority.certificate.read_bytes(), made.apiserver.certificate.read_bytes()
    make_credentials(layout, dataclasses.replace(SETTINGS, node_ip="192.0.2.8"))
    assert made.authority.certificate.read_bytes() == authority
    assert made.apiserver.certificate.read_bytes() != serving
    names = x509.load_pem_x509_certificate(made.apiserver.certificate.read_bytes()).extensions
    found = names.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.IPAddress)
    assert "192.0.2.8" in {str(each) for each in found}
    assert json.loads(layout.admin_kubeconfig.read_text())["clusters"][0]["cluster"]["server"].endswith(
        "192.0.2.8:6443"
    )


def test_the_admin_kubeconfig_is_what_clients_read(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path)
    make_credentials(layout, SETTINGS)
    config = load(layout.admin_kubeconfig)
    assert config.server == "https://192.0.2.7:6443"
    certificate = x509.load_pem_x509_certificate(config.certificate)
    assert certificate.subject.rfc4514_string() == "CN=kubernetes-admin,O=system:masters"
    assert Credentials.of(layout).admin_token.read_text()
