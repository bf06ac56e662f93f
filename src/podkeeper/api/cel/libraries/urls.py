"""Kubernetes' URL library: absolute URLs and absolute paths, and their parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from podkeeper.api.cel import types
from podkeeper.api.cel.library import Library
from podkeeper.api.cel.types import Type
from podkeeper.api.cel.values import EvaluationError

urls = Library("kubernetes.urls")

_PATH_SAFE = "/:@!$&'()*+,;=~%-._"


@dataclass(frozen=True, slots=True)
class URL:
    """A URL with its parts."""

    parts: SplitResult
    cel_type: ClassVar[Type] = types.opaque("kubernetes.URL")


def _parse(text: str) -> URL:
    try:
        parts = urlsplit(text)
        _ = parts.port, parts.hostname
    except ValueError as error:
        raise EvaluationError(f'URL parse error during conversion from string: parse "{text}": {error}') from error
    controls = any(ord(each) < 0x21 or each == "\x7f" for each in text)
    if controls or not (parts.scheme or text.startswith("/")):
        raise EvaluationError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return URL(parts)


@urls.function("url(string) -> kubernetes.URL")
def url(text: str) -> URL:
    return _parse(text)


@urls.function("isURL(string) -> bool")
def is_url(text: str) -> bool:
    try:
        return bool(_parse(text))
    except EvaluationError:
        return False


@urls.method("getScheme(kubernetes.URL) -> string")
def scheme(value: URL) -> str:
    return value.parts.scheme


@urls.method("getHost(kubernetes.URL) -> string")
def host(value: URL) -> str:
    """With the port, and the brackets of IPv6."""
    return value.parts.netloc.rpartition("@")[2]


@urls.method("getHostname(kubernetes.URL) -> string")
def hostname(value: URL) -> str:
    given = host(value)
    return given[1 : given.index("]")] if given.startswith("[") else given.partition(":")[0]


@urls.method("getPort(kubernetes.URL) -> string")
def port(value: URL) -> str:
    return host(value).rpartition("]")[2].partition(":")[2]


@urls.method("getEscapedPath(kubernetes.URL) -> string")
def escaped_path(value: URL) -> str:
    return quote(value.parts.path, safe=_PATH_SAFE)


@urls.method("getQuery(kubernetes.URL) -> map(string, list(string))")
def query(value: URL) -> dict[str, list[str]]:
    return parse_qs(value.parts.query, keep_blank_values=True)
