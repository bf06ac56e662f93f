"""subPath: one file or directory inside a volume, pinned so that no symlink can be swapped in between check and mount.

The path is opened below the volume's root by openat2(RESOLVE_BENEATH) and the open descriptor is bound to
``PODS/UID/volume-subpaths/VOLUME/CONTAINER/INDEX``; the runtime is given that place.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from podkeeper.foundation import syscalls
from podkeeper.foundation.mounts import bind, is_mount_point, unmount
from podkeeper.kubelet.volumes.plugin import VolumeFailure


def pin_sub_path(volume: Path, sub_path: str, target: Path) -> Path:
    """Binds ``sub_path`` of ``volume`` to ``target`` and returns it; a missing one is made as a directory.

    A target that is bound already is bound anew, because what it should show may have been replaced.
    """
    if sub_path.startswith("/") or ".." in sub_path.split("/"):
        raise VolumeFailure(f"subPath {sub_path} must be relative and stay within the volume")
    root = os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = _open_or_make(root, sub_path)
        try:
            _prepare(target, directory=stat.S_ISDIR(os.fstat(descriptor).st_mode))
            bind(f"/proc/self/fd/{descriptor}", target)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise VolumeFailure(f"failed to prepare subPath {sub_path}: {error}") from error
    finally:
        os.close(root)
    return target


def _open_or_make(root: int, sub_path: str) -> int:
    with contextlib.suppress(FileNotFoundError):
        return _open_beneath(root, sub_path)
    _make_directories_beneath(root, sub_path)
    return _open_beneath(root, sub_path)


def _open_beneath(root: int, path: str, flags: int = os.O_PATH) -> int:
    """No symlink may lead out of ``root`` (EXDEV)."""
    return syscalls.open_at(root, path, flags, resolve=syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_MAGICLINKS)


def _make_directories_beneath(root: int, path: str, mode: int = 0o750) -> None:
    current = os.dup(root)
    try:
        for part in [part for part in path.split("/") if part not in ("", ".")]:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, mode, dir_fd=current)
            following = _open_beneath(current, part, os.O_PATH | os.O_DIRECTORY)
            os.close(current)
            current = following
    finally:
        os.close(current)


def _prepare(target: Path, *, directory: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and is_mount_point(target):
        unmount(target)
    if target.is_dir() and not directory:
        target.rmdir()
    elif target.exists() and directory and not target.is_dir():
        target.unlink()
    if directory:
        target.mkdir(exist_ok=True)
    else:
        target.touch()
