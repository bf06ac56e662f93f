"""Kubeconfig files: contexts, clusters and users, as kubectl reads and writes them.

Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/. Programs that fetch credentials (``exec``,
``auth-provider``) and passwords are refused by name.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podkeeper.client.config import ClientConfig

UNSUPPORTED = ("exec", "auth-provider", "username", "password", "as", "as-groups", "as-uid")


class KubeconfigInvalid(Exception):
    """The file is missing, no kubeconfig, or lacks what its context names."""


def load(path: Path, context: str = "") -> ClientConfig:
    """The server and credentials of ``context`` (default: the current one). Raises KubeconfigInvalid."""
    # Only programs with a kubeconfig need YAML.
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        tree = yaml.load(path.read_bytes(), loader)  # noqa: S506 - one of the two safe loaders
    except OSError as error:
        raise KubeconfigInvalid(f"kubeconfig {path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        # The error's own text would show what stands there, and that may be a token or a key.
        mark = getattr(error, "problem_mark", None)
        where = f", see line {mark.line + 1}" if mark is not None else ""
        raise KubeconfigInvalid(f"kubeconfig {path} is not YAML{where}") from None
    if not isinstance(tree, dict):
        raise KubeconfigInvalid(f"kubeconfig {path} is not a mapping")
    return _File(path, tree).config(context)


def dump(config: ClientConfig, *, name: str = "podkeeper", user: str = "admin") -> bytes:
    """A kubeconfig with ``config`` as its one context, everything inline; it may hold a private key."""
    import yaml

    cluster: dict[str, Any] = {"server": config.server}
    if config.ca:
        cluster["certificate-authority-data"] = base64.b64encode(config.ca).decode()
    if config.insecure:
        cluster["insecure-skip-tls-verify"] = True
    if config.server_name:
        cluster["tls-server-name"] = config.server_name
    context = {"cluster": name, "user": user, "namespace": config.namespace}
    tree = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": _user_tree(config)}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }
    text: str = yaml.safe_dump(tree, sort_keys=False)
    return text.encode()


def _user_tree(config: ClientConfig) -> dict[str, str]:
    pairs = {
        "client-certificate-data": base64.b64encode(config.certificate).decode(),
        "client-key-data": base64.b64encode(config.key).decode(),
        "token": config.token,
        "tokenFile": str(config.token_file or ""),
    }
    return {key: value for key, value in pairs.items() if value}


class _File:
    """One parsed file; relative paths in it start at its directory."""

    def __init__(self, path: Path, tree: Mapping[str, Any]) -> None:
        self._path, self._tree = path, tree

    def config(self, context_name: str) -> ClientConfig:
        name = context_name or str(self._tree.get("current-context") or "")
        if not name:
            raise KubeconfigInvalid(f"kubeconfig {self._path} has no current context: name one")
        context = self._find("context", name)
        cluster = self._find("cluster", str(context.get("cluster") or ""))
        user = self._find("user", str(context["user"])) if context.get("user") else {}
        for field in UNSUPPORTED:
            if user.get(field):
                raise KubeconfigInvalid(f"kubeconfig {self._path}: users with {field!r} are not supported")
        if not cluster.get("server"):
            raise KubeconfigInvalid(f"kubeconfig {self._path}: the cluster of context {name!r} has no server")
        token_file = user.get("tokenFile")
        return ClientConfig(
            server=str(cluster["server"]).rstrip("/"),
            ca=self._bytes(cluster, "certificate-authority"),
            certificate=self._bytes(user, "client-certificate"),
            key=self._bytes(user, "client-key"),
            token=str(user.get("token") or ""),
            token_file=self._path.parent / token_file if token_file else None,
            server_name=str(cluster.get("tls-server-name") or ""),
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
            namespace=str(context.get("namespace") or "default"),
        )

    def _find(self, kind: str, name: str) -> Mapping[str, Any]:
        for entry in self._tree.get(f"{kind}s") or ():
            if isinstance(entry, dict) and entry.get("name") == name:
                found = entry.get(kind) or {}
                if isinstance(found, dict):
                    return found
        raise KubeconfigInvalid(f"kubeconfig {self._path} has no {kind} {name!r}")

    def _bytes(self, section: Mapping[str, Any], field: str) -> bytes:
        """Inline data comes before a file, as for kubectl."""
        try:
            if data := section.get(f"{field}-data"):
                return base64.b64decode(data, validate=True)
            return (self._path.parent / section[field]).read_bytes() if section.get(field) else b""
        except (binascii.Error, ValueError) as error:
            raise KubeconfigInvalid(f"kubeconfig {self._path}: {field}-data is not base64") from error
        except OSError as error:
            raise KubeconfigInvalid(f"kubeconfig {self._path}: {section[field]}: {error.strerror}") from error
