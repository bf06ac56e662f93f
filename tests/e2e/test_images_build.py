"""Building images with a real runtime: stages, RUN, the step cache, and the examples of Debian packages."""

from __future__ import annotations

import asyncio
import hashlib
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from cluster_harness import eventually
from msgspec.structs import replace

from podkeeper.foundation import mounts
from podkeeper.runtime.build.builder import Builder
from podkeeper.runtime.build.debian import prepare_context
from podkeeper.runtime.build.failure import BuildFailure
from podkeeper.runtime.build.options import BuildEvent, BuildOptions
from podkeeper.runtime.build.runner import OciRunner, RunRequest
from podkeeper.runtime.cri_images import ImageStatus
from podkeeper.runtime.engine.oci_choice import CANDIDATES
from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig
from podkeeper.testing.scratch_engine import busybox_archive

EXAMPLES = Path(__file__).parents[2] / "examples" / "images"
CACHE = Path(__file__).parents[2] / ".cache" / "packages"
GROUP = f"/podkeeper-build-test-{os.getpid()}"
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="root file systems are mounted, as root alone can"),
    pytest.mark.skipif(not any(map(shutil.which, CANDIDATES)), reason="neither crun nor runc is installed"),
]


class Workshop:
    """An image store with busybox in it, a build context, and what the last build said."""

    def __init__(self, store: ImageStore, folder: Path) -> None:
        self.store, self.folder, self.context = store, folder, folder / "context"
        self.context.mkdir()
        self.events: list[BuildEvent] = []

    async def build(self, dockerfile: str, tag: str = "test", **options: object) -> ImageStatus:
        """Builds from a Dockerfile's text, without a network."""
        (self.context / "Dockerfile").write_text(dockerfile)
        self.events = []
        chosen = replace(BuildOptions(self.context, (tag,), network="none"), **options)  # type: ignore[arg-type]
        async with self.runner() as runner:
            return await Builder(self.store, runner, self.events.append).build(chosen)

    def runner(self, *candidates: str) -> AbstractAsyncContextManager[OciRunner]:
        """A runner beside the store; by default with the OCI runtime that an engine would choose."""
        return OciRunner.open(self.folder / "builds", GROUP, candidates or CANDIDATES)

    @property
    def cached(self) -> list[bool]:
        """Whether each step was cached, in order."""
        return [event.cached for event in self.events if event.text]

    @property
    def output(self) -> str:
        """What the commands printed."""
        return b"".join(event.output for event in self.events).decode()

    async def run(self, image: ImageStatus, *command: str) -> str:
        """Runs a command in a fresh root file system of the image and returns what it prints."""
        pieces: list[bytes] = []
        config = self.store.image_config(image.id)
        rootfs = await self.store.snapshots.prepare("run", image.id)
        try:
            request = RunRequest(rootfs, command, config.env, config.user, config.working_dir or "/", "none")
            async with self.runner() as runner:
                await runner.run(request, pieces.append)
        finally:
            await self.store.snapshots.remove("run")
        return b"".join(pieces).decode()


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    store = ImageStore(ImageStoreConfig(tmp_path / "images"))
    try:
        await store.import_archive(busybox_archive(tmp_path))
        yield Workshop(store, tmp_path)
        assert store.snapshots.list() == {}, "a build has left a root file system behind"
        assert mounts.mounts_below(tmp_path) == []
    finally:
        await store.snapshots.sweep()
        await store.close()


