"""The codec of messages against what is published, and how Go writes what is empty, sorted or out of range."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api import protobuf
from podkeeper.api.protobuf import ProtobufError, table
from podkeeper.api.protobuf.values import VALUES as SPECIAL
from podkeeper.api.resources import RESOURCES

#: Messages of the published definitions that no kind of an API server is made of, by their package.
ELSEWHERE = ("apiserver.pkg.apis.", "metrics.pkg.apis.custom_metrics", "metrics.pkg.apis.external_metrics")
#: Types that are there for conversion in Go and are on no wire, and those that ``values`` knows.
NOT_ON_THE_WIRE = {
    *("AvoidPods", "CELDeviceSelector", "DeviceSelector", "GroupKind", "GroupVersion", "Patch", "PodSignature"),
    *("Preconditions", "PreferAvoidPodsEntry", "RootPaths", "Timestamp"),
}
VALUES = {
    *("Duration", "ExtraValue", "FieldsV1", "IntOrString", "JSON", "MicroTime", "Quantity", "QuantityValue"),
    *("RawExtension", "Time", "TypeMeta", "Unknown", "Verbs"),
}
ROOT = Path(__file__).parents[4]
PROGRAMS = [ROOT / ".cache" / "clients" / name for name in ("kubectl-1.36", "helm")]


def examples(facts: Path) -> list[Path]:
    return sorted((facts / "golden").glob("*.pb"))


def named(path: Path) -> tuple[str, str]:
    group, _, rest = path.stem.rpartition(".v")
    version, _, kind = f"v{rest}".partition(".")
    return (version if group == "core" else f"{group}/{version}"), kind


def test_published_examples_are_the_same_byte_for_byte_in_both_directions(facts: Path) -> None:
    paths = examples(facts)
    assert len(paths) > 100
    for path in paths:
        api_version, kind = named(path)
        tree, body = json.loads(path.with_suffix(".json").read_bytes()), path.read_bytes()
        if kind == "WatchEvent":  # the one example without apiVersion and kind
            assert protobuf.wrap("", "", protobuf.message(api_version, kind, tree)) == body
            assert protobuf.decode(body, api_version, kind) == {"apiVersion": api_version, "kind": kind, **tree}
        else:
            assert protobuf.encode(tree) == body, path.stem
            assert protobuf.decode(body) == tree, path.stem


@pytest.mark.skipif(not all(map(Path.exists, PROGRAMS)), reason="tools/fetch_clients.py .cache/clients was not run")
def test_the_tables_are_what_the_programs_tell(tmp_path: Path) -> None:
    api, written = Path(table.__file__).parent.parent, tmp_path / "podkeeper" / "api"
    for package in ("protobuf", "gojson", "data"):
        (written / package).mkdir(parents=True)
    shutil.copy(api / "data" / "schema.json", written / "data")
    tool = [sys.executable, str(ROOT / "tools" / "generate_protobuf.py"), *map(str, PROGRAMS)]
    subprocess.run([*tool, "--source-root", str(tmp_path)], check=True)
    for name in ("protobuf/messages.json", "gojson/types.json"):
        assert (written / name).read_bytes() == (api / name).read_bytes()


def test_the_table_has_every_published_message_with_its_numbers(facts: Path) -> None:
    published = json.loads((facts / "protobuf-fields.json").read_bytes())
    known = table.messages()
    missing = []
    for full_name, numbers in published.items():
        package, _, name = full_name.rpartition(".")
        if any(part in package for part in ELSEWHERE) or name in NOT_ON_THE_WIRE or name in VALUES:
            continue
        group, version = package.split(".")[-2:]
        message = f"{group}/{version}.{name}"
        if message not in known:
            missing.append(message)
            continue
        fields = table.fields(message)
        assert {field.number for field in fields} == {entry[0] for entry in numbers.values()} - {None}, message
        repeated = {entry[0] for entry in numbers.values() if entry[1] == "repeated"}
        assert {field.number for field in fields if field.form == "["} == repeated, message
        maps = {entry[0] for entry in numbers.values() if entry[1] == "map"}
        assert {field.number for field in fields if field.form == "{"} == maps, message
    # Metrics of version 1 of autoscaling live in an annotation, as JSON.
    assert all(name.startswith("autoscaling/v1.") for name in missing), missing


def test_every_kind_that_is_served_has_a_message() -> None:
    for resource in RESOURCES:
        assert protobuf.is_kind(resource.api_version, resource.kind), resource
        assert protobuf.is_kind(resource.api_version, f"{resource.kind}List") or "list" not in resource.verbs, resource


def test_what_go_holds_by_value_is_written_also_when_it_is_empty() -> None:
    metadata, phase = "0a00 1200 1a00 2200 2a00 3200 3800 4200", "0a00"
    assert protobuf.message("v1", "Namespace", {}) == bytes.fromhex(f"0a10 {metadata} 1200 1a02 {phase}")


def test_maps_are_sorted_and_keys_and_values_always_written() -> None:
    message = protobuf.message("v1", "ConfigMap", {"data": {"b": "", "a": "1", "": "é"}})
    assert message.endswith(bytes.fromhex("1206 0a00 1202c3a91206 0a0161 1201311205 0a0162 1200"))


@pytest.mark.parametrize(
    "tree",
    [
        {"metadata": {"name": 5}},
        {"metadata": 5},
        {"spec": {"containers": 5}},
        {"spec": {"containers": [{"ports": [{"containerPort": 1 << 40}]}]}},
        {"spec": {"containers": [{"resources": {"limits": {"cpu": "much"}}}]}},
        {"metadata": {"creationTimestamp": "yesterday"}},
        {"metadata": {"labels": {"a": 5}}},
    ],
)
def test_trees_that_do_not_fit_are_refused(tree: dict[str, Any]) -> None:
    with pytest.raises(ProtobufError):
        protobuf.encode({"apiVersion": "v1", "kind": "Pod", **tree})


@pytest.mark.parametrize(
    "text", ["0s", "1ns", "1.5µs", "2ms", "1.000000001s", "1m0s", "1h0m0s", "100h1m0.5s", "-1m0.25s"]
)
def test_durations_are_written_as_go_writes_them(text: str) -> None:
    value = SPECIAL["Duration"]
    assert value.read(value.write(text)) == text


@given(st.text(max_size=8))
def test_texts_that_are_no_durations_are_refused(text: str) -> None:
    value = SPECIAL["Duration"]
    try:
        written = value.write(text)
    except ValueError:
        return
    assert value.write(value.read(written)) == written


def test_times_keep_what_json_keeps() -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "a", "creationTimestamp": "2026-01-02T05:04:05+02:00"},
        "spec": {"renewTime": "2026-01-02T03:04:05.123456Z"},
    }
    read = protobuf.decode(protobuf.encode(lease))
    assert read["metadata"]["creationTimestamp"] == "2026-01-02T03:04:05Z"
    assert read["spec"]["renewTime"] == "2026-01-02T03:04:05.123456Z"


def test_times_beyond_the_calendar_are_refused() -> None:
    metadata = bytes.fromhex("420b08ffffffffffffffff7f1000")
    with pytest.raises(ProtobufError):
        protobuf.decode(protobuf.wrap("v1", "Namespace", b"\x0a" + bytes([len(metadata)]) + metadata))
