"""Building an image from a Dockerfile: the stages in order, each instruction a step.

    parse -> plan (which stages) -> per stage: FROM -> settings | ARG | RUN | COPY | ADD | WORKDIR -> image -> names

A step that makes a layer is looked up by what it depends on before it is done, so a second build has nothing to do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from podkeeper.runtime.build import copying, dockerfile, stages
from podkeeper.runtime.build.dockerfile import Instruction
from podkeeper.runtime.build.failure import BuildFailure
from podkeeper.runtime.build.options import BuildEvent, BuildOptions, Report
from podkeeper.runtime.build.runner import Runner, RunRequest
from podkeeper.runtime.build.settings import DEFAULT_SHELL, SETTINGS, Scope, working_directory
from podkeeper.runtime.build.snapshotting import Change, Snapshotter, step_key
from podkeeper.runtime.build.stages import SCRATCH, Plan, Stage
from podkeeper.runtime.cri import ContainerSecurityContext
from podkeeper.runtime.cri_images import ImageStatus
from podkeeper.runtime.engine.spec import users
from podkeeper.runtime.engine.spec.rootfs_files import make_directories
from podkeeper.runtime.failures import RuntimeFailure
from podkeeper.runtime.images.config import HistoryEntry, ImageConfig, ImageDocument
from podkeeper.runtime.images.manifests import Platform
from podkeeper.runtime.images.reference import parse as parse_reference
from podkeeper.runtime.images.service import ImageStore

T = TypeVar("T")

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROXIES = frozenset(("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"))
_FLAGS: Mapping[str, frozenset[str]] = {
    "ADD": frozenset(("chown", "chmod", "link")),
    "COPY": frozenset(("from", "chown", "chmod", "link")),
    "RUN": frozenset(("network",)),
    "HEALTHCHECK": frozenset(("interval", "timeout", "start-period", "start-interval", "retries")),
}


class State(Struct):
    """A stage on its way. ``layers`` is the image that has its layers so far; ``document`` says the rest."""

    layers: str
    document: ImageDocument
    arguments: dict[str, str]
    escape: str
    own_cmd: bool = False

    @property
    def config(self) -> ImageConfig:
        """What a container of it would inherit."""
        return self.document.config

    @property
    def scope(self) -> Scope:
        """What variables its next instruction sees."""
        return Scope(self.arguments, self.escape, self.own_cmd)

    def configure(self, config: ImageConfig) -> None:
        """Replaces the configuration."""
        self.document = replace(self.document, config=config)

    def remember(self, instruction: Instruction, created: str = "", *, layer: bool = False) -> None:
        """Adds a line of history. A step without a time of its own has that of the step before."""
        when = created or self.document.created
        entry = HistoryEntry(created=when, created_by=str(instruction), empty_layer=not layer)
        self.document = replace(self.document, history=(*self.document.history, entry), created=when)


class Builder:
    """Builds into an image store. ``report`` hears what happens."""

    def __init__(self, store: ImageStore, runner: Runner, report: Report) -> None:
        self._store, self._runner, self._report = store, runner, report

    async def build(self, options: BuildOptions) -> ImageStatus:
        """Builds and names the image. Raises BuildFailure (with the line), InvalidReference."""
        names = [parse_reference(tag) for tag in options.tags]
        text, ignore = copying.read_context(options.context, options.dockerfile)
        plan = stages.plan(dockerfile.parse(text), options.target, options.arguments, _platform_arguments())
        async with self._store.bringing_in():
            build = _Build(self._store, self._runner, self._report, options, plan)
            last = await build.all_stages(ignore)
            image_id = self._store.add_built(last.document, last.layers, names)
        status = await self._store.image_status(image_id)
        assert status is not None
        return status


class _Build:
    """One build."""

    def __init__(self, store: ImageStore, runner: Runner, report: Report, options: BuildOptions, plan: Plan) -> None:
        self._store, self._runner, self._report = store, runner, report
        self._options, self._plan = options, plan
        self._snapshotter = Snapshotter(store, cache=options.cache, youngest=options.youngest)
        self._built: dict[int, State] = {}
        self._ignore: Sequence[str] = ()

    async def all_stages(self, ignore: Sequence[str]) -> State:
        """Builds every stage and returns the last. Raises BuildFailure."""
        self._ignore = ignore
        for stage in self._plan.stages:
            state = await _at(stage.origin, self._begin(stage))
            self._built[stage.number] = state
            for instruction in stage.instructions:
                await _at(instruction, self._step(state, instruction))
        return state

    async def _begin(self, stage: Stage) -> State:
        self._tell(stage.origin)
        if isinstance(stage.base, int):
            base = self._built[stage.base]
            return replace(base, arguments=dict(base.arguments), own_cmd=False)
        if stage.base == SCRATCH:
            platform = Platform.of_this_machine()
            document = ImageDocument(
                config=ImageConfig(env=(("PATH", _PATH),)), architecture=platform.architecture, variant=platform.variant
            )
            return State(self._snapshotter.scratch(), document, {}, self._plan.escape)
        image_id = await self._image(stage.base)
        document = self._store.document(image_id)
        if document.config.on_build:
            raise BuildFailure(f"the ONBUILD triggers of {stage.base} are not supported")
        return State(image_id, document, {}, self._plan.escape)

    async def _image(self, name: str) -> str:
        """A local image of that name, else one that is pulled."""
        status = await self._store.image_status(name)
        return status.id if status else await self._store.pull_image(name)

    async def _step(self, state: State, instruction: Instruction) -> None:
        _refuse(instruction)
        steps: Mapping[str, Callable[[State, Instruction], Awaitable[None]]] = {
            "ADD": self._copy,
            "ARG": self._argument,
            "COPY": self._copy,
            "MAINTAINER": self._maintainer,
            "RUN": self._run,
            "WORKDIR": self._working_directory,
        }
        if instruction.keyword in SETTINGS:
            self._tell(instruction)
            state.configure(SETTINGS[instruction.keyword](state.config, instruction, state.scope))
            state.own_cmd = state.own_cmd or instruction.keyword == "CMD"
            state.remember(instruction)
        else:
            await steps[instruction.keyword](state, instruction)

    async def _argument(self, state: State, instruction: Instruction) -> None:
        """A name without a default has the value of the same name before the first FROM."""
        variables = state.scope.variables(state.config)
        found = stages.declared(instruction, variables, self._options.arguments, state.escape)
        inherited = {
            name: self._plan.arguments[name] for name in instruction.rest.split() if name in self._plan.arguments
        }
        self._tell(instruction)
        state.arguments |= inherited | found
        state.remember(instruction)

    async def _maintainer(self, state: State, instruction: Instruction) -> None:
        self._tell(instruction)
        state.document = replace(state.document, author=instruction.rest)
        state.remember(instruction)

    async def _working_directory(self, state: State, instruction: Instruction) -> None:
        path = working_directory(state.config, instruction, state.scope)

        async def make(rootfs: Path) -> None:
            user = users.resolve(rootfs, ContainerSecurityContext(), state.config.user)
            try:
                make_directories(rootfs, path, (user.uid, user.gid))
            except OSError as error:
                raise BuildFailure(f"{path}: {error.strerror}") from error

        state.configure(replace(state.config, working_dir=path))
        await self._layer(state, instruction, step_key(state.layers, "WORKDIR", path, state.config.user), make)

    async def _run(self, state: State, instruction: Instruction) -> None:
        network = dict(instruction.flags).get("network", "default")
        network = self._options.network if network == "default" else network
        config = state.config
        env = {"PATH": _PATH, **state.arguments, **dict(config.env)}
        request = RunRequest(
            rootfs=Path(),
            args=_run_command(instruction, config),
            env=tuple(({name: self._options.arguments[name] for name in self._proxies()} | env).items()),
            user=config.user,
            cwd=config.working_dir or "/",
            network=network,
        )
        if network not in ("host", "none"):
            raise BuildFailure(f"RUN --network={network} is not supported: use host or none")

        async def run(rootfs: Path) -> None:
            output = lambda data: self._report(BuildEvent(instruction.line, output=data))  # noqa: E731
            code = await self._runner.run(replace(request, rootfs=rootfs), output)
            if code:
                command = " ".join(request.args)
                raise BuildFailure(f"the command '{command}' returned a non-zero code: {code}")

        key = step_key(state.layers, "RUN", request.args, list(env.items()), request.user, request.cwd, network)
        await self._layer(state, instruction, key, run)

    def _proxies(self) -> list[str]:
        """Arguments that RUN sees without a declaration; a declared one also decides whether a step is done again."""
        return [name for name in self._options.arguments if name.lower() in _PROXIES]

    async def _copy(self, state: State, instruction: Instruction) -> None:
        copy = copying.read(instruction, state.config, state.scope)
        with copying.documents_folder() as scratch:
            async with self._origin(copy.origin) as root:
                parts = list(copying.requests(copy, root, self._ignore, scratch))
                digests = [await copying.digest(source, request) for source, request in parts]

                async def transfer(rootfs: Path) -> None:
                    for source, request in parts:
                        await copying.transfer(source, request, rootfs, copy.owner)

                key = step_key(state.layers, instruction.keyword, copy.destination, copy.owner, copy.mode, digests)
                await self._layer(state, instruction, key, transfer)

    @asynccontextmanager
    async def _origin(self, name: str) -> AsyncIterator[Path]:
        """Where COPY reads: the context, or the root file system of a stage or image."""
        if not name:
            yield self._options.context
            return
        number = next((n for n in self._built if _is_stage(self._plan, n, name)), None)
        image_id = await self._image(name) if number is None else self._built[number].layers
        async with self._snapshotter.view(image_id) as root:
            yield root

    def _tell(self, instruction: Instruction, *, cached: bool = False) -> None:
        self._report(BuildEvent(instruction.line, str(instruction), cached))

    async def _layer(self, state: State, instruction: Instruction, key: str, change: Change) -> None:
        step = self._snapshotter.cached(key)
        self._tell(instruction, cached=step is not None)
        if step is None:
            step = await self._snapshotter.apply(state.layers, key, change)
        state.layers = step.image_id
        state.remember(instruction, step.created, layer=step.changed)


async def _at(instruction: Instruction, step: Awaitable[T]) -> T:
    """Waits for a step and names the line in what goes wrong."""
    try:
        return await step
    except BuildFailure as error:
        raise error.at(instruction.line) from error
    except RuntimeFailure as error:
        raise BuildFailure(str(error), instruction.line) from error


def _is_stage(plan: Plan, number: int, name: str) -> bool:
    stage = next(stage for stage in plan.stages if stage.number == number)
    return (bool(stage.name) and stage.name == name.lower()) or str(number) == name


def _run_command(instruction: Instruction, config: ImageConfig) -> tuple[str, ...]:
    """The command with its heredocs: one that is nothing but a heredoc is a script, else the shell reads them."""
    exec_form = instruction.exec_form
    if exec_form is not None:
        return exec_form
    text = instruction.rest
    if len(instruction.heredocs) == 1 and text.startswith("<<") and len(text.split()) == 1:
        text = instruction.heredocs[0].content
        if text.startswith("#!"):
            raise BuildFailure("a RUN heredoc with an interpreter of its own (#!) is not supported")
    else:
        text += "".join(f"\n{document.content}{document.name}\n" for document in instruction.heredocs)
    return (*(config.shell or DEFAULT_SHELL), text)


def _refuse(instruction: Instruction) -> None:
    """Everything of Docker's that is not supported, by name."""
    if instruction.keyword == "ONBUILD":
        raise BuildFailure("ONBUILD is not supported")
    for name, _ in instruction.flags:
        if name not in _FLAGS.get(instruction.keyword, frozenset()):
            raise BuildFailure(f"{instruction.keyword} --{name} is not supported")


def _platform_arguments() -> dict[str, str]:
    """The arguments that every Dockerfile may declare without a default."""
    platform = Platform.of_this_machine()
    values = {
        "PLATFORM": str(platform),
        "OS": platform.os,
        "ARCH": platform.architecture,
        "VARIANT": platform.variant,
    }
    return {f"{side}{key}": value for side in ("TARGET", "BUILD") for key, value in values.items()}
