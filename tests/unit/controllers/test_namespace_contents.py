"""What every namespace has, and how one ends."""

from __future__ import annotations

from typing import Any

from podkeeper.api.core import v1
from podkeeper.controllers.framework import Key, Tools
from podkeeper.controllers.namespaces import Namespaces
from podkeeper.controllers.root_ca import FIELD, NAME, RootCertificates
from podkeeper.controllers.service_accounts import ServiceAccounts


def root_certificates(tools: Tools) -> RootCertificates:
    return RootCertificates(tools, "PEM")


def places(found: list[Any], name: str) -> set[str]:
    return {each.metadata.namespace for each in found if each.metadata.name == name}


async def test_every_namespace_has_its_service_account_and_gets_it_back(house: Any) -> None:
    house.start(ServiceAccounts)
    await house.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh"}})
    found = await house.until(v1.ServiceAccount, lambda all_: {"default", "fresh"} <= places(all_, "default"))
    [first] = [each for each in found if each.metadata.namespace == "fresh"]
    await house.api.of(v1.ServiceAccount).delete("default", "fresh")
    await house.until(
        v1.ServiceAccount,
        lambda all_: any(
            each.metadata.namespace == "fresh" and each.metadata.uid != first.metadata.uid for each in all_
        ),
    )


async def test_the_certificate_is_published_kept_right_and_made_again(house: Any) -> None:
    house.start(root_certificates)
    maps = house.api.of(v1.ConfigMap)

    def right(all_: list[v1.ConfigMap]) -> bool:
        return any(
            each.metadata.name == NAME and each.metadata.namespace == "default" and each.data == {FIELD: "PEM"}
            for each in all_
        )

    await house.until(v1.ConfigMap, right)
    await maps.patch(NAME, {"data": {FIELD: "forged", "more": "x"}}, "default")
    await house.until(v1.ConfigMap, lambda all_: not right(all_))
    await house.until(v1.ConfigMap, right)
    await maps.delete(NAME, "default")
    await house.until(v1.ConfigMap, lambda all_: not places(all_, NAME) & {"default"})
    await house.until(v1.ConfigMap, right)


async def test_a_namespace_ends_with_everything_in_it(house: Any) -> None:
    for make in (ServiceAccounts, root_certificates, Namespaces):
        house.start(make)
    await house.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh"}})
    await house.until(v1.ConfigMap, lambda all_: "fresh" in places(all_, NAME))
    for kind in ("Secret", "ConfigMap"):
        await house.create({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "namespace": "fresh"}})
    await house.api.of(v1.Namespace).delete("fresh")
    await house.until(v1.Namespace, lambda all_: all(each.metadata.name != "fresh" for each in all_))
    for kind in (v1.Secret, v1.ConfigMap, v1.ServiceAccount):
        assert not (await house.api.of(kind).list("fresh")).items


async def test_what_holds_a_namespace_back_is_said(house: Any) -> None:
    controller = Namespaces(house.tools())
    await house.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh"}})
    held = {"name": "x", "namespace": "fresh", "finalizers": ["example.com/held"]}
    await house.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held})
    await house.api.of(v1.Namespace).delete("fresh")
    key = Key("", "fresh")
    assert await house.settled(key, controller, v1.Namespace) == 5
    namespace = await house.api.of(v1.Namespace).get("fresh")
    assert [(each.type, each.status, each.reason) for each in namespace.status.conditions] == [
        ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered"),
        ("NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions"),
        ("NamespaceDeletionContentFailure", "False", "ContentDeleted"),
        ("NamespaceContentRemaining", "True", "SomeResourcesRemain"),
        ("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain"),
    ]
    assert [each.message for each in namespace.status.conditions][-2:] == [
        "Some resources are remaining: configmaps. has 1 resource instances",
        "Some content in the namespace has finalizers remaining: example.com/held in 1 resource instances",
    ]
    await house.api.of(v1.ConfigMap).patch("x", {"metadata": {"finalizers": None}}, "fresh")
    assert await house.settled(key, controller, v1.Namespace) is None
    assert all(each.metadata.name != "fresh" for each in (await house.api.of(v1.Namespace).list()).items)


async def test_pods_go_before_what_they_use(house: Any) -> None:
    controller, key = Namespaces(house.tools()), Key("", "fresh")
    await house.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh"}})
    for kind, more in (
        ("ServiceAccount", {"metadata": {"name": "default"}}),
        ("ConfigMap", {"metadata": {"name": "used"}}),
        (
            "Pod",
            {
                "metadata": {"name": "last", "finalizers": ["example.com/held"]},
                "spec": {"containers": [{"name": "a", "image": "i"}]},
            },
        ),
    ):
        tree = {"apiVersion": "v1", "kind": kind} | more
        tree["metadata"] = tree["metadata"] | {"namespace": "fresh"}
        await house.create(tree)
    await house.api.of(v1.Namespace).delete("fresh")
    assert await house.settled(key, controller, v1.Namespace) == 5
    assert [each.metadata.name for each in (await house.api.of(v1.ConfigMap).list("fresh")).items] == ["used"]
    namespace = await house.api.of(v1.Namespace).get("fresh")
    said = {each.type: each.message for each in namespace.status.conditions}
    assert said["NamespaceContentRemaining"] == "Some resources are remaining: pods. has 1 resource instances"
    await house.api.of(v1.Pod).patch("last", {"metadata": {"finalizers": None}}, "fresh")
    assert await house.settled(key, controller, v1.Namespace) is None
    assert all(each.metadata.name != "fresh" for each in (await house.api.of(v1.Namespace).list()).items)
