"""Tokens in Secrets: one of type kubernetes.io/service-account-token gets a token for its account, and goes with it.

Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#token-controller
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.controllers.framework import Key, Tools, Watch, own_key

if TYPE_CHECKING:
    from podkeeper.foundation.signing_keys import SigningKey

SECRET_TYPE = "kubernetes.io/service-account-token"  # noqa: S105 - a type's name
ACCOUNT, ACCOUNT_UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
_ISSUER = "kubernetes/serviceaccount"


class TokenSecrets:
    """Keys are Secrets."""

    name = "tokens-controller"
    workers = 1

    def __init__(self, tools: Tools, signing_key: Path, root_certificate: str) -> None:
        self._tools, self._path, self._root = tools, signing_key, root_certificate
        self._secrets, self._accounts = tools.informer(v1.Secret), tools.informer(v1.ServiceAccount)
        self._key: SigningKey | None = None

    def watches(self) -> Sequence[Watch[Any]]:
        """Secrets of the type; accounts that come and go."""

        def ours(old: v1.Secret | None, new: v1.Secret | None) -> Iterable[Key]:
            return own_key(old, new) if new is not None and new.type == SECRET_TYPE else ()

        return Watch(self._secrets, ours), Watch(self._accounts, self._of_account)

    async def reconcile(self, key: Key) -> None:
        """Fills the Secret, or removes it where its account is gone."""
        secret = self._secrets.lister.get(key.namespace, key.name)
        if secret is None or secret.type != SECRET_TYPE or secret.metadata.deletion_timestamp:
            return
        account = await self._account(secret)
        if account is None:
            await self._remove(secret)
            return
        wanted = self._filled(secret, account)
        if wanted != secret:
            await self._tools.api.of(v1.Secret).update(wanted)

    def _of_account(self, old: v1.ServiceAccount | None, new: v1.ServiceAccount | None) -> Iterable[Key]:
        metadata = (new or old).metadata  # type: ignore[union-attr]
        if old is not None and new is not None and old.metadata.uid == new.metadata.uid:
            return []
        return [
            Key(each.metadata.namespace, each.metadata.name)
            for each in self._secrets.lister.list(metadata.namespace)
            if each.type == SECRET_TYPE and (each.metadata.annotations or {}).get(ACCOUNT) == metadata.name
        ]

    async def _account(self, secret: v1.Secret) -> v1.ServiceAccount | None:
        """The account that a Secret is of. The local copy may be behind: only the server says that there is none."""
        annotations = secret.metadata.annotations or {}
        name, uid = annotations.get(ACCOUNT, ""), annotations.get(ACCOUNT_UID, "")
        account = self._accounts.lister.get(secret.metadata.namespace, name)
        if account is None or (uid and account.metadata.uid != uid):
            try:
                account = await self._tools.api.of(v1.ServiceAccount).get(name, secret.metadata.namespace)
            except ApiError as error:
                if error.code != 404:
                    raise
                return None
        return account if not uid or account.metadata.uid == uid else None

    async def _remove(self, secret: v1.Secret) -> None:
        metadata = secret.metadata
        try:
            await self._tools.api.of(v1.Secret).delete(metadata.name, metadata.namespace, uid=metadata.uid)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def _filled(self, secret: v1.Secret, account: v1.ServiceAccount) -> v1.Secret:
        def encoded(text: str) -> str:
            return base64.b64encode(text.encode()).decode()

        metadata, data = secret.metadata, dict(secret.data or {})
        wanted = {"ca.crt": encoded(self._root), "namespace": encoded(metadata.namespace)}
        if not data.get("token"):
            wanted["token"] = encoded(self._token(secret, account))
        annotations = {**(metadata.annotations or {}), ACCOUNT_UID: account.metadata.uid}
        metadata = msgspec.structs.replace(metadata, annotations=annotations)
        return msgspec.structs.replace(secret, metadata=metadata, data=data | wanted)

    def _token(self, secret: v1.Secret, account: v1.ServiceAccount) -> str:
        if self._key is None:
            from podkeeper.foundation.signing_keys import SigningKey  # few clusters have such Secrets

            self._key = SigningKey.load(self._path)
        namespace, name = account.metadata.namespace, account.metadata.name
        return self._key.sign(
            {
                "iss": _ISSUER,
                f"{_ISSUER}/namespace": namespace,
                f"{_ISSUER}/secret.name": secret.metadata.name,
                f"{_ISSUER}/service-account.name": name,
                f"{_ISSUER}/service-account.uid": account.metadata.uid,
                "sub": f"system:serviceaccount:{namespace}:{name}",
            }
        )
