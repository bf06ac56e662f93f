"""The verbs of stored resources over HTTP: options and bodies in, rendered objects out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from podkeeper.api import codec
from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError, bad_request, unsupported_media_type
from podkeeper.apiserver import bodies, patch_bodies, received, responses
from podkeeper.apiserver.audit.annotation import DEPRECATED, annotate
from podkeeper.apiserver.call import Call
from podkeeper.apiserver.handlers.rendering import COMPRESSED_FROM, Renderer
from podkeeper.apiserver.options import delete_options, list_options, write_options
from podkeeper.apiserver.received import Expected
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.apiserver.watching import WatchStreams
from podkeeper.foundation.http import Answer, Response, Takeover
from podkeeper.registry.verbs import Deleted, Listing, PatchType, ResourceVerbs

Tree = dict[str, Any]
_Handler = Callable[[Call, ResourceVerbs], Awaitable[Answer]]

#: They see to 406 themselves, first of all.
_READS = frozenset(("get", "list", "watch"))
#: Kinds whose DELETE answers the object also when it is gone; the others answer a Status (as upstream's OpenAPI tells).
RETURNED_WHEN_DELETED = frozenset(
    {
        ("", "persistentvolumeclaims"),
        ("", "persistentvolumes"),
        ("", "pods"),
        ("", "podtemplates"),
        ("", "resourcequotas"),
        ("", "serviceaccounts"),
        ("", "services"),
        ("resource.k8s.io", "deviceclasses"),
        ("resource.k8s.io", "resourceclaims"),
        ("resource.k8s.io", "resourceclaimtemplates"),
        ("resource.k8s.io", "resourceslices"),
        ("storage.k8s.io", "csidrivers"),
        ("storage.k8s.io", "csinodes"),
        ("storage.k8s.io", "storageclasses"),
        ("storage.k8s.io", "volumeattachments"),
        ("storage.k8s.io", "volumeattributesclasses"),
    }
)


class ResourceHandlers:
    """Answers requests for stored resources."""

    def __init__(self, renderer: Renderer, watches: WatchStreams) -> None:
        self._renderer, self._watches = renderer, watches
        self._handlers: Mapping[str, _Handler] = {
            "get": self._get,
            "list": self._list,
            "watch": self._watch,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }

    async def __call__(self, call: Call, verbs: ResourceVerbs) -> Answer:
        """Answers, or raises 404 and 405 for paths and verbs that the resource has not."""
        check_path(call, verbs.resource)
        if call.info.verb not in _READS:
            call.rendering(verbs.resource)  # 406 before anything is changed
        if verbs.resource.deprecation:
            annotate(DEPRECATED)
        answer = await self._handlers[call.info.verb](call, verbs)
        if isinstance(answer, Response) and len(answer.body) > COMPRESSED_FROM:
            answer = await self._renderer.compressed(call.request, answer)
        if verbs.resource.deprecation and not isinstance(answer, Takeover):
            told = responses.warnings([verbs.resource.deprecation])
            return replace(answer, headers=(*answer.headers, *told))
        return answer

    async def _get(self, call: Call, verbs: ResourceVerbs) -> Answer:
        info = call.info
        version = info.first("resourceVersion") if info.query else None
        rendering = call.rendering(verbs.resource)
        item = await verbs.get(namespace_of(call, verbs.resource), info.name, version, info.subresource)
        if rendering.plain:
            return Response(200, responses.JSON_HEAD, item.json)
        return self._renderer.item(call, verbs.resource, item, rendering)

    async def _list(self, call: Call, verbs: ResourceVerbs) -> Answer:
        rendering = call.rendering(verbs.resource)
        listing = await verbs.list(namespace_of(call, verbs.resource), list_options(call.info))
        return await self._renderer.listing(call, verbs.resource, listing, rendering)

    async def _watch(self, call: Call, verbs: ResourceVerbs) -> Answer:
        return await self._watches.open(call, verbs, namespace_of(call, verbs.resource))

    async def _create(self, call: Call, verbs: ResourceVerbs) -> Answer:
        context = call.context(write_options(call.info, "CreateOptions"))
        expected = Expected.of(verbs.resource)
        tree = received.read(call.request, expected, context)
        try:
            item = await verbs.create(context, namespace_of(call, verbs.resource), tree)
        except ApiError as error:
            raise received.mistake(call.request, expected, context) or error from None
        return self._renderer.item(call, verbs.resource, item, call.rendering(verbs.resource), 201, context.warnings)

    async def _update(self, call: Call, verbs: ResourceVerbs) -> Answer:
        info = call.info
        context = call.context(write_options(info, "UpdateOptions"))
        expected = Expected.of(verbs.resource, info.subresource)
        tree = received.read(call.request, expected, context)
        namespace = namespace_of(call, verbs.resource)
        try:
            item, created = await verbs.update(context, namespace, info.name, tree, info.subresource)
        except ApiError as error:
            raise received.mistake(call.request, expected, context) or error from None
        status = 201 if created else 200
        return self._renderer.item(call, verbs.resource, item, call.rendering(verbs.resource), status, context.warnings)

    async def _patch(self, call: Call, verbs: ResourceVerbs) -> Answer:
        info, request = call.info, call.request
        patch_type = _patch_type(request.headers.get(b"content-type", b""), verbs.resource)
        options = write_options(info, "PatchOptions", apply=patch_type is PatchType.APPLY)
        bodies.check_size(request)
        context = call.context(options)
        namespace = namespace_of(call, verbs.resource)
        try:
            patch = patch_bodies.read(request.body, patch_type, context)
        except ApiError:
            if patch_type is not PatchType.APPLY:
                await verbs.get(namespace, info.name)  # what is not there is told first
            raise
        forced = bool(options.force)
        item, created = await verbs.patch(context, namespace, info.name, patch, patch_type, info.subresource, forced)
        status = 201 if created else 200
        return self._renderer.item(call, verbs.resource, item, call.rendering(verbs.resource), status, context.warnings)

    async def _delete(self, call: Call, verbs: ResourceVerbs) -> Answer:
        resource = verbs.resource
        options, dry_run, cascades = delete_options(call.info, _delete_body(call))
        context = call.context(write_options(call.info, "DeleteOptions"))
        context.dry_run = dry_run
        deleted = await verbs.delete(context, namespace_of(call, resource), call.info.name, options)
        status = 202 if cascades and not deleted.gone else 200
        if deleted.gone and (resource.group, resource.name) not in RETURNED_WHEN_DELETED:
            uid = deleted.item.tree()["metadata"].get("uid", "")
            tree = responses.success(deleted.item.name, resource.group, resource.name, uid)
            return responses.tree(tree, call.rendering(resource), status, responses.warnings(context.warnings))
        return self._renderer.item(call, resource, deleted.item, call.rendering(resource), status, context.warnings)

    async def _delete_collection(self, call: Call, verbs: ResourceVerbs) -> Answer:
        resource = verbs.resource
        options, dry_run, _ = delete_options(call.info, _delete_body(call))
        context = call.context(write_options(call.info, "DeleteOptions"))
        context.dry_run = dry_run
        selection = list_options(call.info)
        outcomes = await verbs.delete_collection(context, namespace_of(call, resource), selection, options)
        rendering = call.rendering(resource)
        answer = await self._renderer.listing(call, resource, _deleted_listing(resource, outcomes), rendering)
        return replace(answer, headers=(*answer.headers, *responses.warnings(context.warnings)))


def check_path(call: Call, resource: Resource) -> None:
    """Raises 404 where the path does not fit the resource's scope, 405 where the resource has no such verb."""
    info = call.info
    inside = bool(info.namespace) and resource.name != "namespaces"
    if inside and not resource.namespaced:
        raise path_not_found()
    if resource.namespaced and not inside and info.verb not in ("list", "watch"):
        raise path_not_found() if info.name else method_not_allowed()
    if info.subresource:
        sub = resource.subresources.get(info.subresource)
        if sub is None:
            raise path_not_found()
        if info.verb not in sub.verbs and not (sub.name == "proxy" and call.request.method == "OPTIONS"):
            raise method_not_allowed()
    elif info.verb not in resource.verbs or (info.verb == "create" and info.name) or _nameless(info):
        raise method_not_allowed()


