"""What is asked again: who changes objects may want to see what others changed after him, once.

    first pass:   A changes · B changes · ...      -> A asked for it and something changed after it: asked again
    second pass:  only those who are to be asked again; nobody is asked a third time

Source: Kubernetes reference, Dynamic Admission Control, "Reinvocation policy".
"""

from __future__ import annotations

import copy
from typing import Any

from podkeeper.registry.admission import Attributes

_AGAIN = "again"


class Invocations:
    """Of one plugin (``webhooks`` or ``policies``) over one write."""

    def __init__(self) -> None:
        self._invoked: set[str] = set()
        self._due: set[str] = set()
        self._output: Any = None

    @classmethod
    def of(cls, attributes: Attributes, plugin: str) -> Invocations:
        """Those of a write, the same in both passes."""
        found = attributes.passes.get(plugin)
        if not isinstance(found, Invocations):
            found = attributes.passes[plugin] = Invocations()
        return found

    def begin(self, attributes: Attributes) -> None:
        """The plugin's turn begins: what changed since its last one is a reason to ask again."""
        if is_second_pass(attributes) and self._output != attributes.tree:
            self._make_due()

    def is_due(self, attributes: Attributes, name: str) -> bool:
        """Whether it is to be asked now."""
        return not is_second_pass(attributes) or name in self._due

    def changed(self, attributes: Attributes) -> None:
        """Somebody changed the object: those asked before him are due, and a second pass is needed for them."""
        self._make_due()
        if not is_second_pass(attributes):
            attributes.passes.setdefault(_AGAIN, False)

    def invoked(self, name: str, again: bool) -> None:
        """Notes who was asked, if he wants to be asked again."""
        if again:
            self._invoked.add(name)

    def end(self, attributes: Attributes) -> None:
        """The plugin's turn is over."""
        self._output = copy.deepcopy(attributes.tree)

    def _make_due(self) -> None:
        self._due |= self._invoked
        self._invoked = set()


def is_second_pass(attributes: Attributes) -> bool:
    """Whether the plugins are asked about this write for the second time."""
    return bool(attributes.passes.get(_AGAIN))


def take_second_pass(attributes: Attributes) -> bool:
    """Whether a second pass is needed; it begins with this."""
    if attributes.passes.get(_AGAIN) is not False:
        return False
    attributes.passes[_AGAIN] = True
    return True
