"""Users and files looked up in an image that may try to lead outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from podkeeper.runtime.cri import ContainerSecurityContext
from podkeeper.runtime.engine.spec.rootfs_files import make_directories, read_text
from podkeeper.runtime.engine.spec.users import User, resolve
from podkeeper.runtime.failures import RuntimeFailure

PASSWD = "root:x:0:0:root:/root:/bin/sh\nbroken line\nweb:x:100:101::/home/web:/bin/sh\n7:x:9:9::/:/bin/sh\n"
GROUP = "root:x:0:\nweb:x:101:\nextra:x:200:web,other\nmore:x:201:web\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/passwd").write_text(PASSWD)
    (tmp_path / "root/etc/group").write_text(GROUP)
    return tmp_path / "root"


def context(**options: object) -> ContainerSecurityContext:
    return ContainerSecurityContext(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("security", "image_user", "expected"),
    [
        (context(), "", User(0, 0, (), "/root")),
        (context(), "web", User(100, 101, (200, 201), "/home/web")),
        (context(), "web:extra", User(100, 200, (200, 201), "/home/web")),
        (context(), "100", User(100, 101, (200, 201), "/home/web")),
        (context(), "100:7", User(100, 7, (200, 201), "/home/web")),
        (context(), "5000", User(5000, 0, (), "/")),
        (context(), "7", User(7, 0, (), "/")),
        (context(run_as_user=100), "root:extra", User(100, 101, (200, 201), "/home/web")),
        (context(run_as_user=100, run_as_group=5), "", User(100, 5, (200, 201), "/home/web")),
        (context(run_as_username="web"), "root", User(100, 101, (200, 201), "/home/web")),
        (context(strict_groups=True, supplemental_groups=(9,)), "web", User(100, 101, (9,), "/home/web")),
        (context(run_as_user=0, supplemental_groups=(9, 3)), "web", User(0, 0, (3, 9), "/root")),
    ],
)
def test_who_a_container_is(root: Path, security: ContainerSecurityContext, image_user: str, expected: User) -> None:
    assert resolve(root, security, image_user) == expected


@pytest.mark.parametrize(
    ("image_user", "fault"), [("nobody", "no user named 'nobody'"), ("web:none", "no group named 'none'")]
)
def test_unknown_names_are_refused(root: Path, image_user: str, fault: str) -> None:
    with pytest.raises(RuntimeFailure, match=fault):
        resolve(root, context(), image_user)


def test_an_image_without_users_has_numbers_still(tmp_path: Path) -> None:
    assert resolve(tmp_path, context(), "") == User(0, 0, (), "/")


def test_links_are_followed_inside_and_never_out(root: Path) -> None:
    (root.parent / "secret").write_text("outside")
    (root / "inside").write_text("inside")
    (root / "etc/absolute").symlink_to("/inside")
    (root / "etc/up").symlink_to("../../../../secret")
    (root / "etc/gone").symlink_to("/secret")
    assert read_text(root, "etc/absolute") == "inside"
    assert read_text(root, "etc/up") == ""
    assert read_text(root, "etc/gone") == ""
    assert read_text(root, "etc") == ""


def test_directories_are_made_inside_and_never_out(root: Path) -> None:
    (root / "data").symlink_to("/somewhere")
    (root / "somewhere").mkdir()
    make_directories(root, "/data/deep/er", (0, 0))
    assert (root / "somewhere/deep/er").is_dir()
    make_directories(root, "/data/deep/er")
    make_directories(root, "/")
    (root / "loop").symlink_to("/loop")
    with pytest.raises(OSError, match="loop"):
        make_directories(root, "/loop/x")
