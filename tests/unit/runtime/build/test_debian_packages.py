"""Choosing Debian packages: an image gets what it asks for and the libraries that those need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from podkeeper.runtime.build import debian
from podkeeper.runtime.build.debian import Package, closure, first_choices, parse_packages, prepare_context
from podkeeper.runtime.build.failure import BuildFailure

SHOWN = """\
Package: nginx
Version: 1.22-1
Depends: libc6 (>= 2.34), libssl3 (>= 3.0), iproute2, zlib1g (>= 1:1.1) | zlib
Pre-Depends: init-system-helpers (>= 1.54~)
Description: small server
 Depends: not a field

Package: libc6
Version: 2.36
Depends: libgcc-s1, libcrypt1 (>= 1:4.4)

Package: libssl3
Version: 3.0:1
Depends: libc6, debconf (>= 0.5) | debconf-2.0

Package: zlib1g
Version: 1:1.2
Depends: libc6

Package: libgcc-s1
Version: 12
Depends: libc6
"""


def show(names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    return {name: fields for name, fields in parse_packages(SHOWN).items() if name in names}


def test_libraries_are_followed_and_nothing_else() -> None:
    assert [package.name for package in closure(["nginx"], show)] == [
        "libc6",
        "libgcc-s1",
        "libssl3",
        "nginx",
        "zlib1g",
    ]


def test_apt_is_asked_once_per_level_not_once_per_package() -> None:
    asked: list[Sequence[str]] = []

    def counted(names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        asked.append(names)
        return show(names)

    closure(["nginx"], counted)
    assert asked == [["nginx"], ["libc6", "libssl3", "zlib1g"], ["libcrypt1", "libgcc-s1"]]


def test_an_unknown_package_is_named() -> None:
    with pytest.raises(BuildFailure, match="apt knows no package absent"):
        closure(["nginx", "absent"], show)


def test_relations_are_read() -> None:
    assert first_choices("a (>= 1), b | c, d:any, e [amd64], ") == ["a", "b", "d", "e"]
    assert first_choices("") == []


def test_files_are_named_as_apt_names_them() -> None:
    assert Package("libssl3", "1:3.0").pattern == "libssl3_1%3a3.0_*.deb"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "recipe"
    folder.mkdir()
    (folder / "packages").write_text("nginx\n")
    (folder / "Dockerfile").write_text("FROM scratch\n")
    return folder


def test_a_prepared_context_is_left_alone_until_packages_change(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked: list[Path] = []

    def unpack(files: list[Path], rootfs: Path, report: debian.Report) -> None:
        rootfs.mkdir(parents=True)
        unpacked.append(rootfs)

    monkeypatch.setattr(debian, "_package_files", lambda name, wanted, cache, report: [])
    monkeypatch.setattr(debian, "_unpack", unpack)
    context, cache = tmp_path / "context", tmp_path / "cache"
    for _ in range(2):
        prepare_context(recipe, context, cache, print)
    assert len(unpacked) == 1
    (recipe / "Dockerfile").write_text("FROM other\n")
    prepare_context(recipe, context, cache, print)
    assert (context / "Dockerfile").read_text() == "FROM other\n"
    assert len(unpacked) == 1
    prepare_context(recipe, context, cache, print, refresh=True)
    (recipe / "packages").write_text("nginx\nbusybox\n")
    prepare_context(recipe, context, cache, print)
    assert len(unpacked) == 3


def test_without_a_mirror_the_packages_of_the_last_time_are_used(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(wanted: list[str], report: debian.Report) -> list[Package]:
        raise BuildFailure("no mirror")

    monkeypatch.setattr(debian, "_resolve", unreachable)
    used: list[list[Path]] = []
    monkeypatch.setattr(
        debian, "_unpack", lambda files, rootfs, report: (used.append(files), rootfs.mkdir(parents=True))
    )
    cache = tmp_path / "cache"
    cache.mkdir()
    with pytest.raises(BuildFailure, match="no mirror"):
        prepare_context(recipe, tmp_path / "context", cache, print)
    (cache / "nginx_1_amd64.deb").touch()
    (cache / "recipe.packages").write_text("nginx_1_amd64.deb")
    said: list[str] = []
    prepare_context(recipe, tmp_path / "context", cache, said.append)
    assert used == [[cache / "nginx_1_amd64.deb"]]
    assert any("No package mirror answers" in line for line in said)
