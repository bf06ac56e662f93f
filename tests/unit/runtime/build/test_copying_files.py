"""COPY and ADD through their two workers: what is copied where, as whom, and what cannot get out or in."""

from __future__ import annotations

import os
import stat
import tarfile
from pathlib import Path

import pytest

from podkeeper.runtime.build import copying
from podkeeper.runtime.build.dockerfile import parse
from podkeeper.runtime.build.failure import BuildFailure
from podkeeper.runtime.build.settings import Scope
from podkeeper.runtime.images.config import ImageConfig

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="the workers make their directory their root, as root alone can"
)


class Places:
    """A context to copy from and a root file system to copy into."""

    def __init__(self, folder: Path) -> None:
        self.context, self.rootfs, self.scratch = folder / "context", folder / "rootfs", folder / "scratch"
        for path in (self.context, self.rootfs, self.scratch):
            path.mkdir(mode=0o755)

    def file(self, name: str, content: str = "", mode: int = 0o644) -> Path:
        path = self.context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content or name)
        path.chmod(mode)
        return path

    async def run(self, text: str, ignore: tuple[str, ...] = (), workdir: str = "") -> None:
        """Does what the instruction says."""
        (instruction,) = parse(text).instructions
        copy = copying.read(instruction, ImageConfig(working_dir=workdir), Scope({}))
        for root, request in copying.requests(copy, self.context, ignore, self.scratch):
            await copying.transfer(root, request, self.rootfs, copy.owner)

    async def digest(self, text: str) -> str:
        """What would be copied, as a digest."""
        (instruction,) = parse(text).instructions
        copy = copying.read(instruction, ImageConfig(), Scope({}))
        ((root, request),) = copying.requests(copy, self.context, (), self.scratch)
        return await copying.digest(root, request)

    def tree(self) -> set[str]:
        """Every file (not directory) in the root file system."""
        return {
            str(path.relative_to(self.rootfs))
            for path in self.rootfs.rglob("*")
            if path.is_symlink() or not path.is_dir()
        }


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("COPY a /b", {"b"}),
        ("COPY a /b/", {"b/a"}),
        ("COPY a .", {"work/a"}),
        ("COPY a rel", {"work/rel"}),
        ("COPY a /existing", {"existing/a"}),
        ("COPY dir /b", {"b/x", "b/sub/y"}),
        ("COPY dir /", {"x", "sub/y"}),
        ("COPY a dir/x /b/", {"b/a", "b/x"}),
        ("COPY *.txt /b/", {"b/one.txt", "b/two.txt"}),
        ("COPY d*/x /b", {"b"}),
        ("COPY d?r /b/", {"b/x", "b/sub/y"}),
        ("COPY ./dir/../a /b", {"b"}),
        ("COPY ../../a /b", {"b"}),
        ('COPY ["with space", "/b/"]', {"b/with space"}),
        ("COPY link /b", {"b"}),
        ("COPY . /all/", None),
    ],
)
async def test_where_files_go(places: Places, text: str, files: set[str] | None) -> None:
    for name in ("a", "dir/x", "dir/sub/y", "one.txt", "two.txt", "with space"):
        places.file(name)
    (places.context / "link").symlink_to("a")
    (places.rootfs / "existing").mkdir()
    await places.run(text, workdir="/work")
    expected = files or {
        f"all/{name}" for name in ("a", "dir/x", "dir/sub/y", "one.txt", "two.txt", "with space", "link")
    }
    assert places.tree() == expected


async def test_owners_modes_and_times(places: Places) -> None:
    source = places.file("tool")
    os.chown(source, 5, 6)
    source.chmod(0o4755)
    os.utime(source, (1e9, 1e9))
    (places.rootfs / "etc").mkdir()
    (places.rootfs / "etc/passwd").write_text("www:x:33:34::/:/bin/sh\n")
    (places.rootfs / "etc/group").write_text("web:x:80:\n")
    await places.run("COPY tool /root")
    await places.run("COPY --chown=www tool /user")
    await places.run("COPY --chown=www:web --chmod=640 tool /group")
    await places.run("COPY --chown=7:8 tool /ids")
    found = {name: (places.rootfs / name).stat() for name in ("root", "user", "group", "ids")}
    assert {name: (status.st_uid, status.st_gid) for name, status in found.items()} == {
        "root": (0, 0),
        "user": (33, 33),
        "group": (33, 80),
        "ids": (7, 8),
    }
    assert [stat.S_IMODE(found[name].st_mode) for name in ("root", "group")] == [0o4755, 0o640]
    assert found["root"].st_mtime == 1e9
    with pytest.raises(BuildFailure, match="no user named 'nobody'"):
        await places.run("COPY --chown=nobody tool /x")


async def test_links_and_hard_links_inside_directories_stay_links(places: Places) -> None:
    places.file("dir/file")
    (places.context / "dir/soft").symlink_to("/etc/passwd")
    os.link(places.context / "dir/file", places.context / "dir/hard")
    await places.run("COPY dir /d")
    assert os.readlink(places.rootfs / "d/soft") == "/etc/passwd"
    assert (places.rootfs / "d/file").stat().st_ino == (places.rootfs / "d/hard").stat().st_ino


