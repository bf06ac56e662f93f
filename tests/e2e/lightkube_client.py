"""lightkube on a cluster, part by part; run inside its network: lightkube_client.py objects KUBECONFIG, pods KUBECONFIG
POD, account DIRECTORY. Prints the name of each part that went well."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from lightkube import ApiError, Client, KubeConfig
from lightkube.generic_resource import create_namespaced_resource, load_in_cluster_generic_resources
from lightkube.models.apiextensions_v1 import (
    CustomResourceDefinitionNames,
    CustomResourceDefinitionSpec,
    CustomResourceDefinitionVersion,
    CustomResourceValidation,
    JSONSchemaProps,
)
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.autoscaling_v1 import ScaleSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.authentication_v1 import SelfSubjectReview
from lightkube.resources.core_v1 import ConfigMap, Pod, Secret
from lightkube.types import CascadeType, PatchType

NAMESPACE = "lightkube"


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace=NAMESPACE, labels=labels), data=data or None)


def refusal(call: Callable[[], object]) -> ApiError:
    """The error that a call raises."""
    try:
        call()
    except ApiError as error:
        return error
    raise AssertionError("it was taken")


def life_of_an_object(client: Client) -> None:
    made = client.create(config_map("life", a="1"))
    made.data = {"a": "2"}
    assert client.replace(made).data == {"a": "2"}
    stale = refusal(lambda: client.replace(made))
    assert (stale.status.code, stale.status.reason) == (409, "Conflict")
    patched = client.patch(ConfigMap, "life", {"data": {"a": None, "b": "3"}}, patch_type=PatchType.MERGE)
    assert patched.data == {"b": "3"}
    steps = [{"op": "replace", "path": "/data/b", "value": "4"}]
    assert client.patch(ConfigMap, "life", steps, patch_type=PatchType.JSON).data == {"b": "4"}
    client.delete(ConfigMap, "life")
    assert refusal(lambda: client.get(ConfigMap, "life")).status.message == 'configmaps "life" not found'


def applies(client: Client) -> None:
    first = client.apply(config_map("applied", a="1", b="1"), field_manager="one")
    assert (first.data, first.metadata.managedFields[0].operation) == ({"a": "1", "b": "1"}, "Apply")
    assert client.apply(config_map("applied", a="1"), field_manager="one").data == {"a": "1"}
    conflict = refusal(lambda: client.apply(config_map("applied", a="2"), field_manager="two"))
    assert conflict.status.message == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert conflict.status.details.causes[0].reason == "FieldManagerConflict"
    forced = client.apply(config_map("applied", a="2"), field_manager="two", force=True, dry_run=True)
    assert forced.data == {"a": "2"}
    assert client.get(ConfigMap, "applied").data == {"a": "1"}


def lists_in_pages(client: Client) -> None:
    for number in range(5):
        client.create(config_map(f"page{number}", {"paged": "lightkube"}))
    found = client.list(ConfigMap, labels={"paged": "lightkube"}, chunk_size=2)
    assert [each.metadata.name for each in found] == [f"page{number}" for number in range(5)]
    chosen = client.list(
        ConfigMap, namespace="*", labels={"paged": ("lightkube", "no")}, fields={"metadata.name": "page3"}
    )
    assert [each.metadata.name for each in chosen] == ["page3"]
    client.deletecollection(ConfigMap)
    assert not list(client.list(ConfigMap, labels={"paged": "lightkube"}))


def watches(client: Client) -> None:
    listed = client.list(ConfigMap, labels={"seen": "yes"})
    assert not list(listed)
    changes = threading.Thread(target=changes_to_watch, args=(Client(config=client.config, namespace=NAMESPACE),))
    changes.start()
    seen = []
    for kind, found in client.watch(ConfigMap, labels={"seen": "yes"}, resource_version=listed.resourceVersion):
        seen.append((kind, found.data))
        if kind == "DELETED":
            break
    changes.join()
    assert seen == [("ADDED", {"a": "1"}), ("MODIFIED", {"a": "2"}), ("DELETED", {"a": "2"})], seen


def changes_to_watch(client: Client) -> None:
    client.create(config_map("watched", {"seen": "yes"}, a="1"))
    client.patch(ConfigMap, "watched", {"data": {"a": "2"}})
    client.delete(ConfigMap, "watched")


def a_deployment_is_scaled(client: Client) -> None:
    labels = {"app": "scaled"}
    main = Container(name="main", image="busybox", imagePullPolicy="IfNotPresent", command=["sleep", "600"])
    pod = PodSpec(containers=[main], terminationGracePeriodSeconds=0)
    template = PodTemplateSpec(metadata=ObjectMeta(labels=labels), spec=pod)
    spec = DeploymentSpec(replicas=0, selector=LabelSelector(matchLabels=labels), template=template)
    client.create(Deployment(metadata=ObjectMeta(name="scaled", namespace=NAMESPACE), spec=spec))
    scale = Deployment.Scale(metadata=ObjectMeta(name="scaled", namespace=NAMESPACE), spec=ScaleSpec(replicas=1))
    assert client.replace(scale, "scaled").spec.replicas == 1
    for _, found in client.watch(Deployment, fields={"metadata.name": "scaled"}):
        if found.status and found.status.readyReplicas == 1:
            break
    client.wait(Deployment, "scaled", for_conditions=["Available"])
    client.delete(Deployment, "scaled", cascade=CascadeType.FOREGROUND)


def a_kind_of_ones_own(client: Client) -> None:
    size = JSONSchemaProps(type="object", properties={"size": JSONSchemaProps(type="integer")})
    schema = CustomResourceValidation(openAPIV3Schema=JSONSchemaProps(type="object", properties={"spec": size}))
    version = CustomResourceDefinitionVersion(name="v1", served=True, storage=True, schema=schema)
    names = CustomResourceDefinitionNames(kind="Gear", plural="gears", singular="gear")
    spec = CustomResourceDefinitionSpec(
        group="lightkube.example.com", names=names, scope="Namespaced", versions=[version]
    )
    definition = "gears.lightkube.example.com"
    client.create(CustomResourceDefinition(metadata=ObjectMeta(name=definition), spec=spec))
    try:
        client.wait(CustomResourceDefinition, definition, for_conditions=["Established"])
        load_in_cluster_generic_resources(client)
        gear = create_namespaced_resource("lightkube.example.com", "v1", "Gear", "gears")
        client.create(gear(metadata=ObjectMeta(name="g", namespace=NAMESPACE), spec={"size": 1}))
        applied = gear(metadata=ObjectMeta(name="g", namespace=NAMESPACE), spec={"size": 2})
        assert client.apply(applied, field_manager="one", force=True).spec == {"size": 2}
        assert [each.spec["size"] for each in client.list(gear)] == [2]
    finally:
        client.delete(CustomResourceDefinition, definition)


def streams_of_a_pod(client: Client, name: str) -> None:
    assert list(client.log(name)) == ["one\n", "two\n"]
    assert list(client.log(name, tail_lines=1)) == ["two\n"]
    assert next(client.log(name, follow=True)) == "one\n"
    words = ["sh", "-c", "cat; echo bad >&2; exit 5"]
    done = client.exec(name, command=words, stdin="this\n", stdout=True, stderr=True)
    assert (done.stdout, done.stderr, done.exit_code) == ("this\n", "bad\n", 5)


def as_an_account(client: Client) -> None:
    who = client.create(SelfSubjectReview())
    assert who.status.userInfo.username == "system:serviceaccount:lightkube:robot"
    assert client.namespace == NAMESPACE
    list(client.list(Pod))
    refused = refusal(lambda: list(client.list(Secret)))
    assert (refused.status.code, refused.status.details.kind) == (403, "secrets")


PARTS = {
    "objects": (life_of_an_object, applies, lists_in_pages, watches, a_deployment_is_scaled, a_kind_of_ones_own),
    "pods": (streams_of_a_pod,),
    "account": (as_an_account,),
}


def main(part: str, place: str, *arguments: str) -> None:
    """Goes through one part."""
    if part == "account":
        client = Client(config=KubeConfig.from_service_account(place))
    else:
        client = Client(config=KubeConfig.from_file(place), namespace=NAMESPACE, field_manager="lightkube")
    for check in PARTS[part]:
        check(client, *arguments)
        print(check.__name__, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
