"""Writable root file systems: one overlayfs mount per container, over the layers of its image.

    prepare --> mounted --remove--> gone
                   |  reboot: the mount is gone, the files stay
                   +--> unmounted --remove--> gone

Mounts belong to the kernel: they survive our own death. Layers are named by short relative paths, so that hundreds of
them fit into the one page that mount(2) takes; for that a thread of its own has the image directory as its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from podkeeper.foundation import mounts, syscalls
from podkeeper.foundation.clock import Clock
from podkeeper.foundation.trees import remove_tree, tree_usage
from podkeeper.runtime.failures import NotFound, RuntimeFailure
from podkeeper.runtime.images.index import Index
from podkeeper.runtime.images.threads import run_to_end

T = TypeVar("T")

_CHOICES = "index=off,redirect_dir=off,metacopy=off"
_VOLATILE = ",volatile"
_EMPTY = "layers/0"
_PAGE = 4096
TEMPORARY = "build-"
"""How the names of snapshots begin that no container has: a build makes them and takes them away again."""


class SnapshotFailure(RuntimeFailure):
    """A root file system could not be made or removed."""


class Snapshots:
    """The root file systems below ``root``/snapshots; layers are in ``root``/layers."""

    def __init__(self, root: Path, index: Index, clock: Clock) -> None:
        self._root, self._index, self._clock = root, index, clock
        self._folder = root / "snapshots"
        self._folder.mkdir(exist_ok=True)
        self._mounter = ThreadPoolExecutor(1, "overlay-mounts", initializer=_own_directory, initargs=(root,))

    def close(self) -> None:
        """Ends the thread; mounts stay. Safe to call twice."""
        self._mounter.shutdown()

    def path(self, snapshot_id: str) -> Path:
        """Where the root file system of that snapshot is, or would be."""
        return self._folder / snapshot_id / "rootfs"

    def upper(self, snapshot_id: str) -> Path:
        """The directory with what was written into the snapshot, in overlayfs' own form."""
        return self._folder / snapshot_id / "fs"

    async def prepare(self, snapshot_id: str, image_id: str) -> Path:
        """Makes and mounts a root file system over the image. Returns its path.

        Raises NotFound (no such image) and SnapshotFailure (also: there is one of that name already).
        """
        try:
            if not self._index.add_snapshot(snapshot_id, image_id, int(self._clock.time())):
                raise NotFound(f"prepare snapshot {snapshot_id}: image {image_id} is not here")
        except KeyError:
            raise SnapshotFailure(f"prepare snapshot {snapshot_id}: there is one of that name") from None
        lower = [f"layers/{layer.number}" for layer in reversed(self._index.layers_of(image_id))]
        try:
            await self._on_mounter(lambda: self._mount(snapshot_id, lower))
        except OSError as error:
            await self.remove(snapshot_id)
            hint = f"; {self._root} must not lie on overlayfs itself" if error.errno == errno.EINVAL else ""
            raise SnapshotFailure(f"prepare snapshot {snapshot_id} of {image_id}: {error}{hint}") from error
        except asyncio.CancelledError:
            await self.remove(snapshot_id)
            raise
        return self.path(snapshot_id)

    async def view(self, snapshot_id: str, image_id: str) -> Path:
        """Like ``prepare``, but read-only."""
        path = await self.prepare(snapshot_id, image_id)
        flags = mounts.MS_REMOUNT | mounts.MS_BIND | mounts.MS_RDONLY
        await self._on_mounter(lambda: mounts.mount("none", str(path), flags=flags))
        return path

    async def remove(self, snapshot_id: str) -> None:
        """Unmounts and deletes. Succeeds when there is none. Raises SnapshotFailure."""
        try:
            await self._on_mounter(lambda: self._unmount(snapshot_id))
            await asyncio.to_thread(_delete, self._folder / snapshot_id)
        except OSError as error:
            raise SnapshotFailure(f"remove snapshot {snapshot_id}: {error}") from error
        self._index.remove_snapshot(snapshot_id, int(self._clock.time()))

    async def unmount(self, snapshot_id: str) -> None:
        """Unmounts and keeps the files, so that the upper directory can be read or taken."""
        await self._on_mounter(lambda: self._unmount(snapshot_id))

    async def usage(self, snapshot_id: str) -> tuple[int, int]:
        """Bytes and inodes that were written into the snapshot. Raises NotFound."""
        return await asyncio.to_thread(_usage, self.upper(snapshot_id))

    def list(self) -> dict[str, str]:
        """Snapshot -> image id, mounted or not."""
        return self._index.snapshots()

    def mounted(self) -> set[str]:
        """The snapshots that are mounted; after a reboot there are none."""
        points = mounts.mounts_below(self._folder)
        return {point.path.parent.name for point in points if point.path.parent.parent == self._folder}

    async def total_usage(self) -> tuple[int, int]:
        """Bytes and inodes of all snapshots."""
        uppers = [self.upper(snapshot_id) for snapshot_id in self.list()]
        return await asyncio.to_thread(_total_usage, uppers)

    async def remove_temporary(self) -> None:
        """Removes what builds have left that were killed. Needs the gate alone: nobody builds."""
        for snapshot_id in self.list():
            if snapshot_id.startswith(TEMPORARY):
                await self.remove(snapshot_id)

    async def sweep(self, keep: Sequence[str] = ()) -> None:
        """Removes every snapshot but ``keep``: those of the index, and what a killed process left half made."""
        known = set(self.list()) | {path.name for path in self._folder.iterdir()} | self.mounted()
        for snapshot_id in sorted(known - set(keep)):
            await self.remove(snapshot_id)

    def _mount(self, snapshot_id: str, lower: Sequence[str]) -> None:
        """Runs on the mounter: relative paths count from the image directory."""
        base = f"snapshots/{snapshot_id}"
        options = mount_options(base, lower)
        for name in ("fs", "work", "rootfs"):
            os.makedirs(f"{base}/{name}", mode=0o755)
        _copy_root(lower[0] if lower else _EMPTY, f"{base}/fs")
        _mount_overlay(options, f"{base}/rootfs")

    def _unmount(self, snapshot_id: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            try:
                mounts.unmount(f"snapshots/{snapshot_id}/rootfs", detach=False)
            except OSError as error:
                if error.errno == errno.EBUSY:
                    mounts.unmount(f"snapshots/{snapshot_id}/rootfs")
                elif error.errno != errno.EINVAL:  # EINVAL: it is not mounted
                    raise

    async def _on_mounter(self, action: Callable[[], T]) -> T:
        """Runs to its end even when the caller is cancelled: a mount must not be half made."""
        return await run_to_end(action, executor=self._mounter)


def mount_options(base: str, lower: Sequence[str]) -> str:
    """What overlayfs is told. Raises OSError (E2BIG) when the layers do not fit into mount(2)'s page."""
    options = f"lowerdir={':'.join(lower or [_EMPTY])},upperdir={base}/fs,workdir={base}/work,{_CHOICES}"
    if len(options) + len(_VOLATILE) >= _PAGE:
        raise OSError(errno.E2BIG, f"{len(lower)} layers are more than one mount can stack")
    return options


def _own_directory(root: Path) -> None:
    """Gives this thread a current directory of its own, then changes it."""
    syscalls.unshare(syscalls.CLONE_FS)
    os.chdir(root)


def _mount_overlay(options: str, target: str) -> None:
    """Without syncing at unmount where the kernel can (5.10): a container's own files need not outlive a power cut."""
    try:
        mounts.mount("overlay", target, "overlay", 0, f"{options}{_VOLATILE}")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        mounts.mount("overlay", target, "overlay", 0, options)


def _copy_root(lower: str, upper: str) -> None:
    """The root directory's owner and mode come from the top layer; overlayfs takes them from the upper directory."""
    below = os.stat(lower)
    os.chown(upper, below.st_uid, below.st_gid)
    os.chmod(upper, below.st_mode & 0o7777)


def _delete(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        remove_tree(folder)


def _usage(upper: Path) -> tuple[int, int]:
    if not upper.is_dir():
        raise NotFound(f"usage of snapshot {upper.parent.name}: there is none")
    return tree_usage(upper)


def _total_usage(folders: Sequence[Path]) -> tuple[int, int]:
    each = [tree_usage(folder) for folder in folders]
    return sum(size for size, _ in each), sum(inodes for _, inodes in each)
