"""Every resource that is served by default, through every verb over HTTPS: one row of catalogue.yaml each."""

from __future__ import annotations

import base64
import copy
import datetime
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from podkeeper.api.catalogue import Resource
from podkeeper.api.patches import merge_patch
from podkeeper.api.resources import RESOURCES
from podkeeper.registry.storage_versions import is_stored

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC_PATCH, APPLY_PATCH = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
ROWS = {f"{row.api_version}/{row.name}": row for row in RESOURCES if row.enabled and is_stored(row)}
#: The server's own keepers write the status of these at any time, and definitions wait for their objects to go.
DEFINITIONS = "apiextensions.k8s.io/v1/customresourcedefinitions"
KEPT = (
    DEFINITIONS,
    "admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "apiregistration.k8s.io/v1/apiservices",
)
QUIET = [name for name in ROWS if name not in ("v1/resourcequotas", *KEPT)]
WITH_STATUS = [name for name in QUIET if "status" in ROWS[name].subresources]
WITH_SCALE = [name for name, row in ROWS.items() if "scale" in row.subresources]


def _pem(made: x509.Certificate | x509.CertificateSigningRequest) -> str:
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


def _table() -> dict[str, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "jane")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    day = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day + datetime.timedelta(1))
    text = (Path(__file__).parent / "catalogue.yaml").read_text()
    text = text.replace("SIGNING_REQUEST", _pem(request))
    loaded: dict[str, Any] = yaml.safe_load(text.replace("CERTIFICATE", _pem(certificate.sign(key, hashes.SHA256()))))
    return loaded


TABLE = _table()


@dataclass(frozen=True)
class Sample:
    """One object of a row of the table, named after what it is made for."""

    row: Resource
    entry: dict[str, Any]
    api: Any
    purpose: str

    @property
    def collection(self) -> str:
        return self.row.path("default")

    @property
    def name(self) -> str:
        return str(self._filled(self.entry.get("name", "PURPOSE")))

    @property
    def tree(self) -> dict[str, Any]:
        """The body that creates it."""
        tree = self._filled(self.entry["object"])
        head = {"apiVersion": self.row.api_version, "kind": self.row.kind, "metadata": {"name": self.name}}
        return {**tree, **head}

    @property
    def change(self) -> dict[str, Any]:
        """A merge patch of what the client wishes."""
        return dict(self._filled(self.entry["change"]))

    @property
    def status(self) -> dict[str, Any]:
        """A merge patch of the status."""
        return {"status": self._filled(self.entry["status"])}

    @property
    def details(self) -> dict[str, Any]:
        """What a Status says of it."""
        group = {"group": self.row.group} if self.row.group else {}
        return {"name": self.name, "kind": self.row.name} | group

    @property
    def quoted(self) -> str:
        """How messages name it."""
        return f'{self.row.qualified_name} "{self.name}"'

    def path(self, subresource: str = "") -> str:
        return self.row.path("default", self.name, subresource)

    async def make(self) -> dict[str, Any]:
        answer = await self.api("POST", self.collection, self.tree)
        assert answer.status == 201, answer.body
        made = answer.tree
        while (
            self.row.name == "flowschemas" and not made["status"]
        ):  # the server tells at once whether its level exists
            made = (await self.api("GET", self.path())).tree
        return dict(made)

    async def remove(self) -> None:
        """Takes it away, whatever holds it."""
        await self.api("DELETE", f"{self.path()}?gracePeriodSeconds=0")
        left = await self.api("GET", self.path())
        if left.status == 200:
            free = {"metadata": {"finalizers": None}}
            await self.api("PATCH", self.path(), free, content_type=MERGE_PATCH)
        if left.status == 200 and left.tree.get("spec", {}).get("finalizers"):
            await self.api("PUT", self.path("finalize"), left.tree | {"spec": {}})

    def _filled(self, value: Any) -> Any:
        number = 1 + zlib.crc32(self.purpose.encode()) % 250
        return json.loads(json.dumps(value).replace("PURPOSE", self.purpose).replace("NUMBER", str(number)))