async def test_a_multi_stage_build(workshop: Workshop) -> None:
    (workshop.context / "app.sh").write_text('#!/bin/sh\necho "$GREETING from $(pwd) as $(id -u)"\n')
    image = await workshop.build(
        """
        ARG BASE=busybox
        FROM $BASE AS make
        WORKDIR /src
        COPY app.sh .
        ARG VERSION=1
        RUN sed "s/from/v$VERSION from/" app.sh > built.sh && chmod 755 built.sh

        FROM $BASE AS unused
        RUN false

        FROM busybox
        ENV GREETING="hello there"
        COPY --from=make --chown=web /src/built.sh /usr/local/bin/app
        WORKDIR /home/web
        USER web
        EXPOSE 8080
        STOPSIGNAL SIGINT
        LABEL purpose=test
        ENTRYPOINT ["/usr/local/bin/app"]
        """,
        arguments={"VERSION": "7"},
    )
    config = workshop.store.image_config(image.id)
    assert (config.entrypoint, config.cmd, config.user) == (("/usr/local/bin/app",), (), "web")
    assert (config.exposed_ports, config.stop_signal, config.labels) == (("8080/tcp",), "SIGINT", {"purpose": "test"})
    assert await workshop.run(image, *config.entrypoint) == "hello there v7 from /home/web as 100\n"
    steps = [entry.created_by.split()[0] for entry in workshop.store.document(image.id).history]
    assert steps == ["ENV", "COPY", "WORKDIR", "USER", "EXPOSE", "STOPSIGNAL", "LABEL", "ENTRYPOINT"]


async def test_a_second_build_does_nothing_and_makes_the_same_image(workshop: Workshop) -> None:
    (workshop.context / "file").write_text("1")
    text = "FROM busybox\nCOPY file /file\nRUN date +%N > /when\nWORKDIR /srv\n"
    first = await workshop.build(text)
    assert workshop.cached == [False, False, False, False]
    os.utime(workshop.context / "file", (1, 1))
    assert await workshop.build(text) == first
    assert workshop.cached == [False, True, True, True]
    (workshop.context / "file").write_text("2")
    changed = await workshop.build(text)
    assert workshop.cached == [False, False, False, False]
    assert changed.id != first.id


async def test_a_later_step_alone_is_done_again(workshop: Workshop) -> None:
    await workshop.build("FROM busybox\nRUN echo a > /a\nRUN echo b > /b\n")
    await workshop.build("FROM busybox\nRUN echo a > /a\nRUN echo c > /b\n")
    assert workshop.cached == [False, True, False]
    await workshop.build("FROM busybox\nENV X=1\nRUN echo a > /a\n")
    assert workshop.cached == [False, False, False]
    await workshop.build("FROM busybox\nRUN echo a > /a\n", cache=False)
    assert workshop.cached == [False, False]


async def test_with_a_time_of_its_own_a_build_is_reproducible(workshop: Workshop) -> None:
    (workshop.context / "file").write_text("1")
    text = "FROM scratch\nCOPY file /dir/file\n"
    first = await workshop.build(text, youngest=1_000_000_000, cache=False)
    os.utime(workshop.context / "file")
    again = await workshop.build(text, youngest=1_000_000_000, cache=False)
    assert first.id == again.id
    rootfs = await workshop.store.snapshots.prepare("r", first.id)
    try:
        assert (rootfs / "dir").stat().st_mtime == (rootfs / "dir/file").stat().st_mtime == 1_000_000_000
    finally:
        await workshop.store.snapshots.remove("r")
    assert workshop.store.document(first.id).created == "2001-09-09T01:46:40Z"


async def test_deletions_in_a_step_hide_what_is_below(workshop: Workshop) -> None:
    image = await workshop.build(
        "FROM busybox\nRUN mkdir -p /d/e && touch /d/a /d/e/f /x\nRUN rm -r /d/e /x && mkdir /d/e && touch /d/e/new\n"
    )
    assert (await workshop.run(image, "ls", "-R", "/d")).split() == ["/d:", "a", "e", "/d/e:", "new"]
    assert "No such file" in await workshop.run(image, "ls", "/x")


async def test_run_has_its_own_world_and_leaves_no_mount_points(workshop: Workshop) -> None:
    image = await workshop.build(
        "FROM busybox\nRUN mkdir -m 1777 /work\nUSER web\nENV HERE=there\nWORKDIR /work\n"
        "RUN id -u; id -g; pwd; echo $HERE $HOME; ls /sys/class/net; ls -d /proc/[0-9]* | wc -l; touch out\n"
    )
    lines = workshop.output.split("\n")
    assert lines[:4] == ["100", "101", "/work", "there /home/web"]
    assert lines[4].split() == ["lo"]
    assert int(lines[5]) < 10
    assert (await workshop.run(image, "ls", "/work")).split() == ["out"]
    scratch = await workshop.build('FROM scratch\nCOPY --from=busybox /bin /bin\nRUN ["/bin/busybox", "true"]\n')
    rootfs = await workshop.store.snapshots.prepare("s", scratch.id)
    try:
        assert os.listdir(rootfs) == ["bin"]
    finally:
        await workshop.store.snapshots.remove("s")


