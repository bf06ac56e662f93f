"""Query parameters as option objects, with upstream's conversion rules and its Invalid errors
(ListOptions.meta.k8s.io ...)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from podkeeper.api.errors import Cause, bad_request, invalid
from podkeeper.apiserver.requestinfo import Query, RequestInfo, flag
from podkeeper.registry.verbs import DeleteOptions, FieldValidation, ListOptions

_META = "meta.k8s.io"
_MANAGER_LIMIT = 128
_PROPAGATIONS = ("Foreground", "Background", "Orphan")


class WriteOptions(Struct, frozen=True):
    """What create, update and patch take from the query. ``force`` is None when not given."""

    dry_run: bool = False
    field_manager: str = ""
    field_validation: FieldValidation = FieldValidation.WARN
    force: bool | None = None


_PLAIN_WRITE = WriteOptions()
_PLAIN_LIST = ListOptions()


def integer(query: Query, name: str) -> int | None:
    """A decimal parameter; None if absent or empty."""
    values = query.get(name)
    if not values:
        return None
    text = values[0]
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    number = int(text)
    if not -(1 << 63) <= number < 1 << 63:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return number


def list_options(info: RequestInfo) -> ListOptions:
    """ListOptions of a list, watch or deletecollection; what they may be together is the registry's to judge. Raises
    400."""
    query = info.query
    if not query:
        return _PLAIN_LIST
    versions = query.get("resourceVersion")
    initial = query.get("sendInitialEvents")
    return ListOptions(
        label_selector=info.first("labelSelector"),
        field_selector=info.first("fieldSelector"),
        limit=max(integer(query, "limit") or 0, 0),
        continuation=info.first("continue"),
        resource_version=versions[0] if versions and versions[0] else None,
        resource_version_match=info.first("resourceVersionMatch"),
        send_initial_events=flag(initial) if initial is not None else None,
        allow_bookmarks=flag(query.get("allowWatchBookmarks")),
        timeout=float(integer(query, "timeoutSeconds") or 0),
    )


def _forbidden(field: str, why: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {why}", field)


def unsupported(field: str, value: str, supported: Sequence[str]) -> Cause:
    """A field error: the value is not one of those supported."""
    listed = ", ".join(f'"{each}"' for each in supported)
    return Cause("FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {listed}', field)


def _dry_run(values: Sequence[str]) -> tuple[bool, list[Cause]]:
    wrong = [value for value in values if value != "All"]
    if wrong:
        listed = ", ".join(f'"{value}"' for value in values)
        text = f'Unsupported value: {f"[{listed}]" if len(values) > 1 else listed}: supported values: "All"'
        return False, [Cause("FieldValueNotSupported", text, "dryRun")]
    return bool(values), []


def _manager_causes(manager: str) -> list[Cause]:
    if len(manager) > _MANAGER_LIMIT:
        text = f"Too long: may not be more than {_MANAGER_LIMIT} bytes"
        return [Cause("FieldValueTooLong", text, "fieldManager")]
    if not manager.isprintable():
        text = f'Invalid value: "{manager}": should only contain printable characters'
        return [Cause("FieldValueInvalid", text, "fieldManager")]
    return []


def write_options(info: RequestInfo, kind: str, *, apply: bool = False) -> WriteOptions:
    """Options of a create, update or patch; ``kind`` is CreateOptions, UpdateOptions or PatchOptions."""
    query = info.query
    if not query and not apply:
        return _PLAIN_WRITE
    dry_run, causes = _dry_run(query.get("dryRun", ()))
    manager, validation = info.first("fieldManager"), info.first("fieldValidation")
    forced = query.get("force")
    if kind == "PatchOptions":
        if apply and not manager:
            causes.append(Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager"))
        if not apply and forced is not None:
            causes.append(_forbidden("force", "may not be specified for non-apply patch"))
    causes += _manager_causes(manager)
    if validation not in ("", "Ignore", "Strict", "Warn"):
        causes.append(unsupported("fieldValidation", validation, ("", "Ignore", "Strict", "Warn")))
    if causes:
        raise invalid(kind, _META, "", causes)
    level = FieldValidation(validation) if validation else FieldValidation.WARN
    return WriteOptions(dry_run, manager, level, flag(forced) if forced is not None else None)


def delete_options(info: RequestInfo, body: Mapping[str, Any] | None) -> tuple[DeleteOptions, bool, bool]:
    """DeleteOptions from the body, whose types are right, or else the query; then dry run, and whether the dependents
    may not be orphaned.

    The last one decides between 200 and 202 for an object that is still there. Raises 400 and 422.
    """
    tree = dict(body) if body else _delete_query(info)
    dry_run, causes = _dry_run(tree.get("dryRun") or ())
    propagation, orphan = tree.get("propagationPolicy"), tree.get("orphanDependents")
    if propagation is not None and orphan is not None:
        text = f'Invalid value: "{propagation}": orphanDependents and deletionPropagation cannot be both set'
        causes.append(Cause("FieldValueInvalid", text, "propagationPolicy"))
    if propagation is not None and propagation not in _PROPAGATIONS:
        causes.append(unsupported("propagationPolicy", str(propagation), (*_PROPAGATIONS, "nil")))
    if causes:
        raise invalid("DeleteOptions", _META, "", causes)
    if propagation is None and orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    preconditions = tree.get("preconditions") or {}
    options = DeleteOptions(
        grace_period=tree.get("gracePeriodSeconds"),
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        propagation=propagation or "",
    )
    return options, dry_run, orphan is False


def _delete_query(info: RequestInfo) -> dict[str, Any]:
    query = info.query
    tree: dict[str, Any] = {}
    if query:
        readers: dict[str, Callable[[], Any]] = {
            "gracePeriodSeconds": lambda: integer(query, "gracePeriodSeconds"),
            "propagationPolicy": lambda: info.first("propagationPolicy"),
            "orphanDependents": lambda: flag(query.get("orphanDependents")),
            "dryRun": lambda: query.get("dryRun"),
        }
        tree = {name: read() for name, read in readers.items() if name in query}
    return tree
