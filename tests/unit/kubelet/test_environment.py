"""A container's environment: sources, precedence, references, services."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api.core import v1
from podkeeper.api.errors import not_found
from podkeeper.api.meta import v1 as meta
from podkeeper.api.quantity import Quantity
from podkeeper.kubelet.downward import NodeFacts
from podkeeper.kubelet.environment import ConfigError, EnvironmentSource, build_environment, service_variables
from podkeeper.kubelet.expansion import expand

Make = Callable[..., v1.Pod]


class Objects:
    """PodObjects over two dictionaries."""

    def __init__(self, kind: type, objects: Mapping[str, Mapping[str, str]]) -> None:
        self._kind, self._objects = kind, objects

    async def read(self, namespace: str, name: str) -> Any:
        if name not in self._objects:
            raise not_found("configmaps" if self._kind is v1.ConfigMap else "secrets", "", name)
        return self._kind(metadata=meta.ObjectMeta(name=name, namespace=namespace), data=self._objects[name])


class Both:
    def __init__(self, maps: Mapping[str, Mapping[str, str]], secrets: Mapping[str, Mapping[str, str]]) -> None:
        encoded = {
            name: {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
            for name, data in secrets.items()
        }
        self.config_maps, self.secrets = Objects(v1.ConfigMap, maps), Objects(v1.Secret, encoded)


async def build(
    make_pod: Make,
    *,
    env: tuple[v1.EnvVar, ...] = (),
    env_from: tuple[v1.EnvFromSource, ...] = (),
    maps: Mapping[str, Mapping[str, str]] | None = None,
    secrets: Mapping[str, Mapping[str, str]] | None = None,
    services: Mapping[str, str] | None = None,
) -> Any:
    container = v1.Container(name="app", image="app:1", env=env, env_from=env_from)
    node = NodeFacts("node", ("192.0.2.1",), {"cpu": Quantity("4")})
    source = EnvironmentSource(Both(maps or {}, secrets or {}), node, ("10.0.0.2", "fd00::2"), services or {})  # type: ignore[arg-type]
    return await build_environment(make_pod(containers=(container,)), container, source)


def var(name: str, value: str = "", **source: Any) -> v1.EnvVar:
    return v1.EnvVar(name=name, value=value, value_from=v1.EnvVarSource(**source) if source else None)


def config_map_key(name: str, key: str, optional: bool | None = None) -> dict[str, Any]:
    return {"config_map_key_ref": v1.ConfigMapKeySelector(name=name, key=key, optional=optional)}


async def test_later_entries_win_and_services_only_fill(make_pod: Make) -> None:
    found = await build(
        make_pod,
        env=(var("B", "own"),),
        env_from=(
            v1.EnvFromSource(config_map_ref=v1.ConfigMapEnvSource(name="one")),
            v1.EnvFromSource(prefix="P_", secret_ref=v1.SecretEnvSource(name="two")),
            v1.EnvFromSource(config_map_ref=v1.ConfigMapEnvSource(name="none", optional=True)),
        ),
        maps={"one": {"A": "1", "B": "2"}},
        secrets={"two": {"C": "3"}},
        services={"B": "service", "S": "service"},
    )
    assert found.variables == {"A": "1", "B": "own", "P_C": "3", "S": "service"}


async def test_references_see_what_came_before(make_pod: Make) -> None:
    env = (var("A", "$(LATER)-$(SERVICE)"), var("LATER", "x"), var("B", "$(A) $(LATER) $$(A) $(none)"))
    found = await build(make_pod, env=env, services={"SERVICE": "s"})
    assert found.variables["A"] == "$(LATER)-s"
    assert found.variables["B"] == "$(LATER)-s x $(A) $(none)"


async def test_values_from_the_pod_the_node_and_objects(make_pod: Make) -> None:
    def field(path: str) -> dict[str, Any]:
        return {"field_ref": v1.ObjectFieldSelector(field_path=path)}

    env = (
        var("NAME", **field("metadata.name")),
        var("NODE", **field("spec.nodeName")),
        var("IPS", **field("status.podIPs")),
        var("HOST", **field("status.hostIP")),
        var("LABEL", **field("metadata.labels['none']")),
        var("CPU", resource_field_ref=v1.ResourceFieldSelector(resource="limits.cpu")),
        var("KEY", **config_map_key("cfg", "key")),
        var("SECRET", secret_key_ref=v1.SecretKeySelector(name="s", key="k")),
        var("LEFT_OUT", **config_map_key("cfg", "none", optional=True)),
    )
    found = await build(make_pod, env=env, maps={"cfg": {"key": "value"}}, secrets={"s": {"k": "hidden"}})
    assert found.variables == {
        "NAME": "web",
        "NODE": "node",
        "IPS": "10.0.0.2,fd00::2",
        "HOST": "192.0.2.1",
        "LABEL": "",
        "CPU": "4",
        "KEY": "value",
        "SECRET": "hidden",
    }


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (config_map_key("none", "key"), 'configmap "none" not found'),
        (config_map_key("cfg", "none"), "couldn't find key none in ConfigMap default/cfg"),
        ({"secret_key_ref": v1.SecretKeySelector(name="none", key="k")}, 'secret "none" not found'),
        ({"secret_key_ref": v1.SecretKeySelector(name="s", key="k")}, "couldn't find key k in Secret default/s"),
        ({"field_ref": v1.ObjectFieldSelector(field_path="spec.none")}, "unsupported fieldPath: spec.none"),
        ({"file_key_ref": v1.FileKeySelector(volume_name="v", path="p", key="k")}, "fileKeyRef is not supported"),
    ],
)
async def test_what_is_missing_is_named(make_pod: Make, source: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await build(make_pod, env=(var("X", **source),), maps={"cfg": {}}, secrets={"s": {}})
    assert words in str(caught.value)


async def test_keys_that_cannot_be_names_are_skipped_and_told(make_pod: Make) -> None:
    found = await build(
        make_pod,
        env_from=(v1.EnvFromSource(config_map_ref=v1.ConfigMapEnvSource(name="cfg")),),
        maps={"cfg": {"good": "1", "a=b": "2"}},
    )
    assert dict(found.variables) == {"good": "1"}
    assert found.warnings == (
        "Keys [a=b] from the EnvFrom configMap default/cfg were skipped since they are considered invalid "
        "environment variable names.",
    )


@given(st.text("$()Aa-", max_size=12), st.dictionaries(st.sampled_from(["A", "a", "Aa"]), st.text("x$()", max_size=4)))
def test_expansion_changes_only_known_references(text: str, variables: dict[str, str]) -> None:
    found = expand(text, variables)
    if "$" not in text:
        assert found == text
    assert expand(text.replace("$", "$$"), variables) == text  # escaped, nothing is a reference


def service(name: str, namespace: str, address: str, *ports: v1.ServicePort) -> v1.Service:
    metadata = meta.ObjectMeta(name=name, namespace=namespace)
    return v1.Service(metadata=metadata, spec=v1.ServiceSpec(cluster_ip=address, ports=ports))


def test_services_of_the_namespace_and_the_api_server_are_told() -> None:
    services = [
        service("kubernetes", "default", "10.96.0.1", v1.ServicePort(name="https", port=443, protocol="TCP")),
        service("my-db", "shop", "10.96.0.9", v1.ServicePort(port=53, protocol="UDP")),
        service("headless", "shop", "None", v1.ServicePort(port=1)),
        service("other", "elsewhere", "10.96.0.8", v1.ServicePort(port=1)),
    ]
    found = service_variables(services, "shop", links=True)
    assert found == {
        "KUBERNETES_SERVICE_HOST": "10.96.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
        "KUBERNETES_SERVICE_PORT_HTTPS": "443",
        "KUBERNETES_PORT": "tcp://10.96.0.1:443",
        "KUBERNETES_PORT_443_TCP": "tcp://10.96.0.1:443",
        "KUBERNETES_PORT_443_TCP_PROTO": "tcp",
        "KUBERNETES_PORT_443_TCP_PORT": "443",
        "KUBERNETES_PORT_443_TCP_ADDR": "10.96.0.1",
        "MY_DB_SERVICE_HOST": "10.96.0.9",
        "MY_DB_SERVICE_PORT": "53",
        "MY_DB_PORT": "udp://10.96.0.9:53",
        "MY_DB_PORT_53_UDP": "udp://10.96.0.9:53",
        "MY_DB_PORT_53_UDP_PROTO": "udp",
        "MY_DB_PORT_53_UDP_PORT": "53",
        "MY_DB_PORT_53_UDP_ADDR": "10.96.0.9",
    }
    assert "MY_DB_PORT" not in service_variables(services, "shop", links=False)
    assert "KUBERNETES_PORT" in service_variables(services, "shop", links=False)
