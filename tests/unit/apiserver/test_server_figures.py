"""/metrics: upstream's names, true figures, a form that Prometheus reads."""

from __future__ import annotations

import re
from typing import Any

import pytest

from podkeeper.apiserver.metrics import RequestMetrics
from podkeeper.apiserver.requestinfo import parse
from podkeeper.foundation.exposition import Family, Histogram, render

pytestmark = pytest.mark.asyncio(loop_scope="module")

_SAMPLE = re.compile(r'^[a-z_]+(\{([a-zA-Z_]+="(\\.|[^"\\])*",?)+\})? [-+0-9.eInf]+$')


async def figures(api: Any, path: str = "/metrics") -> dict[str, float]:
    text = (await api("GET", path)).body.decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(_SAMPLE.match(line) for line in lines), [line for line in lines if not _SAMPLE.match(line)]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_upstreams_names_are_there(api: Any) -> None:
    await api("GET", "/api/v1/pods?watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan")
    names = {name.partition("{")[0] for name in await figures(api)}
    assert names >= {
        "apiserver_request_total",
        "apiserver_request_duration_seconds_bucket",
        "apiserver_request_duration_seconds_sum",
        "apiserver_request_duration_seconds_count",
        "apiserver_current_inflight_requests",
        "apiserver_flowcontrol_current_executing_requests",
        "apiserver_flowcontrol_current_inqueue_requests",
        "apiserver_flowcontrol_dispatched_requests_total",
        "apiserver_flowcontrol_nominal_limit_seats",
        "apiserver_resource_objects",
        "apiserver_storage_objects",
        "apiserver_watch_events_total",
        "authentication_attempts",
        "authorization_attempts_total",
        "kubernetes_build_info",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    }


async def test_requests_are_counted_by_verb_resource_and_code(api: Any) -> None:
    labels = (
        'component="apiserver",group="",resource="configmaps",scope="namespace",subresource="",verb="LIST",version="v1"'
    )
    before = await figures(api)
    for _ in range(3):
        await api("GET", "/api/v1/namespaces/default/configmaps")
    after = await figures(api)
    total = f'apiserver_request_total{{code="200",dry_run="",{labels}}}'
    assert after[total] - before.get(total, 0) == 3
    count = f'apiserver_request_duration_seconds_count{{dry_run="",{labels}}}'
    assert after[count] - before.get(count, 0) == 3


