"""Where an object lives in the store: ``/pods/default/web``, ``/nodes/a``, ``/apps/deployments/default/web``.

The group comes first except in the core group. No core plural is also a group's name, so one or two segments tell the
resource of any key.
"""

from __future__ import annotations


def resource_prefix(group: str, plural: str) -> str:
    """The prefix of a resource's keys, with a slash at both ends."""
    return f"/{group}/{plural}/" if group else f"/{plural}/"


def object_key(prefix: str, namespace: str, name: str) -> str:
    """The key of an object under its resource's prefix; ``namespace`` is empty for cluster-scoped objects."""
    return f"{prefix}{namespace}/{name}" if namespace else prefix + name


def split_key(prefix: str, key: str) -> tuple[str, str]:
    """Namespace (empty if cluster-scoped) and name of a key under ``prefix``."""
    namespace, _, name = key[len(prefix) :].rpartition("/")
    return namespace, name


def prefixes_of(key: str) -> tuple[str, str]:
    """The two prefixes that ``key``'s resource can have: as a core resource and as one of a named group."""
    first = key.find("/", 1) + 1
    second = key.find("/", first) + 1
    return key[:first], key[:second]
