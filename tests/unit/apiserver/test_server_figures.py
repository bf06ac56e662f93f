"""/metrics: upstream's names, true figures, a form that Prometheus reads."""

from __future__ import annotations

import re
from typing import Any

import pytest

from podkeeper.apiserver.exposition import Family, Histogram, render
from podkeeper.apiserver.metrics import RequestMetrics
from podkeeper.apiserver.requestinfo import parse

pytestmark = pytest.mark.asyncio(loop_scope="module")

_SAMPLE = re.compile(r'^[a-z_]+(\{([a-zA-Z_]+="(\\.|[^"\\])*",?)+\})? [-+0-9.eInf]+$')


async def figures(api: Any) -> dict[str, float]:
    text = (await api("GET", "/metrics")).body.decode()
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


async def test_who_was_refused_is_counted(api: Any) -> None:
    before = await figures(api)
    await api("GET", "/api/v1/pods", token="wrong")
    await api("GET", "/api/v1/pods", token="")
    after = await figures(api)
    for name in ('authentication_attempts{result="failure"}', 'authorization_attempts_total{result="denied"}'):
        assert after[name] - before.get(name, 0) == 1


async def test_paths_that_lead_nowhere_become_no_labels() -> None:
    metrics = RequestMetrics()
    for number in range(1000):
        metrics.count(parse("GET", f"/apis/g{number}/v1/namespaces/n{number}/r{number}".encode()), 404, 0.01)
        metrics.count(parse("GET", f"/p{number}".encode()), 404, 0.01)
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
