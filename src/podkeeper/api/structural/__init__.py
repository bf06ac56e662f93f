"""Custom objects as plain trees beside the schema of their definition: pruned, defaulted, judged.

``parse`` makes a ``Schema`` of an openAPIV3Schema. Pure.
"""

from podkeeper.api.structural.defaulting import default, drop_nulls
from podkeeper.api.structural.pruning import prune
from podkeeper.api.structural.schema import Schema, parse
from podkeeper.api.structural.validation import validate

__all__ = ["Schema", "default", "drop_nulls", "parse", "prune", "validate"]
