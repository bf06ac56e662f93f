"""One stored object at one revision, and how it becomes what a reader gets.

Stored bytes begin ``{"apiVersion":"...","kind":"...","metadata":{`` and carry no resourceVersion. It is put in right
there, at an offset that is constant for a resource, when the object is first read; from then on the item keeps the
rendered bytes instead of the stored ones. Labels and selectable fields are decoded from the bytes when first asked for;
whole
trees and structs are kept for a few items only, the ones used last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

_DECODED_KEPT = 512
_RENDERED_MORE = len('"resourceVersion":"",')


class Head(Protocol):
    """What selectors look at: an object's labels and selectable fields."""

    @property
    def labels(self) -> Mapping[str, str]: ...

    @property
    def fields(self) -> Mapping[str, str]: ...


class Shape:
    """What all items of one stored resource share: the offset of their metadata and how their heads are read."""

    def __init__(self, api_version: str, kind: str, read_head: Callable[[bytes, str, str], Head]) -> None:
        self.api_version, self.kind = api_version, kind
        self.opening = f'{{"apiVersion":"{api_version}","kind":"{kind}","metadata":{{'.encode()
        self.offset = len(self.opening)
        self.read_head = read_head

    def metadata_at(self, content: bytes) -> int:
        """Where the members of the metadata begin in an object's bytes."""
        return self.offset

    def __repr__(self) -> str:
        return f"<Shape {self.api_version} {self.kind}>"


class StoredItem:
    """Implements ``verbs.Item`` for the storage version. Immutable to the eye; what is derived is remembered.

    Revision 0: not stored (the outcome of a dry run), and rendered without a resourceVersion.
    """

    __slots__ = (
        "_head",
        "_message",
        "_obj",
        "_rendered",
        "_tree",
        "_value",
        "key",
        "name",
        "namespace",
        "renderings",
        "revision",
        "shape",
    )

    def __init__(self, shape: Shape, key: str, namespace: str, name: str, revision: int, value: bytes) -> None:
        self.shape, self.key, self.namespace, self.name, self.revision = shape, key, namespace, name, revision
        self._value: bytes | None = value
        self._rendered: bytes | None = None
        self._message: bytes | None = None
        self._tree: dict[str, Any] | None = None
        self._obj: Any = None
        self._head: Head | None = None
        #: The same object in other served versions, by (group, version): see ``conversion``.
        self.renderings: dict[tuple[str, str], Any] | None = None

    def __repr__(self) -> str:
        return f"<StoredItem {self.key} at {self.revision}>"

    @property
    def json(self) -> bytes:
        """The object as readers get it."""
        rendered = self._rendered
        if rendered is None:
            value = self.value
            offset = self.shape.metadata_at(value)
            if not self.revision:
                return value
            rendered = b'%b"resourceVersion":"%d",%b' % (value[:offset], self.revision, value[offset:])
            self._rendered, self._value = rendered, None
        return rendered

    @property
    def type(self) -> tuple[str, str]:
        """apiVersion and kind."""
        return self.shape.api_version, self.shape.kind

    @property
    def message(self) -> bytes:
        """See ``verbs.Item.message``."""
        if self._message is None:
            from podkeeper.api import protobuf  # not every client wants it

            self._message = protobuf.message(*self.type, self.json)
        return self._message

    @property
    def value(self) -> bytes:
        """The object as it is stored."""
        if self._value is not None:
            return self._value
        rendered = self.json
        offset = self.shape.metadata_at(rendered)
        return rendered[:offset] + rendered[offset + _RENDERED_MORE + len(str(self.revision)) :]

    @property
    def size(self) -> int:
        """Length of the stored bytes."""
        if self._value is not None:
            return len(self._value)
        return len(self.json) - _RENDERED_MORE - len(str(self.revision))

    @property
    def head(self) -> Head:
        """Labels and selectable fields."""
        head = self._head
        if head is None:
            content = self._rendered if self._rendered is not None else self.value
            head = self._head = self.shape.read_head(content, self.namespace, self.name)
        return head

    def tree(self) -> dict[str, Any]:
        """The object as a plain tree that callers must not change."""
        tree = self._tree
        if tree is None:
            tree = self._tree = self.fresh_tree()
            _remember_decoded(self)
        return tree

    def typed(self, decode: Callable[[bytes], Any]) -> Any:
        """The object as its frozen struct."""
        obj = self._obj
        if obj is None:
            obj = decode(self.value)
            self.adopt(obj)
        return obj

    def adopt(self, obj: Any) -> None:
        """Takes the struct that this item was encoded from."""
        self._obj = obj
        _remember_decoded(self)

    def fresh_tree(self) -> dict[str, Any]:
        """The object as a plain tree of the caller's own."""
        tree: dict[str, Any] = msgspec.json.decode(self.json)
        return tree

    def at(self, revision: int) -> StoredItem:
        """The same content under another revision, as a DELETED event shows it."""
        other = StoredItem(self.shape, self.key, self.namespace, self.name, revision, self.value)
        other._head = self._head
        return other

    def forget_decoded(self) -> None:
        """Gives up the decoded forms; they are decoded again when asked for."""
        self._tree = self._obj = None


_decoded: deque[StoredItem] = deque()


def _remember_decoded(item: StoredItem) -> None:
    _decoded.append(item)
    if len(_decoded) > _DECODED_KEPT:
        _decoded.popleft().forget_decoded()


def forget_all_decoded() -> None:
    """Gives up every decoded form that is kept, for times when nothing happens."""
    while _decoded:
        _decoded.popleft().forget_decoded()
