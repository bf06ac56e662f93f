"""COPY and ADD: from a build context, another stage or an image into a root file system.

sources (worker, rooted in the source) --tar through a pipe--> place (worker, rooted in the target)
"""

from __future__ import annotations

import asyncio
import json
import os
import posixpath
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from msgspec import structs

from podkeeper.runtime.build.dockerfile import Heredoc, Instruction
from podkeeper.runtime.build.failure import BuildFailure
from podkeeper.runtime.build.settings import Scope
from podkeeper.runtime.build.sources import Request
from podkeeper.runtime.cri import ContainerSecurityContext
from podkeeper.runtime.engine.spec import users
from podkeeper.runtime.engine.spec.rootfs_files import open_in_root
from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.runtime.images.config import ImageConfig
from podkeeper.runtime.images.workers import worker

_SOURCES = "podkeeper.runtime.build.sources"
_PLACE = "podkeeper.runtime.build.place"
_REMOTE = re.compile(r"(https?|ftp|git|ssh)://|git@|[^/]+\.git(#|$)")


@dataclass(frozen=True, slots=True)
class Copy:
    """What a COPY or ADD says, variables replaced. ``owner`` is ``user[:group]`` as written; ``extract`` is ADD's."""

    sources: tuple[str, ...]
    destination: str
    documents: tuple[Heredoc, ...] = ()
    origin: str = ""
    owner: str = ""
    mode: int | None = None
    extract: bool = False


def read(instruction: Instruction, config: ImageConfig, scope: Scope) -> Copy:
    """Understands the instruction. Raises BuildFailure."""
    flags = dict(instruction.flags)
    exec_form = instruction.exec_form
    paths = scope.split(instruction.rest, config) if exec_form is None else [scope.expand(p, config) for p in exec_form]
    if len(paths) < 2:
        raise BuildFailure(f"{instruction.keyword} requires at least two arguments, but only one was provided")
    *named, destination = paths
    sources = tuple(path for path in named if not path.startswith("<<"))
    remote = next((path for path in sources if _REMOTE.match(path)), "")
    if remote and instruction.keyword == "ADD":
        raise BuildFailure(f"ADD of a remote source ({remote}) is not supported: download it first")
    return Copy(
        sources=sources,
        destination=_absolute(destination, config.working_dir),
        documents=tuple(
            structs.replace(document, content=scope.expand(document.content, config)) if document.expand else document
            for document in instruction.heredocs
        ),
        origin=flags.get("from", ""),
        owner=scope.expand(flags.get("chown", ""), config),
        mode=_mode(scope.expand(flags.get("chmod", ""), config)),
        extract=instruction.keyword == "ADD",
    )


def requests(copy: Copy, root: Path, ignore: Sequence[str], scratch: Path) -> Iterator[tuple[Path, Request]]:
    """What must be read from where: the sources in ``root``, then documents, which are written to ``scratch``."""
    request = Request((), copy.destination, mode=copy.mode, extract=copy.extract, keep_owner=bool(copy.origin))
    if copy.sources:
        yield root, replace(request, sources=copy.sources, ignore=() if copy.origin else tuple(ignore))
    for document in copy.documents:
        (scratch / document.name).write_text(document.content)
    if copy.documents:
        names = tuple(document.name for document in copy.documents)
        yield scratch, replace(request, sources=names, extract=False, mode=copy.mode or 0o644)


async def digest(root: Path, request: Request) -> str:
    """What the request would copy, as one digest. Raises BuildFailure."""
    arguments = [str(root), json.dumps(asdict(replace(request, digest=True)))]
    async with worker(_SOURCES, arguments) as process:
        output, complaint = await process.communicate()
    if process.returncode:
        raise BuildFailure(_last_line(complaint))
    return output.decode().strip()


async def transfer(root: Path, request: Request, rootfs: Path, owner: str) -> None:
    """Copies. Raises BuildFailure."""
    request = replace(request, owner=_owner(rootfs, owner), destination=_into_directory(rootfs, request))
    new_folders = [f"{request.owner[0]}:{request.owner[1]}"] if request.owner else []
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with open(reading, "rb") as source, open(writing, "wb") as sink:  # noqa: ASYNC230  # nothing is opened: both are
        async with (
            worker(_PLACE, [str(rootfs), "/", *new_folders], stdin=source) as place,
            worker(_SOURCES, [str(root), json.dumps(asdict(request))], stdout=sink) as read_sources,
        ):
            source.close()
            sink.close()
            (_, complaint), (report, mishap) = await asyncio.gather(read_sources.communicate(), place.communicate())
    if read_sources.returncode:
        raise BuildFailure(_last_line(complaint))
    if place.returncode:
        raise BuildFailure(json.loads(report)["error"] if report else _last_line(mishap))


@contextmanager
def documents_folder() -> Iterator[Path]:
    """A place for heredocs."""
    with tempfile.TemporaryDirectory(prefix="podkeeper-build-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103  # nothing secret is ever written here
        yield Path(folder)


def read_context(context: Path, file: Path | None) -> tuple[str, list[str]]:
    """The Dockerfile's text and the ignore patterns. Raises BuildFailure."""
    path = file or context / "Dockerfile"
    if not context.is_dir():
        raise BuildFailure(f"{context}: the build context is not a directory")
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BuildFailure(f"{path}: the Dockerfile cannot be read: {error}") from error
    for candidate in (path.with_name(f"{path.name}.dockerignore"), context / ".dockerignore"):
        if candidate.is_file():
            return text, candidate.read_text().splitlines()
    return text, []


def _absolute(destination: str, working_dir: str) -> str:
    """Absolute, with a slash at the end exactly when a directory is meant."""
    folder = destination.endswith("/") or posixpath.basename(destination) in (".", "..")
    path = posixpath.normpath(posixpath.join("/", working_dir, destination)).replace("//", "/")
    return f"{path.rstrip('/')}/" if folder else path


def _into_directory(rootfs: Path, request: Request) -> str:
    """A file that is copied onto an existing directory goes into it."""
    if request.destination.endswith("/"):
        return request.destination
    try:
        os.close(open_in_root(rootfs, request.destination, os.O_PATH | os.O_DIRECTORY))
    except OSError:
        return request.destination
    return f"{request.destination}/"


def _mode(text: str) -> int | None:
    if not text:
        return None
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise BuildFailure(f"invalid chmod parameter: {text!r}: it should be octal string and between 0 and 07777")
    return mode


def _owner(rootfs: Path, text: str) -> tuple[int, int] | None:
    """Without a group, the group has the user's number."""
    if not text:
        return None
    try:
        user = users.resolve(rootfs, ContainerSecurityContext(), text)
    except RuntimeFailure as error:
        raise BuildFailure(f"--chown={text}: {error}") from error
    return user.uid, user.gid if ":" in text else user.uid


def _last_line(complaint: bytes) -> str:
    return complaint.decode(errors="replace").strip().rpartition("\n")[2] or "the copying worker was killed"