def sample_of(api: Any, name: str, purpose: str) -> Sample:
    row = ROWS[name]
    return Sample(row, TABLE[row.api_version][row.name], api, purpose)


def with_patch(tree: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """A tree with a merge patch applied."""
    return dict(merge_patch.apply(copy.deepcopy(tree), change))


def without_version(tree: dict[str, Any], *more: str) -> dict[str, Any]:
    """What must be the same after a change that changed nothing else."""
    kept = {key: value for key, value in tree.items() if key not in more}
    dropped = ("resourceVersion", "managedFields", *(("generation",) if more else ()))
    kept["metadata"] = {key: value for key, value in tree["metadata"].items() if key not in dropped}
    return kept


def holds(tree: Any, change: Any) -> bool:
    """Whether a tree has everything that a merge patch put in."""
    if isinstance(change, dict):
        return all(holds((tree or {}).get(key), value) for key, value in change.items())
    if isinstance(change, list):
        return len(tree or ()) == len(change) and all(map(holds, tree or (), change))
    return bool(tree == change)


async def test_the_table_covers_the_catalogue() -> None:
    assert {f"{version}/{name}" for version, rows in TABLE.items() for name in rows} == set(ROWS)


@pytest.mark.parametrize("name", QUIET)
async def test_an_object_is_made_read_listed_and_watched(api: Any, name: str) -> None:
    sample = sample_of(api, name, "read")
    made = await sample.make()
    metadata = made["metadata"]
    assert (made["apiVersion"], made["kind"]) == (sample.row.api_version, sample.row.kind)
    assert {"uid", "creationTimestamp", "resourceVersion"} <= metadata.keys()
    assert not {"selfLink", "deletionTimestamp"} & metadata.keys()
    assert metadata.get("generation") == sample.entry.get("generations", [None])[0]
    assert (await api("GET", sample.path())).tree == made
    for path in {sample.collection, sample.row.path()}:
        listed = (await api("GET", path)).tree
        assert (listed["kind"], listed["apiVersion"]) == (f"{sample.row.kind}List", sample.row.api_version)
        assert [each for each in listed["items"] if each["metadata"]["name"] == metadata["name"]] == [made]
    query = f"watch=1&fieldSelector=metadata.name%3D{metadata['name']}"
    assert await api.first_line(f"{sample.collection}?{query}") == {"type": "ADDED", "object": made}
    await sample.remove()


@pytest.mark.parametrize("name", QUIET)
async def test_an_object_is_updated(api: Any, name: str) -> None:
    sample = sample_of(api, name, "put")
    made = await sample.make()
    path = sample.path()
    again = await api("PUT", path, made)
    assert (again.status, again.tree) == (200, made), again.body
    updated = await api("PUT", path, with_patch(made, sample.change))
    assert updated.status == 200, updated.body
    assert holds(updated.tree, sample.change)
    assert int(updated.tree["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    assert updated.tree["metadata"].get("generation") == sample.entry.get("generations", [None])[-1]
    stale = await api("PUT", path, made)
    assert (stale.status, stale.tree["reason"]) == (409, "Conflict")
    why = "the object has been modified; please apply your changes to the latest version and try again"
    named = f"{sample.quoted}"
    assert stale.message == f"Operation cannot be fulfilled on {named}: {why}"
    assert stale.tree["details"] == sample.details
    assert (await api("GET", path)).tree == updated.tree
    await sample.remove()


@pytest.mark.parametrize("name", QUIET)
async def test_an_object_is_patched(api: Any, name: str) -> None:
    sample = sample_of(api, name, "patch")
    for media in (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH):
        made = await sample.make()
        body = as_json_patch(made, sample.change) if media == JSON_PATCH else sample.change
        answer = await api("PATCH", sample.path(), body, content_type=media)
        assert answer.status == 200, answer.body
        # A strategic patch adds to lists that the other two replace.
        assert media == STRATEGIC_PATCH or holds(answer.tree, sample.change)
        assert answer.tree["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
        again = await api("PATCH", sample.path(), body, content_type=media)
        assert again.tree == answer.tree
        # Annotations of a Deployment count as a new generation, labels of an EndpointSlice do.
        noted: dict[str, Any] = {"metadata": {sample.entry.get("uncounted", "annotations"): {"x": "y"}}}
        body = as_json_patch(again.tree, noted) if media == JSON_PATCH else noted
        answer = await api("PATCH", sample.path(), body, content_type=media)
        assert holds(answer.tree, noted)
        assert answer.tree["metadata"].get("generation") == again.tree["metadata"].get("generation")
        await sample.remove()


def as_json_patch(tree: dict[str, Any], change: dict[str, Any]) -> list[dict[str, Any]]:
    """A JSON patch that does to a tree what a merge patch would, and tests one member."""
    wanted = with_patch(tree, change)
    patch = [{"op": "add", "path": f"/{key}", "value": wanted[key]} for key in change if key != "metadata"]
    members = change.get("metadata", {})
    patch += [{"op": "add", "path": f"/metadata/{key}", "value": wanted["metadata"][key]} for key in members]
    return [*patch, {"op": "test", "path": "/kind", "value": tree["kind"]}]


@pytest.mark.parametrize("name", QUIET)
async def test_an_object_is_applied(api: Any, name: str) -> None:
    sample = sample_of(api, name, "apply")
    labelled = with_patch(sample.tree, {"metadata": {"labels": {"applied": "yes"}}})
    made = await apply(sample, labelled)
    assert made.status == 201, made.body
    again = await apply(sample, labelled)
    aside = ("status",) if sample.row.name == "flowschemas" else ()  # the server tells whether its level exists
    assert again.status == 200, again.body
    assert without_version(again.tree, *aside) == without_version(made.tree, *aside)
    [managed] = [each for each in again.tree["metadata"]["managedFields"] if each["manager"] == "test-apply"]
    assert (managed["operation"], managed["apiVersion"]) == ("Apply", sample.row.api_version)
    await sample.remove()
    written = await sample.make()
    head = {"apiVersion": made.tree["apiVersion"], "kind": made.tree["kind"]}
    identity = {key: written["metadata"][key] for key in ("name", "namespace", "uid") if key in written["metadata"]}
    # An apply adds to lists that a merge patch replaces.
    change = {"metadata": {"labels": {"changed": "yes"}}} if listed(sample.change) else sample.change
    changed = await apply(sample, with_patch(head | {"metadata": identity}, change), "&force=true")
    assert changed.status == 200, changed.body
    assert holds(changed.tree, change)
    assert int(changed.tree["metadata"]["resourceVersion"]) > int(written["metadata"]["resourceVersion"])
    other = await apply(sample, head | {"metadata": identity | {"uid": "another"}})
    assert (other.status, other.tree["reason"]) == (409, "Conflict"), other.body
    await sample.remove()


async def apply(sample: Sample, tree: dict[str, Any], options: str = "", subresource: str = "") -> Any:
    """Applies strictly, as one manager."""
    query = f"fieldManager=test-apply&fieldValidation=Strict{options}"
    return await sample.api("PATCH", f"{sample.path(subresource)}?{query}", tree, content_type=APPLY_PATCH)


def listed(value: Any) -> bool:
    """Whether there is a list in it."""
    return isinstance(value, list) or (isinstance(value, dict) and any(map(listed, value.values())))


@pytest.mark.parametrize("name", WITH_STATUS)
async def test_the_status_is_applied(api: Any, name: str) -> None:
    sample = sample_of(api, name, "applied-status")
    made = await sample.make()
    tree = {"apiVersion": made["apiVersion"], "kind": made["kind"], "metadata": {"name": made["metadata"]["name"]}}
    applied = await apply(sample, tree | sample.status, "&force=true", "status")
    assert applied.status == 200, applied.body
    assert listed(sample.status) or holds(applied.tree, sample.status)
    assert without_version(applied.tree, "status") == without_version(made, "status")
    [managed] = [each for each in applied.tree["metadata"]["managedFields"] if each["manager"] == "test-apply"]
    assert (managed["operation"], managed.get("subresource")) == ("Apply", "status")
    aside = await apply(sample, tree | sample.status, "&force=true")
    assert aside.status == 200, aside.body
    assert aside.tree.get("status") == applied.tree.get("status")
    await sample.remove()


@pytest.mark.parametrize("name", WITH_STATUS)
async def test_the_status_is_written_through_its_own_door(api: Any, name: str) -> None:
    sample = sample_of(api, name, "status")
    made = await sample.make()
    path, through = sample.path(), sample.path("status")
    everything = with_patch(with_patch(made, sample.change), sample.status)
    wanted = sample.status
    written = await api("PUT", through, everything)
    assert written.status == 200, written.body
    assert holds(written.tree, wanted)
    if "labels" not in everything["metadata"]:
        assert without_version(written.tree, "status") == without_version(made, "status")
    assert written.tree["metadata"].get("generation") == made["metadata"].get("generation")
    assert (await api("GET", through)).tree == written.tree
    for media in (MERGE_PATCH, STRATEGIC_PATCH):
        patched = await api("PATCH", through, {**wanted, "spec": sample.change.get("spec")}, content_type=media)
        assert patched.status == 200, patched.body
        assert without_version(patched.tree, "status") == without_version(written.tree, "status")
        assert holds(patched.tree, wanted)
    stale = await api("PUT", through, made)
    assert (stale.status, stale.tree["reason"]) == (409, "Conflict"), stale.body
    now = (await api("GET", path)).tree
    aside = await api("PUT", path, now | {"status": made.get("status", {})})
    assert aside.status == 200, aside.body
    assert aside.tree == now
    await sample.remove()


@pytest.mark.parametrize("name", ROWS)
async def test_an_object_is_deleted(api: Any, name: str) -> None:
    sample = sample_of(api, name, "delete")
    made = await sample.make()
    path = sample.path()
    precondition = {"preconditions": {"uid": "another"}}
    kept = await api("DELETE", path, precondition)
    assert (kept.status, kept.tree["reason"]) == (409, "Conflict"), kept.body
    gone = await api("DELETE", f"{path}?propagationPolicy=Background")
    assert gone.status == 200, gone.body
    if gone.tree["kind"] == "Status":
        wanted = sample.details | {"name": sample.name, "uid": made["metadata"]["uid"]}
        assert (gone.tree["status"], gone.tree["details"]) == ("Success", wanted)
    else:
        assert gone.tree["metadata"]["uid"] == made["metadata"]["uid"]
    await sample.remove()
    anew = await api("PUT", f"{path}?dryRun=All", sample.tree)
    assert anew.status == (201 if sample.entry.get("creates") else 404), anew.body
    refusals = [await api("GET", path), await api("DELETE", path)]
    refusals += [await api("PATCH", path, {}, content_type=MERGE_PATCH)]
    for refusal in refusals if sample.entry.get("creates") else [*refusals, anew]:
        assert (refusal.status, refusal.tree["reason"]) == (404, "NotFound"), refusal.body
        assert (refusal.message, refusal.tree["details"]) == (f"{sample.quoted} not found", sample.details)


@pytest.mark.parametrize("name", ROWS)
async def test_a_name_is_taken_once(api: Any, name: str) -> None:
    sample = sample_of(api, name, "twice")
    await sample.make()
    again = await api("POST", sample.collection, sample.tree)
    assert (again.status, again.tree["reason"]) == (409, "AlreadyExists"), again.body
    assert again.message == f"{sample.quoted} already exists"
    assert again.tree["details"] == sample.details
    dry = await api("POST", f"{sample.collection}?dryRun=All", sample.tree)
    assert (dry.status, dry.tree["reason"]) == (409, "AlreadyExists")
    await sample.remove()


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if "deletecollection" in row.verbs])
async def test_a_selection_is_deleted(api: Any, name: str) -> None:
    one, two, three = samples = [sample_of(api, name, purpose) for purpose in ("one", "two", "three")]
    for sample, label in zip(samples, "xxy", strict=True):
        tree = sample.tree
        tree["metadata"]["labels"] = {"selected": label}
        answer = await api("POST", sample.collection, tree)
        assert answer.status == 201, answer.body
    query = "labelSelector=selected%3Dx&gracePeriodSeconds=0"
    tried = await api("DELETE", f"{one.collection}?{query}&dryRun=All")
    assert len(tried.tree["items"]) == 2
    gone = await api("DELETE", f"{one.collection}?{query}")
    assert (gone.status, gone.tree["kind"]) == (200, f"{one.row.kind}List"), gone.body
    assert {each["metadata"]["name"] for each in gone.tree["items"]} == {one.name, two.name}
    for sample in (one, two):
        await sample.remove()
    left = await api("GET", f"{one.collection}?labelSelector=selected")
    assert [each["metadata"]["name"] for each in left.tree["items"]] == [three.name]
    await three.remove()


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if "name" not in TABLE[row.api_version][row.name]])
async def test_a_name_is_generated(api: Any, name: str) -> None:
    sample = sample_of(api, name, "any")
    tree = sample.tree
    tree["metadata"] = {"generateName": "made-"} | {k: v for k, v in tree["metadata"].items() if k != "name"}
    answer = await api("POST", f"{sample.collection}?dryRun=All", tree)
    assert answer.status == 201, answer.body
    assert len(answer.tree["metadata"]["name"]) == len("made-") + 5
    assert answer.tree["metadata"]["generateName"] == "made-"


