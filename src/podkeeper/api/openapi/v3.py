"""OpenAPI 3: an index of documents and one document per group and version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from podkeeper.api.catalogue import Resource
from podkeeper.api.openapi.operations import Operation, all_operations, parameter_type, path_parameters, subject
from podkeeper.api.openapi.schemas import V3_PREFIX, Schemas

Tree = dict[str, Any]


def documents(resources: Iterable[Resource]) -> Mapping[str, Sequence[Operation]]:
    """What each document tells of, by its name in the index: ``api/v1``, ``apis/apps/v1``, ``version``."""
    found: dict[str, list[Operation]] = {}
    for operation in all_operations(resources):
        found.setdefault(_document_of(operation.path), []).append(operation)
    return found


def _document_of(path: str) -> str:
    parts = path.strip("/").split("/")
    return "/".join(parts[: {"api": 2, "apis": 3}.get(parts[0])])


def index(hashes: Mapping[str, str]) -> Tree:
    """/openapi/v3: where each document is. ``hashes`` is by document name; a changed hash makes a new URL."""
    return {
        "paths": {
            name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={digest}"} for name, digest in sorted(hashes.items())
        }
    }


def document(operations: Iterable[Operation], version: str, resources: Iterable[Resource] = ()) -> Tree:
    """One of ``documents``; ``version`` is the server's own (``v1.36.0``), ``resources`` hold the custom ones in it."""
    schemas = Schemas(V3_PREFIX, resources)
    paths: dict[str, Tree] = {}
    for operation in operations:
        entry = paths.setdefault(operation.path, _common(operation))
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


def _common(operation: Operation) -> Tree:
    found: list[Tree] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "uniqueItems": True}}
        for name in path_parameters(operation)
    ]
    if operation.takes_pretty:
        found.append({"name": "pretty", "in": "query", "schema": {"type": "string", "uniqueItems": True}})
    return {"parameters": found} if found else {}


def _operation(operation: Operation, schemas: Schemas) -> Tree:
    tree: Tree = {
        "tags": [operation.tag],
        "operationId": operation.name,
        "responses": {str(code): _response(operation, code, schemas) for code in operation.codes}
        | {"401": {"description": "Unauthorized"}},
    }
    if operation.query:
        tree["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": parameter_type(name), "uniqueItems": True}}
            for name in operation.query
        ]
    body = schemas.reference(operation.body) if operation.body else None
    if body is not None:
        tree["requestBody"] = {"content": {name: {"schema": body} for name in operation.consumes}}
        if operation.needs_body:
            tree["requestBody"]["required"] = True
    return tree | subject(operation)


def _response(operation: Operation, code: int, schemas: Schemas) -> Tree:
    answer = schemas.reference(operation.answer) if operation.answer else None
    content = {name: {"schema": answer or {"type": "string"}} for name in operation.produces}
    return {"description": HTTPStatus(code).phrase, "content": content}
