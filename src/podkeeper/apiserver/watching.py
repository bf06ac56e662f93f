"""Watch streams: events of the registry onto connections, each frame made once for all of them.

opened --run--> sending <--others' turn, congested / our turn, drained--> waiting --(timeout, the end)--> ended
                                                                              \\--too many events--> cut off
"""

from __future__ import annotations

import asyncio
import logging
import operator
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import orjson
from msgspec import Struct
from msgspec.structs import replace

from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError, not_acceptable
from podkeeper.apiserver import responses
from podkeeper.apiserver.call import Call
from podkeeper.apiserver.handlers.rendering import Renderer, included
from podkeeper.apiserver.negotiation import JSON, LISTING_WATCH, PROTOBUF, STREAMED, TRANSFORMS, YAML, Rendering
from podkeeper.apiserver.options import list_options
from podkeeper.apiserver.pacing import Pacer
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.foundation.http import Answer, BodyWriter, Streaming
from podkeeper.foundation.http.messages import frame_chunk
from podkeeper.registry.verbs import ListOptions, ResourceVerbs, Watch, WatchEvent

log = logging.getLogger(__name__)

#: Events that may wait for one slow client, beyond the state it began with, before it is cut off.
WAITING_EVENTS = 10_000
#: Events that are framed together when a client catches up.
_SLICE = 64
#: Chunks of which the next stream probably needs one, too.
_CHUNKS_KEPT = 4
#: Seconds that a watch without timeoutSeconds lasts: at least this, at most twice.
MIN_TIMEOUT = 1800.0

Encode = Callable[[WatchEvent], bytes]
Batch = Sequence[WatchEvent]


class Sent:
    """Events sent to the watches of a resource, and watches that were cut off because they did not keep up."""

    __slots__ = ("cut_off", "events")

    def __init__(self) -> None:
        self.events = self.cut_off = 0