@pytest.mark.parametrize("name", QUIET)
async def test_a_dry_run_changes_nothing(api: Any, name: str) -> None:
    sample = sample_of(api, name, "dry")
    tree = sample.tree
    assert (await api("POST", f"{sample.collection}?dryRun=All", tree)).status == 201
    assert (await api("GET", sample.path())).status == 404
    made = await sample.make()
    path = sample.path()
    before = (await api("GET", path)).tree
    updated = await api("PUT", f"{path}?dryRun=All", with_patch(made, sample.change))
    assert updated.status == 200
    assert holds(updated.tree, sample.change)
    patched = await api("PATCH", f"{path}?dryRun=All", sample.change, content_type=MERGE_PATCH)
    assert patched.status == 200
    assert (await api("DELETE", f"{path}?dryRun=All")).status == 200
    assert (await api("GET", path)).tree == before
    await sample.remove()


@pytest.mark.parametrize("name", WITH_SCALE)
async def test_replicas_are_scaled(api: Any, name: str) -> None:
    sample = sample_of(api, name, "scale")
    made = await sample.make()
    path = sample.path("scale")
    scale = (await api("GET", path)).tree
    assert (scale["apiVersion"], scale["kind"], scale["spec"]) == ("autoscaling/v1", "Scale", {"replicas": 1})
    metadata = {key: made["metadata"][key] for key in ("name", "namespace", "uid", "creationTimestamp")}
    assert scale["metadata"] == metadata | {"resourceVersion": made["metadata"]["resourceVersion"]}
    assert scale["status"] == {"replicas": 0, "selector": "app=x"}
    scaled = await api("PUT", path, scale | {"spec": {"replicas": 3}})
    assert (scaled.status, scaled.tree["spec"]) == (200, {"replicas": 3}), scaled.body
    stale = await api("PUT", path, scale | {"spec": {"replicas": 4}})
    assert (stale.status, stale.tree["reason"]) == (409, "Conflict")
    for media, replicas in ((MERGE_PATCH, 5), (STRATEGIC_PATCH, 6)):
        patched = await api("PATCH", path, {"spec": {"replicas": replicas}}, content_type=media)
        assert (patched.status, patched.tree["kind"], patched.tree["spec"]["replicas"]) == (200, "Scale", replicas)
    patched = await api(
        "PATCH", path, [{"op": "replace", "path": "/spec/replicas", "value": 0}], content_type=JSON_PATCH
    )
    assert (patched.status, patched.tree["spec"]) == (200, {}), patched.body
    assert (await api("GET", sample.path())).tree["spec"]["replicas"] == 0
    wrong = await api("PUT", path, scale | {"metadata": {"name": sample.name}, "spec": {"replicas": -1}})
    assert (wrong.status, wrong.tree["reason"]) == (422, "Invalid")
    missing = await api("GET", sample_of(api, name, "absent").path("scale"))
    assert (missing.status, missing.tree["reason"]) == (404, "NotFound")
    await sample.remove()