@pytest.mark.parametrize("runtime", CANDIDATES)
async def test_either_runtime_runs_commands(workshop: Workshop, runtime: str) -> None:
    if not shutil.which(runtime):
        pytest.skip(f"{runtime} is not installed")
    (workshop.context / "Dockerfile").write_text("FROM busybox\nRUN echo done\n")
    options = BuildOptions(workshop.context, network="none")
    async with workshop.runner(runtime) as runner:
        await Builder(workshop.store, runner, workshop.events.append).build(options)
    assert workshop.output == "done\n"
    assert _control_groups() == []


async def test_without_a_runtime_run_says_what_to_install(workshop: Workshop) -> None:
    (workshop.context / "Dockerfile").write_text("FROM busybox\nENV A=1\nRUN true\n")
    async with workshop.runner("no-such-runtime") as runner:
        with pytest.raises(
            BuildFailure, match=r"Dockerfile:3: .*no-such-runtime: not installed.*apt-get install no-such-runtime"
        ):
            await Builder(workshop.store, runner, workshop.events.append).build(BuildOptions(workshop.context))


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from podkeeper.runtime.build.runner import OciRunner, RunRequest

async def main():
    async with OciRunner.open(Path(sys.argv[1]), sys.argv[2]) as runner:
        request = RunRequest(Path(sys.argv[3]), ["/bin/sh", "-c", "echo started; exec /bin/sleep " + sys.argv[4]])
        await runner.run(request, lambda data: os.kill(os.getpid(), signal.SIGKILL))

