"""How this server shows itself to the servers behind it: a client certificate of an authority made for that alone,
and headers that say who the user is.

Source: https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from podkeeper.api.user import UserInfo
from podkeeper.apiserver.aggregation.remotes import Remote
from podkeeper.foundation.keyfiles import KeyPair

NAME = "front-proxy-client"
_AUTHORITY = "front-proxy-ca"
_PREFIX = "requestheader-"
_HEADERS = {
    "username-headers": ["X-Remote-User"],
    "uid-headers": ["X-Remote-Uid"],
    "group-headers": ["X-Remote-Group"],
    "extra-headers-prefix": ["X-Remote-Extra-"],
}
#: Headers that clients must not send to the servers behind: they are ours to set, or mean something to us alone.
_OURS = (b"x-remote-", b"impersonate-")


class FrontProxy:
    """The authority and the certificate in ``directory``, made at the first start and renewed when they are used.

    What makes certificates is loaded only then: most servers have no server behind them.
    """

    def __init__(self, directory: Path) -> None:
        self._directory, self._authority = directory, directory / f"{_AUTHORITY}.crt"
        self._pair = KeyPair(directory / f"{NAME}.crt", directory / f"{NAME}.key")
        self._contexts: dict[tuple[str, bool], ssl.SSLContext] = {}

    def tls(self, remote: Remote) -> ssl.SSLContext:
        """The context in which a server is spoken to. Raises ssl.SSLError for a caBundle that is none."""
        key = (remote.ca, remote.insecure)
        found = self._contexts.get(key)
        if found is None:
            found = self._contexts[key] = self._context(remote)
        return found

    def _context(self, remote: Remote) -> ssl.SSLContext:
        self._make()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_alpn_protocols(["http/1.1"])
        if remote.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        elif remote.ca:
            context.load_verify_locations(cadata=remote.ca)
        else:
            context.load_default_certs()
        context.load_cert_chain(self._pair.certificate, self._pair.key)
        return context

    def _make(self) -> None:
        from podkeeper.foundation.certificates import Authority

        Authority.open(self._directory, _AUTHORITY, _AUTHORITY).issue_client(self._pair, NAME)

    def published(self, present: Mapping[str, str]) -> dict[str, str]:
        """What the ConfigMap extension-apiserver-authentication must have besides ``present``, which may name other
        proxies."""
        if not self._authority.exists():
            self._make()
        authority = self._authority.read_text()
        bundle = present.get(f"{_PREFIX}client-ca-file", "")
        names = json.loads(present.get(f"{_PREFIX}allowed-names") or "[]") if bundle else [NAME]
        wanted = {f"{_PREFIX}{key}": json.dumps(value) for key, value in _HEADERS.items()}
        wanted[f"{_PREFIX}allowed-names"] = json.dumps(names if not names or NAME in names else [*names, NAME])
        wanted[f"{_PREFIX}client-ca-file"] = bundle if authority in bundle else bundle + authority
        kept = {f"{_PREFIX}{key}" for key in _HEADERS}
        return {
            key: value
            for key, value in wanted.items()
            if present.get(key) != value and not (key in kept and key in present)
        }


def user_headers(user: UserInfo) -> list[tuple[bytes, bytes]]:
    """The user as headers."""
    pairs = [("X-Remote-User", user.name)]
    pairs += [("X-Remote-Uid", user.uid)] if user.uid else []
    pairs += [("X-Remote-Group", each) for each in user.groups]
    pairs += [
        (f"X-Remote-Extra-{quote(key, safe=_TOKEN)}", value) for key, values in user.extra.items() for value in values
    ]
    return [(name.encode("latin-1"), value.encode()) for name, value in pairs]


#: Characters that header names may have and that are no escapes.
_TOKEN = "!#$&'*+-.^_`|~"  # noqa: S105 - an HTTP token, no secret


def strip_ours(headers: dict[bytes, bytes]) -> None:
    """Takes off what a client must not say to the servers behind."""
    for name in [each for each in headers if each.startswith(_OURS)]:
        del headers[name]
