"""README.md and docs/ name what exists: links, modules, paths, code, commands."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import click
import pytest
from documents import blocks, shell_blocks

from podkeeper.cli.commands import podkeeper
from podkeeper.cli.main import COMPONENTS

ROOT = Path(__file__).parents[3]
DOCUMENTS = [path for path in (ROOT / "README.md", ROOT / "CHANGELOG.md") if path.exists()]
DOCUMENTS += sorted((ROOT / "docs").rglob("*.md"))

LINK = re.compile(r"\]\(([^)\s]+)\)")
MODULE = re.compile(r"\bpodkeeper(?:\.[A-Za-z_]\w*)+")
OUR_PATH = re.compile(r"\b(?:src/podkeeper|tests|tools|bench|examples)(?:/[\w.-]*\w)+")

#: Options that the components take, which click does not know.
COMPONENT_OPTIONS = frozenset({"--data-dir", "--verbose", "--no-scheduler", "--help"})

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def anchor(heading: str) -> str:
    """The fragment by which a heading is linked."""
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")


def anchors(document: Path) -> set[str]:
    """The fragments of all headings."""
    return {anchor(line.lstrip("#")) for line in document.read_text().splitlines() if line.startswith("#")}


def resolves(dotted: str) -> bool:
    """Whether the name is a module, or an attribute of one."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError as error:
            if error.name is not None and not dotted.startswith(error.name):
                raise
            continue
        for name in parts[length:]:
            if not hasattr(found, name):
                return False
            found = getattr(found, name)
        return isinstance(found, ModuleType) or length < len(parts)
    return False


def commands(text: str) -> Iterator[Sequence[str]]:
    """The words after each ``podkeeper`` that begins a command in a shell block."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while words and (words[0] == "sudo" or re.fullmatch(r"\w+=.*", words[0])):
            words = words[1:]
        if words and Path(words[0]).name == "podkeeper":
            end = next((place for place, word in enumerate(words) if word in ("|", ";", "&&", "||", "&", ">")), None)
            yield words[1:end]


def mistake(words: Sequence[str]) -> str:
    """What is wrong with a command line of ours; empty when nothing is."""
    if words and words[0] in COMPONENTS:
        unknown = [word for word in words[1:] if word.startswith("-") and word.split("=")[0] not in COMPONENT_OPTIONS]
        return f"{words[0]} has no option {unknown[0]}" if unknown else ""
    command: click.Command = podkeeper
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        known = command.get_command(click.Context(command), rest[0])
        if known is None:
            return f"{command.name} has no command {rest[0]}"
        command, rest = known, rest[1:]
    if rest[:1] in (["--help"], ["-h"], ["--version"]):
        return ""
    try:
        command.make_parser(click.Context(command)).parse_args(rest)
    except click.UsageError as error:
        return f"{command.name}: {error.format_message()}"
    return ""


def test_there_are_documents() -> None:
    assert ROOT / "docs" / "architecture.md" in DOCUMENTS


@every_document
def test_relative_links_lead_somewhere(document: Path) -> None:
    lost = []
    for link in LINK.findall(document.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (fragment and fragment not in anchors(target)):
            lost.append(link)
    assert lost == []


@every_document
def test_modules_that_are_named_exist(document: Path) -> None:
    names = sorted(set(MODULE.findall(document.read_text())))
    assert [name for name in names if not resolves(name)] == []


@every_document
def test_paths_that_are_named_exist(document: Path) -> None:
    paths = sorted(set(OUR_PATH.findall(document.read_text())))
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_tests_that_are_named_exist() -> None:
    """docs/conformance.md names single tests."""
    written = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"def (test_\w+)\(", written))
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "conformance.md").read_text()))
    assert named
    assert sorted(named - there) == []


@every_document
def test_python_blocks_parse_and_their_imports_resolve(document: Path) -> None:
    for block in blocks(document, "python", "py"):
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    assert importlib.util.find_spec(alias.name), alias.name
            elif isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name) or resolves(f"{node.module}.{alias.name}"), alias.name


@every_document
def test_python_blocks_run(document: Path) -> None:
    """Definitions and plain statements."""
    for block in blocks(document, "python", "py"):
        exec(compile(block.text, str(document), "exec"), {"__name__": "document"})


@every_document
def test_shell_blocks_know_our_commands(document: Path) -> None:
    mistakes = [mistake(words) for block in shell_blocks(document) for words in commands(block.text)]
    assert [text for text in mistakes if text] == []


@every_document
def test_every_shell_block_says_whether_it_is_run(document: Path) -> None:
    """tests/e2e/test_documented_commands.py runs those of the documents that people follow."""
    silent = [
        block.text for block in shell_blocks(document) if not (block.run or re.fullmatch(r"not run: \S.*", block.mark))
    ]
    assert silent == []


@every_document
def test_every_block_is_closed(document: Path) -> None:
    assert len(re.findall(r"^ *```", document.read_text(), re.MULTILINE)) % 2 == 0


def test_every_room_has_a_page() -> None:
    rooms = {path.name for path in (ROOT / "src" / "podkeeper").iterdir() if (path / "__init__.py").exists()}
    assert sorted(room for room in rooms if not (ROOT / "docs" / f"{room}.md").exists()) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("podkeeper up --detach", ""),
        ("sudo .venv/bin/podkeeper get pods -A | head -3", ""),
        ("podkeeper exec -i -t nginx-pod -- sh -c 'echo --hello'", ""),
        ("podkeeper node --data-dir /tmp/a", ""),
        ("podkeeper fly", "podkeeper has no command fly"),
        ("podkeeper image burn", "image has no command burn"),
        ("podkeeper scheduler --fast", "scheduler has no option --fast"),
    ],
)
def test_mistakes_are_found(line: str, expected: str) -> None:
    (words,) = commands(line)
    assert mistake(words) == expected


def test_an_unknown_option_is_found() -> None:
    assert "--quick" in mistake(["up", "--quick"])


@pytest.mark.parametrize("name", ["podkeeper.nothing", "podkeeper.api.core.v1.Pood", "podkeeper.foundation.clock.Cloc"])
def test_names_that_are_not_there_are_found(name: str) -> None:
    assert not resolves(name)
