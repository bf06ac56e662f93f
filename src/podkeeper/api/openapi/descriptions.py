"""What types and fields mean, in a sentence or two of our own.

data/descriptions/ has one file per package (``core_v1.json``): ``{type: {field: text}}``, where the field "" stands for
the type itself. In ``any.json`` the types are patterns such as ``*List``, for fields that mean the same everywhere.
What is in neither has no description. The files are read while a document is built and not kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from importlib.resources import files
from importlib.resources.abc import Traversable

from podkeeper.api.schema import TypeSchema

#: By type, or pattern of types, and field.
Texts = Mapping[str, Mapping[str, str]]

GENERAL = "any"
#: The pattern of everything that is an object of its own, the last one in the file.
OBJECTS = "*"


class Descriptions:
    """Looks up descriptions, reading each package's file once."""

    def __init__(self) -> None:
        self._texts: dict[str, Texts] = {}

    def of_type(self, found: TypeSchema) -> str:
        """What a type is; empty if nothing is said of it."""
        return self._own(found).get("", "")

    def of_scalar(self, name: str) -> str:
        """What a named scalar such as ``Quantity`` is; empty if nothing is said of it."""
        return self._of("meta_v1").get(name, {}).get("", "")

    def of_field(self, found: TypeSchema, field: str) -> str:
        """What a type's field means; empty if nothing is said of it."""
        return self._own(found).get(field) or self._general(found, field)

    def of_any_object(self, field: str) -> str:
        """What a field means that every object has."""
        return self._of(GENERAL)[OBJECTS].get(field, "")

    def _own(self, found: TypeSchema) -> Mapping[str, str]:
        package, _, plain = found.name.rpartition(".")
        return self._of(package.replace("/", "_")).get(plain, {})

    def _general(self, found: TypeSchema, field: str) -> str:
        plain = found.name.rpartition(".")[2]
        for pattern, fields in self._of(GENERAL).items():
            if field in fields and fnmatchcase(plain, pattern) and (pattern != OBJECTS or found.kinds):
                return fields[field]
        return ""

    def _of(self, stem: str) -> Texts:
        if stem not in self._texts:
            file = _directory().joinpath(f"{stem}.json")
            self._texts[stem] = json.loads(file.read_bytes()) if file.is_file() else {}
        return self._texts[stem]


def sources() -> Iterator[tuple[str, bytes]]:
    """Each file's name without its ending, and its content."""
    for file in sorted(_directory().iterdir(), key=lambda each: each.name):
        yield file.name.removesuffix(".json"), file.read_bytes()


def _directory() -> Traversable:
    return files("podkeeper.api").joinpath("data/descriptions")
