"""Build contexts from Debian's own packages, for machines that reach a package mirror but no image registry.

A recipe is a directory with a Dockerfile and a file ``packages`` (one name per line). Preparing it makes a build
context: the recipe's files, and ``rootfs/`` with the packages and the libraries that they need, unpacked but not
configured: what a package's scripts would do, the Dockerfile does.

    python -m podkeeper.runtime.build.debian RECIPE CONTEXT [CACHE]
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from podkeeper.runtime.build.failure import BuildFailure

Report = Callable[[str], None]
Show = Callable[[Sequence[str]], Mapping[str, Mapping[str, str]]]
"""From names to the fields of those that apt knows; one call for many, for each takes apt half a second."""

_LIBRARY = re.compile(r"lib|zlib")
_STAMP = ".unpacked"
_MERGED = ("bin", "sbin", "lib", "lib64")


@dataclass(frozen=True, slots=True)
class Package:
    """One package in the version that the mirror offers."""

    name: str
    version: str

    @property
    def pattern(self) -> str:
        """What its file is called; the last part is the architecture."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_*.deb"


def prepare_context(recipe: Path, context: Path, cache: Path, report: Report, *, refresh: bool = False) -> None:
    """Makes ``context`` from ``recipe``. Packages are kept in ``cache`` and downloaded once per version.

    A context with the recipe's packages is left as it is, unless ``refresh`` asks for their newest versions. Without a
    mirror the versions of the last time are used. Blocks: call it on a thread. Raises BuildFailure.
    """
    wanted = (recipe / "packages").read_text().split()
    unpacked = context / _STAMP
    if refresh or not unpacked.exists() or unpacked.read_text().split() != wanted:
        cache.mkdir(parents=True, exist_ok=True)
        files = _package_files(recipe.name, wanted, cache, report)
        shutil.rmtree(context, ignore_errors=True)
        _unpack(files, context / "rootfs", report)
        unpacked.write_text("\n".join(wanted))
    shutil.copytree(recipe, context, symlinks=True, dirs_exist_ok=True)


def closure(wanted: Iterable[str], show: Show) -> list[Package]:
    """The wanted packages and, through all of them, the libraries they depend on, by name. Raises BuildFailure.

    Other dependencies (scripts' tools, service managers) are left out: an image has no use for them.
    """
    pending = set(wanted)
    known: dict[str, Mapping[str, str]] = {}
    seen: set[str] = set()
    while pending:
        new = show(sorted(pending))
        known |= new
        seen |= pending
        needs = {
            need
            for fields in new.values()
            for field in ("Pre-Depends", "Depends")
            for need in first_choices(fields.get(field, ""))
        }
        pending = {need for need in needs if _LIBRARY.match(need)} - seen
    missing = sorted(set(wanted) - known.keys())
    if missing:
        raise BuildFailure(f"apt knows no package {', '.join(missing)}: is a package source missing?")
    return [Package(name, known[name]["Version"]) for name in sorted(known)]


def first_choices(relation: str) -> list[str]:
    """The names in a Depends field; of alternatives the first, without version and architecture."""
    parts = [part.split("|")[0].strip() for part in relation.split(",")]
    return [re.split(r"[\s(:\[]", part)[0] for part in parts if part]


def parse_packages(text: str) -> dict[str, dict[str, str]]:
    """What ``apt-cache show`` prints: name -> fields."""
    packages = {}
    for paragraph in text.split("\n\n"):
        fields: dict[str, str] = {}
        for line in paragraph.splitlines():
            name, colon, value = line.partition(":")
            if colon and not line.startswith((" ", "\t")):
                fields[name] = value.strip()
        if "Package" in fields:
            packages[fields["Package"]] = fields
    return packages


def _package_files(name: str, wanted: list[str], cache: Path, report: Report) -> list[Path]:
    """Every package file, downloaded where it is missing; the last list is kept for a day without a mirror."""
    last = cache / f"{name}.packages"
    try:
        packages = _resolve(wanted, report)
        files = _download(packages, cache, report)
    except BuildFailure:
        files = _cached(last, cache)
        if not files:
            raise
        report("No package mirror answers: using the packages of the last time")
    last.write_text("\n".join(file.name for file in files))
    return files


def _resolve(wanted: list[str], report: Report) -> list[Package]:
    try:
        return closure(wanted, _show)
    except BuildFailure:
        report("Updating the list of packages")
        _command("apt-get", "update", "-qq")
        return closure(wanted, _show)


def _download(packages: list[Package], cache: Path, report: Report) -> list[Path]:
    missing = [package for package in packages if not any(cache.glob(package.pattern))]
    if missing:
        report(f"Downloading {len(missing)} packages: {', '.join(package.name for package in missing)}")
        wanted = [f"{package.name}={package.version}" for package in missing]
        _command("apt-get", "download", "-qq", *wanted, folder=cache)
    return [next(cache.glob(package.pattern)) for package in packages]


def _cached(last: Path, cache: Path) -> list[Path]:
    if not last.exists():
        return []
    files = [cache / name for name in last.read_text().split()]
    return files if all(file.exists() for file in files) else []


def _unpack(files: list[Path], rootfs: Path, report: Report) -> None:
    """Into one tree with /bin, /sbin and /lib merged into /usr, whichever way the packages have it."""
    report(f"Unpacking {len(files)} packages")
    for name in _MERGED:
        (rootfs / "usr" / name).mkdir(parents=True, exist_ok=True)
        (rootfs / name).symlink_to(f"usr/{name}")
    for file in files:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(file)], stdout=subprocess.PIPE) as archive:
            _command("tar", "-xf", "-", "--keep-directory-symlink", folder=rootfs, stdin=archive)
        if archive.returncode:
            raise BuildFailure(f"{file.name} cannot be unpacked")


def _show(names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    try:
        done = subprocess.run(
            ["apt-cache", "show", "--no-all-versions", *names], capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise BuildFailure("apt-cache is not here: images of Debian packages need Debian or Ubuntu") from error
    return parse_packages(done.stdout)


def _command(*words: str, folder: Path | None = None, stdin: subprocess.Popen[bytes] | None = None) -> None:
    done = subprocess.run(words, cwd=folder, stdin=stdin.stdout if stdin else None, capture_output=True, check=False)
    if done.returncode:
        raise BuildFailure(f"{' '.join(words)}: {done.stderr.decode(errors='replace').strip()[-500:]}")


def main(recipe: str, context: str, cache: str = "") -> int:
    """Runs as the module says."""
    try:
        prepare_context(Path(recipe), Path(context), Path(cache or f"{context}.packages"), print)
    except BuildFailure as error:
        print(f"podkeeper: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