async def test_what_is_there_stays_and_files_are_replaced(places: Places) -> None:
    places.file("dir/sub/file", "new")
    places.file("dir/bin/tool")
    (places.rootfs / "sub").mkdir(mode=0o700)
    (places.rootfs / "sub/file").write_text("old")
    (places.rootfs / "sub/other").write_text("kept")
    (places.rootfs / "usr/bin").mkdir(parents=True)
    (places.rootfs / "bin").symlink_to("usr/bin")
    await places.run("COPY dir /")
    assert (places.rootfs / "sub/file").read_text() == "new"
    assert (places.rootfs / "sub/other").read_text() == "kept"
    assert stat.S_IMODE((places.rootfs / "sub").stat().st_mode) == 0o700
    assert (places.rootfs / "bin").is_symlink()
    assert (places.rootfs / "usr/bin/tool").exists()


async def test_links_of_the_image_lead_nowhere_outside(places: Places, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (places.rootfs / "out").symlink_to(victim)
    places.file("a")
    await places.run("COPY a /out/a")
    assert list(victim.iterdir()) == []
    assert (places.rootfs / str(victim)[1:] / "a").exists()


async def test_links_of_the_context_lead_nowhere_outside(places: Places, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (places.context / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(BuildFailure, match='"/link": not found'):
        await places.run("COPY link /x")


async def test_ignored_files_are_not_there(places: Places) -> None:
    for name in ("keep", "drop.log", "dir/drop.log", "dir/keep", "only/this", "only/that"):
        places.file(name)
    await places.run("COPY . /", ignore=("**/*.log", "only/*", "!only/this"))
    assert places.tree() == {"keep", "dir/keep", "only/this"}
    with pytest.raises(BuildFailure, match="not found"):
        await places.run("COPY drop.log /x", ignore=("*.log",))


async def test_add_extracts_archives_and_copies_other_files(places: Places) -> None:
    places.file("inside")
    (places.context / "inside").chmod(0o640)
    os.chown(places.context / "inside", 3, 4)
    with tarfile.open(places.context / "a.tgz", "w:gz") as archive:
        archive.add(places.context / "inside", "deep/inside")
    places.file("plain.tgz", "not an archive")
    await places.run("ADD a.tgz plain.tgz /x/")
    assert places.tree() == {"x/deep/inside", "x/plain.tgz"}
    status = (places.rootfs / "x/deep/inside").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (3, 4, 0o640)
    await places.run("COPY a.tgz /y")
    assert tarfile.is_tarfile(places.rootfs / "y")


async def test_add_copies_what_only_looks_like_an_archive(places: Places) -> None:
    (places.context / "empty").write_bytes(b"")
    (places.context / "disk.img").write_bytes(bytes(4096) + b"data")
    (places.context / "zeros.tar").write_bytes(bytes(10240))
    await places.run("ADD empty disk.img zeros.tar /x/")
    assert {path.name: path.stat().st_size for path in (places.rootfs / "x").iterdir()} == {
        "empty": 0,
        "disk.img": 4100,
        "zeros.tar": 10240,
    }


async def test_new_directories_belong_to_whom_the_files_do(places: Places) -> None:
    places.file("a")
    (places.rootfs / "old").mkdir()
    await places.run("COPY --chown=7:8 a /old/new/deep/")
    owners = {
        name: (places.rootfs / name).stat().st_uid for name in ("old", "old/new", "old/new/deep", "old/new/deep/a")
    }
    assert owners == {"old": 0, "old/new": 7, "old/new/deep": 7, "old/new/deep/a": 7}


async def test_an_archive_that_reaches_outside_is_refused(places: Places) -> None:
    with tarfile.open(places.context / "evil.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../../escape"))
    with pytest.raises(BuildFailure, match="points outside"):
        await places.run("ADD evil.tar /x/")


async def test_documents_become_files(places: Places) -> None:
    await places.run("COPY <<one <<'two' /etc/\nfirst\none\n$second\ntwo\n")
    assert (places.rootfs / "etc/one").read_text() == "first\n"
    assert (places.rootfs / "etc/two").read_text() == "$second\n"
    await places.run("COPY --chmod=755 <<EOF /run.sh\n#!/bin/sh\nEOF\n")
    assert stat.S_IMODE((places.rootfs / "run.sh").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("COPY a", "requires at least two arguments"),
        ("COPY absent /x", '"/absent": not found'),
        ("COPY *.none /x/", "fits none"),
        ("COPY a b /x", "must be a directory and end with a /"),
        ("COPY --chmod=999 a /x", "invalid chmod parameter"),
        ("COPY b/.wh.x /x/", "means a deletion"),
        ("COPY a /file/below", "is not a directory"),
        ("ADD https://x.org/a /b", "ADD of a remote source"),
        ("ADD git@github.com:x/y.git /b", "ADD of a remote source"),
        ("COPY [a /x/", "syntax error in pattern|not found|fits none"),
    ],
)
async def test_what_cannot_be_copied_says_why(places: Places, text: str, why: str) -> None:
    for name in ("a", "b/.wh.x"):
        places.file(name)
    (places.rootfs / "file").touch()
    with pytest.raises(BuildFailure, match=why):
        await places.run(text)


async def test_a_file_does_not_replace_a_directory(places: Places) -> None:
    places.file("src/d")
    (places.rootfs / "d").mkdir()
    with pytest.raises(BuildFailure, match="cannot replace the directory '/d' with a file"):
        await places.run("COPY src /")


async def test_digests_see_contents_names_and_modes_but_not_times(places: Places) -> None:
    path = places.file("dir/a", "1")
    before = await places.digest("COPY dir /x")
    os.utime(path, (1, 1))
    assert await places.digest("COPY dir /x") == before
    path.write_text("2")
    changed = await places.digest("COPY dir /x")
    path.chmod(0o755)
    assert len({before, changed, await places.digest("COPY dir /x")}) == 3
