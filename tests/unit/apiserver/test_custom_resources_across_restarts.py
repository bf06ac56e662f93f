"""A server that starts over a store with definitions and objects serves them at once, and follows definitions on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from podkeeper.api.structural import define
from podkeeper.client.config import ClientConfig
from podkeeper.client.rest import RestApi
from podkeeper.storage.memory import MemoryStore
from podkeeper.testing.api_server import TestServer, running_api_server

Tree = dict[str, Any]

NAMES = {"plural": "lasts", "kind": "Last", "listKind": "LastList", "singular": "last"}
SPEC: Tree = {"type": "object", "properties": {"a": {"type": "string", "default": "x"}}}
VERSION: Tree = {
    "name": "v1",
    "served": True,
    "storage": True,
    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC}}},
}
DEFINITION: Tree = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "lasts.example.com"},
    "spec": {"group": "example.com", "scope": "Namespaced", "names": NAMES, "versions": [VERSION]},
}
KNOWN = define(DEFINITION)
LASTS = KNOWN.resource(KNOWN.stored)
PATH = "/apis/example.com/v1/namespaces/default/lasts"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def connect(server: TestServer) -> RestApi:
    bundle = server.authority.pair.certificate.read_bytes()
    return RestApi(ClientConfig(server.url, ca=bundle, token=server.admin_token))


async def test_definitions_and_objects_outlive_the_server(tmp_path: Path) -> None:
    store = MemoryStore()
    async with running_api_server(tmp_path, store=store) as server:
        api = connect(server)
        code, _, answer = await api.request("POST", DEFINITIONS, body=msgspec.json.encode(DEFINITION))
        assert code == 201, answer
        await _until(api, 200)
        made = await api.of_resource(LASTS).create(
            {"apiVersion": "example.com/v1", "kind": "Last", "metadata": {"name": "one"}, "spec": {}}, "default"
        )
        await api.close()
    async with running_api_server(tmp_path, store=store) as server:
        api = connect(server)
        found = await api.of_resource(LASTS).get("one", "default")
        assert found == made
        assert (await api.of_resource(LASTS).list()).items[0]["spec"] == {"a": "x"}
        assert (await api.request("GET", "/openapi/v3/apis/example.com/v1"))[0] == 200
        assert (await api.request("DELETE", f"{DEFINITIONS}/lasts.example.com"))[0] == 200
        await _until(api, 404)
        await api.close()
    async with running_api_server(tmp_path, store=store) as server:
        api = connect(server)
        assert (await api.request("GET", PATH))[0] == 404
        await api.close()
    await store.close()


async def _until(api: RestApi, code: int) -> None:
    async with asyncio.timeout(10):
        while (await api.request("GET", PATH))[0] != code:
            pass
