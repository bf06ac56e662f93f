"""Names: which strings may name objects, labels, ports and keys, and the suffix that completes a generateName.

Every check returns upstream's messages, none when the value is good. Source:
https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from random import Random, SystemRandom

Check = Callable[[str], "tuple[str, ...]"]

LABEL_LENGTH = 63
SUBDOMAIN_LENGTH = 253
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5
_SYSTEM_RANDOM = SystemRandom()

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = _LABEL + r"(\." + _LABEL + ")*"
_UNDERSCORED_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_UNDERSCORED_SUBDOMAIN = _UNDERSCORED_LABEL + r"(\." + _UNDERSCORED_LABEL + ")*"
_WILDCARD = r"\*\." + _SUBDOMAIN
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_KEY_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_KEY_NAME})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HEADER = "[-A-Za-z0-9]+"
_PERCENT = "[0-9]+%"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"

_KEY_MESSAGE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)


def pattern_message(message: str, pattern: str, *examples: str) -> str:
    """The message of a failed pattern, with examples and the pattern itself, as upstream words it."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    listed = "',  or '".join(examples)  # two spaces: clients see them from upstream, too
    return f"{message} (e.g. '{listed}', regex used for validation is '{pattern}')"


def length_message(length: int) -> str:
    """The message for a string of more than that many characters."""
    return f"must be no more than {length} characters"


def range_message(low: int, high: int) -> str:
    """The message for a number outside an inclusive range."""
    return f"must be between {low} and {high}, inclusive"


def _bounded(value: str, length: int, pattern: re.Pattern[str], message: str) -> tuple[str, ...]:
    found = [length_message(length)] if len(value) > length else []
    if not pattern.fullmatch(value):
        found.append(message)
    return tuple(found)


_label_pattern = re.compile(_LABEL)
_subdomain_pattern = re.compile(_SUBDOMAIN)
_underscored_pattern = re.compile(_UNDERSCORED_SUBDOMAIN)
_wildcard_pattern = re.compile(_WILDCARD)
_label_1035_pattern = re.compile(_LABEL_1035)
_key_pattern = re.compile(_KEY_NAME)
_value_pattern = re.compile(_VALUE)
_config_key_pattern = re.compile(_CONFIG_KEY)
_header_pattern = re.compile(_HEADER)
_percent_pattern = re.compile(_PERCENT)
_identifier_pattern = re.compile(_C_IDENTIFIER)
_port_charset = re.compile("[-a-z0-9]+")

_LABEL_MESSAGE = pattern_message(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character",
    _LABEL,
    "my-name",
    "123-abc",
)
_SUBDOMAIN_MESSAGE = pattern_message(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character",
    _SUBDOMAIN,
    "example.com",
)
_UNDERSCORED_MESSAGE = pattern_message(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
    "and must start and end with an alphanumeric character",
    _UNDERSCORED_SUBDOMAIN,
    "example.com",
)
_WILDCARD_MESSAGE = pattern_message(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    _WILDCARD,
    "*.example.com",
)
_LABEL_1035_MESSAGE = pattern_message(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character",
    _LABEL_1035,
    "my-name",
    "abc-123",
)
_VALUE_MESSAGE = pattern_message(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character",
    _VALUE,
    "MyValue",
    "my_value",
    "12345",
)
_KEY_NAME_MESSAGE = pattern_message(_KEY_MESSAGE, _KEY_NAME, "MyName", "my.name", "123-abc")
_CONFIG_KEY_MESSAGE = pattern_message(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _CONFIG_KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)


def dns_label(value: str) -> tuple[str, ...]:
    """RFC 1123 label: at most 63 of a-z, 0-9 and '-'."""
    if not _label_pattern.fullmatch(value) and _subdomain_pattern.fullmatch(value):
        too_long = (length_message(LABEL_LENGTH),) if len(value) > LABEL_LENGTH else ()
        return (*too_long, "must not contain dots")
    return _bounded(value, LABEL_LENGTH, _label_pattern, _LABEL_MESSAGE)


def dns_subdomain(value: str) -> tuple[str, ...]:
    """RFC 1123 subdomain: labels joined by dots, at most 253 characters."""
    return _bounded(value, SUBDOMAIN_LENGTH, _subdomain_pattern, _SUBDOMAIN_MESSAGE)


def dns_subdomain_with_underscore(value: str) -> tuple[str, ...]:
    """An RFC 1123 subdomain that may also hold underscores, as DNS search paths do."""
    return _bounded(value, SUBDOMAIN_LENGTH, _underscored_pattern, _UNDERSCORED_MESSAGE)


def wildcard_subdomain(value: str) -> tuple[str, ...]:
    """``*.`` and an RFC 1123 subdomain."""
    return _bounded(value, SUBDOMAIN_LENGTH, _wildcard_pattern, _WILDCARD_MESSAGE)


