"""String formats that upstream checks in custom objects; unknown formats are ignored, as upstream ignores them.

Source: Kubernetes reference, Custom Resources, "Validation"; the formats of k8s.io/kube-openapi/pkg/validation/strfmt.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from podkeeper.api import names, timestamps

_UUID = r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?%s[0-9a-fA-F]{3}-?%s[0-9a-fA-F]{3}-?[0-9a-fA-F]{12}"
_LABEL = r"[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
_HOST = rf"(?=.{{1,255}}\Z){_LABEL}(?:\.{_LABEL})*\.?"
_DURATION = re.compile(
    r"\s*(\d+(?:\.\d*)?\s*(?:ns|nanoseconds?|us|µs|ms|s|seconds?|m|minutes?|h|hours?|d|days?|w|weeks?)\s*)+"
)


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


def _uri(text: str) -> None:
    parts = urlsplit(text)
    if not parts.scheme and not text.startswith("/"):
        raise ValueError("neither a scheme nor a path")


def _base64(text: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _date(text: str) -> None:
    timestamps.parse(f"{text}T00:00:00Z")


CHECKS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _matches(r"[0-9a-fA-F]{24}"),
    "byte": _parses(_base64),
    "cidr": _parses(lambda text: ipaddress.ip_network(text, strict=False) if "/" in text else int("x")),
    "creditcard": _matches(r"[0-9 -]{13,19}"),
    "date": _parses(_date),
    "date-time": _parses(timestamps.parse),
    "duration": lambda text: _DURATION.fullmatch(text) is not None,
    "email": _matches(r"[^@\s]+@[^@\s]+"),
    "hexcolor": _matches(r"#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "hostname": _matches(_HOST),
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "isbn": _matches(r"(?:[0-9][- ]?){9}[0-9xX]|(?:[0-9][- ]?){13}"),
    "isbn10": _matches(r"(?:[0-9][- ]?){9}[0-9xX]"),
    "isbn13": _matches(r"(?:[0-9][- ]?){13}"),
    "k8s-long-name": lambda text: not names.dns_subdomain(text),
    "k8s-short-name": lambda text: not names.dns_label(text),
    "mac": _matches(r"(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}"),
    "password": lambda text: True,
    "rgbcolor": _matches(r"rgb\(\s*\d{1,3}\s*,\s*\d{1,3}\s*,\s*\d{1,3}\s*\)"),
    "ssn": _matches(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "uri": _parses(_uri),
    "uuid": _matches(_UUID % ("[0-9a-fA-F]", "[0-9a-fA-F]")),
    "uuid3": _matches(_UUID % ("3", "[0-9a-fA-F]")),
    "uuid4": _matches(_UUID % ("4", "[89abAB]")),
    "uuid5": _matches(_UUID % ("5", "[89abAB]")),
}

_BY_PLAIN_NAME = {name.replace("-", ""): check for name, check in CHECKS.items()}


def check_of(name: str) -> Callable[[str], bool] | None:
    """What a format asks of a string, however many dashes its name is written with; None for one nobody knows."""
    return _BY_PLAIN_NAME.get(name.replace("-", ""))
