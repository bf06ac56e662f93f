"""What the controllers of storage protection share: one finalizer, put on what stays and taken off what may go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from podkeeper.client.api import Api
from podkeeper.controllers.framework import Key, own_key


def may_go(obj: Any, finalizer: str) -> bool:
    """Whether an object is being deleted and this finalizer is among what holds it."""
    return bool(obj.metadata.deletion_timestamp) and finalizer in obj.metadata.finalizers


def lacks(obj: Any, finalizer: str) -> bool:
    """Whether an object stays and has not got the finalizer yet."""
    return not obj.metadata.deletion_timestamp and finalizer not in obj.metadata.finalizers


def keys_in_need(finalizer: str, old: Any, new: Any) -> Iterable[Key]:
    """The mapper of a controller's own kind: objects whose finalizer is to be put on or looked at."""
    return own_key(old, new) if new is not None and (may_go(new, finalizer) or lacks(new, finalizer)) else ()


async def put_on(api: Api, obj: Any, finalizer: str) -> None:
    """Adds the finalizer. Raises ApiError 409 when the object has changed meanwhile."""
    await _write(api, obj, (*obj.metadata.finalizers, finalizer))


async def take_off(api: Api, obj: Any, finalizer: str) -> None:
    """Removes it. Raises ApiError 409 when the object has changed meanwhile."""
    await _write(api, obj, tuple(each for each in obj.metadata.finalizers if each != finalizer))


async def _write(api: Api, obj: Any, finalizers: tuple[str, ...]) -> None:
    metadata = msgspec.structs.replace(obj.metadata, finalizers=finalizers)
    await api.of(type(obj)).update(msgspec.structs.replace(obj, metadata=metadata))
