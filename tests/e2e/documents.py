"""Code blocks of documents. A shell block says before it whether it is run: `<!-- run -->`, `<!-- not run: why -->`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SHELL = ("sh", "shell", "bash", "console")
BLOCK = re.compile(
    r"^(?:(?P<mark> *<!-- [^\n]* -->)\n)?(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """One code block, without its indent. ``mark`` is the comment before it, without its brackets."""

    language: str
    text: str
    mark: str

    @property
    def run(self) -> bool:
        """Whether the tests run it."""
        return self.mark == "run"


def blocks(document: Path, *languages: str) -> Iterator[Block]:
    """The code blocks in one of the languages."""
    for found in BLOCK.finditer(document.read_text()):
        if found["language"] in languages:
            lines = (line.removeprefix(found["indent"]) for line in found["text"].splitlines())
            mark = (found["mark"] or "").strip().removeprefix("<!--").removesuffix("-->").strip()
            yield Block(found["language"], "\n".join(lines), mark)


def shell_blocks(document: Path) -> Iterator[Block]:
    """The blocks of commands."""
    return blocks(document, *SHELL)
