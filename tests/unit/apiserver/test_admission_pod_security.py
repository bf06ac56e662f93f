"""PodSecurity over a whole API server, and each of its checks by itself."""

from __future__ import annotations

from typing import Any

import pytest

from podkeeper.apiserver.admission.podsecurity import labels, levels
from podkeeper.apiserver.admission.podsecurity.levels import LevelVersion
from podkeeper.apiserver.admission.podsecurity.pod import PodView


async def namespace(api: Any, name: str, **modes: str) -> str:
    given = {f"pod-security.kubernetes.io/{mode.replace('_', '-')}": level for mode, level in modes.items()}
    assert (await api("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": given}})).status == 201
    path = f"/api/v1/namespaces/{name}"
    assert (await api("POST", f"{path}/serviceaccounts", {"metadata": {"name": "default"}})).status == 201
    return path


STRICT = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def strict(pod: Any) -> Any:
    pod["spec"]["containers"][0]["securityContext"] = STRICT
    return pod


@pytest.mark.asyncio(loop_scope="module")
async def test_restricted_refuses_with_all_that_is_missing(api: Any, make_pod: Any) -> None:
    path = await namespace(api, "restricted", enforce="restricted")
    reply = await api("POST", f"{path}/pods", make_pod("lax"))
    assert (reply.status, reply.message) == (
        403,
        'pods "lax" is forbidden: violates PodSecurity "restricted:latest": '
        'allowPrivilegeEscalation != false (container "main" must set securityContext.allowPrivilegeEscalation=false), '
        'unrestricted capabilities (container "main" must set securityContext.capabilities.drop=["ALL"]), '
        'runAsNonRoot != true (pod or container "main" must set securityContext.runAsNonRoot=true), '
        'seccompProfile (pod or container "main" must set securityContext.seccompProfile.type to "RuntimeDefault" '
        'or "Localhost")',
    )
    assert (await api("POST", f"{path}/pods", strict(make_pod("strict")))).status == 201


