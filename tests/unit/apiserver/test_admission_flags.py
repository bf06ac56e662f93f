"""Upstream's flags about admission, and the file that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from podkeeper.apiserver.admission import flags
from podkeeper.apiserver.admission.chain import AdmissionChain
from podkeeper.apiserver.config import AdmissionConfig


def test_plugins_are_switched() -> None:
    config = flags.read(
        {"enable-admission-plugins": "PodNodeSelector", "disable-admission-plugins": "Priority, PodSecurity"}
    )
    assert "PodNodeSelector" not in config.disabled
    assert config.disabled == {"Priority", "PodSecurity"}
    with pytest.raises(ValueError, match='disable-admission-plugins plugin "Nope" is unknown'):
        flags.read({"disable-admission-plugins": "Nope"})


def test_nothing_said_changes_nothing() -> None:
    base = AdmissionConfig(not_ready_toleration=5)
    assert flags.read({"audit-log-path": "-"}, base) == base


def test_tolerations_are_numbers() -> None:
    assert flags.read({"default-not-ready-toleration-seconds": "10"}).not_ready_toleration == 10
    with pytest.raises(ValueError, match="not a number"):
        flags.read({"default-unreachable-toleration-seconds": "soon"})


def test_a_file_configures_plugins(tmp_path: Path) -> None:
    file = tmp_path / "admission.yaml"
    file.write_text("""
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    defaults: {enforce: baseline, enforce-version: v1.30, warn: restricted}
    exemptions: {usernames: [root], namespaces: [kube-system]}
- name: PodNodeSelector
  path: selectors.yaml
""")
    (tmp_path / "selectors.yaml").write_text("podNodeSelectorPluginConfig: {picky: disk=ssd}")
    config = flags.read({"admission-control-config-file": str(file)})
    given = config.pod_security
    assert (given.enforce, given.warn, given.audit) == (
        ("baseline", "v1.30"),
        ("restricted", "latest"),
        ("privileged", "latest"),
    )
    assert (given.exempt_users, given.exempt_namespaces) == ({"root"}, {"kube-system"})
    assert config.node_selectors == {"picky": "disk=ssd"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kind: Pod", "expected an AdmissionConfiguration"),
        ("{", "admission.yaml"),
        ("- a", "not an object"),
        (
            "{kind: AdmissionConfiguration, plugins: [{name: PodSecurity, configuration: {defaults: {warn: x}}}]}",
            "must be one of privileged, baseline, restricted",
        ),
        (
            "{kind: AdmissionConfiguration, plugins: [{name: EventRateLimit, configuration: {a: b}}]}",
            "a configuration of plugin 'EventRateLimit' is not supported",
        ),
    ],
)
def test_a_file_that_says_something_wrong(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "admission.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=why):
        flags.read({"admission-control-config-file": str(file)})


@pytest.mark.asyncio(loop_scope="module")
async def test_every_plugin_of_the_chain_can_be_switched(api: Any) -> None:
    chain: AdmissionChain = api.server.server._admission
    assert {plugin.name for plugin in chain._plugins} - {"RbacEscalation"} <= flags.PLUGINS
