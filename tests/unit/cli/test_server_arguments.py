"""``up --apiserver-arg``: flags by name, files from where one stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from podkeeper.cli.cluster_commands import _apiserver_args

NOTHING = cast(Any, None)


def test_flags_are_taken_with_and_without_dashes() -> None:
    given = ("--anonymous-auth=false", "oidc-issuer-url=https://x/y", "api-audiences=")
    assert _apiserver_args(NOTHING, NOTHING, given) == {"anonymous-auth": "false", "oidc-issuer-url": "https://x/y"}
    assert _apiserver_args(NOTHING, NOTHING, ()) is None


def test_files_are_looked_for_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = ("authentication-config=a.yaml", "oidc-ca-file=/etc/ca.crt", "audit-log-path=-")
    assert _apiserver_args(NOTHING, NOTHING, given) == {
        "authentication-config": str(tmp_path / "a.yaml"),
        "oidc-ca-file": "/etc/ca.crt",
        "audit-log-path": "-",
    }


def test_what_may_be_repeated_adds_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = ("service-account-key-file=a.pem", "service-account-key-file=/b.pem", "api-audiences=x", "api-audiences=y")
    assert _apiserver_args(NOTHING, NOTHING, given) == {
        "service-account-key-file": f"{tmp_path / 'a.pem'},/b.pem",
        "api-audiences": "y",
    }
