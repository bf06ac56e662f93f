"""OpenAPI 2: everything in one document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from podkeeper.api.catalogue import Resource
from podkeeper.api.openapi.operations import JSON_TYPES, PATCH_TYPES, Operation, operations, parameter_type
from podkeeper.api.openapi.schemas import V2_PREFIX, Schemas

Tree = dict[str, Any]


def document(resources: Iterable[Resource], version: str) -> Tree:
    """The whole document; ``version`` is the server's own (``v1.36.0``)."""
    schemas = Schemas(V2_PREFIX)
    paths: dict[str, Tree] = {}
    for resource in resources:
        for operation in operations(resource):
            entry = paths.setdefault(operation.path, _common(operation.path))
            entry[operation.method] = _operation(operation, schemas)
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": dict(sorted(paths.items())),
        "definitions": schemas.collect(),
        "securityDefinitions": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}},
        "security": [{"BearerToken": []}],
    }


def _common(path: str) -> Tree:
    names = [name for name in ("name", "namespace") if f"{{{name}}}" in path]
    found: list[Tree] = [
        {"name": name, "in": "path", "required": True, "type": "string", "uniqueItems": True} for name in names
    ]
    found.append({"name": "pretty", "in": "query", "type": "string", "uniqueItems": True})
    return {"parameters": found}


def _operation(operation: Operation, schemas: Schemas) -> Tree:
    group, version, kind = operation.kind
    answer = schemas.reference(operation.answer) if operation.answer else None
    shown = {"schema": answer or {"type": "string"}, "description": "OK"}
    tree: Tree = {
        "consumes": list(PATCH_TYPES) if operation.is_patch else ["*/*"],
        "produces": list(JSON_TYPES),
        "schemes": ["https"],
        "tags": [operation.tag],
        "operationId": _operation_id(operation),
        "responses": {str(code): shown for code in operation.codes} | {"401": {"description": "Unauthorized"}},
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
    }
    parameters: list[Tree] = [
        {"name": name, "in": "query", "type": parameter_type(name), "uniqueItems": True} for name in operation.query
    ]
    body = schemas.reference(operation.body) if operation.body else None
    if body is not None:
        parameters.insert(0, {"name": "body", "in": "body", "required": operation.action != "delete", "schema": body})
    if parameters:
        tree["parameters"] = parameters
    return tree


def _operation_id(operation: Operation) -> str:
    """Unique and stable; made of the action and the path's own words."""
    words = [word.strip("{}") for word in operation.path.split("/") if word]
    return operation.action + operation.method.title() + "".join(word[:1].upper() + word[1:] for word in words)