asyncio.run(main())
"""


async def test_what_a_killed_build_has_left_is_removed_by_the_next(workshop: Workshop) -> None:
    image = await workshop.store.image_status("busybox")
    assert image is not None
    rootfs = await workshop.store.snapshots.prepare("killed", image.id)
    try:
        seconds = f"1000.{uuid.uuid4().int % 10**9}"
        words = [sys.executable, "-c", KILLED, str(workshop.folder / "builds"), GROUP, str(rootfs), seconds]
        assert subprocess.run(words, timeout=60, check=False).returncode == -signal.SIGKILL
        eventually(lambda: _running(seconds))
        async with workshop.runner():
            left = _running(seconds), _control_groups()
        assert left == ([], [])
        assert os.listdir(workshop.folder / "builds") == []
    finally:
        _end(_running(seconds), _control_groups())
        await workshop.store.snapshots.remove("killed")


async def test_heredocs_are_scripts_and_files(workshop: Workshop) -> None:
    image = await workshop.build(
        "FROM busybox\nARG X=y\nCOPY <<END /conf\nx=$X\nEND\nRUN <<END\nset -e\ncat /conf\nEND\n"
        "RUN cat <<A > /both\nfrom cat\nA\n"
    )
    assert workshop.output == "x=y\n"
    assert await workshop.run(image, "cat", "/both") == "from cat\n"


async def test_arguments_reach_the_stages_that_are_based_on_theirs(workshop: Workshop) -> None:
    await workshop.build(
        "ARG G=global\nFROM busybox AS a\nARG L=local\nARG G\nFROM a\nRUN echo $G $L\n"
        "FROM busybox\nRUN echo .$L.$G.\nCOPY --from=1 /bin/true /x\n"
    )
    assert workshop.output == "global local\n...\n"


async def test_a_proxy_reaches_run_and_stays_out_of_the_image_and_the_cache(workshop: Workshop) -> None:
    text = "FROM busybox\nRUN echo $HTTP_PROXY $no_proxy $OTHER.\n"
    proxies = {"HTTP_PROXY": "http://p:1", "no_proxy": "x", "OTHER": "undeclared"}
    image = await workshop.build(text, arguments=proxies)
    assert workshop.output == "http://p:1 x .\n"
    assert "p:1" not in workshop.store.document(image.id).to_bytes().decode()
    await workshop.build(text, arguments={"HTTP_PROXY": "http://q:2"})
    assert workshop.cached == [False, True]


async def test_a_working_directory_belongs_to_the_user_for_whom_it_is_made(workshop: Workshop) -> None:
    image = await workshop.build("FROM busybox\nUSER web\nWORKDIR /srv/app/x\nRUN touch mine\n")
    assert (await workshop.run(image, "stat", "-c", "%U:%G", "/srv", "/srv/app/x")).split() == ["web:web"] * 2


async def test_a_link_that_a_command_leaves_leads_the_cleaning_nowhere(workshop: Workshop, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("hosts", "resolv.conf"):
        (outside / name).touch()
    await workshop.build(
        f"FROM scratch\nCOPY --from=busybox /bin /bin\nRUN mv /etc /moved && ln -s {outside} /etc\n", network="host"
    )
    assert sorted(os.listdir(outside)) == ["hosts", "resolv.conf"]


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("FROM busybox\n\nRUN exit 3", 3, "returned a non-zero code: 3"),
        ("FROM busybox\nCOPY absent /", 2, '"/absent": not found'),
        ("FROM busybox\nUSER ghost\nRUN true", 3, "no user named 'ghost'"),
        ("FROM busybox\nRUN --mount=type=cache,target=/x true", 2, "RUN --mount is not supported"),
        ("FROM busybox\nCOPY --parents a /", 2, "COPY --parents is not supported"),
        ("FROM busybox\nONBUILD RUN true", 2, "ONBUILD is not supported"),
        ("FROM busybox\nRUN --network=weird true", 2, "--network=weird is not supported"),
        ("FROM busybox\nRUN <<END\n#!/bin/awk\nEND", 2, "with an interpreter of its own"),
        ("FROM 127.0.0.1:1/absent", 1, "failed to resolve reference"),
        ("FROM busybox\nCOPY --from=127.0.0.1:1/absent / /", 2, "failed to resolve reference"),
        ("FROM Busybox", 1, "must be lowercase"),
        ("FROM --platform=linux/s390x busybox", 1, "--platform=linux/s390x is not supported: this machine is linux/"),
        ("ARG P=windows/amd64\nFROM --platform=$P busybox", 2, "--platform=windows/amd64 is not supported"),
        ("FROM busybox\nADD https://x.org/a /a", 2, "ADD of a remote source"),
        ("FROM busybox\nUSER ghost\nWORKDIR /new", 3, "no user named 'ghost'"),
    ],
)
async def test_errors_name_the_line(workshop: Workshop, text: str, line: int, why: str) -> None:
    with pytest.raises(BuildFailure, match=why) as failed:
        await workshop.build(text)
    assert failed.value.line == line
    assert await workshop.store.image_status("test") is None


async def test_the_steps_of_a_build_go_with_its_image(workshop: Workshop) -> None:
    before = workshop.store.index.layer_totals()
    await workshop.build("FROM busybox\nRUN echo 1 > /a\nRUN echo 2 > /b\n")
    assert len(await workshop.store.list_images()) == 2
    await workshop.store.remove_image("test")
    assert workshop.store.index.layer_totals() == before
    assert [image.tags for image in await workshop.store.list_images()] == [("docker.io/library/busybox:latest",)]


async def test_a_cancelled_build_leaves_nothing_running(workshop: Workshop) -> None:
    started = asyncio.Event()

    def heard(event: BuildEvent) -> None:
        if event.output:
            started.set()

    seconds = f"1000.{uuid.uuid4().int % 10**9}"  # no other test on this machine sleeps as long
    (workshop.context / "Dockerfile").write_text(f"FROM busybox\nRUN echo started && exec sleep {seconds}\n")

    async def build() -> None:
        async with workshop.runner() as runner:
            await Builder(workshop.store, runner, heard).build(BuildOptions(workshop.context, network="none"))

    task = asyncio.create_task(build())
    await started.wait()
    groups = _control_groups()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    left = _running(seconds), [group for group in groups if group.exists()]
    _end(*left)
    assert groups
    assert left == ([], [])


def _control_groups() -> list[Path]:
    """The control groups of this test process's builds, the lower ones first."""
    tops = [each for top in ("", "*/") for each in Path("/sys/fs/cgroup").glob(f"{top}{GROUP[1:]}*")]
    return sorted((Path(folder) for top in tops for folder, _, _ in os.walk(top)), reverse=True)


