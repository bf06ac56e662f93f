"""The program that puts files into a root file system: ``python -m podkeeper.runtime.build.place ROOT PREFIX [OWNER]``.

The files come as a tar archive. Like unpacking a layer (podkeeper.runtime.images.unpack), except that what is there
stays: directories keep their attributes, links to directories are followed, and nothing stands for a deletion. PREFIX
comes before every name. OWNER (``uid:gid``) is whom directories belong to that no entry describes.
"""

from __future__ import annotations

import os
import posixpath
import stat
import sys

from podkeeper.runtime.images import unpack
from podkeeper.runtime.images.tarstream import DIRECTORY, BadArchive, TarEntry, TarStream
from podkeeper.runtime.images.unpack import LayerWriter


class RootWriter(LayerWriter):
    """Writes into a root file system that has files already."""

    def __init__(self, room: int, prefix: str, owner: str = "") -> None:
        super().__init__(room, owner=_ids(owner) if owner else None)
        self._prefix = prefix

    def add(self, entry: TarEntry, stream: TarStream) -> None:
        """Leaves the root directory itself alone."""
        if entry.type != DIRECTORY or self.place(entry.path) != "/":
            super().add(entry, stream)

    def place(self, path: str) -> str:
        """``path`` below the prefix."""
        return posixpath.normpath(f"{self._prefix}/{unpack.clean(path)}").replace("//", "/")

    def create(self, path: str, entry: TarEntry, stream: TarStream) -> None:
        """Leaves a directory alone that is there, also behind a link."""
        if entry.type == DIRECTORY and os.path.isdir(path):
            return
        super().create(path, entry, stream)

    def whiteout(self, folder: str, name: str) -> None:
        """Refused: in a layer such a name would stand for a deletion."""
        raise BadArchive(f"{posixpath.join(folder, name)!r} has a name that means a deletion in a layer")

    def replace(self, path: str) -> None:
        """A file gives way to a file, never a directory."""
        if stat.S_ISDIR(os.lstat(path).st_mode):
            raise BadArchive(f"cannot replace the directory {path!r} with a file")
        os.unlink(path)

    def clear_way(self, path: str) -> None:
        """Refused: what is in the way belongs to the image."""
        raise BadArchive(f"a parent of {path!r} is not a directory")


def _ids(owner: str) -> tuple[int, int]:
    user, _, group = owner.partition(":")
    return int(user), int(group)


if __name__ == "__main__":
    sys.exit(unpack.main(sys.argv[1], lambda room: RootWriter(room, *sys.argv[2:])))
