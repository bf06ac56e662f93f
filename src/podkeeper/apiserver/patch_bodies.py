"""Patches in bodies, as upstream's handler of each form reads them.

Source: k8s.io/apiserver, pkg/endpoints/handlers/patch.go.
"""

from __future__ import annotations

from typing import Any

import msgspec

from podkeeper.api.errors import ApiError, bad_request
from podkeeper.apiserver import bodies
from podkeeper.registry.verbs import FieldValidation, PatchType, RequestContext

_decode = msgspec.json.Decoder().decode
_PREFIX = "error decoding patch: "
#: What goes before an error, by the form of the patch.
_PREFIXES = {PatchType.JSON: _PREFIX, PatchType.MERGE: _PREFIX, PatchType.STRATEGIC: ""}
#: Into what upstream decodes the operations of a JSON patch.
_OPERATIONS = "endpoints/handlers.jsonPatchOp"


def read(body: bytes, patch_type: PatchType, context: RequestContext) -> Any:
    """The patch as a tree. Raises 400. Fields that stand twice, and unknown ones of operations, become complaints."""
    if patch_type is PatchType.APPLY:
        return _read_yaml(body, context)
    try:
        patch = _decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        mended = bodies.with_replacements(body)
        if mended != body:
            return read(mended, patch_type, context)
        raise _refused(body, patch_type) from None
    wanted = list if patch_type is PatchType.JSON else dict
    if not isinstance(patch, wanted) or (wanted is list and not all(map(_is_operation, patch))):
        _check(body, patch, patch_type)
        patch = wanted() if patch is None else patch
    strict = context.field_validation is not FieldValidation.IGNORE
    if strict and (patch_type is PatchType.JSON or not bodies.is_whole(patch, body)):
        context.complaints = _complaints(body, patch_type)
    return patch


def _is_operation(step: Any) -> bool:
    """Whether an operation surely decodes."""
    return isinstance(step, dict) and all(isinstance(step.get(name, ""), str) for name in ("op", "path", "from"))


def _refused(body: bytes, patch_type: PatchType) -> ApiError:
    from podkeeper.api import gojson  # nobody needs it as long as bodies are right

    return bad_request(_PREFIXES[patch_type] + (gojson.complaint(body) or "invalid character in numeric literal"))


def _check(body: bytes, patch: Any, patch_type: PatchType) -> None:
    """Raises 400 for a patch that is no list of operations, or no object."""
    from podkeeper.api import gojson  # nobody needs it as long as bodies are right

    if patch is None:
        if patch_type is PatchType.MERGE:
            raise bad_request("Invalid JSON Patch")
        return  # no operations, or nothing to merge
    document = gojson.read(body)
    found = gojson.judge_all(document, _OPERATIONS) if patch_type is PatchType.JSON else gojson.judge_free(document)
    if found.error:
        raise bad_request(_PREFIXES[patch_type] + found.error)


def _complaints(body: bytes, patch_type: PatchType) -> tuple[str, ...]:
    """What the strict reader has to say."""
    from podkeeper.api import gojson  # few patches repeat fields

    document = gojson.read(body)
    if patch_type is not PatchType.JSON:
        return gojson.judge_free(document).strict
    return tuple(f"json patch {each}" for each in gojson.judge_all(document, _OPERATIONS).strict)


def _read_yaml(body: bytes, context: RequestContext) -> Any:
    """The configuration that is applied."""
    from podkeeper.apiserver import yamls

    tree, is_json = bodies.as_json(body)
    if not is_json:
        try:
            tree, complaint = yamls.read(body)
        except (yamls.YamlError, RecursionError) as error:
            raise bad_request(f"error decoding YAML: error converting YAML to JSON: {error}") from None
        _report_repeated(complaint, context)
    if tree is not None and not isinstance(tree, dict):
        from podkeeper.api import gojson

        why = gojson.judge_free(tree).error
        raise bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
    return tree or {}


def _report_repeated(complaint: str, context: RequestContext) -> None:
    from podkeeper.apiserver import yamls

    if complaint and context.field_validation is FieldValidation.STRICT:
        raise bad_request(f"error strict decoding YAML: error converting YAML to JSON: {complaint}")
    if complaint and context.field_validation is FieldValidation.WARN:
        context.warnings.extend(yamls.lines(complaint))
