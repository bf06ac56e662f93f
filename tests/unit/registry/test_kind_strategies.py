"""What is particular about kinds, seen through the verbs."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from podkeeper.api.errors import ApiError
from podkeeper.registry.verbs import DeleteOptions

Tree = dict[str, Any]

#: A request for a certificate of "x" that a key of its own has signed, as PEM in base64.
SIGNING_REQUEST = base64.b64encode(
    b"-----BEGIN CERTIFICATE REQUEST-----\n"
    b"MIHHMG4CAQAwDDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA\n"
    b"BMOqCPZ+QFwYXfyXs3lOKtQLYYeFuHLiVQ5tkyHJxqX8N3YiPEv39bdbLIaBJN8Z\n"
    b"MRu/yXxer7p5gGGk5iDuzpWgADAKBggqhkjOPQQDAgNJADBGAiEA6NxBJ92HDnmo\n"
    b"JABgonIiZWwUiFwmKTjaQFb6aD8KzGQCIQChKaVYbdTGjkcKhwYiEFzM4Mwym9gW\n"
    b"ukkRtDxr4rjDuw==\n"
    b"-----END CERTIFICATE REQUEST-----\n"
).decode()


def pod(name: str = "p", **spec: Any) -> Tree:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def container(cpu: str = "", limit: str = "") -> Tree:
    resources: Tree = {}
    if cpu:
        resources["requests"] = {"cpu": cpu, "memory": "1Mi"}
    if limit:
        resources["limits"] = {"cpu": limit, "memory": "1Mi"}
    return {"name": "c", "image": "i", "resources": resources}


class TestPods:
    async def test_are_born_pending(self, shop: Any) -> None:
        made = await shop.create("pods", pod() | {"status": {"phase": "Running", "podIP": "1.2.3.4"}})
        assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
        assert made["metadata"]["generation"] == 1

    @pytest.mark.parametrize(
        ("containers", "qos"),
        [
            ([container()], "BestEffort"),
            ([container("10m")], "Burstable"),
            ([container("10m", "20m")], "Burstable"),
            ([container("1", "1000m")], "Guaranteed"),
            ([container("", "1")], "Guaranteed"),
        ],
    )
    async def test_quality_of_service(self, shop: Any, containers: list[Tree], qos: str) -> None:
        assert (await shop.create("pods", pod(containers=containers)))["status"]["qosClass"] == qos

    async def test_gates_are_told(self, shop: Any) -> None:
        made = await shop.create("pods", pod(schedulingGates=[{"name": "example.com/wait"}]))
        (condition,) = made["status"]["conditions"]
        assert (condition["type"], condition["status"]) == ("PodScheduled", "False")
        assert condition["reason"] == "SchedulingGated"

    async def test_label_keys_become_selectors(self, shop: Any) -> None:
        term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}, "matchLabelKeys": ["hash", "none"]}
        away = {"topologyKey": "zone", "labelSelector": {}, "mismatchLabelKeys": ["hash"]}
        affinity = {
            "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]},
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [away]},
        }
        body = pod(affinity=affinity)
        body["metadata"]["labels"] = {"hash": "x"}
        made = (await shop.create("pods", body))["spec"]["affinity"]
        (near,) = made["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        (far,) = made["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert near["labelSelector"]["matchExpressions"] == [{"key": "hash", "operator": "In", "values": ["x"]}]
        assert far["labelSelector"]["matchExpressions"] == [{"key": "hash", "operator": "NotIn", "values": ["x"]}]

    async def test_the_status_has_its_own_way_in(self, shop: Any) -> None:
        await shop.create("pods", pod())
        patch = {"status": {"phase": "Running", "qosClass": None}, "spec": {"nodeName": "n"}}
        changed = await shop.patch("pods", "p", patch, subresource="status")
        assert changed["status"] == {"phase": "Running", "qosClass": "BestEffort"}
        assert "nodeName" not in changed["spec"]
        changed = await shop.patch("pods", "p", {"status": {"phase": "Failed"}})
        assert changed["status"]["phase"] == "Running"

    async def test_observed_generations_are_not_cleared(self, shop: Any) -> None:
        await shop.create("pods", pod())
        conditions = [{"type": "Ready", "status": "True", "observedGeneration": 1}]
        status = {"observedGeneration": 1, "conditions": conditions}
        await shop.patch("pods", "p", {"status": status}, subresource="status")
        ignorant = {"observedGeneration": None, "conditions": [{"type": "Ready", "status": "False"}]}
        changed = (await shop.patch("pods", "p", {"status": ignorant}, subresource="status"))["status"]
        assert (changed["observedGeneration"], changed["conditions"][0]["observedGeneration"]) == (1, 1)

    async def test_ephemeral_containers_alone_are_added(self, shop: Any) -> None:
        await shop.create("pods", pod())
        added = [{"name": "e", "image": "j"}]
        patch = {"spec": {"ephemeralContainers": added, "hostname": "x"}, "metadata": {"labels": {"a": "b"}}}
        changed = await shop.patch("pods", "p", patch, subresource="ephemeralcontainers")
        assert changed["spec"]["ephemeralContainers"][0]["name"] == "e"
        assert "hostname" not in changed["spec"]
        assert "labels" not in changed["metadata"]
        assert changed["metadata"]["generation"] == 2

    async def test_ephemeral_containers_stay_as_they_are(self, shop: Any) -> None:
        await shop.create("pods", pod())
        for names in (["e"], ["e", "f"]):
            listed = [{"name": name, "image": "j"} for name in names]
            await shop.patch("pods", "p", {"spec": {"ephemeralContainers": listed}}, subresource="ephemeralcontainers")
        for listed in (
            [{"name": "e", "image": "j"}],
            [{"name": "e", "image": "k"}, {"name": "f", "image": "j"}],
            [{"name": each, "image": "j"} for each in "efc"],
        ):
            patch = {"spec": {"ephemeralContainers": listed}}
            with pytest.raises(ApiError) as caught:
                await shop.patch("pods", "p", patch, subresource="ephemeralcontainers")
            assert caught.value.code == 422
            assert "spec.ephemeralContainers" in caught.value.message

    async def test_resize_keeps_names_and_quality(self, shop: Any) -> None:
        await shop.create("pods", pod(containers=[container("1")]))
        for listed in ([container("1") | {"name": "d"}], [container("1", "1")]):
            with pytest.raises(ApiError) as caught:
                await shop.patch("pods", "p", {"spec": {"containers": listed}}, subresource="resize")
            assert caught.value.code == 422

    async def test_resize_changes_resources_alone(self, shop: Any) -> None:
        await shop.create("pods", pod(containers=[container("1")]))
        wanted = container("2") | {"image": "other"}
        changed = await shop.patch("pods", "p", {"spec": {"containers": [wanted]}}, subresource="resize")
        (resized,) = changed["spec"]["containers"]
        assert (resized["image"], resized["resources"]["requests"]["cpu"]) == ("i", "2")

    async def test_another_subresource_is_not_there(self, shop: Any) -> None:
        await shop.create("pods", pod())
        with pytest.raises(ApiError) as caught:
            await shop.patch("pods", "p", {}, subresource="finalize")
        assert caught.value.code == 405


class TestBinding:
    async def test_binds_once(self, shop: Any) -> None:
        await shop.create("pods", pod())
        binding = {"target": {"kind": "Node", "name": "n"}, "metadata": {"annotations": {"by": "us"}}}
        await shop.registry.bind_pod(shop.context, "default", "p", binding)
        bound = await shop.get("pods", "p")
        assert bound["spec"]["nodeName"] == "n"
        assert bound["metadata"]["annotations"] == {"by": "us"}
        assert bound["metadata"]["generation"] == 1
        (condition,) = bound["status"]["conditions"]
        assert (condition["type"], condition["status"]) == ("PodScheduled", "True")
        with pytest.raises(ApiError) as caught:
            await shop.registry.bind_pod(shop.context, "default", "p", {"target": {"name": "m"}})
        assert caught.value.code == 409
        assert caught.value.message == (
            'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n"'
        )

    @pytest.mark.parametrize(
        ("binding", "code"),
        [
            ({"target": {}}, 422),
            ({"target": {"kind": "Minion", "name": "n"}}, 422),
            ({"target": {"name": "n"}, "metadata": {"uid": "x"}}, 409),
            ({"target": {"name": "n"}, "metadata": {"name": "q"}}, 400),
            ([], 400),
        ],
    )
    async def test_bad_bindings(self, shop: Any, binding: Any, code: int) -> None:
        await shop.create("pods", pod())
        with pytest.raises(ApiError) as caught:
            await shop.registry.bind_pod(shop.context, "default", "p", binding)
        assert caught.value.code == code

    async def test_gated_and_missing_pods_are_not_bound(self, shop: Any) -> None:
        await shop.create("pods", pod(schedulingGates=[{"name": "example.com/wait"}]))
        with pytest.raises(ApiError, match=r"has non-empty \.spec\.schedulingGates"):
            await shop.registry.bind_pod(shop.context, "default", "p", {"target": {"name": "n"}})
        with pytest.raises(ApiError) as caught:
            await shop.registry.bind_pod(shop.context, "default", "q", {"target": {"name": "n"}})
        assert caught.value.code == 404


class TestEviction:
    async def running(self, shop: Any) -> None:
        body = pod(nodeName="n", terminationGracePeriodSeconds=5)
        body["metadata"]["labels"] = {"app": "x"}
        await shop.create("pods", body)
        ready = {"type": "Ready", "status": "True"}
        await shop.patch("pods", "p", {"status": {"phase": "Running", "conditions": [ready]}}, subresource="status")

    async def budget(self, shop: Any, allowed: int, name: str = "b") -> None:
        body = {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": "x"}}, "minAvailable": 1}}
        await shop.create("poddisruptionbudgets", body, "policy")
        status = {
            "disruptionsAllowed": allowed,
            "observedGeneration": 1,
            "currentHealthy": 1,
            "desiredHealthy": 1,
            "expectedPods": 1,
        }
        await shop.patch("poddisruptionbudgets", name, {"status": status}, "policy", "status")

    async def evict(self, shop: Any) -> None:
        await shop.registry.evict_pod(shop.context, "default", "p", {"metadata": {"name": "p"}})

    async def test_without_a_budget_it_is_a_delete(self, shop: Any) -> None:
        await self.running(shop)
        await self.evict(shop)
        going = await shop.get("pods", "p")
        assert going["metadata"]["deletionGracePeriodSeconds"] == 5
        reasons = {each["type"]: each.get("reason") for each in going["status"]["conditions"]}
        assert reasons["DisruptionTarget"] == "EvictionByEvictionAPI"

    async def test_a_budget_is_charged_until_it_is_empty(self, shop: Any) -> None:
        await self.running(shop)
        await self.budget(shop, 1)
        await self.evict(shop)
        status = (await shop.get("poddisruptionbudgets", "b", "policy"))["status"]
        assert status["disruptionsAllowed"] == 0
        assert list(status["disruptedPods"]) == ["p"]

    async def test_an_empty_budget_refuses(self, shop: Any) -> None:
        await self.running(shop)
        await self.budget(shop, 0)
        with pytest.raises(ApiError) as caught:
            await self.evict(shop)
        assert (caught.value.code, caught.value.reason) == (429, "TooManyRequests")
        assert caught.value.message == "Cannot evict pod as it would violate the pod's disruption budget."
        (cause,) = caught.value.causes
        assert cause.message == "The disruption budget b needs 1 healthy pods and has 1 currently"
        assert "deletionTimestamp" not in (await shop.get("pods", "p"))["metadata"]

    async def test_two_budgets_are_one_too_many(self, shop: Any) -> None:
        await self.running(shop)
        await self.budget(shop, 1)
        await self.budget(shop, 1, "c")
        with pytest.raises(ApiError) as caught:
            await self.evict(shop)
        assert caught.value.code == 500

    async def test_finished_pods_ask_nobody(self, shop: Any) -> None:
        await self.running(shop)
        await self.budget(shop, 0)
        await shop.patch("pods", "p", {"status": {"phase": "Succeeded"}}, subresource="status")
        await self.evict(shop)
        with pytest.raises(ApiError) as caught:
            await shop.get("pods", "p")
        assert caught.value.code == 404


class TestScale:
    def body(self) -> Tree:
        template = {"metadata": {"labels": {"app": "x"}}, "spec": pod()["spec"]}
        selector = {"matchLabels": {"app": "x"}}
        return {"metadata": {"name": "d"}, "spec": {"replicas": 1, "selector": selector, "template": template}}

    async def test_read_and_written(self, shop: Any) -> None:
        await shop.create("deployments", self.body(), "apps")
        scale = await shop.get("deployments", "d", "apps", "scale")
        assert (scale["apiVersion"], scale["kind"]) == ("autoscaling/v1", "Scale")
        assert (scale["spec"], scale["status"]) == ({"replicas": 1}, {"replicas": 0, "selector": "app=x"})
        scale["spec"]["replicas"] = 4
        item, _ = await shop.of("deployments", "apps").update(shop.context, "default", "d", scale, "scale")
        assert item.tree()["spec"] == {"replicas": 4}
        changed = await shop.get("deployments", "d", "apps")
        assert (changed["spec"]["replicas"], changed["metadata"]["generation"]) == (4, 2)

    async def test_an_old_scale_conflicts(self, shop: Any) -> None:
        await shop.create("deployments", self.body(), "apps")
        scale = await shop.get("deployments", "d", "apps", "scale")
        await shop.patch("deployments", "d", {"spec": {"replicas": 3}}, "apps")
        with pytest.raises(ApiError) as caught:
            await shop.of("deployments", "apps").update(shop.context, "default", "d", scale, "scale")
        assert caught.value.code == 409

    async def test_nonsense_is_refused(self, shop: Any) -> None:
        await shop.create("deployments", self.body(), "apps")
        for replicas, code in ((-1, 422), ("many", 422)):
            with pytest.raises(ApiError) as caught:
                await shop.patch("deployments", "d", {"spec": {"replicas": replicas}}, "apps", "scale")
            assert caught.value.code == code

    async def test_a_controllers_selector_is_a_plain_map(self, shop: Any) -> None:
        template = {"metadata": {"labels": {"app": "x"}}, "spec": pod()["spec"]}
        body = {"metadata": {"name": "r"}, "spec": {"replicas": 2, "selector": {"app": "x"}, "template": template}}
        await shop.create("replicationcontrollers", body)
        scale = await shop.get("replicationcontrollers", "r", "", "scale")
        assert scale["status"]["selector"] == "app=x"


class TestOthers:
    async def test_namespaces_carry_their_name(self, shop: Any) -> None:
        made = await shop.create("namespaces", {"metadata": {"name": "n"}})
        assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n"}
        assert (made["spec"], made["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})

    async def test_secrets_fold_plain_text_in(self, shop: Any) -> None:
        made = await shop.create(
            "secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}, "data": {"c": "ZA=="}}
        )
        assert made["data"] == {"a": "Yg==", "c": "ZA=="}
        assert "stringData" not in made

    async def test_jobs_select_by_their_uid(self, shop: Any) -> None:
        spec = pod()["spec"] | {"restartPolicy": "Never"}
        made = await shop.create("jobs", {"metadata": {"name": "j"}, "spec": {"template": {"spec": spec}}}, "batch")
        uid = made["metadata"]["uid"]
        assert made["spec"]["selector"]["matchLabels"] == {"batch.kubernetes.io/controller-uid": uid}
        labels = made["spec"]["template"]["metadata"]["labels"]
        assert labels["job-name"] == labels["batch.kubernetes.io/job-name"] == "j"
        assert labels["controller-uid"] == uid
        outcome = await shop.of("jobs", "batch").delete(shop.context, "default", "j", DeleteOptions())
        assert outcome.item.tree()["metadata"]["finalizers"] == ["orphan"]

    async def test_signing_requests_say_who_asked(self, shop: Any) -> None:
        spec = {
            "request": SIGNING_REQUEST,
            "signerName": "example.com/x",
            "usages": ["client auth"],
            "username": "somebody",
        }
        made = await shop.create(
            "certificatesigningrequests", {"metadata": {"name": "c"}, "spec": spec}, "certificates.k8s.io"
        )
        assert (made["spec"]["username"], made["spec"]["uid"], made["spec"]["groups"]) == ("tester", "u1", ["makers"])
        approved = {"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "r"}]}}
        with pytest.raises(ApiError, match='updates may not add a condition of type "Approved"'):
            await shop.patch("certificatesigningrequests", "c", approved, "certificates.k8s.io", "status")
        changed = await shop.patch("certificatesigningrequests", "c", approved, "certificates.k8s.io", "approval")
        (approval,) = changed["status"]["conditions"]
        assert approval["type"] == "Approved"
        failed = {"type": "Failed", "status": "True", "reason": "r"}
        told = {"status": {"conditions": [failed, approval | {"reason": "another"}]}}
        changed = await shop.patch("certificatesigningrequests", "c", told, "certificates.k8s.io", "status")
        assert [each["type"] for each in changed["status"]["conditions"]] == ["Failed", "Approved"]
        assert changed["status"]["conditions"][1] == approval

    async def test_daemon_sets_count_their_templates(self, shop: Any) -> None:
        labels = {"a": "b"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        made = await shop.create("daemonsets", {"metadata": {"name": "d"}, "spec": spec}, "apps")
        counter = "deprecated.daemonset.template.generation"
        assert made["metadata"]["annotations"] == {counter: "1"}
        changed = await shop.patch("daemonsets", "d", {"spec": {"minReadySeconds": 3}}, "apps")
        assert (changed["metadata"]["annotations"][counter], changed["metadata"]["generation"]) == ("1", 2)
        image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "j"}]}}}}
        changed = await shop.patch("daemonsets", "d", image, "apps")
        assert (changed["metadata"]["annotations"][counter], changed["metadata"]["generation"]) == ("2", 3)
        taken = {"metadata": {"annotations": None}}
        assert (await shop.patch("daemonsets", "d", taken, "apps"))["metadata"]["annotations"] == {counter: "2"}

    async def test_nodes_register_with_their_status(self, shop: Any) -> None:
        body = {"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "2"}}}
        assert (await shop.create("nodes", body))["status"]["capacity"] == {"cpu": "2"}
        changed = await shop.patch("nodes", "n", {"status": {"capacity": {"cpu": "4"}}})
        assert changed["status"]["capacity"] == {"cpu": "2"}

    async def test_volumes_and_claims_begin_pending(self, shop: Any) -> None:
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        claim = await shop.create("persistentvolumeclaims", {"metadata": {"name": "c"}, "spec": spec})
        assert claim["status"] == {"phase": "Pending"}
        spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}
        volume = await shop.create("persistentvolumes", {"metadata": {"name": "v"}, "spec": spec})
        assert volume["status"]["phase"] == "Pending"

    async def test_definitions_remember_what_was_stored(self, shop: Any) -> None:
        schema = {"openAPIV3Schema": {"type": "object"}}
        versions = [{"name": "v1", "served": True, "storage": True, "schema": schema}]
        names = {"plural": "things", "singular": "thing", "kind": "Thing"}
        spec = {"group": "example.com", "names": names, "scope": "Namespaced", "versions": versions}
        body = {"metadata": {"name": "things.example.com"}, "spec": spec}
        made = await shop.create("customresourcedefinitions", body, "apiextensions.k8s.io")
        assert made["status"]["storedVersions"] == ["v1"]
        both = [versions[0] | {"storage": False}, versions[0] | {"name": "v2"}]
        changed = await shop.patch(
            "customresourcedefinitions", "things.example.com", {"spec": {"versions": both}}, "apiextensions.k8s.io"
        )
        assert changed["status"]["storedVersions"] == ["v1", "v2"]
        assert changed["metadata"]["generation"] == 2

    async def test_priority_classes_keep_their_generation(self, shop: Any) -> None:
        await shop.create("priorityclasses", {"metadata": {"name": "c"}, "value": 5}, "scheduling.k8s.io")
        changed = await shop.patch("priorityclasses", "c", {"description": "x"}, "scheduling.k8s.io")
        assert changed["metadata"]["generation"] == 1
