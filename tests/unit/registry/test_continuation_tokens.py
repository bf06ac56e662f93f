"""Continue tokens."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podkeeper.api.errors import ApiError
from podkeeper.registry.continuation import INCONSISTENT, Continuation, decode, encode

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True)


@given(st.integers(1, 2**62) | st.just(INCONSISTENT), NAMES, NAMES)
def test_a_token_comes_back(revision: int, namespace: str, name: str) -> None:
    continuation = Continuation(revision, f"/pods/{namespace}/{name}")
    assert decode(encode(continuation, "/pods/"), "/pods/") == continuation


def test_the_form_is_upstreams() -> None:
    token = encode(Continuation(5, "/pods/default/web"), "/pods/")
    assert "=" not in token
    body = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    assert body == {"v": "meta.k8s.io/v1", "rv": 5, "start": "default/web\0"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"v": "meta.k8s.io/v2", "rv": 5, "start": "a"}, "does not recognize this encoded version"),
        ({"v": "meta.k8s.io/v1", "rv": 0, "start": "a"}, "incorrect encoded start resourceVersion"),
        ({"v": "meta.k8s.io/v1", "rv": 5, "start": ""}, "encoded start key empty"),
        ({"v": "meta.k8s.io/v1", "rv": 5, "start": "../secrets/a"}, "../secrets/a"),
        ({"v": "meta.k8s.io/v1", "rv": "5", "start": "a"}, "cannot unmarshal"),
        ([], "cannot unmarshal"),
    ],
)
def test_what_we_did_not_give_out_is_refused(body: object, why: str) -> None:
    token = urlsafe_b64encode(json.dumps(body).encode()).rstrip(b"=").decode()
    with pytest.raises(ApiError, match="continue key is not valid") as caught:
        decode(token, "/pods/")
    assert caught.value.code == 400
    assert why in caught.value.message


@pytest.mark.parametrize("token", ["%%%", "abc", "e30x"])
def test_garbage_is_refused(token: str) -> None:
    with pytest.raises(ApiError) as caught:
        decode(token, "/pods/")
    assert caught.value.code == 400