def dns_1035_label(value: str) -> tuple[str, ...]:
    """RFC 1035 label: as an RFC 1123 one, beginning with a letter (Services)."""
    return _bounded(value, LABEL_LENGTH, _label_1035_pattern, _LABEL_1035_MESSAGE)


@lru_cache(maxsize=2048)
def label_key(value: str) -> tuple[str, ...]:
    """A label or annotation key, finalizer or taint key: ``[subdomain/]name``."""
    parts = value.split("/")
    if len(parts) > 2:
        text = f"a valid label key {_KEY_NAME_MESSAGE}"
        return (f"{text} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",)
    found: list[str] = []
    if len(parts) == 2:
        prefix = ("must be non-empty",) if not parts[0] else dns_subdomain(parts[0])
        found += [f"prefix part {message}" for message in prefix]
    name = parts[-1]
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > LABEL_LENGTH:
        found.append(f"name part {length_message(LABEL_LENGTH)}")
    if not _key_pattern.fullmatch(name):
        found.append(f"name part {_KEY_NAME_MESSAGE}")
    return tuple(found)


qualified_name = label_key


@lru_cache(maxsize=2048)
def label_value(value: str) -> tuple[str, ...]:
    """A label's value: empty, or at most 63 characters that begin and end with a letter or digit."""
    return _bounded(value, LABEL_LENGTH, _value_pattern, _VALUE_MESSAGE)


def path_segment(value: str) -> tuple[str, ...]:
    """A name that is only asked to fit into a URL path (RBAC and others)."""
    if value in (".", ".."):
        return (f"may not be '{value}'",)
    return tuple(f"may not contain '{character}'" for character in ("/", "%") if character in value)


def config_key(value: str) -> tuple[str, ...]:
    """A key of a ConfigMap's or Secret's data: also a file name, so ``..`` is refused."""
    return _bounded(value, SUBDOMAIN_LENGTH, _config_key_pattern, _CONFIG_KEY_MESSAGE) + _parent_directory(value)


def env_var_name(value: str) -> tuple[str, ...]:
    """An environment variable's name: printable ASCII without '='."""
    found = [] if value else ["environment variable name must be non-empty"]
    if any(not " " <= character <= "~" or character == "=" for character in value):
        found.append("a valid environment variable name must consist only of printable ASCII characters other than '='")
    return tuple(found)


def c_identifier(value: str) -> tuple[str, ...]:
    """A C identifier."""
    message = "a valid C identifier must start with alphabetic character or '_', followed by a string of "
    message += "alphanumeric characters or '_'"
    if _identifier_pattern.fullmatch(value):
        return ()
    return (pattern_message(message, _C_IDENTIFIER, "my_name", "MY_NAME", "MyName"),)


def http_header(value: str) -> tuple[str, ...]:
    """The name of an HTTP header."""
    message = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return () if _header_pattern.fullmatch(value) else (pattern_message(message, _HEADER, "X-Header-Name"),)


def percent(value: str) -> tuple[str, ...]:
    """A percentage such as ``25%``."""
    message = "a valid percent string must be a numeric string followed by an ending '%'"
    return () if _percent_pattern.fullmatch(value) else (pattern_message(message, _PERCENT, "1%", "93%"),)


def port_name(value: str) -> tuple[str, ...]:
    """An IANA service name: at most 15 of a-z, 0-9 and single inner hyphens, one letter at least."""
    rules = (
        (len(value) > 15, length_message(15)),
        (
            not _port_charset.fullmatch(value),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (not re.search("[a-z]", value), "must contain at least one letter (a-z)"),
        ("--" in value, "must not contain consecutive hyphens"),
        (value.startswith("-") or value.endswith("-"), "must not begin or end with a hyphen"),
    )
    return tuple(message for broken, message in rules if broken)


def port_number(value: int) -> tuple[str, ...]:
    """A TCP, UDP or SCTP port."""
    return () if 1 <= value <= 65535 else (range_message(1, 65535),)


def generated(base: str, random: Random = _SYSTEM_RANDOM) -> str:
    """``base`` with a random suffix of five; ``base`` is cut so that the name stays a label."""
    suffix = "".join(random.choice(SUFFIX_ALPHABET) for _ in range(SUFFIX_LENGTH))
    return base[: LABEL_LENGTH - SUFFIX_LENGTH] + suffix


def for_prefix(check: Check, prefix: str) -> tuple[str, ...]:
    """The check for a generateName, whose last character may be a '-' because more will follow."""
    return check(prefix[:-1] + "a" if prefix.endswith("-") else prefix)


def _parent_directory(value: str) -> tuple[str, ...]:
    if value in (".", ".."):
        return (f"must not be '{value}'",)
    return ("must not start with '..'",) if value.startswith("..") else ()
