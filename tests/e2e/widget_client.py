"""The Python client on custom objects, its typed-by-path and its dynamic part; run inside a cluster's network."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException

WHERE = ("example.com", "v1", "default", "widgets")


def widget(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


def refusal(call: Callable[[], object]) -> ApiException:
    """The error that a call raises."""
    try:
        call()
    except ApiException as error:
        return error
    raise AssertionError("it was taken")


def objects() -> None:
    """CustomObjectsApi."""
    api = client.CustomObjectsApi()
    made = api.create_namespaced_custom_object(*WHERE, widget("py", size=1))
    assert made["spec"] == {"size": 1, "color": "red"}
    version = made["metadata"]["resourceVersion"]
    changed = api.patch_namespaced_custom_object(*WHERE, "py", {"spec": {"size": 2}})
    assert changed["metadata"]["generation"] == 2
    status = api.patch_namespaced_custom_object_status(*WHERE, "py", {"status": {"size": 2}})
    assert status["status"] == {"size": 2}
    assert api.get_namespaced_custom_object_scale(*WHERE, "py")["spec"] == {"replicas": 2}
    api.replace_namespaced_custom_object_scale(
        *WHERE, "py", {"metadata": {"name": "py", "namespace": "default"}, "spec": {"replicas": 3}}
    )
    listed = api.list_cluster_custom_object("example.com", "v1", "widgets")
    assert (listed["kind"], [each["metadata"]["name"] for each in listed["items"]]) == ("WidgetList", ["py"])
    refused = refusal(lambda: api.create_namespaced_custom_object(*WHERE, widget("bad")))
    assert refused.status == 422
    assert "spec.size: Required value" in refused.body
    seen = watch.Watch().stream(api.list_namespaced_custom_object, *WHERE, resource_version=version, timeout_seconds=1)
    assert [event["object"]["spec"]["size"] for event in seen] == [2, 2, 3]
    api.delete_namespaced_custom_object(*WHERE, "py")


def dynamically() -> None:
    """The dynamic client: by discovery."""
    api = dynamic.DynamicClient(client.ApiClient())
    widgets = api.resources.get(api_version="example.com/v1", kind="Widget")
    widgets.create(body=widget("dyn", size=1), namespace="default")
    applied = widgets.server_side_apply(
        body=widget("dyn", size=1, tags=["a"]), namespace="default", field_manager="dyn", force_conflicts=True
    )
    assert applied.spec.tags == ["a"]
    assert [each.metadata.name for each in widgets.get(namespace="default").items] == ["dyn"]
    timer = threading.Timer(0.2, lambda: widgets.delete(name="dyn", namespace="default"))
    timer.start()
    kinds = [event["type"] for event in widgets.watch(namespace="default", timeout=3)]
    assert kinds == ["ADDED", "DELETED"], kinds


if __name__ == "__main__":
    config.load_kube_config(sys.argv[1])
    objects()
    print("objects")
    dynamically()
    print("dynamic")
    print("done")