def _nameless(info: RequestInfo) -> bool:
    return not info.name and info.verb in ("update", "patch")


def path_not_found() -> ApiError:
    """404 for a path below a served version that leads nowhere."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", detailed=True)


def method_not_allowed() -> ApiError:
    """405 as upstream's router words it."""
    text = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", text, detailed=True)


def namespace_of(call: Call, resource: Resource) -> str:
    """The namespace that the verbs want: none for cluster-scoped resources (namespaces among them)."""
    return call.info.namespace if resource.namespaced else ""


def _patch_type(header: bytes, resource: Resource) -> PatchType:
    media = header.decode("latin-1").partition(";")[0].strip()
    try:
        return PatchType(media)
    except ValueError:
        if resource.schema is not None:
            taken = (PatchType.JSON, PatchType.MERGE, PatchType.APPLY)
            raise unsupported_media_type([each.value for each in taken]) from None
        # It is upstream's router that looks first.
        raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", detailed=True) from None


def _delete_body(call: Call) -> Mapping[str, Any] | None:
    if not call.request.body and not call.request.oversized:
        return None
    tree = bodies.decode(call.request, "DeleteOptions")
    if not isinstance(tree, dict) or tree.get("kind", "DeleteOptions") != "DeleteOptions":
        raise bad_request("decoded object cannot be converted to DeleteOptions")
    try:
        codec.from_tree(codec.load_class("podkeeper.api.meta.v1:DeleteOptions"), tree)
    except codec.WrongType as error:
        from podkeeper.api import gojson  # nobody needs it as long as bodies are right

        raise bad_request(gojson.judge(tree, "meta/v1.DeleteOptions").error or str(error)) from None
    return tree


def _deleted_listing(resource: Resource, deleted: Sequence[Deleted]) -> Listing:
    items = [each.item for each in deleted]
    revision = max((item.revision for item in items), default=0)
    head = f'{{"kind":"{resource.list_kind}","apiVersion":"{resource.api_version}",'
    head += f'"metadata":{{"resourceVersion":"{revision}"}},"items":['
    return Listing(items, revision, "", None, head.encode() + b",".join(item.json for item in items) + b"]}\n")
