"""Requests, limits and the names of resources.

Source: https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from podkeeper.api import names
from podkeeper.api.quantity import Quantity
from podkeeper.api.validation.fields import NOT_NEGATIVE, Found, keyed

if TYPE_CHECKING:
    from podkeeper.api.core import v1

HUGE_PAGES = "hugepages-"
_FOR_CONTAINERS = frozenset({"cpu", "memory", "ephemeral-storage"})
_STANDARD = _FOR_CONTAINERS | {
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "requests.storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "services.nodeports",
    "services.loadbalancers",
}
_FOR_QUOTAS = _STANDARD - {"storage"}
_QUOTA_HUGE_PAGES = (HUGE_PAGES, f"requests.{HUGE_PAGES}")


@lru_cache(maxsize=256)
def resource_name(value: str) -> tuple[str, ...]:
    """A qualified name; without a domain one of those that the API defines."""
    found = names.qualified_name(value)
    if not found and "/" not in value and value not in _STANDARD and not value.startswith(_QUOTA_HUGE_PAGES):
        return ("must be a standard resource type or fully qualified",)
    return found


@lru_cache(maxsize=256)
def container_resource_name(value: str) -> tuple[str, ...]:
    """A resource that containers can ask for."""
    found = resource_name(value)
    if "/" not in value and value not in _FOR_CONTAINERS and not value.startswith(HUGE_PAGES):
        return (*found, "must be a standard resource for containers")
    return found


@lru_cache(maxsize=256)
def quota_resource_name(value: str) -> tuple[str, ...]:
    """What a quota can count or add up."""
    found = resource_name(value)
    if "/" not in value and value not in _FOR_QUOTAS and not value.startswith(_QUOTA_HUGE_PAGES):
        return (*found, "must be a standard resource for quota")
    return found


def is_extended(name: str) -> bool:
    """Whether the resource is a device of somebody's, which is counted in whole pieces and never overcommitted."""
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def amount(found: Found, at: str, name: str, value: Quantity) -> None:
    """An amount of a resource: not negative, and whole where pieces are counted."""
    if value.sign() < 0:
        found.invalid(at, str(value), NOT_NEGATIVE)
    elif is_extended(name) and not value.is_integer():
        found.invalid(at, str(value), "must be an integer")


def amounts(found: Found, at: str, listed: Mapping[str, Quantity]) -> None:
    """A map of resources, such as a pod's overhead or a node's capacity."""
    for path, name, value in keyed(at, listed):
        found.check(path, name, resource_name)
        amount(found, path, name, value)


def requirements(found: Found, at: str, resources: v1.ResourceRequirements) -> None:
    """A container's requests and limits."""
    limits, requests = resources.limits, resources.requests
    for path, name, value in keyed(f"{at}.limits", limits):
        found.check(path, name, container_resource_name)
        amount(found, path, name, value)
    for path, name, value in keyed(f"{at}.requests", requests):
        found.check(path, name, container_resource_name)
        amount(found, path, name, value)
        _within_limit(found, at, name, value, limits.get(name))
    asked = {*limits, *requests}
    if any(name.startswith(HUGE_PAGES) for name in asked) and not asked & {"cpu", "memory"}:
        found.forbidden(at, "HugePages require cpu or memory")


def _within_limit(found: Found, at: str, name: str, request: Quantity, limit: Quantity | None) -> None:
    whole = is_extended(name) or name.startswith(HUGE_PAGES)
    if limit is None:
        if whole:
            found.required(f"{at}.limits", "Limit must be set for non overcommitable resources")
    elif whole and request != limit:
        found.invalid(f"{at}.requests", str(request), f"must be equal to {name} limit of {limit}")
    elif request > limit:
        found.invalid(f"{at}.requests", str(request), f"must be less than or equal to {name} limit of {limit}")
