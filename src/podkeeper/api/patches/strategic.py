"""Strategic merge patch: a merge patch that knows the schema.

Lists whose patch strategy is ``merge`` are merged by their merge key (or as a set of scalars); everything else merges
or is replaced as in a merge patch. The patch may carry directives: ``$patch: delete | replace`` in an object or a list
member, ``$deleteFromPrimitiveList/F`` and ``$setElementOrder/F`` beside a list F, ``$retainKeys`` in an object. Members
that the patch names keep its order, the others the order that they had.

Source: Kubernetes API conventions, "Strategic Merge Patch" (sig-api-machinery/strategic-merge-patch.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podkeeper.api import schema
from podkeeper.api.errors import ApiError, bad_request
from podkeeper.api.gojson.documents import kind_of
from podkeeper.api.gojson.printing import printed, type_name
from podkeeper.api.patches.trees import copied, failed, unprocessable
from podkeeper.api.schema import Property, TypeSchema

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_DELETE, _ORDER = "$deleteFromPrimitiveList", "$setElementOrder"
_DELETE_PREFIX, _ORDER_PREFIX = f"{_DELETE}/", f"{_ORDER}/"

_BAD_DELETE_LIST = "invalid patch format of primitive list"
_BAD_RETAIN = "invalid patch format of retainKeys"
_BAD_ORDER = "invalid patch format of setElementOrder list"

Tree = dict[str, Any]


def apply(tree: Tree, patch: Any, kind: TypeSchema) -> Tree:
    """The patched tree of an object of that kind (``schema.for_kind``). ApiError 400: the patch is no object or a
    directive is malformed; 422 and, where upstream takes it for its own failure, 500: it cannot be applied."""
    if not isinstance(patch, dict):
        raise bad_request(f"json: cannot unmarshal {kind_of(patch)} into Go value of type map[string]interface {{}}")
    return _merge_objects(tree, patch, kind.properties)


def _merge_objects(tree: Tree, patch: Tree, properties: Mapping[str, Property]) -> Tree:
    if _DIRECTIVE in patch:
        return _directed(patch)
    result = dict(tree)
    patch = _retain(result, patch)
    patch = _order_lists(result, patch, properties)
    for key, value in patch.items():
        if key.startswith(_DELETE):
            _delete_scalars(result, _field_of(key, _DELETE_PREFIX, _BAD_DELETE_LIST), value, properties)
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = _merge_value(result.get(key), value, properties.get(key))
    return result


def _merge_value(old: Any, value: Any, place: Property | None) -> Any:
    if isinstance(old, dict) and isinstance(value, dict) and place and "replace" not in place.strategies:
        if place.form == "struct":
            return _merge_objects(old, value, schema.named(place.name).properties)
        if place.form == "map":
            return _merge_objects(old, value, _EveryKey(place.member))
    if isinstance(old, list) and isinstance(value, list) and place and "merge" in place.strategies:
        return _merge_lists(old, value, place)
    return _plain(value)


class _EveryKey(dict[str, Property]):
    """The properties of a map: whatever the key, its value is the map's member."""

    def __init__(self, member: Property | None) -> None:
        super().__init__()
        self._member = member

    def get(self, key: str, default: Any = None) -> Any:
        return self._member or default


def _directed(patch: Tree) -> Tree:
    directive = patch[_DIRECTIVE]
    if directive == "replace":
        return _plain({key: value for key, value in patch.items() if key != _DIRECTIVE})  # type: ignore[no-any-return]
    if directive == "delete":
        return {}
    raise _unknown_directive(directive, patch)


def _retain(result: Tree, patch: Tree) -> Tree:
    """Drops from the result what ``$retainKeys`` does not name; returns the patch without the directive."""
    if _RETAIN not in patch:
        return patch
    kept = patch[_RETAIN]
    rest = {key: value for key, value in patch.items() if key != _RETAIN}
    named = [key for key, value in rest.items() if not key.startswith("$") and value is not None]
    if not isinstance(kept, list) or any(key not in kept for key in named):
        raise bad_request(_BAD_RETAIN)
    for key in [key for key in result if key not in kept]:
        del result[key]
    return rest


def _order_lists(result: Tree, patch: Tree, properties: Mapping[str, Property]) -> Tree:
    """Merges the lists whose order the patch sets; returns the patch without them."""
    directives = [key for key in patch if key.startswith(_ORDER)]
    if not directives:
        return patch
    rest = dict(patch)
    for directive in directives:
        order = _list(rest.pop(directive))
        field = _field_of(directive, _ORDER_PREFIX, _BAD_ORDER)
        named = _list(rest.pop(field, []))
        if _DELETE_PREFIX + field in rest:
            _delete_scalars(result, field, rest.pop(_DELETE_PREFIX + field), properties)
        place = properties.get(field) or Property("list")
        _check_order(order, named, place.merge_key)
        old = result.get(field)
        combined = _merge_lists(old, named, place) if isinstance(old, list) else _plain(named)
        if combined or field in result:
            result[field] = _sorted(combined, order, old if isinstance(old, list) else [], place.merge_key)
    return rest


def _field_of(directive: str, prefix: str, complaint: str) -> str:
    """The field beside which a directive stands."""
    if not directive.startswith(prefix):
        raise bad_request(complaint)
    return directive.removeprefix(prefix)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise failed(f"expected a []interface {{}}, but received a {type_name(value)}")
    return value


