"""The wire of LIST and WATCH as pure state: list bodies, and event lines out of chunks that break anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from podkeeper.api.errors import ApiError
from podkeeper.client.api import ConnectionFailed, ObjectList, WatchEvent
from podkeeper.client.failures import from_status
from podkeeper.client.identity import version_of

T = TypeVar("T")


class _Metadata(msgspec.Struct):
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    continuation: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    items: list[msgspec.Raw] | None = None


class _Bare(msgspec.Struct):
    metadata: _Metadata


class Frame(msgspec.Struct):
    """One line of a watch."""

    type: str
    object: msgspec.Raw


_list_decoder = msgspec.json.Decoder(_List)
_frame_decoder = msgspec.json.Decoder(Frame)
_bare_decoder = msgspec.json.Decoder(_Bare)


def decode_list(body: bytes, decode: Callable[[bytes], T]) -> ObjectList[T]:
    """The objects of a List body, each by ``decode``. Raises ConnectionFailed when it is none."""
    try:
        found = _list_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConnectionFailed(f"the server's list cannot be read: {error}") from error
    items = [decode(bytes(raw)) for raw in found.items or ()]
    return ObjectList(items, found.metadata.resource_version, found.metadata.continuation)


class FrameReader:
    """Cuts a watch's stream into events."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Frame]:
        """The events that ``chunk`` completes. Raises ConnectionFailed for what is no event."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._rest.append(chunk)
            return []
        lines = b"".join([*self._rest, chunk[:end]])
        self._rest = [chunk[end:]] if end < len(chunk) else []
        try:
            return _frame_decoder.decode_lines(lines)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConnectionFailed(f"the server's watch event cannot be read: {error}") from error

    def end(self) -> None:
        """The stream has ended in good order. Raises ConnectionFailed in the middle of an event."""
        if any(self._rest):
            raise ConnectionFailed("the watch broke off in the middle of an event")


def to_event(frame: Frame, decode: Callable[[bytes], T]) -> WatchEvent[T]:
    """A frame that is no ERROR as an event."""
    if frame.type == "BOOKMARK":
        return WatchEvent("BOOKMARK", None, _bare_decoder.decode(frame.object).metadata.resource_version)
    obj = decode(bytes(frame.object))
    return WatchEvent(frame.type, obj, version_of(obj))


def error_of(frame: Frame) -> ApiError | None:
    """The error that an ERROR frame carries; None for any other frame."""
    return from_status(msgspec.json.decode(frame.object)) if frame.type == "ERROR" else None
