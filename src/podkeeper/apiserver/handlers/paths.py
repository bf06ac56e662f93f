"""Plain paths: the index, version, metrics and the token issuer's public documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from podkeeper.apiserver import responses, version
from podkeeper.apiserver.call import Call, Handle
from podkeeper.apiserver.handlers.resources import method_not_allowed
from podkeeper.foundation.exposition import CONTENT_TYPE
from podkeeper.foundation.http import Answer, Response
from podkeeper.foundation.signing_keys import PublicKey, algorithm, public_jwk

_METRICS_HEAD = f"Content-Type: {CONTENT_TYPE}\r\n".encode()
_CACHED = b"Cache-Control: public, max-age=3600\r\n"


async def show_version(call: Call) -> Answer:
    """GET /version."""
    _check_read(call)
    return responses.tree(version.info())


def _check_read(call: Call) -> None:
    """Raises 405 for anything but a GET; the other paths take any method, as upstream's."""
    if call.request.method != "GET":
        raise method_not_allowed()


def metrics(text: Callable[[], str]) -> Handle:
    """GET /metrics and /metrics/slis."""

    async def handle(call: Call) -> Answer:
        return Response(200, _METRICS_HEAD, text().encode())

    return handle


def index(paths: Sequence[str]) -> Handle:
    """GET /: what else there is."""

    async def handle(call: Call) -> Answer:
        if call.info.path != "/":
            return responses.text("404 page not found\n", 404)
        return responses.tree({"paths": sorted(paths)})

    return handle


def issuer_documents(issuer: str, jwks_uri: str, known: Sequence[PublicKey]) -> Mapping[str, Handle]:
    """The OpenID discovery document and the key set with which anyone can check the cluster's tokens."""
    document = {
        "issuer": issuer,
        "jwks_uri": jwks_uri,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": sorted({algorithm(key) for key in known}),
    }
    keys = {"keys": [public_jwk(key) for key in known]}

    async def configuration(call: Call) -> Answer:
        _check_read(call)
        head = _CACHED + b"Content-Type: application/json\r\n"
        return Response(200, head, responses.tree(document).body)

    async def key_set(call: Call) -> Answer:
        _check_read(call)
        head = _CACHED + b"Content-Type: application/jwk-set+json\r\n"
        return Response(200, head, responses.tree(keys).body)

    return {"/.well-known/openid-configuration": configuration, "/openid/v1/jwks": key_set}
