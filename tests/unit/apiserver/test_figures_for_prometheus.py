"""/metrics as Prometheus' own parser reads it: every family once, no series twice, histograms whole."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Labels of what upstream calls stable or beta (test/instrumentation/testdata/stable-metrics-list.yaml) and is here,
#: and of etcd's durations; counters without their suffix.
_WHAT = {"component", "group", "resource", "scope", "subresource", "verb", "version"}
STABLE = {
    "apiserver_admission_controller_admission_duration_seconds": {"name", "operation", "rejected", "type"},
    "apiserver_admission_step_admission_duration_seconds": {"operation", "rejected", "type"},
    "apiserver_authorization_decisions": {"decision", "name", "type"},
    "apiserver_current_inflight_requests": {"request_kind"},
    "apiserver_flowcontrol_current_executing_requests": {"flow_schema", "priority_level"},
    "apiserver_flowcontrol_current_executing_seats": {"flow_schema", "priority_level"},
    "apiserver_flowcontrol_current_inqueue_requests": {"flow_schema", "priority_level"},
    "apiserver_flowcontrol_dispatched_requests": {"flow_schema", "priority_level"},
    "apiserver_flowcontrol_nominal_limit_seats": {"priority_level"},
    "apiserver_flowcontrol_request_wait_duration_seconds": {"execute", "flow_schema", "priority_level"},
    "apiserver_longrunning_requests": _WHAT,
    "apiserver_request": _WHAT | {"code", "dry_run"},
    "apiserver_request_duration_seconds": _WHAT | {"dry_run"},
    "apiserver_requested_deprecated_apis": {"group", "removed_release", "resource", "subresource", "version"},
    "apiserver_response_sizes": _WHAT,
    "apiserver_storage_events_received": {"group", "resource"},
    "apiserver_storage_objects": {"resource"},
    "apiserver_storage_size_bytes": {"storage_cluster_id"},
    "etcd_request_duration_seconds": {"group", "operation", "resource"},
}


async def test_a_parser_reads_all_of_it(api: Any, make_config_map: Any) -> None:
    await api("POST", "/api/v1/namespaces/default/configmaps?dryRun=All", make_config_map("a"))
    await api("POST", "/api/v1/namespaces/default/configmaps", make_config_map("a"))
    await api("GET", "/api/v1/endpoints", pair=api.server.client_pair("jane"))
    await api("GET", "/version", pair=api.server.client_pair("jane"))
    await api.first_line("/api/v1/configmaps?watch=1")
    text = (await api("GET", "/metrics")).body.decode()
    families = list(text_string_to_metric_families(text))
    names = Counter(family.name for family in families)
    assert [name for name, count in names.items() if count > 1] == []
    for family in families:
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        assert labels == STABLE.get(family.name, labels), family.name
    assert names.keys() >= STABLE.keys() - {"apiserver_longrunning_requests"}
    seen = Counter(
        (sample.name, tuple(sorted(sample.labels.items()))) for family in families for sample in family.samples
    )
    assert [series for series, count in seen.items() if count > 1] == []
    for family in families:
        if family.type == "histogram":
            last = [sample for sample in family.samples if sample.labels.get("le") == "+Inf"]
            counts = [sample for sample in family.samples if sample.name.endswith("_count")]
            assert [sample.value for sample in last] == [sample.value for sample in counts], family.name
