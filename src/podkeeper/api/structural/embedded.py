"""Objects within custom objects (``x-kubernetes-embedded-resource``): they say what they are, and have good metadata.

Source: apiextensions-apiserver, pkg/apiserver/schema/objectmeta.
"""

from __future__ import annotations

from typing import Any

from podkeeper.api import codec, names
from podkeeper.api.meta.v1 import ObjectMeta
from podkeeper.api.validation import metadata
from podkeeper.api.validation.fields import Found, joined

Tree = dict[str, Any]


def judge(found: Found, value: Tree, at: str) -> None:
    """What is wrong with an embedded object's own fields."""
    version, kind = value.get("apiVersion"), value.get("kind")
    if not version:
        found.required(joined(at, "apiVersion"), "must not be empty")
    elif not isinstance(version, str) or version.count("/") > 1:
        found.invalid(joined(at, "apiVersion"), version, f"unexpected GroupVersion string: {version}")
    if not kind:
        found.required(joined(at, "kind"), "must not be empty")
    elif not isinstance(kind, str) or (messages := names.dns_1035_label(kind.lower())):
        text = ",".join(messages) if isinstance(kind, str) else "must be a string"
        found.invalid(joined(at, "kind"), kind, f"may have mixed case, but should otherwise match: {text}")
    if isinstance(given := value.get("metadata"), dict):
        _metadata(found, given, joined(at, "metadata"))


def _metadata(found: Found, given: Tree, at: str) -> None:
    try:
        meta = codec.from_tree(ObjectMeta, given)
    except codec.WrongType as error:
        found.invalid(at, given, str(error))
        return
    for name, value in (("name", meta.name), ("generateName", meta.generate_name)):
        for message in (
            names.dns_subdomain(value.removesuffix("-") if name == "generateName" else value) if value else ()
        ):
            found.invalid(f"{at}.{name}", value, message)
    metadata.of_template(found, at, meta)