@pytest.mark.asyncio(loop_scope="module")
async def test_workloads_get_a_warning_and_are_made(api: Any, make_pod: Any) -> None:
    await namespace(api, "warned", warn="baseline", warn_version="v1.30")
    template = make_pod("t", hostNetwork=True) | {"metadata": {"labels": {"a": "b"}}}
    deployment = {
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    reply = await api("POST", "/apis/apps/v1/namespaces/warned/deployments", deployment)
    assert reply.status == 201, reply.body
    assert (
        'would violate PodSecurity \\"baseline:v1.30\\": host namespaces (hostNetwork=true)' in reply.headers["warning"]
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_a_stricter_label_tells_of_the_pods_that_are_there(api: Any, make_pod: Any) -> None:
    path = await namespace(api, "tightened")
    for name in ("b", "a", "c"):
        await api("POST", f"{path}/pods", make_pod(name, hostPID=True))
    await api("POST", f"{path}/pods", strict(make_pod("good")))
    change = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}
    reply = await api("PATCH", path, change, content_type="application/merge-patch+json")
    assert reply.status == 200
    level = r"violate the new PodSecurity enforce level \"baseline:latest\""
    assert reply.headers["warning"] == (
        rf'299 - "existing pods in namespace \"tightened\" {level}", 299 - "a (and 2 other pods): host namespaces"'
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_labels_that_mean_nothing_are_refused(api: Any) -> None:
    given = {"pod-security.kubernetes.io/enforce": "strict", "pod-security.kubernetes.io/warn-version": "1.2"}
    reply = await api("POST", "/api/v1/namespaces", {"metadata": {"name": "odd", "labels": given}})
    assert (reply.status, reply.message) == (
        422,
        'Namespace "odd" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": '
        "must be one of privileged, baseline, restricted, "
        'metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "1.2": must be "latest" or "v1.x"]',
    )


def test_labels_of_other_versions() -> None:
    policy, mistakes = labels.read(
        {"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/enforce-version": "v1.9"},
        labels.Policy(),
    )
    assert (str(policy.enforce), str(policy.warn), mistakes) == ("baseline:v1.9", "privileged:latest", [])


def said(level: str, minor: int | None = None, annotations: Any = None, **spec: Any) -> str:
    spec.setdefault("containers", [{"name": "a"}])
    return levels.detail(levels.violations(LevelVersion(level, minor), PodView(annotations or {}, spec)))


def container(name: str = "a", **security: Any) -> Any:
    return {"name": name, "securityContext": security}


def mounted(**volume: Any) -> Any:
    return [{"name": "v"} | volume]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"hostNetwork": True, "hostPID": True}, "host namespaces (hostNetwork=true, hostPID=true)"),
        (
            {"containers": [container(privileged=True), container("b", privileged=True)]},
            'privileged (containers "a", "b" must not set securityContext.privileged=true)',
        ),
        (
            {"initContainers": [container(capabilities={"add": ["NET_ADMIN", "CHOWN", "ALL"]})]},
            'non-default capabilities (container "a" must not include "ALL", "NET_ADMIN" in '
            "securityContext.capabilities.add)",
        ),
        ({"volumes": mounted(hostPath={"path": "/"})}, 'hostPath volumes (volume "v")'),
        (
            {"containers": [{"name": "a", "ports": [{"hostPort": 80}, {"hostPort": 443}]}]},
            'hostPort (container "a" uses hostPorts 443, 80)',
        ),
        (
            {"containers": [{"name": "a", "livenessProbe": {"httpGet": {"host": "h"}}}]},
            'probe or lifecycle host (container "a" uses probe or lifecycle host "h")',
        ),
        (
            {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
            'forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")',
        ),
        (
            {"securityContext": {"seLinuxOptions": {"type": "spc_t", "user": "u"}}},
            'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)',
        ),
        (
            {"containers": [container(procMount="Unmasked")]},
            'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
        ),
        ({"containers": [container(procMount="Unmasked")], "hostUsers": False}, ""),
        (
            {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
            'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax"}]}}, "forbidden sysctls (kernel.msgmax)"),
        (
            {"securityContext": {"windowsOptions": {"hostProcess": True}}, "containers": [container()]},
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
    ],
)
def test_checks_of_baseline(spec: Any, text: str) -> None:
    assert said("baseline", **spec) == text


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            {"volumes": mounted(nfs={"server": "s", "path": "/"})},
            'restricted volume types (volume "v" uses restricted volume type "nfs")',
        ),
        (
            {"containers": [container(**STRICT, procMount="Unmasked")], "hostUsers": False},
            'procMount (container "a" must not set securityContext.procMount to "Unmasked")',
        ),
        (
            {"securityContext": {"runAsNonRoot": False}},
            "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)",
        ),
        ({"securityContext": {"runAsUser": 0}}, "runAsUser=0 (pod must not set runAsUser=0)"),
        (
            {"containers": [container(**STRICT | {"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}})]},
            'unrestricted capabilities (container "a" must not include "CHOWN" in securityContext.capabilities.add)',
        ),
    ],
)
def test_checks_of_restricted(spec: Any, text: str) -> None:
    spec = {"containers": [container(**STRICT)]} | spec
    assert said("restricted", **spec) == text


def test_versions_have_their_own_checks() -> None:
    keepalive = {"sysctls": [{"name": "net.ipv4.tcp_keepalive_time"}]}
    assert said("baseline", 28, securityContext=keepalive)
    assert not said("baseline", 29, securityContext=keepalive)
    note = {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}
    assert said("baseline", 18, note) == (
        'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")'
    )
    assert not said("baseline", 19, note)
    assert said("restricted", 7) == "runAsNonRoot != true (" + (
        'pod or container "a" must set securityContext.runAsNonRoot=true)'
    )
    windows = {"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": True}}
    assert not said("restricted", 25, **windows)
    assert said("restricted", 24, **windows)


def test_privileged_looks_at_nothing() -> None:
    assert not said("privileged", hostPID=True)
