"""Server-side apply: who manages which field of an object, and what an applied configuration makes of it.

``FieldManager`` is the way in. Below it: sets of fields (``fieldsets``), what a type says about merging (``nodes``),
trees compared and merged beside their type (``comparison``, ``merging``), and what a write does to claims
(``updater``). Pure: time and conversion between versions are passed in.
"""

from podkeeper.api.apply.fieldmanager import FieldManager, Writer
from podkeeper.api.apply.nodes import Node, of_type

__all__ = ["FieldManager", "Node", "Writer", "of_type"]