def _end(pids: list[int], groups: list[Path]) -> None:
    """So that a failing test leaves nothing either."""
    for pid in pids:
        handle = os.pidfd_open(pid)
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [], 10)
        os.close(handle)
    for group in groups:
        group.rmdir()


def _running(word: str) -> list[int]:
    """The processes that have ``word`` among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it has just ended
        if word in words:
            found.append(int(path.parent.name))
    return found


async def _example(name: str, workshop: Workshop) -> ImageStatus:
    """Builds an example image of Debian packages; skips when neither a mirror nor the cache has them."""
    if not shutil.which("apt-cache") or not shutil.which("dpkg-deb"):
        pytest.skip("Debian's package tools are not here")
    context = workshop.folder / name
    try:
        await asyncio.to_thread(prepare_context, EXAMPLES / name, context, CACHE, print)
    except BuildFailure as error:
        pytest.skip(f"packages cannot be had: {error}")
    async with workshop.runner() as runner:
        builder = Builder(workshop.store, runner, workshop.events.append)
        return await builder.build(BuildOptions(context, (name,), network="none"))


async def test_the_busybox_example(workshop: Workshop) -> None:
    image = await _example("busybox", workshop)
    assert image.tags == ("docker.io/library/busybox:latest",)
    assert workshop.store.image_config(image.id).cmd == ("sh",)
    script = "id -un; stat -c %a /tmp; which wget awk nc | wc -l; /usr/bin/env echo ok"
    assert (await workshop.run(image, "sh", "-c", script)).split() == ["root", "1777", "3", "ok"]


async def test_the_nginx_example_serves_its_page(workshop: Workshop) -> None:
    image = await _example("nginx", workshop)
    config = workshop.store.image_config(image.id)
    assert (config.cmd, config.stop_signal) == (("nginx", "-g", "daemon off;"), "SIGQUIT")
    assert config.exposed_ports == ("80/tcp",)
    script = (
        "nginx -g 'daemon off;' & until wget -q -O /tmp/page http://127.0.0.1/; do :; done;"
        " grep -o '<title>.*</title>' /tmp/page; kill -QUIT $!; wait $!; echo ended with $?"
    )
    output = await workshop.run(image, "sh", "-c", script)
    assert "<title>Welcome to nginx!</title>" in output
    assert '"GET / HTTP/1.1" 200' in output, "the access log must be on standard output"
    assert "ended with 0" in output


async def test_a_root_file_system_of_the_image_is_like_the_one_that_was_built(workshop: Workshop) -> None:
    """What a build makes survives a trip through a tar archive: the digests that it computed are true."""
    image = await workshop.build(
        "FROM busybox\nRUN mkdir -p /a/b && echo 1 > /a/b/c && ln /a/b/c /a/hard && ln -s c /a/b/soft"
        " && chmod 4711 /a/b/c && mkfifo /a/pipe && chown 5:6 /a/pipe && rm /bin/wget\n"
    )
    layer = workshop.store.index.layers_of(image.id)[-1]
    folder = workshop.store.layers.path(layer)
    packed = subprocess.run(
        [sys.executable, "-m", "podkeeper.runtime.images.pack", str(folder), "--tar"],
        capture_output=True,
        check=True,
    ).stdout
    diff = f"sha256:{hashlib.sha256(packed).hexdigest()}"
    assert workshop.store.document(image.id).diff_ids[-1] == diff
    archive = workshop.folder / "packed.tar"
    archive.write_bytes(packed)
    names = subprocess.run(["tar", "tvf", str(archive)], capture_output=True, text=True, check=True).stdout
    assert ".wh.wget" in names
    assert "link to a/b/c" in names


async def test_the_machine_sees_the_files_modes(workshop: Workshop) -> None:
    image = await workshop.build("FROM busybox\nRUN mkdir /made && chown web:101 /made && chmod 2750 /made\n")
    rootfs = await workshop.store.snapshots.prepare("m", image.id)
    try:
        status = (rootfs / "made").stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o2750, 100, 101)
    finally:
        await workshop.store.snapshots.remove("m")