async def test_dry_runs_are_told_apart_and_duplicate_no_series(api: Any) -> None:
    before = await figures(api)
    body = {"metadata": {"name": "dry"}}
    await api("POST", "/api/v1/namespaces/default/configmaps?dryRun=All", body)
    await api("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "wet"}})
    after = await figures(api)
    labels = (
        'component="apiserver",group="",resource="configmaps",scope="namespace",subresource="",verb="POST",version="v1"'
    )
    for dry_run in ("", "All"):
        name = f'apiserver_request_total{{code="201",dry_run="{dry_run}",{labels}}}'
        assert after[name] - before.get(name, 0) == 1
    prompt = f"apiserver_request_sli_duration_seconds_count{{{labels}}}"
    assert after[prompt] - before.get(prompt, 0) == 2


async def test_answers_are_measured(api: Any) -> None:
    labels = (
        'component="apiserver",group="",resource="services",scope="cluster",subresource="",verb="LIST",version="v1"'
    )
    answer = await api("GET", "/api/v1/services")
    assert (await figures(api))[f"apiserver_response_sizes_sum{{{labels}}}"] == len(answer.body)


async def test_the_store_is_timed_by_operation_and_resource(api: Any) -> None:
    before = await figures(api)
    await api("POST", "/apis/apps/v1/namespaces/default/deployments", deployment("timed"))
    await api("POST", "/apis/apps/v1/namespaces/default/deployments", deployment("timed"))
    await api("DELETE", "/apis/apps/v1/namespaces/default/deployments/timed")
    after = await figures(api)
    for operation in ("create", "delete"):
        name = f'etcd_requests_total{{group="apps",operation="{operation}",resource="deployments"}}'
        assert after[name] - before.get(name, 0) >= 1
    assert after['etcd_request_duration_seconds_count{group="apps",operation="create",resource="deployments"}'] >= 1
    assert after['apiserver_storage_size_bytes{storage_cluster_id="etcd-0"}'] == 0  # memory has no file
    received = 'apiserver_watch_cache_events_received_total{group="apps",resource="deployments"}'
    assert after[received] - before[received] == 2


def deployment(name: str) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": name}}, "template": template}}


async def test_fairness_is_told_by_flow_schema_and_level(api: Any) -> None:
    labels = 'flow_schema="probes",priority_level="exempt"'
    before = await figures(api)
    await api("GET", "/healthz", token="")
    await api("GET", "/api/v1/pods", token=await account_token(api))
    after = await figures(api)
    name = f"apiserver_flowcontrol_dispatched_requests_total{{{labels}}}"
    assert after[name] - before.get(name, 0) == 1
    labels = 'flow_schema="service-accounts",priority_level="workload-low"'
    assert after[f'apiserver_flowcontrol_request_wait_duration_seconds_count{{execute="true",{labels}}}'] >= 1
    assert after[f"apiserver_flowcontrol_current_executing_requests{{{labels}}}"] == 0


async def account_token(api: Any) -> str:
    await api("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "observer"}})
    path = "/api/v1/namespaces/default/serviceaccounts/observer/token"
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = (await api("POST", path, review)).tree["status"]["token"]
    return str(token)


async def test_checks_of_health_and_deprecated_apis_and_certificates_are_told(api: Any) -> None:
    await api("GET", "/readyz")
    await api("GET", "/api/v1/endpoints", pair=api.server.client_pair("someone"))
    found = await figures(api, "/metrics/slis")
    assert found['kubernetes_healthcheck{name="etcd",type="readyz"}'] == 1
    assert found['kubernetes_healthchecks_total{name="ping",status="success",type="readyz"}'] >= 1
    found = await figures(api)
    labels = 'group="",resource="endpoints",version="v1",removed_release="",subresource=""'
    assert found[f"apiserver_requested_deprecated_apis{{{labels}}}"] == 1
    assert found["apiserver_client_certificate_expiration_seconds_count"] >= 1


async def test_objects_are_counted(api: Any) -> None:
    name = 'apiserver_storage_objects{resource="configmaps"}'
    before = await figures(api)
    await api("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "counted"}})
    assert (await figures(api))[name] == before[name] + 1


async def test_plugins_are_timed(api: Any, make_pod: Any) -> None:
    family = "apiserver_admission_controller_admission_duration_seconds"
    before = await figures(api)
    for priority in ("none", ""):  # there is no class of the first name
        await api("POST", "/api/v1/namespaces/default/pods", make_pod("timed", priorityClassName=priority))
    found = await figures(api)
    for rejected in ("true", "false"):
        labels = f'name="Priority",operation="CREATE",rejected="{rejected}",type="admit"'
        name = f"{family}_count{{{labels}}}"
        assert found[name] - before.get(name, 0) == 1
    assert found[
        'apiserver_admission_step_admission_duration_seconds_count{operation="CREATE",rejected="true",type="admit"}'
    ]


async def test_who_was_refused_is_counted(api: Any) -> None:
    before = await figures(api)
    await api("GET", "/api/v1/pods", token="wrong")
    await api("GET", "/api/v1/pods", token="")
    after = await figures(api)
    for name in ('authentication_attempts{result="error"}', 'authorization_attempts_total{result="no-opinion"}'):
        assert after[name] - before.get(name, 0) == 1


async def test_paths_that_lead_nowhere_become_no_labels() -> None:
    metrics = RequestMetrics()
    for number in range(1000):
        for path in (f"/apis/g{number}/v1/namespaces/n{number}/r{number}", f"/p{number}"):
            metrics.series(parse("GET", path.encode())).count(404, 0.01, 0.0, 10)
    assert metrics.text().count("apiserver_request_total{") == 2


async def test_histograms_add_up_and_labels_are_escaped() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value)
    text = render([Family("x", "histogram", "Help.", lambda: [({"a": 'quo"te\\\n'}, histogram)])])
    assert text.splitlines() == [
        "# HELP x Help.",
        "# TYPE x histogram",
        'x_bucket{a="quo\\"te\\\\\\n",le="0.1"} 2',
        'x_bucket{a="quo\\"te\\\\\\n",le="1"} 3',
        'x_bucket{a="quo\\"te\\\\\\n",le="+Inf"} 4',
        'x_sum{a="quo\\"te\\\\\\n"} 7.65',
        'x_count{a="quo\\"te\\\\\\n"} 4',
    ]
