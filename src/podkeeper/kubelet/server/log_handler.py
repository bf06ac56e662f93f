"""``/containerLogs/NAMESPACE/POD/CONTAINER``: the parameters are PodLogOptions'."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path

from aiohttp import web

from podkeeper.api import timestamps
from podkeeper.kubelet.logs import LogOptions, follow_log, read_log
from podkeeper.kubelet.pod_workers import PodWorkers
from podkeeper.kubelet.server.lookup import find_pod, logged_container
from podkeeper.runtime.cri import ContainerState, ContainerStatus

TRUE = ("1", "t", "true", "True", "TRUE", "T")


def is_true(query: Mapping[str, str], *names: str) -> bool:
    """Whether one of the boolean parameters is set."""
    return any(query.get(name, "") in TRUE for name in names)


def log_options(query: Mapping[str, str], now: float) -> LogOptions:
    """Raises 422 for a value that makes no sense, as upstream does."""
    if "sinceSeconds" in query and "sinceTime" in query:
        raise web.HTTPUnprocessableEntity(text="at most one of `sinceTime` or `sinceSeconds` may be specified")
    since: float | None = None
    if "sinceSeconds" in query:
        since = now - _number(query, "sinceSeconds", 1)
    elif query.get("sinceTime"):
        try:
            since = timestamps.parse(query["sinceTime"])
        except timestamps.TimestampError as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from error
    return LogOptions(
        follow=is_true(query, "follow"),
        tail_lines=_number(query, "tailLines", 0) if "tailLines" in query else None,
        since=since,
        timestamps=is_true(query, "timestamps"),
        limit_bytes=_number(query, "limitBytes", 1) if "limitBytes" in query else None,
    )


def _number(query: Mapping[str, str], name: str, least: int) -> int:
    try:
        number = int(query[name])
    except ValueError:
        number = least - 1
    if number < least:
        kind = "greater than or equal to 0" if least == 0 else "greater than 0"
        raise web.HTTPUnprocessableEntity(text=f"{name}: Invalid value: {query[name]}: must be {kind}")
    return number


def _log_path(container: ContainerStatus) -> Path:
    path = Path(container.log_path)
    if not path.is_file():
        raise web.HTTPNotFound(text=f"log file of container {container.name} is gone: {path.name}")
    return path


class LogHandler:
    """Streams logs of the pods of ``workers``."""

    def __init__(self, workers: PodWorkers) -> None:
        self._workers = workers

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """GET."""
        worker = find_pod(self._workers, request)
        name = request.match_info["container"]
        options = log_options(request.query, worker.now())
        container = logged_container(worker, name, previous=is_true(request.query, "previous"))
        path, running = _log_path(container), container.state is ContainerState.RUNNING
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        pieces: AsyncGenerator[bytes, None] = (
            follow_log(path, options, lambda: worker.wait_until_ended(container.id))
            if options.follow and running
            else _waiting(read_log(path, options))
        )
        async with aclosing(pieces):
            try:
                async for piece in pieces:
                    if piece:
                        await response.write(piece)
                await response.write_eof()
            except ConnectionError:
                return response  # the reader went away
        return response


async def _waiting(pieces: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece
