"""Custom objects as plain trees beside the schema of their definition: pruned, defaulted, judged.

``define`` reads a CustomResourceDefinition, ``parse`` a single openAPIV3Schema. Pure.
"""

from podkeeper.api.structural.defaulting import default, drop_nulls
from podkeeper.api.structural.definition import Definition, Version, define
from podkeeper.api.structural.places import duplicates, embedded_objects
from podkeeper.api.structural.pruning import prune
from podkeeper.api.structural.schema import Schema, parse
from podkeeper.api.structural.validation import validate

__all__ = [
    "Definition",
    "Schema",
    "Version",
    "default",
    "define",
    "drop_nulls",
    "duplicates",
    "embedded_objects",
    "parse",
    "prune",
    "validate",
]
