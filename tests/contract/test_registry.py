"""The contract of ``registry.verbs``, over every store engine: what writes do. Reads: see test_registry_reads."""

from __future__ import annotations

import asyncio
import json

import pytest
from registry_house import Events, House, Tree, config_map, pod, refusal, tree_of

from podkeeper.api.errors import ApiError
from podkeeper.registry.verbs import (
    DeleteOptions,
    FieldValidation,
    ListOptions,
    PatchType,
)


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
