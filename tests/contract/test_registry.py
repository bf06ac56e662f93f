"""The contract of ``registry.verbs``, over every store engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from podkeeper.api.errors import ApiError
from podkeeper.api.user import UserInfo
from podkeeper.registry.admission import Attributes
from podkeeper.registry.assembly import RegistryConfig, StoreRegistry, open_registry
from podkeeper.registry.generic import GenericVerbs
from podkeeper.registry.verbs import (
    DeleteOptions,
    FieldValidation,
    Item,
    ListOptions,
    PatchType,
    RequestContext,
    WatchEvent,
)
from podkeeper.storage.memory import MemoryStore
from podkeeper.storage.sqlite import SqliteStore
from podkeeper.storage.store import Store
from podkeeper.testing.fake_clock import FakeClock

Tree = dict[str, Any]


class AdmitsAll:
    """Admission that records what it is asked, and refuses names that begin with ``refused``."""

    def __init__(self) -> None:
        self.mutated: list[Attributes] = []
        self.validated: list[Attributes] = []

    async def mutate(self, attributes: Attributes) -> None:
        self.mutated.append(attributes)

    async def validate(self, attributes: Attributes) -> None:
        self.validated.append(attributes)
        if attributes.name.startswith("refused"):
            raise ApiError(403, "Forbidden", "refused by the test")


class House:
    """A running registry and what a test needs around it."""

    def __init__(self, registry: StoreRegistry, store: Store, clock: FakeClock, admission: AdmitsAll) -> None:
        self.registry, self.store, self.clock, self.admission = registry, store, clock, admission
        self.context = RequestContext(UserInfo("tester", groups=("makers",)))

    def of(self, resource: str, group: str = "", version: str = "v1") -> GenericVerbs:
        verbs = self.registry.verbs(group, version, resource)
        assert verbs is not None
        return verbs

    async def create(self, resource: str, tree: Tree, namespace: str = "default", group: str = "") -> Tree:
        return tree_of(await self.of(resource, group).create(self.context, namespace, tree))

    async def patch(
        self,
        resource: str,
        name: str,
        patch: Any,
        *,
        group: str = "",
        subresource: str = "",
        namespace: str = "default",
    ) -> Tree:
        verbs = self.of(resource, group)
        item, _ = await verbs.patch(self.context, namespace, name, patch, PatchType.MERGE, subresource)
        return tree_of(item)


def tree_of(item: Item) -> Tree:
    tree: Tree = json.loads(item.json)
    return tree


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> Tree:
    return {"metadata": {"name": name, "labels": labels or {}}, "data": data}


def pod(name: str, **spec: Any) -> Tree:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    engine: Store = MemoryStore() if request.param == "memory" else await SqliteStore.open(tmp_path / "store.db")
    yield engine
    await engine.close()


@pytest.fixture
async def house(store: Store) -> AsyncIterator[House]:
    clock, admission = FakeClock(), AdmitsAll()
    registry = await open_registry(store, admission, clock, RegistryConfig("10.96.0.0/24", (30000, 30100)))
    started = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(registry.run(started))
        await started.wait()
        house = House(registry, store, clock, admission)
        await house.create("namespaces", {"metadata": {"name": "default"}}, "")
        yield house
        running.cancel()


class Events:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.seen: list[WatchEvent] = []
        self.closed = False
        self._arrived = asyncio.Event()

    def __call__(self, events: Sequence[WatchEvent]) -> None:
        self.seen.extend(events)
        self._arrived.set()

    def close(self) -> None:
        self.closed = True

    async def wait_for(self, count: int) -> list[tuple[str, str]]:
        """Type and name of the first ``count`` events."""
        async with asyncio.timeout(10):
            while len(self.seen) < count:
                self._arrived.clear()
                await self._arrived.wait()
        assert len(self.seen) == count
        return [(event.type, event.item.name if event.item else "") for event in self.seen]


async def refusal(code: int, work: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await work
    assert caught.value.code == code, caught.value.status()
    return caught.value


class TestCreate:
    async def test_the_server_sets_what_is_its_own(self, house: House) -> None:
        body = config_map("a", k="v")
        body["metadata"] |= {"uid": "mine", "creationTimestamp": None, "managedFields": [{"manager": "x"}]}
        made = await house.create("configmaps", body)
        metadata = made["metadata"]
        assert (made["apiVersion"], made["kind"], made["data"]) == ("v1", "ConfigMap", {"k": "v"})
        assert metadata["uid"] != "mine"
        assert len(metadata["uid"]) == 36
        assert metadata["creationTimestamp"] == "2023-11-14T22:13:20Z"
        assert int(metadata["resourceVersion"]) == house.store.revision
        (entry,) = metadata["managedFields"]
        assert (entry["manager"], entry["fieldsV1"]) == ("kube-apiserver", {"f:data": {".": {}, "f:k": {}}})

    async def test_what_was_created_is_read_at_once(self, house: House) -> None:
        made = await house.create("configmaps", config_map("a"))
        assert tree_of(await house.of("configmaps").get("default", "a")) == made
        listing = await house.of("configmaps").list("default", ListOptions())
        assert json.loads(listing.json)["items"] == [made]

    async def test_stored_bytes_begin_as_agreed_and_carry_no_version(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        record = await house.store.get("/configmaps/default/a")
        assert record is not None
        assert record.value.startswith(b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"')
        assert b"resourceVersion" not in record.value

    async def test_names_are_generated(self, house: House) -> None:
        made = [await house.create("configmaps", {"metadata": {"generateName": "cm-"}}) for _ in range(3)]
        names = {each["metadata"]["name"] for each in made}
        assert len(names) == 3
        assert all(name.startswith("cm-") and len(name) == 8 for name in names)

    async def test_a_name_is_required(self, house: House) -> None:
        error = await refusal(422, house.create("configmaps", {"metadata": {}}))
        assert error.message.endswith("metadata.name: Required value: name or generateName is required")

    async def test_a_taken_name_is_refused(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        error = await refusal(409, house.create("configmaps", config_map("a")))
        assert (error.reason, error.message) == ("AlreadyExists", 'configmaps "a" already exists')

    async def test_a_missing_namespace_is_named(self, house: House) -> None:
        error = await refusal(404, house.create("configmaps", config_map("a"), "nowhere"))
        assert error.message == 'namespaces "nowhere" not found'

    async def test_a_terminating_namespace_takes_nothing_new(self, house: House) -> None:
        await house.create("namespaces", {"metadata": {"name": "going"}}, "")
        await house.of("namespaces").delete(house.context, "", "going", DeleteOptions())
        error = await refusal(403, house.create("configmaps", config_map("a"), "going"))
        assert "because it is being terminated" in error.message
        assert error.causes[0].reason == "NamespaceTerminating"

    async def test_the_namespaces_must_agree(self, house: House) -> None:
        body = config_map("a")
        body["metadata"]["namespace"] = "other"
        error = await refusal(400, house.create("configmaps", body))
        assert error.message == (
            "the namespace of the provided object does not match the namespace sent on the request"
        )

    async def test_a_body_of_another_kind_is_refused(self, house: House) -> None:
        error = await refusal(400, house.create("configmaps", {"apiVersion": "v1", "kind": "Pod", "metadata": {}}))
        assert error.message == 'Pod in version "v1" cannot be handled as a ConfigMap'
        error = await refusal(400, house.create("configmaps", {"apiVersion": "v2", "metadata": {}}))
        assert "does not match the expected API version (v1)" in error.message

    @pytest.mark.parametrize(
        "body",
        [
            {"metadata": {"name": "a"}, "data": {"k": 1}},
            {"metadata": {"name": "a"}, "data": []},
            {"metadata": {"name": 1}},
            {"metadata": []},
        ],
    )
    async def test_a_wrong_type_is_a_bad_request_and_changes_nothing(self, house: House, body: Tree) -> None:
        before = house.store.revision
        await refusal(400, house.create("configmaps", body))
        assert house.store.revision == before

    async def test_a_wrong_type_in_what_the_server_resets_is_one_too(self, house: House) -> None:
        await refusal(400, house.create("pods", pod("a") | {"status": {"phase": 1}}))
        await refusal(400, house.create("pods", {"metadata": {"name": "a"}, "spec": "none"}))

    async def test_unknown_fields_warn_or_are_refused(self, house: House) -> None:
        await house.create("configmaps", config_map("a") | {"dota": {}})
        assert house.context.warnings == ['unknown field "dota"']
        house.context.field_validation = FieldValidation.STRICT
        error = await refusal(400, house.create("configmaps", config_map("b") | {"dota": {}}))
        assert error.message.endswith('strict decoding error: unknown field "dota"')
        house.context.field_validation = FieldValidation.IGNORE
        await house.create("configmaps", config_map("c") | {"dota": {}})
        assert len(house.context.warnings) == 1

    async def test_a_dry_run_leaves_nothing_behind(self, house: House) -> None:
        before = house.store.revision
        house.context.dry_run = True
        made = await house.create("configmaps", config_map("a"))
        assert made["metadata"]["uid"]
        assert "resourceVersion" not in made["metadata"]
        assert house.store.revision == before

    async def test_admission_sees_the_object_and_can_refuse(self, house: House) -> None:
        await refusal(403, house.create("configmaps", config_map("refused-a")))
        await refusal(404, house.of("configmaps").get("default", "refused-a"))
        seen = house.admission.validated[-1]
        assert seen.tree is not None
        assert (seen.operation, seen.namespace, seen.tree["metadata"]["name"]) == ("CREATE", "default", "refused-a")


class TestUpdate:
    async def test_the_newest_version_is_replaced(self, house: House) -> None:
        made = await house.create("configmaps", config_map("a", k="1"))
        made["data"] = {"k": "2"}
        item, created = await house.of("configmaps").update(house.context, "default", "a", made)
        assert not created
        assert tree_of(item)["data"] == {"k": "2"}
        assert item.revision > int(made["metadata"]["resourceVersion"])

    async def test_an_old_version_conflicts(self, house: House) -> None:
        made = await house.create("configmaps", config_map("a", k="1"))
        await house.patch("configmaps", "a", {"data": {"k": "2"}})
        error = await refusal(409, house.of("configmaps").update(house.context, "default", "a", made))
        assert error.reason == "Conflict"
        assert error.message.startswith('Operation cannot be fulfilled on configmaps "a": the object has been modified')

    async def test_without_a_version_it_is_unconditional(self, house: House) -> None:
        await house.create("configmaps", config_map("a", k="1"))
        item, _ = await house.of("configmaps").update(house.context, "default", "a", config_map("a", k="9"))
        assert tree_of(item)["data"] == {"k": "9"}

    async def test_where_the_kind_demands_a_version_it_is_demanded(self, house: House) -> None:
        lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "x"}}
        leases = house.of("leases", "coordination.k8s.io")
        _, created = await leases.update(house.context, "default", "l", dict(lease))
        assert created
        error = await refusal(422, leases.update(house.context, "default", "l", dict(lease)))
        assert error.causes[0].field == "metadata.resourceVersion"

    async def test_a_missing_object_is_not_created_where_the_kind_does_not(self, house: House) -> None:
        await refusal(404, house.of("configmaps").update(house.context, "default", "a", config_map("a")))

    async def test_no_change_writes_nothing(self, house: House) -> None:
        made = await house.create("configmaps", config_map("a", k="1"))
        before = house.store.revision
        item, _ = await house.of("configmaps").update(house.context, "default", "a", made)
        await house.patch("configmaps", "a", {"data": {"k": "1"}})
        assert (house.store.revision, item.revision) == (before, before)

    async def test_another_uid_conflicts(self, house: House) -> None:
        made = await house.create("configmaps", config_map("a"))
        made["metadata"]["uid"] = "another"
        error = await refusal(409, house.of("configmaps").update(house.context, "default", "a", made))
        assert "Precondition failed: UID in precondition: another" in error.message

    async def test_names_must_agree(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        error = await refusal(400, house.of("configmaps").update(house.context, "default", "a", config_map("b")))
        assert error.message == "the name of the object (b) does not match the name on the URL (a)"

    async def test_the_generation_counts_specs_not_status_or_labels(self, house: House) -> None:
        made = await house.create("deployments", deployment("d"), group="apps")
        assert made["metadata"]["generation"] == 1
        made = await house.patch("deployments", "d", {"metadata": {"labels": {"a": "b"}}}, group="apps")
        assert made["metadata"]["generation"] == 1
        made = await house.patch("deployments", "d", {"spec": {"replicas": 2}}, group="apps")
        assert made["metadata"]["generation"] == 2
        status = {"status": {"observedGeneration": 2}, "spec": {"replicas": 7}}
        made = await house.patch("deployments", "d", status, group="apps", subresource="status")
        assert made["metadata"]["generation"] == 2
        assert made["spec"]["replicas"] == 2
        assert made["status"]["observedGeneration"] == 2
        made = await house.patch("deployments", "d", {"status": {"observedGeneration": 9}}, group="apps")
        assert made["status"]["observedGeneration"] == 2


def deployment(name: str) -> Tree:
    template = {"metadata": {"labels": {"app": "x"}}, "spec": pod("p")["spec"]}
    return {
        "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "x"}}, "template": template},
    }


class TestPatch:
    async def test_many_patches_of_one_object_all_land(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        await asyncio.gather(*(house.patch("configmaps", "a", {"data": {f"k{i}": "v"}}) for i in range(20)))
        assert len(tree_of(await house.of("configmaps").get("default", "a"))["data"]) == 20

    async def test_each_patch_is_a_change_of_its_own(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        events = Events()
        options = ListOptions(resource_version=str(house.store.revision))
        await house.of("configmaps").watch("default", options, events, events.close)
        patches = (house.patch("configmaps", "a", {"data": {"k": str(i)}}) for i in range(10))
        versions = [each["metadata"]["resourceVersion"] for each in await asyncio.gather(*patches)]
        assert await events.wait_for(10) == [("MODIFIED", "a")] * 10
        assert sorted(versions) == sorted(str(event.item.revision) for event in events.seen if event.item)

    async def test_a_patch_without_effect_waits_for_what_it_found(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        first, second = await asyncio.gather(
            house.patch("configmaps", "a", {"data": {"k": "v"}}), house.patch("configmaps", "a", {"data": {"k": "v"}})
        )
        assert first == second
        assert int(first["metadata"]["resourceVersion"]) == house.store.revision

    async def test_writers_with_versions_do_not_overwrite_each_other(self, house: House) -> None:
        made = await house.create("configmaps", config_map("a"))

        async def replace(value: str) -> bool:
            body = json.loads(json.dumps(made)) | {"data": {"k": value}}
            await house.of("configmaps").update(house.context, "default", "a", body)
            return True

        outcomes = await asyncio.gather(*(replace(str(i)) for i in range(8)), return_exceptions=True)
        assert sorted(each.code for each in outcomes if isinstance(each, ApiError)) == [409] * 7
        assert outcomes.count(True) == 1

    async def test_a_version_in_the_patch_must_be_the_newest(self, house: House) -> None:
        made = await house.create("configmaps", config_map("a"))
        version = made["metadata"]["resourceVersion"]
        await house.patch("configmaps", "a", {"metadata": {"resourceVersion": version}, "data": {"k": "1"}})
        stale = {"metadata": {"resourceVersion": version}, "data": {"k": "2"}}
        await refusal(409, house.patch("configmaps", "a", stale))

    async def test_json_and_strategic_patches(self, house: House) -> None:
        await house.create("pods", pod("p"))
        pods = house.of("pods")
        patch = [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]
        item, _ = await pods.patch(house.context, "default", "p", patch, PatchType.JSON)
        assert tree_of(item)["metadata"]["labels"] == {"a": "b"}
        strategic = {"spec": {"containers": [{"name": "c", "image": "j"}]}}
        item, _ = await pods.patch(house.context, "default", "p", strategic, PatchType.STRATEGIC)
        (container,) = tree_of(item)["spec"]["containers"]
        assert (container["name"], container["image"]) == ("c", "j")

    async def test_a_configuration_makes_what_is_not_there(self, house: House) -> None:
        config, config_maps = config_map("a", k="v") | {"apiVersion": "v1"}, house.of("configmaps")
        made, created = await config_maps.patch(house.context, "default", "a", config, PatchType.APPLY)
        assert (tree_of(made)["data"], created) == ({"k": "v"}, True)
        config["data"] = {"l": "w"}
        changed, created = await config_maps.patch(house.context, "default", "a", config, PatchType.APPLY)
        assert (tree_of(changed)["data"], created) == ({"l": "w"}, False)

    async def test_a_missing_object_is_not_found(self, house: House) -> None:
        await refusal(404, house.patch("configmaps", "a", {}))

    async def test_unknown_fields_of_a_patch_warn(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        await house.patch("configmaps", "a", {"dota": {"k": "v"}, "data": {"k": "v"}})
        assert house.context.warnings == ['unknown field "dota"']


class TestDelete:
    async def test_a_plain_object_is_gone_at_once(self, house: House) -> None:
        made = await house.create("configmaps", config_map("a"))
        outcome = await house.of("configmaps").delete(house.context, "default", "a", DeleteOptions())
        assert outcome.gone
        assert outcome.item.revision > int(made["metadata"]["resourceVersion"])
        await refusal(404, house.of("configmaps").get("default", "a"))
        await refusal(404, house.of("configmaps").delete(house.context, "default", "a", DeleteOptions()))

    async def test_preconditions(self, house: House) -> None:
        made = await house.create("configmaps", config_map("a"))
        verbs = house.of("configmaps")
        error = await refusal(409, verbs.delete(house.context, "default", "a", DeleteOptions(uid="another")))
        assert error.message.startswith('Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition')
        await refusal(409, verbs.delete(house.context, "default", "a", DeleteOptions(resource_version="1")))
        options = DeleteOptions(uid=made["metadata"]["uid"], resource_version=made["metadata"]["resourceVersion"])
        assert (await verbs.delete(house.context, "default", "a", options)).gone

    async def test_finalizers_hold_it_until_the_last_is_removed(self, house: House) -> None:
        body = config_map("a")
        body["metadata"]["finalizers"] = ["example.com/one"]
        await house.create("configmaps", body)
        outcome = await house.of("configmaps").delete(house.context, "default", "a", DeleteOptions())
        assert not outcome.gone
        waiting = tree_of(outcome.item)["metadata"]
        assert (waiting["deletionTimestamp"], waiting["deletionGracePeriodSeconds"]) == ("2023-11-14T22:13:20Z", 0)
        more = {"metadata": {"finalizers": ["example.com/one", "example.com/two"]}}
        error = await refusal(422, house.patch("configmaps", "a", more))
        assert "no new finalizers can be added if the object is being deleted" in error.message
        await house.patch("configmaps", "a", {"metadata": {"finalizers": None}})
        await refusal(404, house.of("configmaps").get("default", "a"))

    @pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
    async def test_propagation_is_a_finalizer(self, house: House, policy: str, finalizer: str) -> None:
        await house.create("configmaps", config_map("a"))
        outcome = await house.of("configmaps").delete(house.context, "default", "a", DeleteOptions(propagation=policy))
        assert not outcome.gone
        assert tree_of(outcome.item)["metadata"]["finalizers"] == [finalizer]

    async def test_an_unknown_policy_is_refused(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        options = DeleteOptions(propagation="Sideways")
        error = await refusal(422, house.of("configmaps").delete(house.context, "default", "a", options))
        assert error.message.endswith('supported values: "Foreground", "Background", "Orphan", "nil"')

    async def test_a_bound_pod_gets_its_grace_which_can_be_shortened(self, house: House) -> None:
        await house.create("pods", pod("p", terminationGracePeriodSeconds=20))
        await house.registry.bind_pod(house.context, "default", "p", {"target": {"name": "n"}})
        pods = house.of("pods")
        outcome = await pods.delete(house.context, "default", "p", DeleteOptions())
        assert not outcome.gone
        waiting = tree_of(outcome.item)["metadata"]
        assert (waiting["deletionTimestamp"], waiting["deletionGracePeriodSeconds"]) == ("2023-11-14T22:13:40Z", 20)
        longer = await pods.delete(house.context, "default", "p", DeleteOptions(grace_period=60))
        assert longer.item.revision == outcome.item.revision
        shorter = await pods.delete(house.context, "default", "p", DeleteOptions(grace_period=5))
        waiting = tree_of(shorter.item)["metadata"]
        assert (waiting["deletionTimestamp"], waiting["deletionGracePeriodSeconds"]) == ("2023-11-14T22:13:25Z", 5)
        assert (await pods.delete(house.context, "default", "p", DeleteOptions(grace_period=0))).gone

    async def test_pods_that_run_nowhere_go_at_once(self, house: House) -> None:
        await house.create("pods", pod("p"))
        assert (await house.of("pods").delete(house.context, "default", "p", DeleteOptions())).gone
        await house.create("pods", pod("q", nodeName="n"))
        await house.patch("pods", "q", {"status": {"phase": "Succeeded"}}, subresource="status")
        assert (await house.of("pods").delete(house.context, "default", "q", DeleteOptions())).gone

    async def test_a_dry_run_deletes_nothing(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        house.context.dry_run = True
        assert (await house.of("configmaps").delete(house.context, "default", "a", DeleteOptions())).gone
        assert (await house.of("configmaps").get("default", "a")).name == "a"

    async def test_a_collection_by_label(self, house: House) -> None:
        for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
            await house.create("configmaps", config_map(name, {"color": color}))
        selection = ListOptions(label_selector="color=red")
        gone = await house.of("configmaps").delete_collection(house.context, "default", selection, DeleteOptions())
        assert [outcome.item.name for outcome in gone] == ["a", "c"]
        left = await house.of("configmaps").list("default", ListOptions())
        assert [item.name for item in left.items] == ["b"]

    async def test_a_namespace_is_held_until_it_is_finalized(self, house: House) -> None:
        await house.create("namespaces", {"metadata": {"name": "n"}}, "")
        namespaces = house.of("namespaces")
        outcome = await namespaces.delete(house.context, "", "n", DeleteOptions())
        waiting = tree_of(outcome.item)
        assert not outcome.gone
        assert waiting["status"]["phase"] == "Terminating"
        assert "deletionGracePeriodSeconds" not in waiting["metadata"]
        assert waiting["spec"]["finalizers"] == ["kubernetes"]
        waiting["spec"]["finalizers"] = []
        await namespaces.update(house.context, "", "n", waiting, "finalize")
        await refusal(404, namespaces.get("", "n"))


class TestList:
    async def test_order_selectors_and_namespaces(self, house: House) -> None:
        await house.create("namespaces", {"metadata": {"name": "other"}}, "")
        for namespace, name, color in (
            ("other", "z", "red"),
            ("default", "b", "red"),
            ("default", "a", "blue"),
        ):
            await house.create("configmaps", config_map(name, {"color": color}), namespace)
        verbs = house.of("configmaps")

        async def names(namespace: str, **options: Any) -> list[str]:
            return [item.name for item in (await verbs.list(namespace, ListOptions(**options))).items]

        assert await names("") == ["a", "b", "z"]
        assert await names("default") == ["a", "b"]
        assert await names("", label_selector="color=red") == ["b", "z"]
        assert await names("default", label_selector="color in (red,green)") == ["b"]
        assert await names("default", label_selector="!color") == []
        assert await names("", field_selector="metadata.name=b") == ["b"]
        assert await names("", field_selector="metadata.namespace=other") == ["z"]
        assert await names("default", field_selector="metadata.name!=b") == ["a"]

    async def test_pages_show_one_state(self, house: House) -> None:
        verbs = house.of("configmaps")
        for index in range(5):
            await house.create("configmaps", config_map(f"c{index}"))
        first = await verbs.list("default", ListOptions(limit=2))
        metadata = json.loads(first.json)["metadata"]
        assert ([item.name for item in first.items], first.remaining) == (["c0", "c1"], 3)
        assert (metadata["continue"], metadata["remainingItemCount"]) == (first.continuation, 3)
        # What happens between the pages is not seen by them.
        await verbs.delete(house.context, "default", "c2", DeleteOptions())
        await house.create("configmaps", config_map("c25"))
        second = await verbs.list("default", ListOptions(limit=2, continuation=first.continuation))
        assert ([item.name for item in second.items], second.remaining) == (["c2", "c3"], 1)
        third = await verbs.list("default", ListOptions(limit=2, continuation=second.continuation))
        assert ([item.name for item in third.items], third.continuation) == (["c4"], "")
        assert first.revision == second.revision == third.revision

    async def test_pages_with_a_selector(self, house: House) -> None:
        verbs = house.of("configmaps")
        for index in range(6):
            await house.create("configmaps", config_map(f"c{index}", {"even": str(index % 2 == 0).lower()}))
        first = await verbs.list("default", ListOptions(limit=2, label_selector="even=true"))
        assert ([item.name for item in first.items], first.remaining) == (["c0", "c2"], None)
        await house.create("configmaps", config_map("d", {"even": "true"}))
        options = ListOptions(limit=2, label_selector="even=true", continuation=first.continuation)
        second = await verbs.list("default", options)
        assert ([item.name for item in second.items], second.continuation) == (["c4"], "")

    async def test_an_exact_version_comes_from_the_log(self, house: House) -> None:
        made = await house.create("configmaps", config_map("a", k="1"))
        version = made["metadata"]["resourceVersion"]
        await house.patch("configmaps", "a", {"data": {"k": "2"}})
        options = ListOptions(resource_version=version, resource_version_match="Exact")
        old = json.loads((await house.of("configmaps").list("default", options)).json)
        assert (old["metadata"]["resourceVersion"], old["items"]) == (version, [made])

    async def test_a_compacted_version_is_expired(self, house: House) -> None:
        for index in range(3):
            await house.create("configmaps", config_map(f"c{index}"))
        verbs = house.of("configmaps")
        first = await verbs.list("default", ListOptions(limit=1))
        await house.patch("configmaps", "c2", {"data": {"k": "2"}})
        await house.store.compact(house.store.revision)
        options = ListOptions(resource_version="2", resource_version_match="Exact")
        error = await refusal(410, verbs.list("default", options))
        assert (error.reason, error.message) == ("Expired", "The resourceVersion for the provided list is too old.")
        error = await refusal(410, verbs.list("default", ListOptions(limit=1, continuation=first.continuation)))
        token = error.status()["metadata"]["continue"]
        rest = await verbs.list("default", ListOptions(continuation=token))
        assert [item.name for item in rest.items] == ["c1", "c2"]

    async def test_a_version_to_come_is_waited_for(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        coming = str(house.store.revision + 1)
        listing = asyncio.ensure_future(house.of("configmaps").list("default", ListOptions(resource_version=coming)))
        await asyncio.sleep(0)
        await house.create("configmaps", config_map("b"))
        assert [item.name for item in (await listing).items] == ["a", "b"]

    async def test_a_version_that_does_not_come_times_out(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("podkeeper.registry.cache.mirror.PATIENCE", 0.01)
        far = house.store.revision + 1000
        error = await refusal(504, house.of("configmaps").list("", ListOptions(resource_version=str(far))))
        assert error.message == f"Timeout: Too large resource version: {far}, current: {house.store.revision}"
        assert error.causes[0].reason == "ResourceVersionTooLarge"
        assert error.retry_after == 1
        await refusal(504, house.of("configmaps").get("default", "a", str(far)))

    async def test_an_unknown_field_is_named(self, house: House) -> None:
        error = await refusal(400, house.of("pods").list("", ListOptions(field_selector="spec.foo=a")))
        assert error.message == "field label not supported: spec.foo"

    async def test_a_list_is_joined_once_while_nothing_changes(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        verbs = house.of("configmaps")
        first = await verbs.list("default", ListOptions())
        await house.create("secrets", {"metadata": {"name": "s"}})
        assert (await verbs.list("default", ListOptions())).json is first.json
        await house.create("configmaps", config_map("b"))
        assert len((await verbs.list("default", ListOptions())).items) == 2


class TestWatch:
    async def test_from_the_present_state_on(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        events = Events()
        await house.of("configmaps").watch("default", ListOptions(), events, events.close)
        await house.create("configmaps", config_map("b"))
        await house.patch("configmaps", "b", {"data": {"k": "v"}})
        await house.of("configmaps").delete(house.context, "default", "b", DeleteOptions())
        assert await events.wait_for(4) == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]
        last = json.loads(events.seen[-1].frame)
        assert last["type"] == "DELETED"
        assert int(last["object"]["metadata"]["resourceVersion"]) == house.store.revision
        assert events.seen[-1].frame.endswith(b"\n")

    async def test_resumes_without_a_gap(self, house: House) -> None:
        made = await house.create("configmaps", config_map("a"))
        await house.create("configmaps", config_map("b"))
        events = Events()
        options = ListOptions(resource_version=made["metadata"]["resourceVersion"])
        await house.of("configmaps").watch("default", options, events, events.close)
        await house.create("configmaps", config_map("c"))
        assert await events.wait_for(2) == [("ADDED", "b"), ("ADDED", "c")]

    async def test_resumes_in_its_own_namespace(self, house: House) -> None:
        await house.create("namespaces", {"metadata": {"name": "other"}}, "")
        made = await house.create("configmaps", config_map("a"))
        await house.create("configmaps", config_map("b"), "other")
        await house.create("configmaps", config_map("c"))
        events = Events()
        options = ListOptions(resource_version=made["metadata"]["resourceVersion"])
        await house.of("configmaps").watch("default", options, events, events.close)
        assert await events.wait_for(1) == [("ADDED", "c")]

    async def test_from_a_revision_to_come(self, house: House) -> None:
        events = Events()
        options = ListOptions(resource_version=str(house.store.revision + 1))
        await house.of("configmaps").watch("default", options, events, events.close)
        await house.create("configmaps", config_map("a"))
        await house.create("configmaps", config_map("b"))
        assert await events.wait_for(1) == [("ADDED", "b")]

    async def test_a_revision_that_is_gone_is_expired(self, house: House) -> None:
        for index in range(3):
            await house.create("configmaps", config_map(f"c{index}"))
        await house.store.compact(house.store.revision)
        again = await open_registry(house.store, AdmitsAll(), house.clock, RegistryConfig())
        verbs = again.verbs("", "v1", "configmaps")
        assert verbs is not None
        events = Events()
        error = await refusal(410, verbs.watch("", ListOptions(resource_version="1"), events, events.close))
        assert error.reason == "Expired"
        assert error.message.startswith("too old resource version: 1 (")

    async def test_resumes_over_a_restart(self, house: House) -> None:
        made = await house.create("configmaps", config_map("a"))
        await house.create("configmaps", config_map("b"))
        await house.of("configmaps").delete(house.context, "default", "b", DeleteOptions())
        again = await open_registry(house.store, AdmitsAll(), house.clock, RegistryConfig())
        started = asyncio.Event()
        running = asyncio.ensure_future(again.run(started))
        await started.wait()
        events = Events()
        verbs = again.verbs("", "v1", "configmaps")
        assert verbs is not None
        options = ListOptions(resource_version=made["metadata"]["resourceVersion"])
        await verbs.watch("default", options, events, events.close)
        assert await events.wait_for(2) == [("ADDED", "b"), ("DELETED", "b")]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def test_a_selection_is_entered_and_left(self, house: House) -> None:
        await house.create("configmaps", config_map("a", {"color": "blue"}))
        events = Events()
        await house.of("configmaps").watch("", ListOptions(label_selector="color=red"), events, events.close)
        for color in ("red", "red", "blue", "green"):
            await house.patch("configmaps", "a", {"metadata": {"labels": {"color": color}}, "data": {"n": color}})
        await house.patch("configmaps", "a", {"metadata": {"labels": {"color": "red"}}})
        await house.patch("configmaps", "a", {"data": {"n": "x"}})
        assert await events.wait_for(4) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a"), ("MODIFIED", "a")]
        left = json.loads(events.seen[1].frame)["object"]
        # What leaves is shown as it was while it was in, at the revision of leaving.
        assert left["metadata"]["labels"] == {"color": "red"}
        assert int(left["metadata"]["resourceVersion"]) == events.seen[1].item.revision  # type: ignore[union-attr]

    async def test_by_node(self, house: House) -> None:
        events = Events()
        await house.of("pods").watch("", ListOptions(field_selector="spec.nodeName=n1"), events, events.close)
        for name, node in (("p", "n1"), ("q", "n2")):
            await house.create("pods", pod(name))
            await house.registry.bind_pod(house.context, "default", name, {"target": {"name": node}})
        await house.patch("pods", "p", {"status": {"phase": "Running"}}, subresource="status")
        assert await events.wait_for(2) == [("ADDED", "p"), ("MODIFIED", "p")]

    async def test_initial_events_end_with_a_bookmark(self, house: House) -> None:
        await house.create("configmaps", config_map("a"))
        events = Events()
        options = ListOptions(send_initial_events=True, resource_version_match="NotOlderThan", allow_bookmarks=True)
        await house.of("configmaps").watch("default", options, events, events.close)
        assert await events.wait_for(2) == [("ADDED", "a"), ("BOOKMARK", "")]
        mark = json.loads(events.seen[1].frame)["object"]
        assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert mark["metadata"]["resourceVersion"] == str(house.store.revision)

    async def test_bookmarks_come_every_minute_to_who_wants_them(self, house: House) -> None:
        wanting, not_wanting = Events(), Events()
        options = ListOptions(resource_version=str(house.store.revision), allow_bookmarks=True)
        await house.of("configmaps").watch("default", options, wanting, wanting.close)
        await house.of("configmaps").watch("default", ListOptions(), not_wanting, not_wanting.close)
        await house.create("secrets", {"metadata": {"name": "s"}})
        await house.of("secrets").get("default", "s")
        await house.clock.advance(60)
        assert await wanting.wait_for(1) == [("BOOKMARK", "")]
        mark = json.loads(wanting.seen[0].frame)["object"]
        assert mark["metadata"]["resourceVersion"] == str(house.store.revision)
        assert (mark["kind"], mark["apiVersion"]) == ("ConfigMap", "v1")
        assert not not_wanting.seen

    async def test_a_stopped_watch_gets_nothing(self, house: House) -> None:
        stopped, going = Events(), Events()
        watch = await house.of("configmaps").watch("default", ListOptions(), stopped, stopped.close)
        await house.of("configmaps").watch("default", ListOptions(), going, going.close)
        watch.stop()
        watch.stop()
        await house.create("configmaps", config_map("a"))
        await going.wait_for(1)
        assert not stopped.seen
        assert not stopped.closed

    async def test_a_frame_is_shared_by_all_watchers(self, house: House) -> None:
        first, second = Events(), Events()
        for events in (first, second):
            await house.of("configmaps").watch("default", ListOptions(), events, events.close)
        await house.create("configmaps", config_map("a"))
        await first.wait_for(1)
        await second.wait_for(1)
        assert first.seen[0].frame is second.seen[0].frame

    async def test_a_broken_sink_harms_nobody_else(self, house: House) -> None:
        broken, whole = Events(), Events()

        def breaks(events: Sequence[WatchEvent]) -> None:
            raise OSError("connection reset")

        await house.of("configmaps").watch("default", ListOptions(), breaks, broken.close)
        await house.of("configmaps").watch("default", ListOptions(), whole, whole.close)
        await house.create("configmaps", config_map("a"))
        assert await whole.wait_for(1) == [("ADDED", "a")]
        assert broken.closed

    async def test_closing_the_store_ends_every_watch(self, house: House) -> None:
        events = Events()
        await house.of("configmaps").watch("default", ListOptions(), events, events.close)
        await house.store.close()
        async with asyncio.timeout(10):
            while not events.closed:
                await asyncio.sleep(0)


class TestVersions:
    async def test_events_of_both_groups_are_the_same_objects(self, house: House) -> None:
        new = house.of("events", "events.k8s.io")
        events = Events()
        await new.watch("default", ListOptions(), events, events.close)
        old = {
            "metadata": {"name": "e"},
            "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
            "message": "hello",
            "reason": "Started",
            "source": {"component": "kubelet"},
        }
        made = await house.create("events", old)
        shown = tree_of(await new.get("default", "e"))
        assert (shown["apiVersion"], shown["note"]) == ("events.k8s.io/v1", "hello")
        assert shown["regarding"]["name"] == "p"
        assert shown["metadata"] == made["metadata"]
        assert await events.wait_for(1) == [("ADDED", "e")]
        assert json.loads(events.seen[0].frame)["object"] == shown
        options = ListOptions(field_selector="regarding.name=p,reason=Started")
        listing = json.loads((await new.list("default", options)).json)
        assert (listing["kind"], listing["apiVersion"], listing["items"]) == ("EventList", "events.k8s.io/v1", [shown])
        core = await house.of("events").list("", ListOptions(field_selector="involvedObject.name=p,source=kubelet"))
        assert [item.name for item in core.items] == ["e"]

    async def test_an_autoscaler_is_written_in_one_version_and_read_in_another(self, house: House) -> None:
        old = house.of("horizontalpodautoscalers", "autoscaling", "v1")
        body = {
            "metadata": {"name": "h"},
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
                "maxReplicas": 5,
                "targetCPUUtilizationPercentage": 70,
            },
        }
        await old.create(house.context, "default", body)
        new = house.of("horizontalpodautoscalers", "autoscaling", "v2")
        spec = tree_of(await new.get("default", "h"))["spec"]
        resource = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
        assert spec["metrics"] == [{"type": "Resource", "resource": resource}]
        await new.patch(house.context, "default", "h", {"spec": {"maxReplicas": 7}}, PatchType.MERGE)
        shown = tree_of(await old.get("default", "h"))["spec"]
        assert (shown["maxReplicas"], shown["targetCPUUtilizationPercentage"]) == (7, 70)


class TestEveryResource:
    async def test_all_enabled_resources_are_served(self, house: House) -> None:
        served = house.registry.resources()
        assert ("", "v1", "pods") in served
        assert ("apps", "v1", "deployments") in served
        assert len(served) > 55
        for (group, version, plural), row in served.items():
            verbs = house.registry.verbs(group, version, plural)
            assert verbs is not None
            listing = await verbs.list("", ListOptions())
            body = json.loads(listing.json)
            assert (body["kind"], body["apiVersion"]) == (f"{row.kind}List", row.api_version)