def _check_order(order: Sequence[Any], named: Sequence[Any], merge_key: str) -> None:
    """What the patch adds or changes must stand in the order list, in that order."""
    wanted = [_identity(each, merge_key) for each in order]
    position = 0
    for each in named:
        if isinstance(each, dict) and _DIRECTIVE in each:
            continue
        identity = _identity(each, merge_key)
        found = wanted.index(identity) if identity in wanted else -1
        if found < position:
            lists = f"{printed(named)}\n doesn't match {_ORDER_PREFIX[:-1]} list:\n{printed(order)}"
            raise failed(f"The order in patch list:\n{lists}\n")
        position = found


def _merge_lists(old: list[Any], patch: list[Any], place: Property) -> list[Any]:
    members = [*old, *patch]
    if members and isinstance(members[0], list):
        raise unprocessable()  # lists of lists have no merge
    if len({type_name(each) for each in members}) > 1:
        raise failed(f"list element types are not identical: [{printed(old)} {printed(patch)}]")
    if not members or not isinstance(members[0], dict):
        return _merge_scalars(old, patch)
    if not place.merge_key:
        kind = place.member.form if place.member else "interface"
        raise failed(f"cannot merge lists without merge key for {kind}")
    kept, named, replaced = _take_directives(old, patch, place.merge_key)
    if replaced:
        return _plain(named)  # type: ignore[no-any-return]
    combined = _merge_members(kept, named, place)
    return _sorted(combined, named, kept, place.merge_key)


def _merge_scalars(old: list[Any], patch: list[Any]) -> list[Any]:
    combined: list[Any] = []
    for each in (*old, *patch):
        if each not in combined:
            combined.append(each)
    return _sorted(combined, patch, old, "")


def _take_directives(old: list[Any], patch: list[Any], merge_key: str) -> tuple[list[Any], list[Any], bool]:
    """The old members that no ``$patch: delete`` names, the patch's plain members, and whether they replace all."""
    deleted, named, replaced = [], [], False
    for each in patch:
        directive = each.get(_DIRECTIVE)
        if directive is None:
            named.append(each)
        elif directive == "delete":
            deleted.append(_identity(each, merge_key))
        elif directive == "replace":
            replaced = True
        elif directive == "merge":
            raise failed("merging lists cannot yet be specified in the patch")
        else:
            raise _unknown_directive(directive, each)
    return [each for each in old if each.get(merge_key) not in deleted], named, replaced


def _merge_members(old: list[Any], named: list[Any], place: Property) -> list[Any]:
    kind = schema.struct_of(place)
    properties: Mapping[str, Property] = kind.properties if kind else {}
    combined = list(old)
    positions = {_hashable(each.get(place.merge_key)): index for index, each in reversed(list(enumerate(old)))}
    for each in named:
        identity = _hashable(_identity(each, place.merge_key))
        if identity in positions:
            at = positions[identity]
            combined[at] = _merge_objects(combined[at], each, properties)
        else:
            positions[identity] = len(combined)
            combined.append(_plain(each))
    return combined


def _sorted(members: list[Any], order: Sequence[Any], old: Sequence[Any], merge_key: str) -> list[Any]:
    """The members that ``order`` names in its order, the others put between them where the old list had them."""
    wanted = [_hashable(_identity(each, merge_key)) for each in order]
    before = {_hashable(_identity(each, merge_key)): index for index, each in reversed(list(enumerate(old)))}
    identities = [(_hashable(_identity(each, merge_key)), each) for each in members]
    named = sorted((pair for pair in identities if pair[0] in wanted), key=lambda pair: wanted.index(pair[0]))
    others = [pair for pair in identities if pair[0] not in wanted]
    others.sort(key=lambda pair: before.get(pair[0], len(before)))
    result: list[Any] = []
    while named and others:
        left, right = before.get(others[0][0]), before.get(named[0][0])
        earlier = left is not None and right is not None and left < right
        result.append((others if earlier else named).pop(0)[1])
    return result + [member for _, member in (*named, *others)]


def _delete_scalars(result: Tree, field: str, values: Any, properties: Mapping[str, Property]) -> None:
    """Null deletes the list; what is no list means nothing."""
    if values is None:
        result.pop(field, None)
        return
    old, place = result.get(field), properties.get(field)
    if isinstance(old, list) and isinstance(values, list):
        merges = place is not None and "merge" in place.strategies
        # A list that is replaced as a whole is replaced by this, as upstream does.
        result[field] = [each for each in old if each not in values] if merges else values


def _identity(member: Any, merge_key: str) -> Any:
    """What tells a list's member from the others: the value of its merge key, or the scalar itself."""
    if not isinstance(member, dict):
        return member
    if merge_key not in member:
        raise failed(f"map: {printed(member)} does not contain declared merge key: {merge_key}")
    return member[merge_key]


def _hashable(identity: Any) -> Any:
    if isinstance(identity, dict | list):
        raise unprocessable()
    return identity


def _plain(value: Any) -> Any:
    """A copy of a part of the patch, without directives and nulls, for a place that had nothing to merge with."""
    if isinstance(value, dict):
        pairs = value.items()
        return {key: _plain(each) for key, each in pairs if each is not None and not _is_directive(key)}
    if isinstance(value, list):
        return [_plain(each) for each in value if not (isinstance(each, dict) and _DIRECTIVE in each)]
    return copied(value)


def _is_directive(key: str) -> bool:
    return key in (_DIRECTIVE, _RETAIN) or key.startswith((_DELETE, _ORDER))


def _unknown_directive(directive: Any, where: Tree) -> ApiError:
    shown = directive if isinstance(directive, str) else f"%!s({type_name(directive)}={printed(directive)})"
    return failed(f"unknown patch type: {shown} in map: {printed(where)}")
