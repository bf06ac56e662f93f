"""YAML in and out in the JSON subset that Kubernetes reads: no timestamps, string keys, sorted output. LibYAML where
present."""

from __future__ import annotations

import json
from typing import Any

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


#: Levels of a document, and values of it when every alias is written out. A text with fewer bytes than there may be
#: levels needs no look.
MOST_LEVELS, MOST_VALUES = 400, 500_000


class YamlError(Exception):
    """The text is no YAML, or holds what JSON cannot."""


class _JsonLoader(_Loader):  # type: ignore[misc]
    """Dates stay text, as in JSON."""


_JsonLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rows if tag != "tag:yaml.org,2002:timestamp"]
    for first, rows in _Loader.yaml_implicit_resolvers.items()
}


def load(text: bytes) -> Any:
    """The single document in ``text`` as a JSON tree. Raises YamlError."""
    try:
        if len(text) > MOST_LEVELS or b"*" in text:
            _check(text)
        return _json_tree(yaml.load(text, Loader=_JsonLoader))  # noqa: S506 - a safe loader with fewer types
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise YamlError(str(error).replace("\n", " ")) from None


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
                raise YamlError(f"anchor '{event.anchor}' value contains itself")
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
            raise YamlError(f"exceeded max depth of {MOST_LEVELS}")
        if values > MOST_VALUES:
            raise YamlError("document contains excessive aliasing")


def _json_tree(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _json_tree(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_json_tree(each) for each in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise YamlError(f"cannot represent a {type(value).__name__} in JSON")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float):
        return str(key)
    raise YamlError("mapping keys must be scalars")


def repeated_keys(text: bytes) -> list[str]:
    """What Go's strict reader says of keys that stand twice in a map of a text that ``load`` reads, in its order."""
    found: list[str] = []
    _note_repeated(yaml.compose(text, Loader=_JsonLoader), found)
    return found


def _note_repeated(node: Any, found: list[str]) -> None:
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _note_repeated(each, found)
    elif isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            _note_repeated(value, found)
            name = (key.tag, str(key.value))
            if name in seen:
                shown = json.dumps(key.value) if key.tag == "tag:yaml.org,2002:str" else key.value
                found.append(f"line {value.start_mark.line + 1}: key {shown} already set in map")
            seen.add(name)


def dump(tree: Any) -> bytes:
    """The tree as block YAML with sorted keys."""
    text: str = yaml.dump(
        tree, Dumper=_Dumper, default_flow_style=False, sort_keys=True, allow_unicode=True, width=1 << 30
    )
    return text.encode()
