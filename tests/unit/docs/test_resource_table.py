"""docs/resources.md is what the code is, and a kind's strategy stands where its name says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from podkeeper.api.resources import RESOURCES
from podkeeper.registry.strategies.table import CLASSES, RULES

TOOL = Path(__file__).parents[3] / "tools" / "generate_resource_table.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_resource_table", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_code_is(tool: ModuleType) -> None:
    assert tool.PAGE.read_text() == tool.page(), f"run {TOOL.name}"


def test_a_strategy_stands_where_its_kind_says() -> None:
    kinds = {(row.group, row.name): row.kind.lower() for row in RESOURCES}
    for name, made in CLASSES.items():
        package = name[0].partition(".")[0] or "core"
        assert getattr(made, "__module__", "").endswith(f"strategies.{package}.{kinds[name]}")
    assert not RULES.keys() & CLASSES.keys()
    assert RULES.keys() <= kinds.keys()
