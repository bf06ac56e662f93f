#!/usr/bin/env python3
"""Writes the tables of protobuf messages and of Go's types from what programs in Go contain.

    tools/generate_protobuf.py KUBECTL HELM [--source-root src]

KUBECTL and HELM are programs of the release wanted, as tools/fetch_clients.py gets them out of packages from PyPI. The
Go types of the API lie in them with their fields' JSON names and protobuf numbers, and with what no published schema
tells: which fields are pointers, that is, on the wire only when they are set, which JSON leaves out when they are
empty, and what Go calls their types. The tables are ``podkeeper/api/protobuf/messages.json`` and, with which decoding
errors are worded, ``podkeeper/api/gojson/types.json``. helm adds the types of custom resource definitions; kubectl's
types win where both have them. The output is committed, and the same programs give the same bytes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from protogen import gotypes, messages
from protogen.gobinary import GoBinary, GoType


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", type=Path, nargs="+")
    parser.add_argument("--source-root", type=Path, default=Path(__file__).parent.parent / "src")
    arguments = parser.parse_args()
    structs: dict[str, GoType] = {}
    for program in reversed(arguments.programs):
        structs |= GoBinary(program).structs()
    api = arguments.source_root / "podkeeper" / "api"
    (api / "protobuf" / "messages.json").write_text(messages.table_text(structs))
    (api / "gojson" / "types.json").write_text(gotypes.table_text(structs, _packages(api)))


def _packages(api: Path) -> frozenset[str]:
    """The packages of the published types."""
    types = json.loads((api / "data" / "schema.json").read_bytes())["types"]
    return frozenset(name.rpartition(".")[0] for name in types)


if __name__ == "__main__":
    main()
