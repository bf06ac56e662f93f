"""Layers as directories that overlayfs stacks: unpacked by a worker process, checked, completed, then placed.

    blob --stage--> layers/new-XXXX (locked) --register--> layers/NUMBER (in the index)

Layers of one image are staged side by side; registering goes from the lowest up, because a directory or hard link
that a layer leaves implicit has its attributes in the layers below.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import stat
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from podkeeper.foundation.syscalls import sync_filesystem
from podkeeper.foundation.trees import remove_tree
from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.runtime.images.index import Index, Layer
from podkeeper.runtime.images.unpack import UnpackReport
from podkeeper.runtime.images.workers import worker

_STAGED = "new-"
_WORKER = "podkeeper.runtime.images.unpack"
_OPAQUE_ATTRIBUTE = "trusted.overlay.opaque"


class BadLayer(RuntimeFailure):
    """A layer cannot be unpacked, or is not what the image's configuration says."""


class LayerStore:
    """The directories below ``root``. ``0`` is always there and empty."""

    def __init__(self, root: Path, index: Index, workers: int = 2) -> None:
        self._root, self._index = root, index
        self._workers = asyncio.Semaphore(workers)
        (root / "0").mkdir(parents=True, exist_ok=True)

    def path(self, layer: Layer) -> Path:
        """The directory of a registered layer. It must not be changed."""
        return self._root / str(layer.number)

    @contextlib.asynccontextmanager
    async def stage(self, blob: Path, digest: str) -> AsyncIterator[tuple[Path, UnpackReport]]:
        """Unpacks a layer into a directory that is gone when the context ends, unless it was registered.

        Raises BadLayer that names ``digest``.
        """
        folder, lock = self._new_folder()
        try:
            async with self._workers:
                report = await _run_worker(blob, digest, folder, lock)
            yield folder, report
        finally:
            os.close(lock)
            await asyncio.to_thread(_remove, folder)

    async def register(self, staged: Path, layer: Layer, parents: Sequence[Layer], report: UnpackReport) -> Layer:
        """Completes a staged layer from its parents (lowest first) and places it. Returns it with its number."""
        folders = [self.path(parent) for parent in reversed(parents)]
        return await asyncio.to_thread(self._register, staged, layer, folders, report)

    def adopt(self, folder: Path, layer: Layer) -> Layer:
        """Places a directory that is a layer already (a snapshot's upper one) by moving it. Call it on a thread."""
        sync_filesystem(folder)
        return self._index.add_layer(layer, lambda number: self._place(folder, number))

    def sweep(self) -> None:
        """Removes directories of forgotten layers and of killed workers. Needs the gate alone; call it on a thread."""
        known = {str(number) for number in self._index.layer_numbers()} | {"0"}
        for folder in self._root.iterdir():
            if folder.name not in known and not _locked(folder):
                remove_tree(folder)

    def _new_folder(self) -> tuple[Path, int]:
        """A directory, locked as long as we or the worker live."""
        folder = Path(tempfile.mkdtemp(prefix=_STAGED, dir=self._root))
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.fchmod(lock, 0o755)  # a layer's root directory; the store's own is closed to others
        return folder, lock

    def _register(self, staged: Path, layer: Layer, parents: Sequence[Path], report: UnpackReport) -> Layer:
        for path in report.implied:
            _inherit_folder(staged, path, parents)
        for path, target in report.links:
            _inherit_file(staged, path, target, parents)
        return self.adopt(staged, layer)

    def _place(self, folder: Path, number: int) -> None:
        target = self._root / str(number)
        if target.exists():  # placed by a process that was killed before its transaction ended
            remove_tree(target)
        folder.rename(target)


async def _run_worker(blob: Path, digest: str, folder: Path, lock: int) -> UnpackReport:
    with blob.open("rb") as source:
        async with worker(_WORKER, [str(folder)], stdin=source, pass_fds=(lock,)) as process:
            output, complaint = await process.communicate()
    if not output:
        raise BadLayer(
            f"unpack layer {digest}: the worker ended with {process.returncode}: {complaint.decode()[-500:]}"
        )
    result = json.loads(output)  # names need not be text, which orjson insists on
    if "error" in result:
        why = result["error"].encode(errors="backslashreplace").decode()
        raise BadLayer(f"unpack layer {digest}: {why}")
    return UnpackReport(**result)


def _remove(folder: Path) -> None:
    if folder.exists():
        remove_tree(folder)


def _locked(folder: Path) -> bool:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _inherit_folder(layer: Path, path: str, parents: Sequence[Path]) -> None:
    """Gives a directory that no entry describes the attributes that it has below."""
    with contextlib.ExitStack() as stack:
        source = _find_below(path, parents, stack)
        target = _walk(layer, path, stack)
        if source is None or target is None:
            return
        below = os.fstat(source)
        os.fchown(target, below.st_uid, below.st_gid)
        os.fchmod(target, stat.S_IMODE(below.st_mode))
        for name in os.listxattr(source):
            if not name.startswith("trusted.overlay."):
                os.setxattr(target, name, os.getxattr(source, name))
        os.utime(target, ns=(below.st_atime_ns, below.st_mtime_ns))


def _inherit_file(layer: Path, path: str, target: str, parents: Sequence[Path]) -> None:
    """Makes a hard link to a file of a lower layer, which for overlayfs is a copy."""
    folder, _, name = path.rpartition("/")
    source_folder, _, source_name = target.rpartition("/")
    with contextlib.ExitStack() as stack:
        into = _walk(layer, folder, stack)
        for parent in parents:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                below = _walk(parent, source_folder, stack)
                if below is None or into is None:
                    continue
                handle = os.open(source_name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=below)
                stack.callback(os.close, handle)
                if stat.S_ISREG(os.fstat(handle).st_mode):
                    _copy_file(handle, into, name)
                    return
                break
    raise BadLayer(f"unpack layer: {path!r} is a hard link to {target!r}, which is in no layer")


def _copy_file(source: int, folder: int, name: str) -> None:
    below = os.fstat(source)
    target = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    try:
        while os.copy_file_range(source, target, 1 << 30):
            pass
        os.fchown(target, below.st_uid, below.st_gid)
        os.fchmod(target, stat.S_IMODE(below.st_mode))
        for attribute in os.listxattr(source):
            if not attribute.startswith("trusted.overlay."):
                os.setxattr(target, attribute, os.getxattr(source, attribute))
        os.utime(target, ns=(below.st_atime_ns, below.st_mtime_ns))
    finally:
        os.close(target)


def _find_below(path: str, parents: Sequence[Path], stack: contextlib.ExitStack) -> int | None:
    """The directory of the highest layer that has it and under which nothing is hidden from above."""
    for parent in parents:
        try:
            handle = _walk(parent, path, stack)
        except NotADirectoryError:
            return None
        if handle is not None:
            return handle
    return None


def _walk(root: Path, path: str, stack: contextlib.ExitStack) -> int | None:
    """Opens ``root``/``path`` component by component, following no link. None when it is not there.

    Raises NotADirectoryError where a link, a file or a whiteout stands in the way.
    """
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    stack.callback(os.close, handle)
    for component in filter(None, path.split("/")):
        try:
            handle = os.open(component, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
        except FileNotFoundError:
            if _is_opaque(handle):
                raise NotADirectoryError(path) from None
            return None
        stack.callback(os.close, handle)
    return handle


def _is_opaque(handle: int) -> bool:
    try:
        return os.getxattr(handle, _OPAQUE_ATTRIBUTE) == b"y"
    except OSError:
        return False
