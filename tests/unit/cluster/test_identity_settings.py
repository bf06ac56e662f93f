"""What ``up`` is told about identity: remembered, refused by name, and keys that nobody else can read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from podkeeper.cluster.credentials import Credentials
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout
from podkeeper.cluster.pki import make_credentials
from podkeeper.cluster.settings import Settings, Wishes, decide, load, save
from podkeeper.registry.encryption import configuration

SETTINGS = Settings("node", "127.0.0.1")


def test_arguments_of_the_server_are_remembered(tmp_path: Path) -> None:
    chosen = decide(SETTINGS, Wishes(apiserver_args={"anonymous-auth": "false"}, encrypt_secrets=True))
    save(tmp_path / "cluster.json", chosen)
    assert load(tmp_path / "cluster.json") == chosen
    assert decide(chosen, Wishes()).apiserver_args == {"anonymous-auth": "false"}


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"token-auth-file": "/x"}, "token-auth-file is not supported"),
        ({"authentication-config": "/nowhere"}, "/nowhere: No such file"),
        ({"authorization-config": "/nowhere"}, "/nowhere: No such file"),
    ],
)
def test_arguments_that_cannot_be_obeyed_are_refused_before_anything_starts(args: dict[str, str], why: str) -> None:
    with pytest.raises(ClusterError, match=why):
        decide(SETTINGS, Wishes(apiserver_args=args))


def test_the_key_for_secrets_is_made_once_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path / "cluster")
    layout.create()
    make_credentials(layout, SETTINGS)
    path = Credentials.of(layout).encryption
    assert not path.exists()
    chosen = decide(SETTINGS, Wishes(encrypt_secrets=True))
    make_credentials(layout, chosen)
    before = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    names = [each.name for each in configuration.load(path).keyring("", "secrets").ciphers]
    assert names == ["aesgcm:key1", "identity"]
    make_credentials(layout, chosen)
    assert path.read_bytes() == before
