"""Storage objects that are in use: a deleted claim, volume or attributes class waits until nobody needs it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.api.storage import v1 as storage
from podkeeper.controllers.framework import Key
from podkeeper.controllers.protection.attributes_classes import AttributesClassProtection, classes_of_claim
from podkeeper.controllers.protection.claims import ClaimProtection, claims_let_go, uses
from podkeeper.controllers.protection.volumes import VolumeProtection

OWNED = meta.OwnerReference(api_version="v1", kind="Pod", name="p", uid="1", controller=True)
NAMED = v1.Volume(name="data", persistent_volume_claim=v1.PersistentVolumeClaimVolumeSource(claim_name="c"))
EPHEMERAL = v1.Volume(name="data", ephemeral=v1.EphemeralVolumeSource())


def pod(*volumes: v1.Volume, node: str = "n", uid: str = "1", gone: bool = False, phase: str = "Running") -> v1.Pod:
    metadata = meta.ObjectMeta(name="p", namespace="default", uid=uid)
    if gone:
        metadata = msgspec.structs.replace(
            metadata, deletion_timestamp="2026-01-01T00:00:00Z", deletion_grace_period_seconds=0
        )
    return v1.Pod(metadata=metadata, spec=v1.PodSpec(volumes=volumes, node_name=node), status=v1.PodStatus(phase=phase))


def claim(name: str = "c", owners: tuple[meta.OwnerReference, ...] = ()) -> v1.PersistentVolumeClaim:
    return v1.PersistentVolumeClaim(metadata=meta.ObjectMeta(name=name, namespace="default", owner_references=owners))


@pytest.mark.parametrize(
    ("user", "used", "expected"),
    [
        (pod(NAMED), claim(), True),
        (pod(NAMED, gone=True), claim(), True),
        (pod(NAMED), claim("other"), False),
        (pod(NAMED, node=""), claim(), False),
        (pod(EPHEMERAL), claim("p-data", (OWNED,)), True),
        (pod(EPHEMERAL), claim("p-data"), False),
        (pod(EPHEMERAL, gone=True), claim("p-data", (OWNED,)), False),
        (pod(), claim(), False),
    ],
)
def test_which_pods_hold_a_claim(user: v1.Pod, used: v1.PersistentVolumeClaim, expected: bool) -> None:
    assert uses(user, used) is expected


def test_whose_end_is_news_to_claims() -> None:
    key = Key("default", "c")
    running, ended = pod(NAMED), pod(NAMED, phase="Succeeded")
    assert list(claims_let_go(None, running)) == list(claims_let_go(running, running)) == []
    assert list(claims_let_go(running, ended)) == [key]
    assert list(claims_let_go(running, None)) == [key]
    assert list(claims_let_go(running, pod(uid="2"))) == [key]
    assert list(claims_let_go(None, pod(EPHEMERAL, node=""))) == [Key("default", "p-data")]


def test_the_classes_of_a_claim() -> None:
    status = v1.PersistentVolumeClaimStatus(
        current_volume_attributes_class_name="slow",
        modify_volume_status=v1.ModifyVolumeStatus(target_volume_attributes_class_name="faster", status="Pending"),
    )
    spec = v1.PersistentVolumeClaimSpec(volume_attributes_class_name="fast")
    asked = v1.PersistentVolumeClaim(spec=spec, status=status)
    assert classes_of_claim(asked) == {"slow", "fast", "faster"}
    assert classes_of_claim(v1.PersistentVolumeClaim()) == set()


def claim_tree(**spec: Any) -> dict[str, Any]:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}} | spec
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": wanted}


async def test_a_claim_stays_while_a_pod_has_it(house: Any) -> None:
    await house.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    made = await house.create(claim_tree())
    assert made.metadata.finalizers == ("kubernetes.io/pvc-protection",)
    spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": "n"}
    spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]
    await house.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
    controller = ClaimProtection(house.tools())
    await house.api.of(v1.PersistentVolumeClaim).delete("c", "default")
    await house.settled(Key("default", "c"), controller, v1.PersistentVolumeClaim, v1.Pod)
    assert (await house.api.of(v1.PersistentVolumeClaim).get("c", "default")).metadata.deletion_timestamp
    await house.api.of(v1.Pod).delete("p", "default", grace_period=0)
    await house.settled(Key("default", "c"), controller, v1.PersistentVolumeClaim, v1.Pod)
    assert not (await house.api.of(v1.PersistentVolumeClaim).list("default")).items


async def test_a_volume_stays_while_it_is_bound(house: Any) -> None:
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/x"}}
    tree = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v"}, "spec": spec}
    made = await house.create(tree)
    assert made.metadata.finalizers == ("kubernetes.io/pv-protection",)
    volumes = house.api.of(v1.PersistentVolume)
    bound = msgspec.structs.replace(made, status=v1.PersistentVolumeStatus(phase="Bound"))
    await volumes.update(bound, subresource="status")
    house.start(VolumeProtection)
    await volumes.delete("v")
    going = await house.until(v1.PersistentVolume, lambda found: found and found[0].metadata.deletion_timestamp)
    released = msgspec.structs.replace(going[0], status=v1.PersistentVolumeStatus(phase="Released"))
    await volumes.update(released, subresource="status")
    await house.until(v1.PersistentVolume, lambda found: not found)


async def test_a_class_stays_while_a_claim_names_it(house: Any) -> None:
    tree = {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttributesClass", "metadata": {"name": "fast"}}
    made = await house.create(tree | {"driverName": "d.example.com", "parameters": {"iops": "1"}})
    assert made.metadata.finalizers == ("kubernetes.io/vac-protection",)
    used = await house.create(claim_tree(volumeAttributesClassName="fast"))
    controller = AttributesClassProtection(house.tools())
    classes = house.api.of(storage.VolumeAttributesClass)
    await classes.delete("fast")
    kinds = storage.VolumeAttributesClass, v1.PersistentVolumeClaim, v1.PersistentVolume
    await house.settled(Key("", "fast"), controller, *kinds)
    assert (await classes.get("fast")).metadata.deletion_timestamp
    bare = msgspec.structs.replace(used.metadata, finalizers=())
    await house.api.of(v1.PersistentVolumeClaim).update(msgspec.structs.replace(used, metadata=bare))
    await house.api.of(v1.PersistentVolumeClaim).delete("c", "default")
    await house.settled(Key("", "fast"), controller, *kinds)
    assert not (await classes.list()).items


async def test_what_was_there_before_gets_its_finalizer(house: Any) -> None:
    made = await house.create(claim_tree())
    bare = msgspec.structs.replace(made.metadata, finalizers=())
    await house.api.of(v1.PersistentVolumeClaim).update(msgspec.structs.replace(made, metadata=bare))
    house.start(ClaimProtection)
    await house.until(v1.PersistentVolumeClaim, lambda found: found and found[0].metadata.finalizers)