class WatchStreams:
    """Opens watches and ends them all when the server stops."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._framers = {JSON: Framer(attrgetter("frame")), PROTOBUF: Framer(attrgetter("protobuf"))}
        self._pacer = Pacer()
        self._open: set[WatchStream] = set()
        #: What has been sent so far, by (group, version, plural).
        self.sent: dict[tuple[str, str, str], Sent] = {}

    def __len__(self) -> int:
        return len(self._open)

    async def open(self, call: Call, verbs: ResourceVerbs, namespace: str) -> Answer:
        """A streaming answer. Raises what the registry raises, but a version that is gone is told inside the stream."""
        options = _options(call.info)
        lists = options.send_initial_events and options.allow_bookmarks
        rendering = call.rendering(verbs.resource, LISTING_WATCH if lists else TRANSFORMS)
        if rendering.media_type == YAML:
            raise not_acceptable(STREAMED)  # a stream of YAML has no frames
        if rendering.transform == "Table":
            included(call)
        framer = None if rendering.transform else self._framers.get(rendering.media_type)
        encode = self._encoder(call, verbs.resource, rendering)
        timeout = options.timeout or random.uniform(MIN_TIMEOUT, 2 * MIN_TIMEOUT)  # noqa: S311 - spreads reconnects
        resource = verbs.resource
        sent = self.sent.setdefault((resource.group, resource.version, resource.name), Sent())
        stream = WatchStream(framer or encode, timeout, self._open, self._pacer, sent)
        head = responses.WATCH_HEADS.get(rendering.media_type, responses.JSON_HEAD)
        try:
            stream.watch = await verbs.watch(namespace, options, stream.take, stream.end)
        except ApiError as error:
            if error.code != 410:
                raise
            stream.fail(_framed({"type": "ERROR", "object": error.status()}, rendering.media_type))
        return Streaming(200, head, stream.run, abandon=stream.stop)

    def end_all(self) -> None:
        """Ends every stream in good order."""
        for stream in tuple(self._open):
            stream.end()

    def _encoder(self, call: Call, resource: Resource, rendering: Rendering) -> Encode:
        """Frames for a client that wants another form than JSON objects; these are made for it alone."""
        headed = False

        def encode(event: WatchEvent) -> bytes:
            nonlocal headed
            tree = orjson.loads(event.frame)
            shown = tree["object"]
            if tree["type"] == "ERROR":
                pass
            elif rendering.transform == "Table":
                metadata = {"resourceVersion": shown["metadata"]["resourceVersion"]}
                item = event.item or _Bookmark(shown)
                table = self._renderer.table(call, resource, (item,), metadata, rendering.version)
                if headed:
                    table["columnDefinitions"] = None
                headed = True
                tree["object"] = table
            elif rendering.transform == "PartialObjectMetadata":
                names = {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{rendering.version}"}
                tree["object"] = {**names, "metadata": shown["metadata"]}
            return _framed(tree, rendering.media_type)

        return encode


class _Bookmark(Struct, frozen=True):
    """An object without content, of which a Table can have a row too."""

    object: dict[str, Any]

    def tree(self) -> dict[str, Any]:
        """See ``HasTree``."""
        return self.object


def _framed(event: Mapping[str, Any], media_type: str) -> bytes:
    """One event as a client reads it that wants this media type."""
    if media_type == PROTOBUF:
        from podkeeper.api import protobuf  # not every client wants it

        return protobuf.frame(event["type"], responses.in_protobuf(event["object"]))
    return orjson.dumps(event) + b"\n"


def _options(info: RequestInfo) -> ListOptions:
    """The query's options; the old paths below /watch/ may end in one object's name."""
    options = list_options(info)
    if not info.name or "metadata.name" in options.field_selector:
        return options
    terms = [term for term in (options.field_selector, f"metadata.name={info.name}") if term]
    return replace(options, field_selector=",".join(terms))


class Framer:
    """The chunk of a batch of events, made once although it goes to many watches one after the other.

    ``form`` gives an event's frame in one form.
    """

    def __init__(self, form: Callable[[WatchEvent], bytes]) -> None:
        self._form = form
        self._made: deque[tuple[list[Batch], bytes]] = deque(maxlen=_CHUNKS_KEPT)

    def join(self, batches: Iterable[Batch]) -> bytes:
        """All events."""
        return b"".join([self._form(event) for events in batches for event in events])

    def frame(self, batches: list[Batch]) -> bytes:
        """All events as one chunk."""
        for known, chunk in self._made:
            if len(known) == len(batches) and all(map(operator.is_, known, batches)):
                return chunk
        chunk = frame_chunk(self.join(batches))
        self._made.appendleft((batches, chunk))
        return chunk


class WatchStream:
    """One client's watch. Its frames come from a Framer, which others share, or are encoded for it alone."""

    def __init__(
        self, frames: Framer | Encode, timeout: float, open_streams: set[WatchStream], pacer: Pacer, sent: Sent
    ) -> None:
        self._frames, self._timeout, self._pacer = frames, timeout, pacer
        self._open, self._sent = open_streams, sent
        self._waiting: deque[Batch] = deque()
        self._count = 0
        self._queued = False
        self._last_words = b""
        self._writer: BodyWriter | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.watch: Watch | None = None
        self._open.add(self)

    def take(self, events: Batch) -> None:
        """The registry's sink: writes at once if it is this stream's turn, else keeps the events."""
        writer = self._writer
        if writer is None:  # the state that the watch begins with
            self._waiting.extend(events[start : start + _SLICE] for start in range(0, len(events), _SLICE))
            return
        if not self._waiting and not writer.congested and self._pacer.may_write():
            self._write(writer, [events])
            return
        self._waiting.append(events)
        self._count += len(events)
        if self._count > WAITING_EVENTS:
            self._sent.cut_off += 1
            self._waiting.clear()
            self.stop()
            writer.abort()
        elif not self._queued and not writer.congested:
            self._queued = True
            self._pacer.enqueue(self)

    def fail(self, last_words: bytes) -> None:
        """The stream will consist of this error's frame."""
        self._last_words = last_words
        self.end()

    def end(self) -> None:
        """Ends the stream in good order."""
        if not self._ended.done():
            self._ended.set_result(None)

    def stop(self) -> None:
        """Gives the watch back."""
        self._open.discard(self)
        if self.watch is not None:
            self.watch.stop()
        self.end()

    async def run(self, writer: BodyWriter) -> None:
        """Sends until the timeout, the cache's end or the server's stop."""
        self._writer = writer
        writer.on_drained(self.catch_up)
        timer = asyncio.get_running_loop().call_later(self._timeout, self.end)
        try:
            self.catch_up()
            await self._ended
            self.catch_up()
            if self._last_words:
                writer.write(self._last_words)
        finally:
            self._writer = None
            timer.cancel()
            self.stop()

    def catch_up(self) -> None:
        """Writes what waits, as far as the client takes it; a stream that fails is ended, and nothing else is."""
        self._queued = False
        try:
            self._write_waiting()
        except Exception:
            log.exception("a watch failed and is ended")
            self._waiting.clear()
            self.stop()

    def _write_waiting(self) -> None:
        """What is new goes out in one piece, a long state in several."""
        writer, waiting = self._writer, self._waiting
        while waiting and writer is not None and not writer.congested:
            batches = [waiting.popleft()]
            size = len(batches[0])
            while waiting and (size := size + len(waiting[0])) <= _SLICE:
                batches.append(waiting.popleft())
            self._write(writer, batches)
        if not waiting:
            self._count = 0

    def _write(self, writer: BodyWriter, batches: list[Batch]) -> None:
        self._sent.events += sum(map(len, batches))
        if not isinstance(self._frames, Framer):
            writer.write(b"".join([self._frames(event) for events in batches for event in events]))
        elif writer.chunked:
            writer.write_framed(self._frames.frame(batches))
        else:
            writer.write(self._frames.join(batches))
