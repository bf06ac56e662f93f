"""An HTTPS server on 127.0.0.1 that answers reviews: AdmissionReview, ConversionReview and their like.

async with running_review_server(directory) as hooks:
    hooks.answers["/path"] = lambda request: {"allowed": True}      # the fields of the response but its uid
    configuration["clientConfig"] = hooks.client("/path")
    hooks.asked                                                     # [("/path", request), ...]
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from podkeeper.foundation.certificates import Authority
from podkeeper.foundation.http import HttpServer, Request, Response
from podkeeper.foundation.keyfiles import KeyPair
from podkeeper.foundation.tls import server_tls

#: From a review's request to its response, or to a whole answer; may be awaitable.
Answer = Callable[[Any], Any]


class ReviewServer:
    """Answers by path, and remembers what it was asked."""

    def __init__(self, authority: Authority) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, Any]] = []
        self.port = 0
        self.bundle = base64.b64encode(authority.certificate_pem()).decode()

    async def handle(self, request: Request) -> Response:
        path = request.target.decode().partition("?")[0]
        review = json.loads(request.body)
        self.asked.append((path, review["request"]))
        answer = self.answers[path](review["request"])
        if inspect.isawaitable(answer):
            answer = await answer
        if isinstance(answer, Response):
            return answer
        response = {"uid": review["request"]["uid"]} | answer
        said = {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}
        return Response(200, b"Content-Type: application/json\r\n", json.dumps(said).encode())

    def client(self, path: str) -> dict[str, str]:
        """A clientConfig by URL."""
        return {"url": f"https://localhost:{self.port}{path}", "caBundle": self.bundle}

    def paths(self) -> list[str]:
        """Where it was asked, in order."""
        return [path for path, _ in self.asked]


def patching(*steps: Any) -> Answer:
    """Allows, with a JSON patch."""

    def answer(request: Any) -> Any:
        patch = base64.b64encode(json.dumps(steps).encode()).decode()
        return {"allowed": True, "patch": patch, "patchType": "JSONPatch"}

    return answer


@asynccontextmanager
async def running_review_server(directory: Path, *names: str) -> AsyncIterator[ReviewServer]:
    """Serves until the block ends, with a certificate for localhost and further ``names``, of an authority of its own
    in ``directory``."""
    authority = Authority.open(directory, "hook-ca")
    pair = KeyPair(directory / "hook.crt", directory / "hook.key")
    authority.issue_server(pair, "hook", ["localhost", *names])
    found = ReviewServer(authority)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        found.port = listener.getsockname()[1]
        ready = asyncio.Event()
        tls = server_tls(str(pair.certificate), str(pair.key))
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(HttpServer(found.handle).serve(listener, tls, ready))
            await ready.wait()
            try:
                yield found
            finally:
                serving.cancel()
