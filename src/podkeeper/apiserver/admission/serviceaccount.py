"""ServiceAccount: every pod runs as an account and gets a volume with its token, the cluster's CA and its namespace."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from podkeeper.apiserver.admission import mountablesecrets
from podkeeper.apiserver.admission.plugin import Plugin, forbidden, interest
from podkeeper.registry.admission import Attributes

Tree = dict[str, Any]

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
MIRROR = "kubernetes.io/config.mirror"
_DEFAULT = "default"
_VOLUME_PREFIX = "kube-api-access-"
_TOKEN_SECONDS = 3607
#: Seconds to wait for the default account of a namespace that is a moment old.
_PATIENCE = 2.0
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class ServiceAccount(Plugin):
    """Completes pods with their account."""

    interest = interest("CREATE UPDATE", "/pods", "/pods/ephemeralcontainers")

    async def mutate(self, attributes: Attributes) -> None:
        """Sets the account, its pull secrets and the token volume. Raises 403 when the account does not exist."""
        pod = attributes.tree
        if pod is None or attributes.old is not None:
            return
        spec = pod.setdefault("spec", {})
        if MIRROR in (pod["metadata"].get("annotations") or {}):
            self._check_mirror(attributes, spec)
            return
        name = spec.get("serviceAccountName") or _DEFAULT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = await self._account(attributes, name)
        if _mounts_token(spec, account):
            mount_token(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(each) for each in account["imagePullSecrets"]]

    async def validate(self, attributes: Attributes) -> None:
        """Raises 403 for a new pod, or a container added to one, with secrets that the account does not allow."""
        pod = attributes.tree
        if pod is None or (attributes.old is not None and not attributes.subresource):
            return
        if MIRROR in (pod["metadata"].get("annotations") or {}):
            return
        account = await self._account(attributes, (pod.get("spec") or {}).get("serviceAccountName") or _DEFAULT)
        if mountablesecrets.is_limited(account):
            for objection in mountablesecrets.objections(pod, account):
                raise forbidden(attributes, objection)

    async def _account(self, attributes: Attributes, name: str) -> Mapping[str, Any]:
        namespace = attributes.namespace
        account = await self.live.get("", "serviceaccounts", namespace, name)
        if account is None and name == _DEFAULT:
            account = await self.live.wait_for("serviceaccounts", namespace, name, _PATIENCE)
        if account is None:
            why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
            raise forbidden(attributes, why)
        return account

    def _check_mirror(self, attributes: Attributes, spec: Tree) -> None:
        if spec.get("serviceAccountName"):
            raise forbidden(attributes, "a mirror pod may not reference service accounts")
        for volume in spec.get("volumes") or ():
            for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
                if source.get("secret"):
                    raise forbidden(attributes, "a mirror pod may not reference secrets")
                if source.get("serviceAccountToken"):
                    why = "a mirror pod may not use ServiceAccountToken volume projections"
                    raise forbidden(attributes, why)


def _mounts_token(spec: Mapping[str, Any], account: Mapping[str, Any]) -> bool:
    for wish in (spec.get("automountServiceAccountToken"), account.get("automountServiceAccountToken")):
        if wish is not None:
            return bool(wish)
    return True


def mount_token(spec: Tree) -> None:
    """Mounts the token volume into every container that has nothing at its path."""
    name, present = _token_volume(spec)
    needed = False
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        mounts = container.get("volumeMounts") or []
        if any(mount.get("mountPath") == MOUNT_PATH for mount in mounts):
            continue
        container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}]
        needed = True
    if needed and not present:
        spec["volumes"] = [*(spec.get("volumes") or ()), token_volume(name)]


def _token_volume(spec: Mapping[str, Any]) -> tuple[str, bool]:
    """The name of the token volume and whether the pod has it already."""
    taken = {volume.get("name", "") for volume in spec.get("volumes") or ()}
    for volume in spec.get("volumes") or ():
        if volume.get("name", "").startswith(_VOLUME_PREFIX) and volume.get("projected"):
            return volume["name"], True
    while True:
        name = _VOLUME_PREFIX + "".join(secrets.choice(_LETTERS) for _ in range(5))
        if name not in taken:
            return name, False


def token_volume(name: str) -> Tree:
    """The projected volume, complete with its defaults."""
    namespace = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": namespace}]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 420}}
