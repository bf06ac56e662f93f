"""``podkeeper demo``: the tutorial's pod, from its manifest to the page it serves."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import click

from podkeeper.api.core import v1
from podkeeper.api.pods import conditions
from podkeeper.api.resources import for_type
from podkeeper.cli import manifests, session
from podkeeper.cli.object_commands import apply_object
from podkeeper.cli.options import data_dir
from podkeeper.client.rest import RestApi
from podkeeper.cluster.errors import ClusterError
from podkeeper.cluster.layout import Layout

EXAMPLES = Path(__file__).parents[3] / "examples"
IMAGE, POD, NAMESPACE = "nginx:latest", "nginx-pod", "default"
START_SECONDS = 60.0
#: Seconds between tries to fetch the page: 12 of them in all.
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.0, 3.0, 3.0)


@click.command()
@data_dir
@click.option("--examples", type=click.Path(exists=True, file_okay=False, path_type=Path), default=EXAMPLES)
def demo(layout: Layout, examples: Path) -> None:
    """Run the tutorial's nginx pod and fetch its page."""
    asyncio.run(_provide_image(layout, examples))
    manifest = next(manifests.read(str(examples / "nginx-pod.yaml")))

    async def work(api: RestApi) -> str:
        click.echo(f"pod/{POD} {await apply_object(api, for_type(v1.Pod), NAMESPACE, manifest)}")
        async with asyncio.timeout(START_SECONDS):
            return await _address_when_ready(api)

    try:
        address = session.run(layout, work)
    except TimeoutError as error:
        raise ClusterError(f"pod {POD} was not ready within {START_SECONDS:.0f} s", "podkeeper get events") from error
    title = title_of(f"http://{address}/")
    click.echo(f"http://{address}/ answers: {title}")
    click.echo(f"\nThe cluster's kubeconfig is {layout.admin_kubeconfig}. Next:")
    click.echo(f"  export KUBECONFIG={layout.admin_kubeconfig}")
    click.echo("  kubectl get pods -o wide      # without kubectl: .venv/bin/podkeeper get pods -o wide")
    click.echo(f"  kubectl exec -it {POD} -- sh")
    click.echo("  make down                     # stops it; make reset removes every trace")


async def _provide_image(layout: Layout, examples: Path) -> None:
    """Sees to it that the image can be had: on this node, from a registry, or built from Debian's own package."""
    from podkeeper.runtime.build.builder import Builder
    from podkeeper.runtime.build.debian import prepare_context
    from podkeeper.runtime.build.options import BuildEvent, BuildOptions
    from podkeeper.runtime.build.runner import OciRunner
    from podkeeper.runtime.failures import ImagePullFailure, RuntimeFailure
    from podkeeper.runtime.images.service import ImageStore, ImageStoreConfig

    def report(event: BuildEvent) -> None:
        if event.text:
            click.echo(f"  {event.text}" + (" (cached)" if event.cached else ""))

    store = ImageStore(ImageStoreConfig(layout.images))
    try:
        if await store.image_status(IMAGE) is not None:
            return
        click.echo(f"pulling {IMAGE}")
        try:
            await store.pull_image(IMAGE)
        except ImagePullFailure as failure:
            if failure.reason != "RegistryUnavailable":
                raise ClusterError(str(failure), "podkeeper image ls") from failure
            click.echo("no registry answers; building the image from Debian's nginx package instead")
            recipe, kept = examples / "images" / "nginx", examples.parent / ".cache"
            context, packages = kept / "contexts" / "nginx", kept / "packages"
            await asyncio.to_thread(prepare_context, recipe, context, packages, lambda line: click.echo(f"  {line}"))
            async with OciRunner.open(layout.builds, layout.cgroup("build")) as runner:
                await Builder(store, runner, report).build(BuildOptions(context, (IMAGE,)))
    except RuntimeFailure as failure:
        raise ClusterError(f"the image {IMAGE} could not be built: {failure}", "make install") from failure
    finally:
        await store.close()


async def _address_when_ready(api: RestApi) -> str:
    pods, only = api.of(v1.Pod), f"metadata.name={POD}"
    listed = await pods.list(NAMESPACE, field_selector=only)
    for pod in listed.items:
        if _is_ready(pod):
            return pod.status.pod_ip
    async for event in pods.watch(NAMESPACE, resource_version=listed.resource_version, field_selector=only):
        if event.object is not None and event.type != "DELETED" and _is_ready(event.object):
            return event.object.status.pod_ip
    raise ClusterError(f"the watch on pod {POD} ended before it was ready", "podkeeper status")


def _is_ready(pod: v1.Pod) -> bool:
    return conditions.is_true(pod.status.conditions, "Ready")


def title_of(url: str, wait: Callable[[float], None] = time.sleep) -> str:
    """The title of a page. Raises ClusterError.

    The tutorial's pod has no readiness probe: it is Ready when its program runs, a moment before that listens, which
    nobody tells; so it is asked for a while.
    """
    for pause in (*PAUSES, None):
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - http to a pod's address
                page = answer.read().decode(errors="replace")
            break
        except OSError as error:
            if pause is None or not _is_refused(error):
                raise ClusterError(f"{url} does not answer: {error}", f"podkeeper logs {POD}") from error
            wait(pause)
    return str(page.partition("<title>")[2].partition("</title>")[0]) or f"{len(page)} bytes"


def _is_refused(error: OSError) -> bool:
    return isinstance(getattr(error, "reason", error), ConnectionRefusedError)
