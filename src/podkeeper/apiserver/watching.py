"""Watch streams: events of the registry onto connections, each frame made once for all of them.

opened --run--> sending <--congested / drained--> waiting --(timeout, cache's end, server's stop)--> ended
                   \\--too many events waiting--> cut off
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import orjson
from msgspec.structs import replace

from podkeeper.api.catalogue import Resource
from podkeeper.api.errors import ApiError
from podkeeper.apiserver import responses
from podkeeper.apiserver.call import Call
from podkeeper.apiserver.handlers.rendering import Renderer
from podkeeper.apiserver.negotiation import JSON, PROTOBUF, YAML, Rendering
from podkeeper.apiserver.options import list_options
from podkeeper.apiserver.requestinfo import RequestInfo
from podkeeper.foundation.http import Answer, BodyWriter, Streaming
from podkeeper.foundation.http.messages import frame_chunk
from podkeeper.registry.verbs import ListOptions, ResourceVerbs, Watch, WatchEvent

#: Events that may wait for one slow client, beyond the state it began with, before it is cut off.
WAITING_EVENTS = 10_000
#: Events that are framed together when a client catches up.
_SLICE = 64
#: Seconds that a watch without timeoutSeconds lasts: at least this, at most twice.
MIN_TIMEOUT = 1800.0

Encode = Callable[[WatchEvent], bytes]


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
        self._open: set[WatchStream] = set()
        #: What has been sent so far, by (group, version, plural).
        self.sent: dict[tuple[str, str, str], Sent] = {}

    def __len__(self) -> int:
        return len(self._open)

    async def open(self, call: Call, verbs: ResourceVerbs, namespace: str) -> Answer:
        """A streaming answer. Raises what the registry raises, but a version that is gone is told inside the stream."""
        options = _options(call.info)
        rendering = call.rendering(verbs.resource)
        framer = None if rendering.transform else self._framers.get(rendering.media_type)
        encode = self._encoder(call, verbs.resource, rendering)
        timeout = options.timeout or random.uniform(MIN_TIMEOUT, 2 * MIN_TIMEOUT)  # noqa: S311 - spreads reconnects
        resource = verbs.resource
        sent = self.sent.setdefault((resource.group, resource.version, resource.name), Sent())
        stream = WatchStream(framer, encode, timeout, self._open, sent)
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
            if event.item is not None and rendering.transform == "Table":
                item = event.item
                metadata = {"resourceVersion": str(item.revision)}
                table = self._renderer.table(call, resource, (item,), metadata, rendering.version)
                if headed:
                    table["columnDefinitions"] = None
                headed = True
                tree["object"] = table
            elif rendering.transform and rendering.transform != "Table":
                names = {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{rendering.version}"}
                tree["object"] = {**names, "metadata": tree["object"]["metadata"]}
            return _framed(tree, rendering.media_type)

        return encode


def _framed(event: Mapping[str, Any], media_type: str) -> bytes:
    """One event as a client reads it that wants this media type."""
    if media_type == YAML:
        from podkeeper.apiserver import yamls  # few clients ask for it

        return b"---\n" + yamls.dump(event)
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
    """The chunk of a batch of events, made once although the batch goes to many watches one after the other.

    ``form`` gives an event's frame in one form.
    """

    def __init__(self, form: Callable[[WatchEvent], bytes]) -> None:
        self._form = form
        self._events: Sequence[WatchEvent] = ()
        self._chunk = b""

    def join(self, events: Sequence[WatchEvent]) -> bytes:
        """All events of the batch."""
        frames = [self._form(event) for event in events]
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def frame(self, events: Sequence[WatchEvent]) -> bytes:
        """All events of the batch as one chunk."""
        if events is not self._events:
            self._chunk = frame_chunk(self.join(events))
            self._events = events
        return self._chunk


class WatchStream:
    """One client's watch. Its frames come from ``framer``, which others share, or else from ``encode``."""

    def __init__(
        self, framer: Framer | None, encode: Encode, timeout: float, open_streams: set[WatchStream], sent: Sent
    ) -> None:
        self._framer, self._encode, self._timeout = framer, encode, timeout
        self._open, self._sent = open_streams, sent
        self._waiting: deque[Sequence[WatchEvent]] = deque()
        self._count = 0
        self._last_words = b""
        self._writer: BodyWriter | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.watch: Watch | None = None
        self._open.add(self)

    def take(self, events: Sequence[WatchEvent]) -> None:
        """The registry's sink: writes at once, or keeps the events while the client is slow."""
        writer = self._writer
        if writer is not None and not self._waiting and not writer.congested:
            self._write(writer, events)
            return
        if writer is None or len(events) > _SLICE:
            self._waiting.extend(events[start : start + _SLICE] for start in range(0, len(events), _SLICE))
        else:
            self._waiting.append(events)
        if writer is not None:
            self._count += len(events)
            if self._count > WAITING_EVENTS:
                self._sent.cut_off += 1
                self.stop()
                writer.abort()

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
        writer.on_drained(self._catch_up)
        timer = asyncio.get_running_loop().call_later(self._timeout, self.end)
        try:
            self._catch_up()
            await self._ended
            if self._last_words:
                writer.write(self._last_words)
        finally:
            timer.cancel()
            self.stop()

    def _catch_up(self) -> None:
        writer = self._writer
        while self._waiting and writer is not None and not writer.congested:
            self._write(writer, self._waiting.popleft())
        if not self._waiting:
            self._count = 0

    def _write(self, writer: BodyWriter, events: Sequence[WatchEvent]) -> None:
        self._sent.events += len(events)
        if self._framer is None:
            writer.write(b"".join([self._encode(event) for event in events]))
        elif writer.chunked:
            writer.write_framed(self._framer.frame(events))
        else:
            writer.write(self._framer.join(events))
