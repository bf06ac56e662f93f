"""What a request is about, read from its method and path: verb, resource, subresource, namespace, name, or a plain
path.

The rules are upstream's (apiserver/pkg/endpoints/request/requestinfo.go), legacy ``/watch/`` paths included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, unquote

from msgspec import Struct, field

from podkeeper.api.errors import ApiError, bad_request

Query = Mapping[str, Sequence[str]]

_METHOD_VERBS = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
_EMPTY: Query = {}


class RequestInfo(Struct, frozen=True):
    """One request's attributes. ``rest`` is what follows a proxy subresource; ``path`` is decoded and has no query."""

    path: str
    verb: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    rest: str = ""
    query: Query = field(default_factory=dict)
    raw_query: str = ""

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default


def flag(values: Sequence[str] | None) -> bool:
    """A boolean query parameter: present and neither ``false`` nor ``0`` (as upstream converts it)."""
    return values is not None and len(values) > 0 and values[0].lower() not in ("false", "0")


def parse(method: str, target: bytes) -> RequestInfo:
    """Reads one request target. Raises 400 for a target that is no path or a watch path without a resource."""
    raw_path, _, raw_query = target.decode("latin-1").partition("?")
    if not raw_path.startswith("/"):
        raise bad_request(f"invalid request target {raw_path!r}")
    path = unquote(raw_path) if "%" in raw_path else raw_path
    query: Query = parse_qs(raw_query, keep_blank_values=True) if raw_query else _EMPTY
    parts = [unquote(part) for part in raw_path.split("/") if part] if "%" in raw_path else path.strip("/").split("/")
    found = _resource(method, path, [part for part in parts if part], query, raw_query)
    return found or RequestInfo(path=path, verb=method.lower(), query=query, raw_query=raw_query)


def _resource(method: str, path: str, parts: list[str], query: Query, raw_query: str) -> RequestInfo | None:
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return None
    group = ""
    if parts[0] == "apis":
        if len(parts) < 4:
            return None
        group, parts = parts[1], parts[1:]
    version, parts = parts[1], parts[2:]
    verb = _METHOD_VERBS.get(method, "")
    if parts[0] in ("watch", "proxy"):
        if len(parts) < 2:
            raise ApiError(400, "BadRequest", f"unable to determine kind and namespace from url, {path}")
        verb, parts = parts[0], parts[1:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    name = parts[1] if len(parts) > 1 else ""
    subresource = parts[2] if len(parts) > 2 else ""
    if not name and verb == "get":
        verb = "watch" if flag(query.get("watch")) else "list"
        name = _name_selected(query)
    elif not name and verb == "delete":
        verb = "deletecollection"
        name = _name_selected(query)
    return RequestInfo(
        path=path,
        verb=verb,
        is_resource=True,
        group=group,
        version=version,
        namespace=namespace,
        resource=parts[0],
        subresource=subresource,
        name=name,
        rest="/".join(parts[3:]),
        query=query,
        raw_query=raw_query,
    )


def _name_selected(query: Query) -> str:
    """The name in ``fieldSelector=metadata.name=X``, so that a rule with resourceNames covers list and watch of it."""
    selector = query.get("fieldSelector")
    if not selector:
        return ""
    for term in selector[0].split(","):
        key, sign, value = term.partition("=")
        if sign and key == "metadata.name":
            return value.removeprefix("=")
    return ""


class RequestInfos:
    """Parsed requests by method and target, so that a hot target is parsed once; bounded, dropped whole when full."""

    def __init__(self, capacity: int = 8192) -> None:
        self._capacity = capacity
        self._known: dict[tuple[str, bytes], RequestInfo] = {}

    def of(self, method: str, target: bytes) -> RequestInfo:
        """The request's info. Raises what ``parse`` raises."""
        info = self._known.get((method, target))
        if info is None:
            info = parse(method, target)
            if len(self._known) >= self._capacity:
                self._known.clear()
            if len(target) < 1024:
                self._known[(method, target)] = info
        return info
