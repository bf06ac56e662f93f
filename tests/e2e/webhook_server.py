"""A webhook server as people write them: HTTPS, one path that changes objects and one that judges them.

webhook_server.py ADDRESS PORT CERTIFICATE KEY
"""

from __future__ import annotations

import base64
import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LABEL = "webhook.example.com/seen"


def mutate(request: Any) -> Any:
    """Labels what has labels or could have them."""
    labels = (request["object"]["metadata"].get("labels") or {}) | {LABEL: "yes"}
    patch = json.dumps([{"op": "add", "path": "/metadata/labels", "value": labels}])
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(patch.encode()).decode()}


def validate(request: Any) -> Any:
    """Refuses what is called forbidden, and connections to pods."""
    if request["operation"] == "CONNECT":
        return {"allowed": False, "status": {"code": 403, "message": f"no {request['subResource']} here"}}
    if (request.get("object") or {}).get("data", {}).get("forbidden"):
        return {"allowed": False, "status": {"code": 403, "message": "it says so itself"}}
    return {"allowed": True, "warnings": [f"judged {request['name']}"]}


class Handler(BaseHTTPRequestHandler):
    """Answers reviews; connections stay open."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """One review."""
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = mutate if self.path.startswith("/mutate") else validate
        response = {"uid": review["request"]["uid"]} | answer(review["request"])
        body = json.dumps(
            {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serves until it is ended."""
    address, port, certificate, key = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer((address, int(port)), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("serving", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
