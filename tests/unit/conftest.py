"""Facts of the published API, where they are at hand: ``PODKEEPER_API_FACTS`` or a directory beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

BESIDE = Path(__file__).parents[2].parent / "shared" / "data" / "kubernetes-1.36"


@pytest.fixture(scope="session")
def facts() -> Path:
    directory = Path(os.environ.get("PODKEEPER_API_FACTS", BESIDE))
    if not directory.is_dir():
        pytest.skip(f"the published API facts are not at {directory}; set PODKEEPER_API_FACTS")
    return directory
