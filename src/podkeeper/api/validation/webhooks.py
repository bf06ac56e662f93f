"""MutatingWebhookConfiguration and ValidatingWebhookConfiguration.

Source: https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from podkeeper.api import names
from podkeeper.api.validation import matching
from podkeeper.api.validation.expressions import Expressions
from podkeeper.api.validation.fields import Found, indexed
from podkeeper.api.validation.selectors import label_selector

_REVIEWS = ("v1", "v1beta1")
_SIDE_EFFECTS = ("None", "NoneOnDryRun")
_MAX_TIMEOUT = 30
_NEED_SEGMENTS = "should be a domain with at least three segments separated by dots"


def webhooks(found: Found, obj: Any, conditions: bool = True) -> None:
    """A new or changed configuration of mutating or validating webhooks, with a look at its conditions or without."""
    seen = set()
    for path, hook in indexed("webhooks", obj.webhooks):
        _webhook(found, path, hook)
        if conditions:
            matching.conditions(found, f"{path}.matchConditions", hook.match_conditions, Expressions(found))
        _review_versions(found, f"{path}.admissionReviewVersions", hook.admission_review_versions)
        if hook.name and hook.name in seen:
            found.duplicate(f"{path}.name", hook.name)
        seen.add(hook.name)


def webhooks_update(found: Found, new: Any, old: Any) -> None:
    """Everything may change; conditions that do not change are not looked at again."""
    webhooks(found, new, _conditions(new) != _conditions(old))


def service_url(found: Found, at: str, url: str) -> None:
    """The address of a webhook outside the cluster: https, and nothing but host, port and path."""
    parsed = urlsplit(url)
    if parsed.scheme != "https":
        why = "'https' is the only allowed URL scheme; desired format: https://host[:port]/path"
        found.invalid(at, parsed.scheme, why)
    if not parsed.hostname:
        found.invalid(at, parsed.netloc, "host must be specified; desired format: https://host[:port]/path")
    if parsed.username is not None:
        user = parsed.netloc.rpartition("@")[0]
        found.invalid(at, user, "user information is not permitted in the URL")
    if parsed.fragment:
        found.invalid(at, parsed.fragment, "fragments are not permitted in the URL")
    if parsed.query:
        found.invalid(at, parsed.query, "query parameters are not permitted in the URL")


def service_reference(found: Found, at: str, service: Any) -> None:
    """A service of the cluster that answers for a webhook."""
    if not service.name:
        found.required(f"{at}.name", "service name is required")
    if not service.namespace:
        found.required(f"{at}.namespace", "service namespace is required")
    if service.port is not None and names.port_number(service.port):
        found.invalid(f"{at}.port", service.port, "port is not valid: " + ",".join(names.port_number(service.port)))
    path = service.path
    if not path or path == "/":
        return
    if not path.startswith("/"):
        found.invalid(f"{at}.path", path, "must start with a '/'")
    for index, segment in enumerate(path.removeprefix("/").removesuffix("/").split("/")):
        if not segment:
            found.invalid(f"{at}.path", path, f"segment[{index}] may not be empty")
        else:
            for message in names.dns_subdomain(segment):
                found.invalid(f"{at}.path", path, f"segment[{index}]: {message}")


def _webhook(found: Found, at: str, hook: Any) -> None:
    _name(found, f"{at}.name", hook.name)
    matching.rules(found, f"{at}.rules", hook.rules)
    reinvocation = getattr(hook, "reinvocation_policy", "")
    for name, value, supported in (
        ("failurePolicy", hook.failure_policy, matching.FAILURE_POLICIES),
        ("matchPolicy", hook.match_policy, matching.MATCH_POLICIES),
        ("reinvocationPolicy", reinvocation, matching.REINVOCATIONS),
    ):
        if value and value not in supported:
            found.unsupported(f"{at}.{name}", value, supported)
    if not hook.side_effects:
        found.required(f"{at}.sideEffects", f"must specify one of {', '.join(_SIDE_EFFECTS)}")
    else:
        found.one_of(f"{at}.sideEffects", hook.side_effects, _SIDE_EFFECTS)
    seconds = hook.timeout_seconds
    if seconds is not None and not 1 <= seconds <= _MAX_TIMEOUT:
        why = f"the timeout value must be between 1 and {_MAX_TIMEOUT} seconds"
        found.invalid(f"{at}.timeoutSeconds", seconds, why)
    label_selector(found, f"{at}.namespaceSelector", hook.namespace_selector)
    label_selector(found, f"{at}.objectSelector", hook.object_selector)
    config = hook.client_config
    if (config.url is None) == (config.service is None):
        found.required(f"{at}.clientConfig", "exactly one of url or service is required")
    elif config.url is not None:
        service_url(found, f"{at}.clientConfig.url", config.url)
    else:
        service_reference(found, f"{at}.clientConfig.service", config.service)


def _conditions(obj: Any) -> list[Any]:
    return [hook.match_conditions for hook in obj.webhooks]


def _name(found: Found, at: str, name: str) -> None:
    if not name:
        found.required(at)
    elif messages := names.dns_subdomain(name):
        for message in messages:
            found.invalid(at, name, message)
    elif name.count(".") < 2:
        found.invalid(at, name, _NEED_SEGMENTS)


def _review_versions(found: Found, at: str, versions: Sequence[str]) -> None:
    if not versions:
        found.required(at, f"must specify one of {', '.join(_REVIEWS)}")
        return
    seen = set()
    for path, version in indexed(at, versions):
        if version in seen:
            found.invalid(path, version, "duplicate version")
            continue
        seen.add(version)
        found.check(path, version, names.dns_1035_label)
    if not seen & set(_REVIEWS):
        found.invalid(at, versions, f"must include at least one of {', '.join(_REVIEWS)}")


def has_certificates(bundle: str) -> bool:
    """Whether a CA bundle, base64 as it is written, has a certificate in PEM."""
    try:
        content = base64.b64decode(bundle, validate=True)
    except ValueError:
        return False
    return b"-----BEGIN CERTIFICATE-----" in content and b"-----END CERTIFICATE-----" in content
