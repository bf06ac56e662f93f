"""OpenAPI 3: an index of documents and one document per group and version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from podkeeper.api.catalogue import Resource
from podkeeper.api.openapi.operations import JSON_TYPES, PATCH_TYPES, Operation, operations, parameter_type
from podkeeper.api.openapi.schemas import V3_PREFIX, Schemas

Tree = dict[str, Any]


def path_of(group: str, version: str) -> str:
    """The index's name of a document: ``api/v1`` or ``apis/apps/v1``."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


def index(hashes: Mapping[str, str]) -> Tree:
    """/openapi/v3: where each document is. ``hashes`` is by document name; a changed hash makes a new URL."""
    return {
        "paths": {
            name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={digest}"} for name, digest in sorted(hashes.items())
        }
    }


def document(resources: Iterable[Resource], version: str) -> Tree:
    """The document of one group and version; ``version`` is the server's own (``v1.36.0``)."""
    schemas = Schemas(V3_PREFIX)
    paths: dict[str, Tree] = {}
    for resource in resources:
        for operation in operations(resource):
            entry = paths.setdefault(operation.path, _common(operation.path))
            entry[operation.method] = _operation(operation, schemas)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas.collect(),
            "securitySchemes": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}},
        },
    }


def _common(path: str) -> Tree:
    names = [name for name in ("name", "namespace") if f"{{{name}}}" in path]
    found: list[Tree] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "uniqueItems": True}}
        for name in names
    ]
    found.append({"name": "pretty", "in": "query", "schema": {"type": "string", "uniqueItems": True}})
    return {"parameters": found}


def _operation(operation: Operation, schemas: Schemas) -> Tree:
    group, version, kind = operation.kind
    tree: Tree = {
        "tags": [operation.tag],
        "responses": {str(code): _response(operation, schemas) for code in operation.codes}
        | {"401": {"description": "Unauthorized"}},
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
    }
    if operation.query:
        tree["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": parameter_type(name), "uniqueItems": True}}
            for name in operation.query
        ]
    body = schemas.reference(operation.body) if operation.body else None
    if body is not None:
        media = PATCH_TYPES if operation.is_patch else ("*/*",)
        tree["requestBody"] = {"content": {name: {"schema": body} for name in media}}
    return tree


def _response(operation: Operation, schemas: Schemas) -> Tree:
    answer = schemas.reference(operation.answer) if operation.answer else None
    if answer is None:
        return {"description": "OK", "content": {"*/*": {"schema": {"type": "string"}}}}
    return {"description": "OK", "content": {name: {"schema": answer} for name in JSON_TYPES}}
