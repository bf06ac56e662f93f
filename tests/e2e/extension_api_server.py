"""A tiny extension API server: one namespaced kind, kept in memory, users as the front proxy names them.

usage: extension_api_server.py ADDRESS PORT CERTIFICATE KEY FRONT-PROXY-CA
"""

from __future__ import annotations

import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GROUP = "wardle.example.com"
VERSION = f"{GROUP}/v1"
RESOURCE = {
    "name": "flunders",
    "singularName": "flunder",
    "namespaced": True,
    "kind": "Flunder",
    "shortNames": ["fl"],
    "verbs": ["create", "delete", "get", "list"],
}
STORE: dict[tuple[str, str], dict[str, Any]] = {}


class Handler(BaseHTTPRequestHandler):
    """Discovery, and create, get, list and delete of flunders."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == f"/apis/{VERSION}":
            tree = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": VERSION, "resources": [RESOURCE]}
            return self.answer(200, tree)
        namespace, name = self.place()
        if name:
            found = STORE.get((namespace, name))
            return self.answer(200, found) if found else self.missing(name)
        if "flunders" in path:
            items = [tree for (where, _), tree in sorted(STORE.items()) if namespace in ("", where)]
            listing = {"kind": "FlunderList", "apiVersion": VERSION, "metadata": {"resourceVersion": "1"}}
            return self.answer(200, listing | {"items": items})
        return self.answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404})

    def do_POST(self) -> None:
        tree = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        namespace, _ = self.place()
        user, groups = self.headers["X-Remote-User"], self.headers.get_all("X-Remote-Group")
        tree["metadata"] |= {"namespace": namespace, "uid": f"u{len(STORE)}", "resourceVersion": "1"}
        tree["metadata"]["annotations"] = {"made-by": user, "groups": ",".join(groups or ())}
        STORE[namespace, tree["metadata"]["name"]] = tree
        self.answer(201, tree)

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        gone = STORE.pop(self.place(), None)
        self.answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success" if gone else "Failure"})

    def place(self) -> tuple[str, str]:
        """Namespace and name of the path; empty where it has none."""
        parts = self.path.partition("?")[0].strip("/").split("/")[3:]
        namespace = parts[1] if len(parts) > 2 and parts[0] == "namespaces" else ""
        rest = parts[2:] if namespace else parts
        return namespace, rest[1] if len(rest) > 1 else ""

    def missing(self, name: str) -> None:
        message = f'flunders.{GROUP} "{name}" not found'
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
        self.answer(404, status | {"message": message, "metadata": {}})

    def answer(self, code: int, tree: Any) -> None:
        body = json.dumps(tree).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Nothing: the test looks at answers."""


def main() -> None:
    """Serves clients that the front proxy's authority vouches for, until killed."""
    address, port, certificate, key, authority = sys.argv[1:]
    server = ThreadingHTTPServer((address, int(port)), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
