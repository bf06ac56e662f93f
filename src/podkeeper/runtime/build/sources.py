"""The program that reads the sources of COPY and ADD: ``python -m podkeeper.runtime.build.sources ROOT REQUEST``.

It makes ROOT (a build context, or the root file system of another stage) its root directory, so that no link leads
out of it. REQUEST is a JSON object, see ``Request``. The files go to standard output as a tar archive; with ``digest``
only a digest of names, modes and contents does, which says whether a cached step is still good.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from podkeeper.runtime.build.failure import BuildFailure
from podkeeper.runtime.build.ignore import IgnoreRules, glob_pattern
from podkeeper.runtime.images.confinement import confine
from podkeeper.runtime.images.streams import BadCompression, PieceReader, decompressed
from podkeeper.runtime.images.tarstream import HARDLINK, SYMLINK, BadArchive, TarEntry, TarStream
from podkeeper.runtime.images.tarwriter import TarWriter, entry_of
from podkeeper.runtime.images.unpack import clean

_WILD = set("*?[")


@dataclass(frozen=True, slots=True)
class Request:
    """What to copy. ``sources`` are paths or patterns inside the root; ``destination`` is absolute, ending with a slash
    when it is a directory. ``owner`` and ``mode`` replace those of the files where they are given; without an owner
    files belong to root, unless ``keep_owner``. With ``extract`` a file that is a tar archive stands for what is in it.
    """

    sources: Sequence[str]
    destination: str
    ignore: Sequence[str] = ()
    owner: Sequence[int] | None = None
    mode: int | None = None
    extract: bool = False
    keep_owner: bool = False
    digest: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """One file to copy: where it is, what it will be called, and its lstat."""

    path: str
    name: str
    status: os.stat_result


def find(request: Request) -> Iterator[_Found]:
    """Every file, a directory before its contents, in a fixed order. Raises BuildFailure."""
    rules = IgnoreRules(request.ignore)
    matches = [match for source in request.sources for match in _matches(source, rules)]
    if len(matches) > 1 and not request.destination.endswith("/"):
        raise BuildFailure("with more than one source file the destination must be a directory and end with a /")
    for path in matches:
        status = os.stat(path)
        target = posixpath.normpath(request.destination)
        if stat.S_ISDIR(status.st_mode):
            yield _Found(path, target, status)
            yield from _contents(path, target, rules)
        else:
            named = request.destination.endswith("/")
            yield _Found(
                os.path.realpath(path), posixpath.join(target, posixpath.basename(path)) if named else target, status
            )


def emit(request: Request, write: Callable[[bytes], object]) -> None:
    """Writes the archive. Raises BuildFailure, OSError."""
    writer = TarWriter(write)
    for found in find(request):
        if request.extract and stat.S_ISREG(found.status.st_mode) and _emit_archive(found.path, request, writer):
            continue
        entry = entry_of(found.path, found.name.lstrip("/") or ".", found.status)
        if entry is None:
            continue
        if request.mode is not None and entry.type != SYMLINK:
            entry.mode = request.mode
        writer.add_file(found.path, _adjusted(entry, request, keep_owner=request.keep_owner), found.status)
    writer.close()


def _emit_archive(path: str, request: Request, writer: TarWriter) -> bool:
    """Passes the entries of an archive on, below the destination; False when the file is none."""
    with open(path, "rb") as source:
        stream = TarStream(PieceReader(decompressed(source)))
        entries = iter(stream)
        try:
            entry = next(entries, None)
        except (BadArchive, BadCompression):
            return False
        if entry is None:  # nothing, or nothing but zeros: no archive that anybody has made
            return False
        while entry is not None:
            entry.path = posixpath.join(request.destination, clean(entry.path)[1:]).lstrip("/") or "."
            if entry.type == HARDLINK:
                entry.target = posixpath.join(request.destination, clean(entry.target)[1:]).lstrip("/")
            writer.add(_adjusted(entry, request, keep_owner=True))
            writer.add_data(stream.chunks(), entry.size)
            entry = next(entries, None)
    return True


def _adjusted(entry: TarEntry, request: Request, *, keep_owner: bool) -> TarEntry:
    if request.owner or not keep_owner:
        entry.uid, entry.gid = request.owner or (0, 0)
    if request.digest:
        entry.mtime_ns = 0
    return entry


def main(root: str, text: str) -> int:
    """Runs as the module says. A cause of failure goes to standard error, in one line."""
    request = Request(**json.loads(text))
    confine(root)
    try:
        if request.digest:
            digest = hashlib.sha256()
            emit(request, digest.update)
            print(digest.hexdigest())
        else:
            emit(request, sys.stdout.buffer.write)
            sys.stdout.buffer.flush()
    except (BuildFailure, BadArchive, BadCompression) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _matches(source: str, rules: IgnoreRules) -> list[str]:
    """The paths that a source means. A name must be there; a pattern must fit something."""
    pattern = posixpath.normpath(f"/{source}")
    if pattern.startswith("//"):
        pattern = pattern[1:]
    if not _WILD & set(pattern):
        if not os.path.exists(pattern) or rules.excludes(pattern[1:]):
            raise BuildFailure(f'"{pattern}": not found')
        return [pattern]
    paths = [""]
    for component in pattern[1:].split("/"):
        paths = [f"{path}/{name}" for path in paths for name in _fitting(path or "/", component)]
    matches = [path for path in paths if os.path.exists(path) and not rules.excludes(path[1:])]
    if not matches:
        raise BuildFailure(f'no source files were specified: "{pattern}" fits none')
    return matches


def _fitting(folder: str, component: str) -> list[str]:
    if not _WILD & set(component):
        return [component]
    expression = glob_pattern(component)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [name for name in names if expression.fullmatch(name)]


def _contents(folder: str, target: str, rules: IgnoreRules) -> Iterator[_Found]:
    for name in sorted(os.listdir(folder)):
        path = posixpath.join(folder, name)
        excluded = rules.excludes(path[1:])
        status = os.lstat(path)
        is_folder = stat.S_ISDIR(status.st_mode)
        if excluded and not (is_folder and rules.has_exceptions):
            continue
        below = posixpath.join(target, name)
        if not excluded:
            yield _Found(path, below, status)
        if is_folder:
            yield from _contents(path, below, rules)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
