"""Which resources are served: the stable ones, and what is switched on or off by name.

The text is that of upstream's ``--runtime-config``: terms ``KEY`` or ``KEY=true|false``, separated by commas, where KEY
is ``api/all``, ``api/ga``, ``api/beta`` or ``api/alpha``, a version (``v1``, ``batch/v1``) or a resource of one
(``resource.k8s.io/v1beta2/deviceclasses``). What is named more closely counts more, wherever it stands. Source:
https://kubernetes.io/docs/reference/using-api/#enabling-or-disabling
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence

from podkeeper.api.catalogue import Resource
from podkeeper.api.resources import RESOURCES
from podkeeper.registry.conversion import UnsupportedVersion, conversion_for

log = logging.getLogger(__name__)

_BROAD = ("api/all", "api/ga", "api/beta", "api/alpha")
_LEVEL = re.compile(r"^v\d+(alpha|beta)?")


class RuntimeConfigError(ValueError):
    """The text names nothing that could be served, or says neither true nor false."""


def served(text: str) -> tuple[Resource, ...]:
    """The rows to serve, in the catalogue's order. Raises RuntimeConfigError, and UnsupportedVersion for a version that
    is asked for by its own name; one that a broad term takes along is left out with a warning."""
    switches = parse(text)
    if switches.get("v1") is False or switches.get("api/v1") is False:
        raise RuntimeConfigError("v1 cannot be switched off: everything else depends on it")
    chosen = [row for row in RESOURCES if _is_on(row, switches)]
    return tuple(row for row in chosen if row.enabled or _can_be_served(row, switches))


def parse(text: str) -> Mapping[str, bool]:
    """The switches by key. Raises RuntimeConfigError."""
    switches = {}
    known = {*_BROAD, *(name for row in RESOURCES for name in _names(row))}
    for term in filter(None, (part.strip() for part in text.split(","))):
        key, sign, value = term.partition("=")
        if key not in known:
            raise RuntimeConfigError(f"unknown api {key!r}")
        if sign and value not in ("true", "false"):
            raise RuntimeConfigError(f"invalid value of {key}: {value!r}, must be true or false")
        switches[key] = value != "false"
    return switches


def _names(row: Resource) -> Sequence[str]:
    """The keys that name a row, the closest first."""
    version = row.api_version
    return (f"{version}/{row.name}", version, *((f"api/{version}",) if not row.group else ()))


def _is_on(row: Resource, switches: Mapping[str, bool]) -> bool:
    for key in (*_names(row), _level(row), "api/all"):
        if key in switches:
            return switches[key]
    return row.enabled


def _level(row: Resource) -> str:
    found = _LEVEL.match(row.version)
    return f"api/{found[1]}" if found is not None and found[1] else "api/ga"


def _can_be_served(row: Resource, switches: Mapping[str, bool]) -> bool:
    try:
        conversion_for(row)
    except UnsupportedVersion as error:
        if any(switches.get(name) for name in _names(row)):
            raise
        log.warning("%s", error)
        return False
    return True
