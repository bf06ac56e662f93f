"""The published Python client against a whole API server: it must not notice whose server it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException

from podkeeper.testing.api_server import TestServer, running_api_server


def connect(server: TestServer) -> Any:
    configuration = client.Configuration()
    configuration.host = server.url
    configuration.ssl_ca_cert = str(server.authority.pair.certificate)
    configuration.api_key = {"authorization": f"Bearer {server.admin_token}"}
    return client.ApiClient(configuration)


def objects_live_and_die(api: Any) -> None:
    core = client.CoreV1Api(api)
    core.create_namespaced_service_account("default", {"metadata": {"name": "default"}})
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="a", labels={"x": "y"}), data={"k": "1"})
    made = core.create_namespaced_config_map("default", body)
    assert made.metadata.uid
    core.patch_namespaced_config_map("a", "default", {"data": {"k": "2"}})
    assert core.read_namespaced_config_map("a", "default").data == {"k": "2"}
    listed = core.list_namespaced_config_map("default", label_selector="x=y")
    assert [each.metadata.name for each in listed.items] == ["a"]
    with pytest.raises(ApiException) as caught:
        core.create_namespaced_config_map("default", body)
    assert (caught.value.status, caught.value.reason) == (409, "Conflict")
    status = core.delete_namespaced_config_map("a", "default")
    assert status is not None
    with pytest.raises(ApiException) as caught:
        core.read_namespaced_config_map("a", "default")
    assert caught.value.status == 404


def pages_follow_one_another(api: Any) -> None:
    core = client.CoreV1Api(api)
    for number in range(7):
        core.create_namespaced_secret("default", {"metadata": {"name": f"s{number}"}})
    names: list[str] = []
    token = None
    while True:
        page = core.list_namespaced_secret("default", limit=3, _continue=token)
        names += [each.metadata.name for each in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"s{number}" for number in range(7)]


def watches_see_changes(api: Any) -> None:
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    start = apps.list_namespaced_deployment("default").metadata.resource_version
    container = {"name": "c", "image": "i"}
    spec = {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}},
    }
    apps.create_namespaced_deployment("default", {"metadata": {"name": "d"}, "spec": spec})
    apps.patch_namespaced_deployment_scale("d", "default", {"spec": {"replicas": 3}})
    apps.delete_namespaced_deployment("d", "default", propagation_policy="Background")
    stream = watch.Watch().stream(apps.list_namespaced_deployment, "default", resource_version=start, timeout_seconds=1)
    seen = [(event["type"], event["object"].spec.replicas) for event in stream]
    assert seen[:2] == [("ADDED", 1), ("MODIFIED", 3)]
    assert seen[-1][0] == "DELETED"
    assert client.VersionApi(api).get_code().minor == "36"
    groups = [group.name for group in client.ApisApi(api).get_api_versions().groups]
    assert {"apps", "batch", "rbac.authorization.k8s.io"} <= set(groups)
    review = client.V1SelfSubjectAccessReview(
        spec=client.V1SelfSubjectAccessReviewSpec(
            resource_attributes=client.V1ResourceAttributes(verb="get", resource="pods")
        )
    )
    assert client.AuthorizationV1Api(api).create_self_subject_access_review(review).status.allowed
    assert core.read_namespaced_service("kubernetes", "default").spec.cluster_ip == "10.96.0.1"


@pytest.mark.parametrize("scenario", [objects_live_and_die, pages_follow_one_another, watches_see_changes])
async def test_the_python_client(tmp_path: Path, scenario: Callable[[Any], None]) -> None:
    async with running_api_server(tmp_path) as server:
        await asyncio.to_thread(lambda: scenario(connect(server)))
