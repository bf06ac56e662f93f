"""YAML in and out in the JSON subset that Kubernetes reads: no timestamps, string keys, sorted output. LibYAML where
present."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.scanner import ScannerError

from podkeeper.api.gojson.quoting import quoted

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_SEVERAL = "yaml: unmarshal errors:\n"

#: Levels of a document, and values of it when every alias is written out: reading takes 8 us for each, and nobody
#: else is served meanwhile. A text with fewer bytes than there may be levels needs no look.
MOST_LEVELS, MOST_VALUES = 400, 100_000


class YamlError(Exception):
    """The text is no YAML, or holds what JSON cannot. Its own text is go-yaml's."""


class _JsonLoader(_Loader):  # type: ignore[misc]
    """Dates stay text, as in JSON. ``repeats`` tells whether a mapping had fewer keys than stood there."""

    repeats = False

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """A dict; see ``yaml.SafeLoader``."""
        found = super().construct_mapping(node, deep)
        self.repeats = self.repeats or len(found) < len(node.value)
        return found


_JsonLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rows if tag != "tag:yaml.org,2002:timestamp"]
    for first, rows in _Loader.yaml_implicit_resolvers.items()
}


def load(text: bytes) -> Any:
    """The single document in ``text`` as a JSON tree. Raises YamlError."""
    return read(text)[0]


def read(text: bytes) -> tuple[Any, str]:
    """The same, and what go-yaml's strict reader says of keys that stand twice in their mapping; empty if none does."""
    try:
        if len(text) > MOST_LEVELS or b"*" in text:
            _check(text)
        loader = _JsonLoader(text)
        node = loader.get_single_node()
        tree = _json_tree(loader.construct_document(node)) if node is not None else None
    except yaml.MarkedYAMLError as error:
        raise YamlError(_told(error, text)) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise YamlError(f"yaml: {error}".replace("\n", " ")) from None
    return tree, _repeated(node) if loader.repeats else ""


def _told(error: yaml.MarkedYAMLError, text: bytes) -> str:
    """The error as go-yaml words it, whose reader descends from the same library."""
    mark = error.problem_mark
    if isinstance(error, ComposerError) and mark is not None:
        lines = text.decode("utf-8", "replace").splitlines()
        return f"yaml: unknown anchor '{lines[mark.line][mark.column + 1 :].partition(' ')[0]}' referenced"
    line = 0
    if mark is not None and mark.line:
        line = mark.line + isinstance(error, ScannerError)
    elif error.context_mark is not None and error.context_mark.line:
        line = error.context_mark.line
    return f"yaml: line {line}: {error.problem}" if line else f"yaml: {error.problem}"


def _repeated(node: Any) -> str:
    found: list[str] = []
    _find_repeated(node, found, set())
    return _SEVERAL + "\n".join(f"  {each}" for each in found) if found else ""


def lines(complaint: str) -> list[str]:
    """The single mistakes in such a text, and any other complaint as it is."""
    if not complaint.startswith(_SEVERAL):
        return [complaint]
    return [line.strip() for line in complaint.removeprefix(_SEVERAL).split("\n")]


def _find_repeated(node: Any, found: list[str], seen: set[int]) -> None:
    """Inner mappings come first, as they are complete first."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _find_repeated(each, found, seen)
    elif isinstance(node, yaml.MappingNode):
        keys: set[tuple[str, str]] = set()
        for key, value in node.value:
            _find_repeated(value, found, seen)
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in keys:
                    shown = quoted(key.value) if key.tag.endswith(":str") else key.value
                    found.append(f"line {value.start_mark.line + 1}: key {shown} already set in map")
                keys.add((key.tag, key.value))


def _check(text: bytes) -> None:
    """Raises YamlError for a document that is too deep or, its aliases written out, too large.

    LibYAML's own loader goes down without end, which no exception catches. It must not see such a text.
    """
    sizes: dict[str, int] = {}
    parents: list[tuple[str | None, int]] = []
    values = 0
    for event in yaml.parse(text, Loader=_JsonLoader):
        if isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in parents):
                raise YamlError(f"yaml: anchor '{event.anchor}' value contains itself")
            values += sizes.get(event.anchor or "", 0)
        elif isinstance(event, yaml.ScalarEvent):
            values += 1
            sizes |= {event.anchor: 1} if event.anchor else {}
        elif isinstance(event, yaml.CollectionStartEvent):
            values += 1
            parents.append((event.anchor, values))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = parents.pop()
            sizes |= {anchor: values - before + 1} if anchor else {}
        if len(parents) > MOST_LEVELS:
            raise YamlError(f"yaml: exceeded max depth of {MOST_LEVELS}")
        if values > MOST_VALUES:
            raise YamlError(f"yaml: {'document contains excessive aliasing' if sizes else 'too many values'}")


def _json_tree(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _json_tree(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_json_tree(each) for each in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise YamlError(f"yaml: cannot represent a {type(value).__name__} in JSON")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float):
        return str(key)
    raise YamlError("yaml: mapping keys must be scalars")


def dump(tree: Any) -> bytes:
    """The tree as block YAML with sorted keys."""
    text: str = yaml.dump(
        tree, Dumper=_Dumper, default_flow_style=False, sort_keys=True, allow_unicode=True, width=1 << 30
    )
    return text.encode()
