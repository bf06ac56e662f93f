"""Which secrets a pod may refer to where its service account limits that.

An account with the annotation ``kubernetes.io/enforce-mountable-secrets: "true"`` lists them itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Tree = Mapping[str, Any]

ANNOTATION = "kubernetes.io/enforce-mountable-secrets"
_KINDS = (
    ("initContainers", "init container"),
    ("containers", "container"),
    ("ephemeralContainers", "ephemeral container"),
)


def is_limited(account: Tree) -> bool:
    """The account limits its pods' secrets."""
    text = (account["metadata"].get("annotations") or {}).get(ANNOTATION) or ""
    return text in ("1", "t", "T", "true", "TRUE", "True")


def objections(pod: Tree, account: Tree) -> Iterator[str]:
    """What a pod refers to and its account does not."""
    name, spec = account["metadata"]["name"], pod.get("spec") or {}
    known = {each.get("name") for each in account.get("secrets") or ()}
    for where, secret in _references(spec):
        if secret not in known:
            what = f'secret.secretName="{secret}"'
            yield f"{where} {what} is not allowed because service account {name} does not reference that secret"
    pulling = {each.get("name") for each in account.get("imagePullSecrets") or ()}
    for index, each in enumerate(spec.get("imagePullSecrets") or ()):
        if each.get("name") not in pulling:
            what = f'imagePullSecrets[{index}].name="{each.get("name")}"'
            yield f"{what} is not allowed because service account {name} does not reference that imagePullSecret"


def _references(spec: Tree) -> Iterator[tuple[str, str]]:
    for volume in spec.get("volumes") or ():
        if volume.get("secret"):
            yield "volume with", volume["secret"].get("secretName") or ""
    for field, kind in _KINDS:
        for container in spec.get(field) or ():
            head = f"{kind} {container.get('name')}"
            for variable in container.get("env") or ():
                reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
                if reference:
                    yield f"{head} with envVar {variable.get('name')} referencing", reference.get("name") or ""
            for source in container.get("envFrom") or ():
                if source.get("secretRef"):
                    yield f"{head} with envFrom referencing", source["secretRef"].get("name") or ""
