"""kr8s on a cluster, part by part; run inside its network: kr8s_client.py objects KUBECONFIG, pods KUBECONFIG POD,
account DIRECTORY. Prints the name of each part that went well."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import Any

import kr8s
from kr8s.asyncio import Api
from kr8s.asyncio.objects import ConfigMap, CustomResourceDefinition, Deployment, Pod, Secret, Table, new_class

NAMESPACE = "kr8s"


def config_map(api: Api, name: str, labels: dict[str, str] | None = None, **data: str) -> Any:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels or {}}
    return ConfigMap({"metadata": metadata, "data": data}, api=api)


async def refusal(call: Awaitable[object]) -> tuple[int, str]:
    """Code and message with which a call is refused."""
    try:
        await call
    except kr8s.ServerError as error:
        response = error.response
    else:
        raise AssertionError("it was taken")
    return response.status_code, response.json()["message"]


async def life_of_an_object(api: Api) -> None:
    one = await config_map(api, "life", a="1")
    await one.create()
    assert await one.exists()
    await one.patch({"data": {"a": "2", "b": None}})
    await one.patch([{"op": "add", "path": "/data/c", "value": "3"}], type="json")
    await one.label(tier="front")
    await one.annotate({"example.com/note": "x"})
    again = await ConfigMap.get("life", namespace=NAMESPACE, api=api)
    assert again.data == {"a": "2", "c": "3"}
    assert (again.labels, again.annotations) == ({"tier": "front"}, {"example.com/note": "x"})
    await one.remove_label("tier")
    assert not one.labels
    second = await config_map(api, "life")
    assert await refusal(second.create()) == (409, 'configmaps "life" already exists')
    await one.delete()
    await one.wait("delete", timeout=10)
    assert not await one.exists()


async def lists_in_pages(api: Api) -> None:
    made = [await config_map(api, f"page{number:03}", {"paged": "kr8s"}) for number in range(101)]  # it asks for 100
    await api.create(made)
    found = ConfigMap.list(namespace=kr8s.ALL, label_selector={"paged": "kr8s"}, api=api)
    assert [each.name async for each in found] == [each.name for each in made]
    chosen = api.get("configmaps", namespace=NAMESPACE, field_selector={"metadata.name": "page003"})
    assert [each.name async for each in chosen] == ["page003"]
    table = [each async for each in api.get("configmaps", "page003", namespace=NAMESPACE, as_object=Table)]
    assert [row["cells"][:2] for row in table[0].rows] == [["page003", 0]]


async def watches(api: Api) -> None:
    one = await config_map(api, "watched", {"seen": "yes"}, a="1")
    await one.create()
    seen = []
    async for kind, found in api.watch("configmaps", namespace=NAMESPACE, label_selector={"seen": "yes"}):
        seen.append((kind, dict(found.data)))
        if kind == "ADDED":
            await one.patch({"data": {"a": "2"}})
        elif kind == "MODIFIED":
            await one.delete()
        else:
            break
    assert seen == [("ADDED", {"a": "1"}), ("MODIFIED", {"a": "2"}), ("DELETED", {"a": "2"})], seen


async def what_is_served(api: Api) -> None:
    assert (await api.version())["minor"] == "36"
    names = {each["name"]: each for each in await api.api_resources()}
    assert names["pods"]["shortNames"] == ["po"]
    assert names["deployments"]["version"] == "apps/v1"
    assert (await api.lookup_kind("deploy"))[1:] == ("deployments", True)
    assert "rbac.authorization.k8s.io/v1" in [each async for each in api.api_versions()]
    assert await api.whoami() == "kubernetes-admin"


async def a_deployment_is_scaled(api: Api) -> None:
    labels = {"app": "scaled"}
    main = {"name": "main", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "600"]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [main], "terminationGracePeriodSeconds": 0}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    one = await Deployment({"metadata": {"name": "scaled", "namespace": NAMESPACE}, "spec": spec}, api=api)
    await one.create()
    await one.scale(1)
    async for _ in one.watch():
        if one.status.get("readyReplicas") == 1:
            break
    await one.wait("condition=Available", timeout=30)
    (pod,) = await one.pods()
    assert (await pod.exec(["echo", "hello"])).stdout == b"hello\n"
    await one.delete(propagation_policy="Foreground")
    await one.wait("delete", timeout=30)


async def a_kind_of_ones_own(api: Api) -> None:
    names = {"plural": "gizmos", "singular": "gizmo", "kind": "Gizmo"}
    size = {"type": "object", "properties": {"size": {"type": "integer"}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": size}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": "kr8s.example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    definition = await CustomResourceDefinition(
        {"metadata": {"name": "gizmos.kr8s.example.com"}, "spec": spec}, api=api
    )
    await definition.create()
    try:
        await definition.wait("condition=Established", timeout=20)
        gizmo = new_class(kind="Gizmo", version="kr8s.example.com/v1", namespaced=True)
        one = await gizmo({"metadata": {"name": "g", "namespace": NAMESPACE}, "spec": {"size": 1}}, api=api)
        await one.create()
        await one.patch({"spec": {"size": 2}})
        assert [each.spec.size async for each in api.get("gizmos", namespace=NAMESPACE)] == [2]
    finally:
        await definition.delete()


async def streams_of_a_pod(api: Api, name: str) -> None:
    pod = await Pod.get(name, namespace=NAMESPACE, api=api)
    assert [line async for line in pod.logs()] == ["one", "two"]
    assert [line async for line in pod.logs(tail_lines=1)] == ["two"]
    done = await pod.exec(["sh", "-c", "echo good; echo bad >&2; exit 5"], check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"good\n", b"bad\n", 5)
    async with pod.portforward(80, "auto") as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.")
        writer.close()


async def as_an_account(api: Api) -> None:
    assert [each async for each in Pod.list(namespace=NAMESPACE, api=api)]
    code, why = await refusal(anext(Secret.list(namespace=NAMESPACE, api=api)))
    assert (code, why.partition(" in API group")[0]) == (
        403,
        'secrets is forbidden: User "system:serviceaccount:kr8s:robot" cannot list resource "secrets"',
    )


PARTS = {
    "objects": (life_of_an_object, lists_in_pages, watches, what_is_served, a_deployment_is_scaled, a_kind_of_ones_own),
    "pods": (streams_of_a_pod,),
    "account": (as_an_account,),
}


async def main(part: str, place: str, *arguments: str) -> None:
    """Goes through one part."""
    api = await kr8s.asyncio.api(**({"serviceaccount": place} if part == "account" else {"kubeconfig": place}))
    for check in PARTS[part]:
        await check(api, *arguments)
        print(check.__name__, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
