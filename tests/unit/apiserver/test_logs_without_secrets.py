"""What a server logs at its most talkative: every request, and nothing that is secret."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from podkeeper.apiserver.authentication.flags import AuthenticationOptions
from podkeeper.client.kubeconfig import KubeconfigInvalid, load
from podkeeper.foundation.logs import TextFormatter
from podkeeper.testing.api_server import running_api_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "correct-horse-battery-staple"
DEFAULT = "/api/v1/namespaces/default"


class Heard(logging.Handler):
    """Everything that is logged, as it would stand in the file."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(TextFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def requests(self, path: str) -> list[str]:
        return [line for line in self.lines if f'URI="{path}' in line]


@pytest.fixture(scope="module")
def heard() -> Iterator[Heard]:
    found, root, requests = Heard(), logging.getLogger(), logging.getLogger("podkeeper.requests")
    before = root.level, requests.level
    root.addHandler(found)
    root.setLevel(logging.DEBUG)
    requests.setLevel(logging.DEBUG)
    yield found
    root.removeHandler(found)
    root.setLevel(before[0])
    requests.setLevel(before[1])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(heard: Heard, tmp_path_factory: pytest.TempPathFactory, make_client: Any) -> AsyncIterator[Any]:
    directory = tmp_path_factory.mktemp("talkative")
    cluster = {"server": "https://127.0.0.1:1/authenticate", "insecure-skip-tls-verify": True}
    config = {
        "clusters": [{"name": "a", "cluster": cluster}],
        "users": [{"name": "a", "user": {"token": f"{PASSWORD}-of-the-hook"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "current-context": "a",
    }
    (directory / "hook.kubeconfig").write_text(json.dumps(config))
    options = AuthenticationOptions(webhook=directory / "hook.kubeconfig")
    async with running_api_server(directory, authentication=options) as server:
        yield make_client(server)


def secrets_of(*texts: str) -> list[str]:
    """The texts, and what they look like in Secrets."""
    return [*texts, *(base64.b64encode(text.encode()).decode().rstrip("=") for text in texts)]


async def test_requests_are_logged_without_what_they_carry(client: Any, heard: Heard) -> None:
    reply = await client("GET", f"{DEFAULT}/pods?limit=5", user_agent='odd"agent', audit_id="an-id")
    assert reply.status == 200
    (line,) = heard.requests(f"{DEFAULT}/pods?limit=5")
    assert re.search(
        r'D podkeeper.requests: "HTTP" verb="LIST" URI="/api/v1/namespaces/default/pods\?limit=5" '
        r'latency="[0-9.]+ms" userAgent="odd\\"agent" audit-ID="an-id" srcIP="127.0.0.1" resp=200$',
        line,
    )


async def test_nothing_secret_is_in_any_line(client: Any, heard: Heard) -> None:
    value = base64.b64encode(PASSWORD.encode()).decode()
    body = {"metadata": {"name": "s"}, "data": {"password": value}}
    assert (await client("POST", f"{DEFAULT}/secrets", body)).status == 201
    await client("PUT", f"{DEFAULT}/secrets/s", body | {"immutable": "no-boolean"})
    merge = "application/merge-patch+json"
    await client("PATCH", f"{DEFAULT}/secrets/s", {"stringData": {"other": PASSWORD}}, content_type=merge)
    await client("PATCH", f"{DEFAULT}/secrets/s", {"data": {"bad": f"%{PASSWORD}"}}, content_type=merge)
    await client("POST", f"{DEFAULT}/secrets", b'{"metadata":{"name":"%b"' % PASSWORD.encode())
    account = f"{DEFAULT}/serviceaccounts"
    await client("POST", account, {"metadata": {"name": "robot"}})
    token = (await client("POST", f"{account}/robot/token", {"spec": {}})).tree["status"]["token"]
    await client("GET", f"{DEFAULT}/secrets", token=token)
    review = {"spec": {"token": token}}
    assert (await client("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)).status == 201
    forged = token[:-8] + "AAAAAAAA"
    unknown = f"{PASSWORD}.of.nobody"
    for wrong in (forged, unknown, "abcdef.0123456789abcdef"):
        assert (await client("GET", f"{DEFAULT}/secrets", token=wrong)).status == 401
        await client("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": wrong}})
    await client("DELETE", f"{account}/robot")
    assert (await client("GET", f"{DEFAULT}/secrets", token=token)).status == 401
    await client("POST", f"{DEFAULT}/pods/none/exec?command=login&command={PASSWORD}")
    await client("GET", f"{DEFAULT}/services/none/proxy/?password={PASSWORD}")
    assert heard.requests(f"{DEFAULT}/pods/none/exec")
    assert any("unable to authenticate" in line for line in heard.lines)
    assert any("token webhook does not help" in line for line in heard.lines)
    wanted = secrets_of(PASSWORD, token, token.rpartition(".")[2], forged, unknown, client.token, "0123456789abcdef")
    leaks = [(secret, line) for line in heard.lines for secret in wanted if secret in line]
    assert leaks == []


async def test_a_broken_kubeconfig_shows_no_token(tmp_path: Path) -> None:
    path = tmp_path / "broken.kubeconfig"
    path.write_text(f"users:\n- user: {{token: {PASSWORD}\n")
    with pytest.raises(KubeconfigInvalid) as refused:
        load(path)
    assert PASSWORD not in str(refused.value)
    assert "line" in str(refused.value)
