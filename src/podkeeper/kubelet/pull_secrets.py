"""imagePullSecrets: which credentials of a pod fit the registry of an image.

https://kubernetes.io/docs/concepts/containers/images/#specifying-imagepullsecrets-on-a-pod
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import json
from collections.abc import Mapping
from typing import Any

from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.client.api import ConnectionFailed
from podkeeper.kubelet.objects import PodObjects
from podkeeper.runtime.cri_images import PullCredentials

DOCKER_HUB = ("index.docker.io", "docker.io", "registry-1.docker.io")


async def credentials_for(pod: v1.Pod, image: str, objects: PodObjects) -> list[PullCredentials]:
    """The pod's credentials for the image's repository, the most specific first; unreadable secrets are left out."""
    found: list[tuple[int, PullCredentials]] = []
    repository = repository_of(image)
    for reference in pod.spec.image_pull_secrets:
        try:
            secret = await objects.secrets.read(pod.metadata.namespace, reference.name)
        except (ApiError, ConnectionFailed):
            continue
        for place, entry in _registries(secret).items():
            if _fits(place, repository):
                found.append((len(place), _credentials(entry)))
    return [credentials for _, credentials in sorted(found, key=lambda pair: -pair[0])]


def repository_of(image: str) -> str:
    """``docker.io/library/busybox`` for ``busybox:1.36``: the registry and path that credentials are matched with."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    name = head + slash + last.partition(":")[0]
    first, slash, _ = name.partition("/")
    if not slash:
        return f"docker.io/library/{name}"
    if "." in first or ":" in first or first == "localhost":
        return name
    return f"docker.io/{name}"


def _registries(secret: v1.Secret) -> Mapping[str, Any]:
    try:
        if secret.type == "kubernetes.io/dockerconfigjson":
            return dict(json.loads(base64.b64decode(secret.data.get(".dockerconfigjson", ""))).get("auths", {}))
        if secret.type == "kubernetes.io/dockercfg":
            return dict(json.loads(base64.b64decode(secret.data.get(".dockercfg", ""))))
    except (ValueError, AttributeError):  # not JSON, not base64, not an object: as upstream, it matches nothing
        return {}
    return {}


def _fits(place: str, repository: str) -> bool:
    """Whether an entry's key (host, host/path, https://host/v1/, globs in the host) covers ``repository``."""
    key = place.removeprefix("https://").removeprefix("http://").rstrip("/")
    key = key.removesuffix("/v1").removesuffix("/v2")
    host, _, path = key.partition("/")
    registry, _, rest = repository.partition("/")
    if registry in DOCKER_HUB and host in DOCKER_HUB:
        return not path or rest == path or rest.startswith(path + "/")
    if not fnmatch.fnmatchcase(registry, host) or host.count(".") != registry.count("."):
        return False
    return not path or rest == path or rest.startswith(path + "/")


def _credentials(entry: Mapping[str, Any]) -> PullCredentials:
    username, password = str(entry.get("username", "")), str(entry.get("password", ""))
    if entry.get("auth") and not username:
        try:
            username, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            username = password = ""
    return PullCredentials(username, password, str(entry.get("identitytoken", "")))
