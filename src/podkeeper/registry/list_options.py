"""What the options of LIST and WATCH ask for, decided before anything is read.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list and #semantics-for-watch
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from podkeeper.api.errors import ApiError, Cause, bad_request, invalid
from podkeeper.registry import continuation
from podkeeper.registry.verbs import ListOptions

EXACT, NOT_OLDER_THAN = "Exact", "NotOlderThan"


class Freshness(Enum):
    """Which state answers a read."""

    LATEST = "latest"  # everything acknowledged so far
    ANY = "any"  # whatever the cache has
    NOT_OLDER = "not older"  # at least the revision asked for
    EXACT = "exact"  # that revision


class ReadPlan(Struct, frozen=True):
    """How to answer a LIST or GET. ``after`` is the last key of the page before; ``continued`` that there was one."""

    freshness: Freshness
    revision: int = 0
    after: str = ""
    continued: bool = False


class WatchPlan(Struct, frozen=True):
    """How to begin a WATCH: with the state (as ADDED events) or with what came after ``revision``."""

    freshness: Freshness
    revision: int = 0
    send_state: bool = False
    mark_end_of_state: bool = False


def plan_get(resource_version: str | None) -> ReadPlan:
    """GET: not given: latest; "0": any; else not older."""
    revision = parse_revision(resource_version)
    if not resource_version:
        return ReadPlan(Freshness.LATEST)
    return ReadPlan(Freshness.NOT_OLDER, revision) if revision else ReadPlan(Freshness.ANY)


def plan_list(options: ListOptions, prefix: str) -> ReadPlan:
    """LIST over the keys under ``prefix``. Raises 400 or 422 with upstream's texts."""
    _refuse(_list_mistakes(options))
    revision = parse_revision(options.resource_version)
    if options.continuation:
        if options.resource_version and revision:
            raise bad_request("specifying resource version is not allowed when using continue")
        token = continuation.decode(options.continuation, prefix)
        if token.revision == continuation.INCONSISTENT:
            return ReadPlan(Freshness.LATEST, after=token.after, continued=True)
        return ReadPlan(Freshness.EXACT, token.revision, token.after, continued=True)
    if not options.resource_version:
        return ReadPlan(Freshness.LATEST)
    if not revision:
        return ReadPlan(Freshness.ANY)
    exact = options.resource_version_match == EXACT or (options.limit and not options.resource_version_match)
    return ReadPlan(Freshness.EXACT if exact else Freshness.NOT_OLDER, revision)


def plan_watch(options: ListOptions) -> WatchPlan:
    """WATCH. Raises 400 or 422 with upstream's texts."""
    _refuse(_watch_mistakes(options))
    revision = parse_revision(options.resource_version)
    latest = Freshness.ANY if options.resource_version else Freshness.LATEST
    if options.send_initial_events:
        freshness = Freshness.NOT_OLDER if revision else latest
        return WatchPlan(freshness, revision, send_state=True, mark_end_of_state=options.allow_bookmarks)
    if revision:
        return WatchPlan(Freshness.ANY, revision)
    return WatchPlan(latest, send_state=options.send_initial_events is None)


def parse_revision(text: str | None) -> int:
    """The revision in a resourceVersion; 0 if not given. Raises 400."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or int(text) >= 2**64:
        why = "value out of range" if text.isascii() and text.isdigit() else "invalid syntax"
        parsing = f'strconv.ParseUint: parsing "{text}": {why}'
        raise bad_request(f'invalid resource version: resourceVersion: Invalid value: "{text}": {parsing}')
    return int(text)


def _refuse(mistakes: list[Cause]) -> None:
    if mistakes:
        raise _invalid_options(mistakes)


def _invalid_options(mistakes: list[Cause]) -> ApiError:
    return invalid("ListOptions", "meta.k8s.io", "", mistakes)


def _forbidden(field: str, text: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {text}", field)


def _unsupported(match: str, *supported: str) -> Cause:
    listed = ", ".join(f'"{each}"' for each in supported)
    text = f'Unsupported value: "{match}": supported values: {listed}'
    return Cause("FieldValueNotSupported", text, "resourceVersionMatch")


def _list_mistakes(options: ListOptions) -> list[Cause]:
    match, field = options.resource_version_match, "resourceVersionMatch"
    found = []
    if match and not options.resource_version:
        found.append(_forbidden(field, f"{field} is forbidden unless resourceVersion is provided"))
    if match and options.continuation:
        found.append(_forbidden(field, f"{field} is forbidden when continue is provided"))
    if match and match not in (EXACT, NOT_OLDER_THAN):
        found.append(_unsupported(match, EXACT, NOT_OLDER_THAN, ""))
    if match == EXACT and options.resource_version == "0":
        found.append(_forbidden(field, f'{field} "exact" is forbidden for resourceVersion "0"'))
    if options.send_initial_events is not None:
        found.append(_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return found


def _watch_mistakes(options: ListOptions) -> list[Cause]:
    match, field = options.resource_version_match, "resourceVersionMatch"
    found = []
    if options.send_initial_events is not None and match != NOT_OLDER_THAN:
        found.append(_forbidden(field, f"sendInitialEvents requires setting {field} to NotOlderThan"))
    if match and options.send_initial_events is None:
        found.append(_forbidden(field, f"{field} is forbidden for watch unless sendInitialEvents is provided"))
    if match and match != NOT_OLDER_THAN:
        found.append(_unsupported(match, NOT_OLDER_THAN))
    return found
