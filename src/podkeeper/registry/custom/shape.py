"""How the stored bytes of custom objects are read.

They carry the version that they were written in, which need not be the one that is written today; so where their
metadata begins is looked up in each.
"""

from __future__ import annotations

from podkeeper.api.structural import Definition, Version
from podkeeper.registry.cache.selectable import Fields, HeadReader
from podkeeper.registry.item import Shape

_METADATA = b'"metadata":{'


class CustomShape(Shape):
    """What all items of one custom resource share."""

    def __init__(self, definition: Definition, version: Version | None = None) -> None:
        """``version`` is that of objects as they are shown; what is stored may be of any, so it has no fields here."""
        api_version = f"{definition.group}/{(version or definition.stored).name}"
        super().__init__(api_version, definition.kind, HeadReader(selectable(version) if version else Fields()))

    def metadata_at(self, content: bytes) -> int:
        """Neither a version nor a kind can hold what is looked for."""
        return content.index(_METADATA) + len(_METADATA)


def selectable(version: Version) -> Fields:
    """The fields that selectors may name."""
    return Fields({".".join(path): path for path in version.selectable})
