"""Kubeconfig files as kubectl writes them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from podkeeper.client.config import ClientConfig
from podkeeper.client.kubeconfig import KubeconfigInvalid, dump, load

SEVERAL = """
apiVersion: v1
kind: Config
current-context: dev
clusters:
- name: c1
  cluster: {server: "https://10.0.0.1:6443/", certificate-authority: pki/ca.crt, tls-server-name: api}
- name: c2
  cluster: {server: "http://10.0.0.2", insecure-skip-tls-verify: true}
contexts:
- {name: dev, context: {cluster: c1, user: u1, namespace: team}}
- {name: prod, context: {cluster: c2, user: u2}}
- {name: anonymous, context: {cluster: c2}}
- {name: broken, context: {cluster: nowhere, user: u2}}
- {name: plugin, context: {cluster: c2, user: plugin}}
- {name: garbled, context: {cluster: c2, user: garbled}}
users:
- {name: u1, user: {client-certificate: pki/u.crt, client-key-data: a2V5}}
- {name: u2, user: {token: t, tokenFile: tokens/t}}
- {name: plugin, user: {exec: {command: aws}}}
- {name: garbled, user: {client-key-data: "%%%"}}
"""


@pytest.fixture
def several(tmp_path: Path) -> Path:
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "ca.crt").write_bytes(b"CA")
    (tmp_path / "pki" / "u.crt").write_bytes(b"CERT")
    path = tmp_path / "config"
    path.write_text(SEVERAL)
    return path


def test_the_current_context_with_files_beside_the_config(several: Path) -> None:
    assert load(several) == ClientConfig(
        "https://10.0.0.1:6443", ca=b"CA", certificate=b"CERT", key=b"key", server_name="api", namespace="team"
    )


def test_a_named_context(several: Path) -> None:
    config = load(several, "prod")
    assert config == ClientConfig("http://10.0.0.2", token="t", token_file=several.parent / "tokens/t", insecure=True)
    assert load(several, "anonymous").token == ""


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ("nothing", "no context 'nothing'"),
        ("broken", "no cluster 'nowhere'"),
        ("plugin", "'exec' are not supported"),
        ("garbled", "client-key-data is not base64"),
    ],
)
def test_what_a_context_lacks_is_named(several: Path, context: str, message: str) -> None:
    with pytest.raises(KubeconfigInvalid, match=message):
        load(several, context)


@pytest.mark.parametrize("text", ["", "[1]", "a: [", "clusters: 3"])
def test_what_is_no_kubeconfig_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(KubeconfigInvalid):
        load(path)
    with pytest.raises(KubeconfigInvalid, match="cannot be read"):
        load(tmp_path / "missing")


@pytest.mark.parametrize(
    "config",
    [
        ClientConfig("https://127.0.0.1:6443", ca=b"CA", certificate=b"CERT", key=b"KEY"),
        ClientConfig("https://[::1]:6443", token="t", insecure=True, namespace="team", server_name="api"),
    ],
)
def test_what_is_written_is_read_again(tmp_path: Path, config: ClientConfig) -> None:
    path = tmp_path / "config"
    path.write_bytes(dump(config, name="house", user="me"))
    assert load(path, "house") == config
    if config.ca:
        assert base64.b64encode(config.ca) in path.read_bytes()
