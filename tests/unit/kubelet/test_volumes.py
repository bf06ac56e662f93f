"""Volumes on a real file system with real mounts, all of them gone afterwards."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from podkeeper.api.core import v1
from podkeeper.api.meta import v1 as meta
from podkeeper.api.quantity import Quantity
from podkeeper.foundation import mounts
from podkeeper.kubelet.downward import NodeFacts
from podkeeper.kubelet.objects import PodObjects
from podkeeper.kubelet.tokens import TokenSource
from podkeeper.kubelet.volumes.atomic_writer import FileContent, write_payload
from podkeeper.kubelet.volumes.plugin import VolumeContext, VolumeFailure
from podkeeper.kubelet.volumes.pod_volumes import set_up_volumes, tear_down_volumes, volume_mounts
from podkeeper.kubelet.volumes.sub_path import pin_sub_path
from podkeeper.runtime.cri import MountPropagation

Make = Callable[..., v1.Pod]
needs_mounts = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def pods_dir(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "pods"
    directory.mkdir()
    yield directory
    mounts.unmount_below(tmp_path)


class Bench:
    """Sets up the volumes of one pod over a fake API."""

    def __init__(self, api: Any, clock: Any, pods_dir: Path, tasks: asyncio.TaskGroup) -> None:
        self.api, self.clock, self.pods_dir = api, clock, pods_dir
        self.objects = PodObjects.over(api, clock, tasks)
        self.tokens = TokenSource(api, clock)
        self.changes = 0

    def _changed(self) -> None:
        self.changes += 1

    def context(self, pod: v1.Pod) -> VolumeContext:
        self.objects.hold(pod, self._changed)
        node = NodeFacts("node", ("192.0.2.1",), {"cpu": Quantity("4"), "memory": Quantity("8Gi")})
        return VolumeContext(pod, self.pods_dir, self.objects, self.tokens, node, ("10.0.0.2",))

    async def set_up(self, pod: v1.Pod) -> dict[str, Path]:
        return dict(await set_up_volumes(self.context(pod)))


@pytest.fixture
async def bench(fake_api: Any, clock: Any, pods_dir: Path) -> AsyncIterator[Bench]:
    holder = asyncio.Event()
    made: asyncio.Future[Bench] = asyncio.get_running_loop().create_future()

    async def hold() -> None:
        async with asyncio.TaskGroup() as tasks:
            made.set_result(Bench(fake_api, clock, pods_dir, tasks))
            await holder.wait()

    task = asyncio.create_task(hold())
    yield await made
    task.cancel()
    await asyncio.wait((task,))


def with_volume(make_pod: Make, volume: v1.Volume, mount: v1.VolumeMount | None = None, **spec: Any) -> v1.Pod:
    mount = mount or v1.VolumeMount(name=volume.name, mount_path="/data")
    container = v1.Container(name="app", image="app:1", volume_mounts=(mount,))
    return make_pod(containers=(container,), volumes=(volume,), **spec)


def put_config_map(api: Any, name: str = "cfg", **data: str) -> None:
    api.put(v1.ConfigMap(metadata=meta.ObjectMeta(name=name, namespace="default"), data=data))


# -- the atomic writer ----------------------------------------------------------------------------------------

names = st.text("abc", min_size=1, max_size=3)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
payloads = st.dictionaries(paths, st.binary(max_size=5), max_size=5).filter(
    lambda files: not any(one != two and two.startswith(one + "/") for one in files for two in files)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(payloads, min_size=1, max_size=4))
def test_the_volume_shows_exactly_the_last_payload(
    tmp_path_factory: pytest.TempPathFactory, steps: list[dict[str, bytes]]
) -> None:
    volume = tmp_path_factory.mktemp("volume")
    for number, files in enumerate(steps):
        changed = write_payload(volume, {path: FileContent(data, 0o640) for path, data in files.items()}, str(number))
        assert changed is (number == 0 or files != steps[number - 1])
        shown = {
            str(Path(directory, name).relative_to(volume))
            for directory, _, found in os.walk(volume, followlinks=True)
            for name in found
        }
        visible = {path for path in shown if not path.startswith("..")}
        assert visible == set(files)
        assert all((volume / path).read_bytes() == data for path, data in files.items())
        assert len([each for each in volume.iterdir() if each.name.startswith("..")]) == 2  # ..data and one version


def test_readers_see_old_or_new_never_a_mixture(tmp_path: Path) -> None:
    write_payload(tmp_path, {"a": FileContent(b"1", 0o644), "b": FileContent(b"1", 0o644)}, "one")
    data = os.open(tmp_path / "..data", os.O_PATH)  # a reader that has opened the version
    write_payload(tmp_path, {"a": FileContent(b"2", 0o644), "b": FileContent(b"2", 0o644)}, "two")
    assert (tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes() == b"22"
    assert os.readlink(tmp_path / "a") == "..data/a"
    os.close(data)


# -- the kinds ------------------------------------------------------------------------------------------------


async def test_a_config_map_volume_has_items_modes_and_follows_the_object(bench: Bench, make_pod: Make) -> None:
    put_config_map(bench.api, one="1", two="2")
    source = v1.ConfigMapVolumeSource(
        name="cfg", items=(v1.KeyToPath(key="one", path="sub/first", mode=0o600),), default_mode=0o444
    )
    pod = with_volume(make_pod, v1.Volume(name="v", config_map=source))
    root = (await bench.set_up(pod))["v"]
    assert (root / "sub/first").read_text() == "1"
    assert stat.S_IMODE((root / "sub/first").stat().st_mode) == 0o600
    assert not (root / "two").exists()
    put_config_map(bench.api, one="changed")
    await bench.clock.settle()
    assert bench.changes == 1
    await bench.set_up(pod)
    assert (root / "sub/first").read_text() == "changed"


async def test_a_missing_key_is_named_unless_it_is_optional(bench: Bench, make_pod: Make) -> None:
    put_config_map(bench.api, one="1")
    items = (v1.KeyToPath(key="none", path="none"),)
    needed = v1.Volume(name="v", config_map=v1.ConfigMapVolumeSource(name="cfg", items=items))
    with pytest.raises(VolumeFailure, match="references non-existent config key: none"):
        await bench.set_up(with_volume(make_pod, needed))
    optional = v1.Volume(name="v", config_map=v1.ConfigMapVolumeSource(name="gone", optional=True))
    assert list((await bench.set_up(with_volume(make_pod, optional)))["v"].glob("[!.]*")) == []


@needs_mounts
async def test_secrets_are_kept_in_memory_and_given_to_the_group(bench: Bench, make_pod: Make) -> None:
    data = {"key": base64.b64encode(b"\x00secret").decode()}
    bench.api.put(v1.Secret(metadata=meta.ObjectMeta(name="s", namespace="default"), data=data))
    volume = v1.Volume(name="v", secret=v1.SecretVolumeSource(secret_name="s", default_mode=0o400))
    pod = with_volume(make_pod, volume, security_context=v1.PodSecurityContext(fs_group=2000))
    root = (await bench.set_up(pod))["v"]
    assert root.is_mount()
    assert (root / "key").read_bytes() == b"\x00secret"
    info = (root / "key").stat()
    assert (info.st_gid, stat.S_IMODE(info.st_mode)) == (2000, 0o440)
    tear_down_volumes(bench.pods_dir, pod.metadata.uid)
    assert mounts.mounts_below(bench.pods_dir) == []
    assert not root.exists()


@needs_mounts
async def test_projected_tokens_are_bound_private_and_renewed(bench: Bench, make_pod: Make) -> None:
    sources = (
        v1.VolumeProjection(
            service_account_token=v1.ServiceAccountTokenProjection(path="token", expiration_seconds=1000, audience="a")
        ),
        v1.VolumeProjection(
            downward_api=v1.DownwardAPIProjection(
                items=(
                    v1.DownwardAPIVolumeFile(
                        path="labels", field_ref=v1.ObjectFieldSelector(field_path="metadata.labels")
                    ),
                )
            )
        ),
    )
    volume = v1.Volume(name="v", projected=v1.ProjectedVolumeSource(sources=sources))
    pod = with_volume(make_pod, volume, security_context=v1.PodSecurityContext(run_as_user=1234))
    pod = replace(pod, metadata=replace(pod.metadata, labels={"b": 'say "x"', "a": "1"}))
    root = (await bench.set_up(pod))["v"]
    assert (root / "labels").read_text() == 'a="1"\nb="say \\"x\\""'
    assert (root / "token").read_text() == "token-1"
    info = (root / "token").stat()
    assert (info.st_uid, stat.S_IMODE(info.st_mode)) == (1234, 0o600)
    asked = bench.api.tokens[0]["spec"]
    assert asked["boundObjectRef"] == {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "uid-of-web"}
    assert asked["audiences"] == ["a"]
    due = bench.tokens.next_renewal("uid-of-web")
    assert due == pytest.approx(bench.clock.time() + 800, abs=1)
    await bench.set_up(pod)
    assert (root / "token").read_text() == "token-1"
    await bench.clock.advance(801)
    await bench.set_up(pod)
    assert (root / "token").read_text() == "token-2"


async def test_the_downward_api_gives_resources_in_the_divisors_unit(bench: Bench, make_pod: Make) -> None:
    def item(path: str, resource: str, divisor: str) -> v1.DownwardAPIVolumeFile:
        selector = v1.ResourceFieldSelector(container_name="app", resource=resource, divisor=Quantity(divisor))
        return v1.DownwardAPIVolumeFile(path=path, resource_field_ref=selector)

    items = (
        item("millis", "requests.cpu", "1m"),
        item("cores", "requests.cpu", "1"),
        item("mib", "limits.memory", "1Mi"),
    )
    volume = v1.Volume(name="v", projected=None, downward_api=v1.DownwardAPIVolumeSource(items=items))
    mount = v1.VolumeMount(name="v", mount_path="/data")
    resources = v1.ResourceRequirements(requests={"cpu": Quantity("250m")})
    container = v1.Container(name="app", image="app:1", volume_mounts=(mount,), resources=resources)
    root = (await bench.set_up(make_pod(containers=(container,), volumes=(volume,))))["v"]
    assert [(root / name).read_text() for name in ("millis", "cores", "mib")] == ["250", "1", "8192"]


async def test_an_empty_dir_keeps_what_was_written(bench: Bench, make_pod: Make) -> None:
    volume = v1.Volume(name="v", empty_dir=v1.EmptyDirVolumeSource())
    pod = with_volume(make_pod, volume, security_context=v1.PodSecurityContext(fs_group=2000))
    root = (await bench.set_up(pod))["v"]
    (root / "file").write_text("kept")
    await bench.set_up(pod)
    assert (root / "file").read_text() == "kept"
    assert root.stat().st_gid == 2000
    assert root.stat().st_mode & stat.S_ISGID
    assert stat.S_IMODE(root.stat().st_mode) & 0o777 == 0o777


@needs_mounts
async def test_an_empty_dir_in_memory_has_its_size_and_leaves_no_mount(bench: Bench, make_pod: Make) -> None:
    source = v1.EmptyDirVolumeSource(medium="Memory", size_limit=Quantity("1Mi"))
    pod = with_volume(make_pod, v1.Volume(name="v", empty_dir=source))
    root = (await bench.set_up(pod))["v"]
    assert root.is_mount()
    info = os.statvfs(root)
    assert info.f_blocks * info.f_frsize == 1 << 20
    held = (root / "held").open("w")  # a file that somebody has open does not keep the mount
    tear_down_volumes(bench.pods_dir, pod.metadata.uid)
    assert mounts.mounts_below(bench.pods_dir) == []
    held.close()


@pytest.mark.parametrize(
    ("kind", "made", "fits"),
    [
        ("Directory", "directory", True),
        ("Directory", "file", False),
        ("Directory", "", False),
        ("DirectoryOrCreate", "", True),
        ("DirectoryOrCreate", "file", False),
        ("File", "file", True),
        ("File", "directory", False),
        ("FileOrCreate", "", True),
        ("Socket", "socket", True),
        ("Socket", "file", False),
        ("CharDevice", "file", False),
        ("BlockDevice", "file", False),
        ("", "", True),
    ],
)
async def test_host_paths_are_checked(
    bench: Bench, make_pod: Make, tmp_path: Path, kind: str, made: str, fits: bool
) -> None:
    path = tmp_path / "host"
    if made == "directory":
        path.mkdir()
    elif made == "file":
        path.touch()
    elif made == "socket":
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(str(path))
    volume = v1.Volume(name="v", host_path=v1.HostPathVolumeSource(path=str(path), type=kind))
    pod = with_volume(make_pod, volume)
    if fits:
        assert (await bench.set_up(pod))["v"] == path
        assert path.exists()
    else:
        with pytest.raises(VolumeFailure, match="hostPath type check failed"):
            await bench.set_up(pod)


async def test_volumes_that_nobody_mounts_are_left_alone(bench: Bench, make_pod: Make) -> None:
    pod = with_volume(make_pod, v1.Volume(name="used", empty_dir=v1.EmptyDirVolumeSource()))
    unused = v1.Volume(name="unused", nfs=v1.NFSVolumeSource(server="s", path="/"))
    pod = replace(pod, spec=replace(pod.spec, volumes=(*pod.spec.volumes, unused)))
    assert list(await bench.set_up(pod)) == ["used"]


# -- mounts of containers, subPath ----------------------------------------------------------------------------


async def test_a_mount_says_how_it_is_mounted(bench: Bench, make_pod: Make) -> None:
    mount = v1.VolumeMount(
        name="v",
        mount_path="data",
        read_only=True,
        recursive_read_only="IfPossible",
        mount_propagation="HostToContainer",
    )
    pod = with_volume(make_pod, v1.Volume(name="v", empty_dir=v1.EmptyDirVolumeSource()), mount)
    made = volume_mounts(bench.context(pod), pod.spec.containers[0], await bench.set_up(pod), {})[0]
    assert (made.container_path, made.readonly, made.recursive_readonly) == ("/data", True, True)
    assert made.propagation is MountPropagation.HOST_TO_CONTAINER


@needs_mounts
async def test_a_sub_path_is_expanded_made_and_bound(bench: Bench, make_pod: Make) -> None:
    mount = v1.VolumeMount(name="v", mount_path="/data", sub_path_expr="$(WHO)/inner")
    pod = with_volume(make_pod, v1.Volume(name="v", empty_dir=v1.EmptyDirVolumeSource()), mount)
    paths = await bench.set_up(pod)
    made = volume_mounts(bench.context(pod), pod.spec.containers[0], paths, {"WHO": "me"})[0]
    (paths["v"] / "me/inner/file").write_text("seen")
    assert (Path(made.host_path) / "file").read_text() == "seen"
    with pytest.raises(VolumeFailure, match="missing value for 'WHO'"):
        volume_mounts(bench.context(pod), pod.spec.containers[0], paths, {})
    tear_down_volumes(bench.pods_dir, pod.metadata.uid)
    assert mounts.mounts_below(bench.pods_dir) == []


async def test_a_sub_path_that_leads_out_says_nothing_about_the_node(bench: Bench, make_pod: Make) -> None:
    mount = v1.VolumeMount(name="v", mount_path="/data", sub_path="link/secret")
    pod = with_volume(make_pod, v1.Volume(name="v", empty_dir=v1.EmptyDirVolumeSource()), mount)
    paths = await bench.set_up(pod)
    (paths["v"] / "link").symlink_to("/etc")
    with pytest.raises(VolumeFailure) as caught:
        volume_mounts(bench.context(pod), pod.spec.containers[0], paths, {})
    name = pod.spec.containers[0].name
    assert str(caught.value) == f'failed to prepare subPath for volumeMount "v" of container "{name}"'


@needs_mounts
def test_a_sub_path_of_a_config_map_shows_the_new_file_after_a_restart(pods_dir: Path) -> None:
    volume = pods_dir / "volume"
    volume.mkdir()
    write_payload(volume, {"key": FileContent(b"old", 0o644)}, "one")
    target = pin_sub_path(volume, "key", pods_dir / "pin")
    assert target.read_bytes() == b"old"
    write_payload(volume, {"key": FileContent(b"new", 0o644)}, "two")
    assert target.read_bytes() == b"old"
    assert pin_sub_path(volume, "key", pods_dir / "pin").read_bytes() == b"new"
    assert len(mounts.mounts_below(pods_dir)) == 1


@needs_mounts
@pytest.mark.parametrize("where", ["/", "../outside", "../../"])
def test_a_symlink_does_not_lead_out_of_the_volume(pods_dir: Path, where: str) -> None:
    volume = pods_dir / "volume"
    volume.mkdir()
    (pods_dir / "outside").mkdir()
    (volume / "link").symlink_to(where)
    for sub_path in ("link", "link/etc", "link/made"):
        with pytest.raises(VolumeFailure, match="failed to prepare subPath"):
            pin_sub_path(volume, sub_path, pods_dir / "pin")
    assert list((pods_dir / "outside").iterdir()) == []
    assert mounts.mounts_below(pods_dir) == []


@needs_mounts
def test_a_symlink_within_the_volume_is_followed(pods_dir: Path) -> None:
    volume = pods_dir / "volume"
    (volume / "real").mkdir(parents=True)
    (volume / "link").symlink_to("real")
    (volume / "real/file").write_text("found")
    assert (pin_sub_path(volume, "link", pods_dir / "pin") / "file").read_text() == "found"
