"""apply, get and delete against a real API server: what they print, and what they say to mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

Run = Callable[..., Result]


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"of": name}}, "data": data}


def deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "busybox"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(autouse=True)
def clean(run: Run) -> Any:
    yield
    run("delete configmaps,deployments --all")


def test_apply_creates_changes_and_leaves_alone(run: Run) -> None:
    assert run("apply -f -", stdin=json.dumps(config_map("a", x="1"))).stdout == "configmap/a created\n"
    assert run("apply -f -", stdin=json.dumps(config_map("a", x="2"))).stdout == "configmap/a configured\n"
    assert run("apply -f -", stdin=json.dumps(config_map("a", x="2"))).stdout == "configmap/a unchanged\n"
    assert json.loads(run("get configmap a -o json").stdout)["data"] == {"x": "2"}


def test_apply_removes_what_it_set_and_leaves_what_others_set(run: Run) -> None:
    run("apply -f -", stdin=json.dumps(config_map("a", x="1", y="1")))
    run("apply -f -", stdin=json.dumps(config_map("a", x="2")))
    assert json.loads(run("get configmap a -o json").stdout)["data"] == {"x": "2"}
    run("apply -f -", stdin=json.dumps(deployment("web")))
    assert run("apply -f -", stdin=json.dumps(deployment("web"))).stdout == "deployment.apps/web unchanged\n"


def test_apply_takes_documents_lists_and_directories(run: Run, tmp_path: Path) -> None:
    typed = {"apiVersion": "v1", "kind": "ConfigMapList", "items": [config_map("c"), config_map("d")]}
    mixed = {"apiVersion": "v1", "kind": "List", "items": [typed, deployment("web")]}
    (tmp_path / "1.yaml").write_text(yaml.safe_dump_all([config_map("a"), None, config_map("b")]))
    (tmp_path / "2.json").write_text(json.dumps(mixed))
    (tmp_path / "notes.txt").write_text("not a manifest")
    said = run("apply", "-f", str(tmp_path))
    expected = [f"configmap/{name} created" for name in "abcd"] + ["deployment.apps/web created"]
    assert said.stdout.splitlines() == expected


def test_apply_goes_on_after_a_refusal(run: Run) -> None:
    said = run("apply -f -", stdin=yaml.safe_dump_all([config_map("Bad_Name"), config_map("good")]))
    assert (said.exit_code, said.stdout) == (1, "configmap/good created\n")
    assert said.stderr.startswith('error: configmap/Bad_Name: the server refused (Invalid): ConfigMap "Bad_Name"')


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"a: [b", "standard input is not YAML"),
        (b"\xff\xfe\x00", "standard input is not text in UTF-8"),
        (b"just words", "standard input is not an object"),
        (b"", "there are no objects in -"),
        (b"--- \n---\n", "there are no objects in -"),
        (b"kind: Pod\nmetadata: {name: a}", "standard input has no apiVersion"),
        (b"apiVersion: v1\nkind: 5\nmetadata: {name: a}", "standard input has no kind"),
        (b"apiVersion: v1\nkind: Pod\nmetadata: 5", "standard input, a Pod, has no metadata.name"),
        (b"apiVersion: v1\nkind: Pod", "standard input, a Pod, has no metadata.name"),
        (b"apiVersion: v1\nkind: List\nitems: [3]", "standard input, item 1 is not an object"),
        (b"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\n[]", "standard input, document 2 is not an object"),
        (b"apiVersion: v1\nkind: Unicorn\nmetadata: {name: a}", "the server knows no kind 'Unicorn' in version 'v1'"),
    ],
)
@pytest.mark.parametrize("command", ["apply", "delete"])
def test_what_is_no_manifest_is_refused(run: Run, command: str, text: bytes, why: str) -> None:
    said = run(f"{command} -f -", stdin=text)
    assert said.exit_code == 1
    assert said.stderr.startswith(f"error: {why}")


def test_a_file_that_is_not_there(run: Run) -> None:
    said = run("apply -f /nowhere/at/all.yaml")
    assert (said.exit_code, said.stderr) == (1, "error: cannot read /nowhere/at/all.yaml: No such file or directory\n")


def test_get_prints_the_servers_table(run: Run) -> None:
    run("apply -f -", stdin=json.dumps(config_map("a", x="1", y="2")))
    head, row = run("get cm").stdout.splitlines()
    assert (head.split(), row.split()[:2]) == (["NAME", "DATA", "AGE"], ["a", "2"])
    head, row = run("get ConfigMap -A -l of=a").stdout.splitlines()
    assert (head.split(), row.split()[:3]) == (["NAMESPACE", "NAME", "DATA", "AGE"], ["default", "a", "2"])


def test_several_types_are_several_tables_with_whole_names(run: Run) -> None:
    run("apply -f -", stdin=yaml.safe_dump_all([config_map("a"), deployment("web")]))
    for command in ("get cm,deploy", "get cm/a deploy/web"):
        tables = run(command).stdout.split("\n\n")
        assert [table.splitlines()[1].split()[0] for table in tables] == ["configmap/a", "deployment.apps/web"]
    assert run("get cm,deploy -o name").stdout == "configmap/a\ndeployment.apps/web\n"
    whole = yaml.safe_load(run("get cm,deploy -o yaml").stdout)
    assert (whole["kind"], [each["metadata"]["name"] for each in whole["items"]]) == ("List", ["a", "web"])


def test_several_names_are_one_table(run: Run) -> None:
    run("apply -f -", stdin=yaml.safe_dump_all([config_map("a"), config_map("b"), config_map("c")]))
    rows = run("get cm c a").stdout.splitlines()
    assert [row.split()[0] for row in rows] == ["NAME", "c", "a"]


def test_a_category_is_what_belongs_to_it(run: Run) -> None:
    run("apply -f -", stdin=yaml.safe_dump_all([config_map("a"), deployment("web")]))
    assert run("get all -o name").stdout.splitlines() == ["service/kubernetes", "deployment.apps/web"]


def test_nothing_found_says_so_on_the_error_stream(run: Run) -> None:
    said = run("get pods")
    assert (said.exit_code, said.stdout, said.stderr) == (0, "", "No resources found in default namespace.\n")


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ("get unicorns", 1, "error: the server has no resource type 'unicorns'"),
        ("get pods,unicorns", 1, "error: the server has no resource type 'unicorns'"),
        ("get cm nope", 1, 'error: the server refused (NotFound): configmaps "nope" not found'),
        ("get cm/", 1, "error: 'cm/' does not name an object"),
        ("get cm/a/b", 1, "error: 'cm/a/b' does not name an object"),
        ("get cm/a b", 1, "error: 'b' does not name an object"),
        ("get all/a", 1, "error: 'all' is not one type"),
        ("get cm -w -o yaml", 2, "--watch shows tables and names"),
        ("get cm,pods -w", 2, "--watch follows one type"),
        ("get cm a -l b=c", 2, "either names or --selector"),
        ("get cm a -A", 2, "leave out --all-namespaces"),
        ("get", 2, "Missing argument"),
        ("get pods -l (", 1, "error: the server refused (BadRequest): "),
        ("delete", 2, "name what to delete"),
        ("delete cm", 2, "configmaps: either a name, or --all or --selector"),
        ("delete cm a --all", 2, "either a name, or --all or --selector"),
        ("delete cm --all -l a=b", 2, "either --all or --selector"),
        ("delete cm nope", 1, 'error: configmap/nope: the server refused (NotFound): configmaps "nope" not found'),
        ("logs nope", 1, 'error: the server refused (NotFound): pods "nope" not found'),
        ("logs a/b", 1, 'error: the server refused (NotFound): pods "a/b" not found'),
        ("exec nope ls", 1, 'error: the server refused (NotFound): pods "nope" not found'),
        ("exec nope --", 2, "name the command to run"),
        ("exec nope", 2, "Missing argument"),
    ],
)
def test_mistakes_are_named(run: Run, words: str, code: int, why: str) -> None:
    command, *rest = words.split()
    said = run(command, *rest)
    assert (said.exit_code, why in said.stderr) == (code, True), said.stderr


def test_delete_by_name_selector_all_and_manifest(run: Run) -> None:
    run("apply -f -", stdin=yaml.safe_dump_all([config_map(name) for name in "abcde"]))
    assert run("delete cm a").stdout == "configmap/a deleted\n"
    assert run("delete cm/b").stdout == "configmap/b deleted\n"
    assert run("delete cm -l of=c").stdout == "configmap/c deleted\n"
    said = run("delete -f -", stdin=yaml.safe_dump_all([config_map("a"), config_map("d")]))
    assert (said.exit_code, said.stdout) == (1, "configmap/d deleted\n")  # the one that is gone stops nothing
    assert run("delete cm --all").stdout == "configmap/e deleted\n"
