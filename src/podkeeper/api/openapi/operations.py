"""What can be called: paths, methods, actions and parameters, for both OpenAPI versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.api.catalogue import Resource, Subresource
from podkeeper.api.openapi.naming import Names

WRITE = ("dryRun", "fieldManager", "fieldValidation")
LIST = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "shardSelector",
    "timeoutSeconds",
    "watch",
)
DELETE = (
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
)
DELETE_COLLECTION = (*DELETE, *(name for name in LIST if name not in ("allowWatchBookmarks", "watch")))
LOG = (
    "container",
    "follow",
    "insecureSkipTLSVerifyBackend",
    "limitBytes",
    "previous",
    "sinceSeconds",
    "stream",
    "tailLines",
    "timestamps",
)
EXEC = ("command", "container", "stderr", "stdin", "stdout", "tty")
CONNECT = {"exec": EXEC, "attach": EXEC[1:], "portforward": ("ports",), "proxy": ("path",)}
CONNECT_METHODS = {"proxy": ("get", "put", "post", "delete", "options", "head", "patch")}

BOOLEANS = {
    "allowWatchBookmarks",
    "follow",
    "force",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "insecureSkipTLSVerifyBackend",
    "orphanDependents",
    "previous",
    "sendInitialEvents",
    "stderr",
    "stdin",
    "stdout",
    "timestamps",
    "tty",
    "watch",
}
INTEGERS = {"gracePeriodSeconds", "limit", "limitBytes", "ports", "sinceSeconds", "tailLines", "timeoutSeconds"}

#: What upstream offers with default feature gates; which of them this server can write is negotiated (406).
OBJECT_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
CUSTOM_TYPES = OBJECT_TYPES[:2]
STREAM_TYPES = ("application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
LIST_TYPES = OBJECT_TYPES + STREAM_TYPES
PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)

Kind = tuple[str, str, str]  # group, version, kind
STATUS: Kind = ("", "v1", "Status")
DELETE_OPTIONS: Kind = ("", "v1", "DeleteOptions")
PATCH: Kind = ("", "v1", "Patch")
WATCH_EVENT: Kind = ("", "v1", "WatchEvent")

# Deletion answers with the object for these, with a Status for the others.
RETURNS_DELETED = {
    "": {
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "podtemplates",
        "resourcequotas",
        "serviceaccounts",
        "services",
    },
    "storage.k8s.io": {"csidrivers", "csinodes", "storageclasses", "volumeattachments", "volumeattributesclasses"},
    "resource.k8s.io": {
        "deviceclasses",
        "devicetaintrules",
        "resourceclaims",
        "resourceclaimtemplates",
        "resourcepoolstatusrequests",
        "resourceslices",
    },
}


class Operation(Struct, frozen=True):
    """One method of one path. ``name`` is its operationId. ``kind`` is what it is about, ``body`` and ``answer`` are
    what it takes and gives; each is None where there is none, and an answer without a kind is text."""

    path: str
    method: str
    action: str
    name: str
    tag: str
    kind: Kind | None = None
    query: tuple[str, ...] = ()
    body: Kind | None = None
    answer: Kind | None = None
    codes: tuple[int, ...] = (200,)
    consumes: tuple[str, ...] = ("*/*",)
    produces: tuple[str, ...] = OBJECT_TYPES

    @property
    def takes_pretty(self) -> bool:
        """Whether the answer is an object, which can be asked for in lines."""
        return self.action not in ("", "connect")

    @property
    def needs_body(self) -> bool:
        """Whether it is refused without a body; deletions have options, which can be left out."""
        return self.body is not None and self.body != DELETE_OPTIONS


def path_parameters(operation: Operation) -> tuple[str, ...]:
    """The names in braces."""
    return tuple(name for name in ("name", "namespace", "path") if f"{{{name}}}" in operation.path)


def subject(operation: Operation) -> dict[str, Any]:
    """The extensions that tell what an operation does to which kind; the same in both OpenAPI versions."""
    if operation.kind is None:
        return {}
    group, version, kind = operation.kind
    return {
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": {"group": group, "kind": kind, "version": version},
    }


def parameter_type(name: str) -> str:
    """The OpenAPI type of a query parameter."""
    if name in BOOLEANS:
        return "boolean"
    return "integer" if name in INTEGERS else "string"


def operations(resource: Resource) -> Iterator[Operation]:
    """Everything that can be called on a resource, subresources and the old paths below ``watch/`` included."""
    found = _operations(resource)
    return found if resource.schema is None else (_of_custom(each, resource) for each in found)


def _of_custom(operation: Operation, resource: Resource) -> Operation:
    """Custom objects are not spoken in protobuf nor patched strategically, and their Scale counts as theirs."""
    if operation.method == "patch":
        consumes = tuple(each for each in operation.consumes if not each.startswith("application/strategic"))
    else:
        consumes = CUSTOM_TYPES
    return replace(operation, kind=_kind_of(resource), consumes=consumes, produces=CUSTOM_TYPES)


def _operations(resource: Resource) -> Iterator[Operation]:
    own, names = _kind_of(resource), Names.of_resource(resource)
    yield from _collection(resource, own, names)
    path = _single_path(resource)
    yield from _single(path, names, own, resource.verbs)
    if "delete" in resource.verbs:
        yield _deletion(resource, path, own, names)
    for subresource in resource.subresources.values():
        yield from _subresource(f"{path}/{subresource.name}", names.below(subresource.name), own, subresource)
    if "watch" in resource.verbs and resource.schema is None:
        yield from _watches(resource, own, names)


def _kind_of(resource: Resource) -> Kind:
    return resource.group, resource.version, resource.kind


def _single_path(resource: Resource) -> str:
    return resource.path("{namespace}" if resource.namespaced else "", "{name}")


def _collection(resource: Resource, own: Kind, names: Names) -> Iterator[Operation]:
    path, tag, verbs = _single_path(resource).removesuffix("/{name}"), names.tag, resource.verbs
    if "list" in verbs:
        listing = (resource.group, resource.version, resource.list_kind)
        places = {path: names.of("list")}
        if resource.namespaced:
            places[resource.path()] = names.everywhere("list")
        for place, name in places.items():
            yield Operation(place, "get", "list", name, tag, own, LIST, None, listing, produces=LIST_TYPES)
    if "create" in verbs:
        yield _creation(path, own, names)
    if "deletecollection" in verbs:
        name, query = names.of("delete", "Collection"), DELETE_COLLECTION
        yield Operation(path, "delete", "deletecollection", name, tag, own, query, DELETE_OPTIONS, STATUS)


def _creation(path: str, kind: Kind, names: Names) -> Operation:
    return Operation(path, "post", "post", names.of("create"), names.tag, kind, WRITE, kind, kind, (200, 201, 202))


def _deletion(resource: Resource, path: str, own: Kind, names: Names) -> Operation:
    answer = own if resource.name in RETURNS_DELETED.get(resource.group, ()) else STATUS
    name, codes = names.of("delete"), (200, 202)
    return Operation(path, "delete", "delete", name, names.tag, own, DELETE, DELETE_OPTIONS, answer, codes)


def _watches(resource: Resource, own: Kind, names: Names) -> Iterator[Operation]:
    """The paths that ``?watch=true`` has replaced."""
    single = _single_path(resource)
    places = [
        (single, "watch", names.of("watch")),
        (single.removesuffix("/{name}"), "watchlist", names.of("watch") + "List"),
    ]
    if resource.namespaced:
        places.append((resource.path(), "watchlist", names.everywhere("watch")))
    for place, action, name in places:
        path = place.replace(resource.path_prefix, f"{resource.path_prefix}/watch", 1)
        yield Operation(path, "get", action, name, names.tag, own, LIST, None, WATCH_EVENT, produces=LIST_TYPES)


def _single(path: str, names: Names, kind: Kind, verbs: tuple[str, ...]) -> Iterator[Operation]:
    """Reading, replacing and patching one object or a subresource of it."""
    tag = names.tag
    if "get" in verbs:
        yield Operation(path, "get", "get", names.of("read"), tag, kind, (), None, kind)
    if "update" in verbs:
        yield Operation(path, "put", "put", names.of("replace"), tag, kind, WRITE, kind, kind, (200, 201))
    if "patch" in verbs:
        name, query = names.of("patch"), (*WRITE, "force")
        yield Operation(path, "patch", "patch", name, tag, kind, query, PATCH, kind, (200, 201), PATCH_TYPES)


def _subresource(path: str, names: Names, owner: Kind, found: Subresource) -> Iterator[Operation]:
    kind = (found.group, found.version, found.kind)
    if found.name in CONNECT:
        yield from _connections(path, names, kind, found.name)
        return
    if found.name == "log":
        produces = ("text/plain", *OBJECT_TYPES)
        yield Operation(path, "get", "get", names.of("read"), names.tag, owner, LOG, produces=produces)
        return
    if "create" in found.verbs:
        yield _creation(path, kind, names)
    yield from _single(path, names, kind, found.verbs)


def _connections(path: str, names: Names, kind: Kind, subresource: str) -> Iterator[Operation]:
    """Streams and the proxy: whatever comes is passed on, so no type is promised."""
    places = [(path, "")]
    if subresource == "proxy":
        places.append((f"{path}/{{path}}", "WithPath"))
    for place, suffix in places:
        for method in CONNECT_METHODS.get(subresource, ("get", "post")):
            name = names.of("connect", method.title()) + suffix
            query = CONNECT[subresource]
            yield Operation(place, method, "connect", name, names.tag, kind, query, produces=("*/*",))


def all_operations(resources: Iterable[Resource]) -> Iterator[Operation]:
    """Everything that can be called on a server with these resources."""
    rows = list(resources)
    yield from _roots((row.group, row.version) for row in rows if row.schema is None)
    for row in rows:
        yield from operations(row)


def _roots(versions: Iterable[tuple[str, str]]) -> Iterator[Operation]:
    """What is about no resource: discovery documents, the server's version and the token issuer's documents."""
    served = list(dict.fromkeys(versions))
    yield _document("/api/", "getCoreAPIVersions", "core", "APIVersions")
    yield _document("/apis/", "getAPIVersions", "apis", "APIGroupList")
    for group in dict.fromkeys(group for group, _ in served if group):
        names = Names.of_group(group)
        yield _document(f"/apis/{group}/", f"get{names.prefix}APIGroup", names.tag, "APIGroup")
    for group, version in served:
        names = Names.of_version(group, version)
        path = f"/apis/{group}/{version}/" if group else f"/api/{version}/"
        yield _document(path, f"get{names.prefix}APIResources", names.tag, "APIResourceList")
    yield _document("/version/", "getCodeVersion", "version", "VersionInfo", ("application/json",))
    yield _text("/openid/v1/jwks/", "getServiceAccountIssuerOpenIDKeyset", "openid", "application/jwk-set+json")
    configuration = "getServiceAccountIssuerOpenIDConfiguration"
    yield _text("/.well-known/openid-configuration/", configuration, "WellKnown", "application/json")


def _document(path: str, name: str, tag: str, kind: str, types: tuple[str, ...] = OBJECT_TYPES) -> Operation:
    return Operation(path, "get", "", name, tag, answer=("", "v1", kind), consumes=types, produces=types)


def _text(path: str, name: str, tag: str, media_type: str) -> Operation:
    return Operation(path, "get", "", name, tag, consumes=(), produces=(media_type,))
