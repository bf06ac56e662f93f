"""Verifies a service account's token as a stranger to Kubernetes would, by OpenID Connect discovery alone; run inside a
cluster's network: token_verifier.py TOKEN_FILE OWN_TOKEN_FILE AUDIENCE CA_FILE ADDRESS. Prints whose token it is.

There is no DNS: connections for the issuer's name go to ADDRESS, and the certificate there must be for that name.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt


def get(url: str, token: str, ca: str, address: str) -> Any:
    """The document behind a URL."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection = http.client.HTTPSConnection(host)
    plain = socket.create_connection((address, parts.port or 6443), timeout=20)
    connection.sock = ssl.create_default_context(cafile=ca).wrap_socket(plain, server_hostname=host)
    connection.request("GET", parts.path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    assert answer.status == 200, (url, answer.status, answer.read())
    document = json.loads(answer.read())
    connection.close()
    return document


def main(token_file: str, own_file: str, audience: str, ca: str, address: str) -> None:
    """Raises where the token is not what it says; the other token lets one read the documents."""
    token, own = Path(token_file).read_text(), Path(own_file).read_text()
    issuer = jwt.decode(token, options={"verify_signature": False})["iss"]
    document = get(f"{issuer}/.well-known/openid-configuration", own, ca, address)
    assert document["issuer"] == issuer
    keys = jwt.PyJWKSet.from_dict(get(document["jwks_uri"], own, ca, address))
    key = keys[jwt.get_unverified_header(token)["kid"]]
    algorithms = document["id_token_signing_alg_values_supported"]
    claims = jwt.decode(token, key, algorithms, audience=audience, issuer=issuer)["kubernetes.io"]
    print(claims["namespace"], claims["serviceaccount"]["name"], claims["pod"]["name"])


if __name__ == "__main__":
    main(*sys.argv[1:])
