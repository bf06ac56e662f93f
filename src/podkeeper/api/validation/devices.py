"""resource.k8s.io: device classes, claims and their templates, slices that drivers publish, in every served version.

Selectors are CEL expressions, which are stored and not compiled here.
Source: https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from podkeeper.api import names
from podkeeper.api.validation.computeresources import is_extended
from podkeeper.api.validation.fields import NOT_NEGATIVE, Found, indexed
from podkeeper.api.validation.metadata import of_template
from podkeeper.api.validation.selectors import node_selector
from podkeeper.api.validation.volumes import csi_driver_name

_MAX_REQUESTS = 32
_MAX_ALTERNATIVES = 8
_MAX_DEVICES = 128
_MAX_SPECIAL_DEVICES = 64
_MAX_ATTRIBUTES = 32
_MAX_EXPRESSION = 10 * 1024
_MAX_POOL_NAME = 253
_MODES = ("All", "ExactCount")
_UNKNOWN_REQUEST = (
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
)
_ONE_REQUEST = "exactly one of `exactly` or `firstAvailable` is required"
_ONE_PLACE = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"


def device_class(found: Found, obj: Any) -> None:
    """A new or changed class."""
    spec = obj.spec
    _selectors(found, "spec.selectors", spec.selectors)
    _many(found, "spec.config", spec.config, _MAX_REQUESTS)
    for path, config in indexed("spec.config", spec.config):
        _configuration(found, path, config)
    extended = getattr(spec, "extended_resource_name", "")
    if extended and (not is_extended(extended) or names.qualified_name(extended)):
        found.invalid("spec.extendedResourceName", extended, "must be a valid extended resource name")


def device_class_update(found: Found, new: Any, old: Any) -> None:
    """Everything may change."""
    device_class(found, new)


def claim(found: Found, obj: Any) -> None:
    """A new claim."""
    _claim_spec(found, "spec", obj.spec)


def claim_update(found: Found, new: Any, old: Any) -> None:
    """What is claimed stays."""
    found.unchanged("spec", new.spec, old.spec)


def claim_status_update(found: Found, new: Any, old: Any) -> None:
    """Who uses the claim, and what was allocated, once."""
    status, before = new.status, old.status
    at = "status.reservedFor"
    seen = set()
    for path, consumer in indexed(at, status.reserved_for):
        for name in ("resource", "name", "uid"):
            if not getattr(consumer, name):
                found.required(f"{path}.{name}")
        if consumer.uid in seen:
            found.duplicate(path, consumer.uid)
        seen.add(consumer.uid)
    if status.reserved_for and status.allocation is None:
        found.forbidden(at, "may not be specified when `allocated` is not set")
    elif new.metadata.deletion_timestamp and set(status.reserved_for) - set(before.reserved_for):
        why = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        found.forbidden(at, why)
    if before.allocation is not None and status.allocation is not None:
        found.unchanged("status.allocation", status.allocation, before.allocation)


def claim_template(found: Found, obj: Any) -> None:
    """A new template of claims."""
    of_template(found, "spec.metadata", obj.spec.metadata)
    _claim_spec(found, "spec.spec", obj.spec.spec)


def claim_template_update(found: Found, new: Any, old: Any) -> None:
    """The template stays."""
    found.unchanged("spec", new.spec, old.spec)


def resource_slice(found: Found, obj: Any) -> None:
    """A new or changed part of a pool of devices."""
    spec = obj.spec
    csi_driver_name(found, "spec.driver", spec.driver)
    _pool(found, "spec.pool", spec.pool)
    _place(found, "spec", spec)
    special = any(device.taints or device.consumes_counters for device in map(_flat, spec.devices))
    _many(found, "spec.devices", spec.devices, _MAX_SPECIAL_DEVICES if special else _MAX_DEVICES)
    _named(found, "spec.devices", spec.devices, _device)


def resource_slice_update(found: Found, new: Any, old: Any) -> None:
    """Driver, pool and node stay."""
    resource_slice(found, new)
    found.unchanged("spec.pool.name", new.spec.pool.name, old.spec.pool.name)
    found.unchanged("spec.driver", new.spec.driver, old.spec.driver)
    found.unchanged("spec.nodeName", new.spec.node_name, old.spec.node_name)


def _claim_spec(found: Found, at: str, spec: Any) -> None:
    devices, at = spec.devices, f"{at}.devices"
    known = {request.name for request in devices.requests}
    known |= {f"{one.name}/{other.name}" for one in devices.requests for other in one.first_available}
    _many(found, f"{at}.requests", devices.requests, _MAX_REQUESTS)
    _named(found, f"{at}.requests", devices.requests, _request)
    _many(found, f"{at}.constraints", devices.constraints, _MAX_REQUESTS)
    for path, constraint in indexed(f"{at}.constraints", devices.constraints):
        _request_names(found, f"{path}.requests", constraint.requests, known)
        if not constraint.match_attribute and not getattr(constraint, "distinct_attribute", ""):
            found.required(f"{path}.matchAttribute")
    _many(found, f"{at}.config", devices.config, _MAX_REQUESTS)
    for path, config in indexed(f"{at}.config", devices.config):
        _request_names(found, f"{path}.requests", config.requests, known)
        _configuration(found, path, config)


def _request(found: Found, at: str, request: Any) -> None:
    _label(found, f"{at}.name", request.name)
    flat = hasattr(request, "device_class_name")  # v1beta1 has the exact request in the request itself
    exactly = request.exactly if not flat else request if request.device_class_name else None
    alternatives = request.first_available
    if exactly is not None and alternatives:
        found.invalid(at, None, f"{_ONE_REQUEST}, but multiple fields are set")
    elif exactly is not None:
        _wanted(found, at if flat else f"{at}.exactly", exactly)
    elif alternatives:
        _many(found, f"{at}.firstAvailable", alternatives, _MAX_ALTERNATIVES)
        _named(found, f"{at}.firstAvailable", alternatives, _alternative)
    else:
        found.required(at, _ONE_REQUEST)


def _alternative(found: Found, at: str, request: Any) -> None:
    _label(found, f"{at}.name", request.name)
    _wanted(found, at, request)


def _wanted(found: Found, at: str, request: Any) -> None:
    if not request.device_class_name:
        found.required(f"{at}.deviceClassName")
    else:
        found.check(f"{at}.deviceClassName", request.device_class_name, names.dns_subdomain)
    _selectors(found, f"{at}.selectors", request.selectors)
    count = request.count or 0
    if request.allocation_mode == "All":
        if count:
            found.invalid(f"{at}.count", count, "must not be specified when allocationMode is 'All'")
    elif request.allocation_mode != "ExactCount":
        found.unsupported(f"{at}.allocationMode", request.allocation_mode, _MODES)
    elif count <= 0:
        found.invalid(f"{at}.count", count, "must be greater than zero")
    for path, toleration in indexed(f"{at}.tolerations", request.tolerations):
        _toleration(found, path, toleration)


def _selectors(found: Found, at: str, selectors: Sequence[Any]) -> None:
    _many(found, at, selectors, _MAX_REQUESTS)
    for path, selector in indexed(at, selectors):
        if selector.cel is None:
            found.required(f"{path}.cel")
        elif len(selector.cel.expression.encode()) > _MAX_EXPRESSION:
            found.too_long(f"{path}.cel.expression", _MAX_EXPRESSION)


def _request_names(found: Found, at: str, listed: Sequence[str], known: set[str]) -> None:
    _many(found, at, listed, _MAX_REQUESTS)
    for path, name in indexed(at, listed):
        if name not in known:
            found.invalid(path, name, _UNKNOWN_REQUEST)
        if listed.count(name) > 1 and listed.index(name) != int(path[len(at) + 1 : -1]):
            found.duplicate(path, name)


def _configuration(found: Found, at: str, config: Any) -> None:
    if config.opaque is None:
        found.required(f"{at}.opaque")
        return
    csi_driver_name(found, f"{at}.opaque.driver", config.opaque.driver)
    if config.opaque.parameters is None:
        found.required(f"{at}.opaque.parameters")
    elif not isinstance(config.opaque.parameters, dict):
        found.invalid(f"{at}.opaque.parameters", "<value omitted>", "must be a valid JSON object")


def _toleration(found: Found, at: str, toleration: Any) -> None:
    if toleration.key:
        found.check(f"{at}.key", toleration.key, names.label_key)
    if toleration.operator == "Exists":
        if toleration.value:
            found.invalid(f"{at}.value", toleration.value, "must be empty for operator `Exists`")
    elif toleration.operator == "Equal":
        found.check(f"{at}.value", toleration.value, names.label_value)
    else:
        found.one_of(f"{at}.operator", toleration.operator, ("Equal", "Exists"))
    if toleration.effect and toleration.effect not in ("NoExecute", "NoSchedule"):
        found.unsupported(f"{at}.effect", toleration.effect, ("NoExecute", "NoSchedule"))


def _pool(found: Found, at: str, pool: Any) -> None:
    if not pool.name:
        found.required(f"{at}.name")
    else:
        if len(pool.name) > _MAX_POOL_NAME:
            found.too_long(f"{at}.name", _MAX_POOL_NAME)
        for part in pool.name.split("/"):
            found.check(f"{at}.name", part, names.dns_subdomain)
    if pool.resource_slice_count <= 0:
        found.invalid(f"{at}.resourceSliceCount", pool.resource_slice_count, "must be greater than zero")
    if pool.generation < 0:
        found.invalid(f"{at}.generation", pool.generation, NOT_NEGATIVE)


def _place(found: Found, at: str, spec: Any) -> None:
    """A slice belongs to one node, to some, to all, or says so for each device."""
    given = []
    if spec.node_name:
        given.append("`nodeName`")
        found.check(f"{at}.nodeName", spec.node_name, names.dns_subdomain)
    if spec.node_selector is not None:
        given.append("`nodeSelector`")
        node_selector(found, f"{at}.nodeSelector", spec.node_selector)
        terms = spec.node_selector.node_selector_terms
        if len(terms) != 1:
            found.invalid(f"{at}.nodeSelector.nodeSelectorTerms", terms, "must have exactly one node selector term")
    for name, value in (("allNodes", spec.all_nodes), ("perDeviceNodeSelection", spec.per_device_node_selection)):
        if value:
            given.append(f"`{name}`")
        elif value is not None:
            found.invalid(f"{at}.{name}", value, "must be either unset or set to true")
    if not given:
        found.required(at, _ONE_PLACE)
    elif len(given) > 1:
        found.invalid(at, f"{{{', '.join(given)}}}", f"{_ONE_PLACE}, but multiple fields are set")


def _device(found: Found, at: str, device: Any) -> None:
    _label(found, f"{at}.name", device.name)
    flat = _flat(device)
    count = len(flat.attributes) + len(flat.capacity)
    if count > _MAX_ATTRIBUTES:
        why = f"the total number of attributes and capacities must not exceed {_MAX_ATTRIBUTES}"
        found.invalid(at, count, why)
    for key, attribute in flat.attributes.items():
        values = [getattr(attribute, name) for name in attribute.__struct_fields__]
        if sum(value is not None and value != () for value in values) != 1:
            found.required(f"{at}.attributes[{key}]", "exactly one value must be specified")


def _flat(device: Any) -> Any:
    """The device's own properties, which v1beta1 keeps one level down."""
    return device.basic if getattr(device, "basic", None) is not None else device


def _label(found: Found, at: str, name: str) -> None:
    if not name:
        found.required(at)
    else:
        found.check(at, name, names.dns_label)


def _many(found: Found, at: str, listed: Sequence[Any], limit: int) -> None:
    if len(listed) > limit:
        found.too_many(at, len(listed), limit)


def _named(found: Found, at: str, listed: Sequence[Any], judge: Callable[[Found, str, Any], None]) -> None:
    """Each item by itself, and no name twice."""
    seen = set()
    for path, item in indexed(at, listed):
        judge(found, path, item)
        if item.name in seen:
            found.duplicate(path, item.name)
        seen.add(item.name)
