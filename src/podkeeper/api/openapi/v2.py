"""OpenAPI 2: everything in one document."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from podkeeper.api.catalogue import Resource
from podkeeper.api.openapi.operations import Operation, all_operations, parameter_type, path_parameters, subject
from podkeeper.api.openapi.schemas import V2_PREFIX, Schemas

Tree = dict[str, Any]


def document(resources: Iterable[Resource], version: str) -> Tree:
    """The whole document; ``version`` is the server's own (``v1.36.0``)."""
    rows = list(resources)
    schemas = Schemas(V2_PREFIX, rows)
    paths: dict[str, Tree] = {}
    for operation in all_operations(rows):
        entry = paths.setdefault(operation.path, _common(operation))
        entry[operation.method] = _operation(operation, schemas)
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": dict(sorted(paths.items())),
        "definitions": schemas.collect(),
        "securityDefinitions": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}},
        "security": [{"BearerToken": []}],
    }


def _common(operation: Operation) -> Tree:
    found: list[Tree] = [
        {"name": name, "in": "path", "required": True, "type": "string", "uniqueItems": True}
        for name in path_parameters(operation)
    ]
    if operation.takes_pretty:
        found.append({"name": "pretty", "in": "query", "type": "string", "uniqueItems": True})
    return {"parameters": found} if found else {}


def _operation(operation: Operation, schemas: Schemas) -> Tree:
    answer = schemas.reference(operation.answer) if operation.answer else None
    shown = {"schema": answer or {"type": "string"}}
    codes: Tree = {str(code): {"description": HTTPStatus(code).phrase} | shown for code in operation.codes}
    tree: Tree = {
        "produces": list(operation.produces),
        "schemes": ["https"],
        "tags": [operation.tag],
        "operationId": operation.name,
        "responses": codes | {"401": {"description": "Unauthorized"}},
    }
    if operation.consumes:
        tree["consumes"] = list(operation.consumes)
    if parameters := _parameters(operation, schemas):
        tree["parameters"] = parameters
    return tree | subject(operation)


def _parameters(operation: Operation, schemas: Schemas) -> list[Tree]:
    found: list[Tree] = [
        {"name": name, "in": "query", "type": parameter_type(name), "uniqueItems": True} for name in operation.query
    ]
    body = schemas.reference(operation.body) if operation.body else None
    if body is None:
        return found
    required = {"required": True} if operation.needs_body else {}
    return [{"name": "body", "in": "body", "schema": body} | required, *found]
