"""What registries demand, and where they are reached."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.runtime.cri_images import PullCredentials
from podkeeper.runtime.images.challenges import Challenge, parse, token_request
from podkeeper.runtime.images.endpoints import Endpoint, endpoints, is_insecure


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (['Basic realm="Registry Realm"'], [Challenge("basic", {"realm": "Registry Realm"})]),
        (
            ['Bearer realm="https://auth.io/token",service="reg.io",scope="repository:a/b:pull,push"'],
            [
                Challenge(
                    "bearer",
                    {"realm": "https://auth.io/token", "service": "reg.io", "scope": "repository:a/b:pull,push"},
                )
            ],
        ),
        (
            ['BEARER Realm=https://a/t , error="insufficient_scope", Basic realm="x\\"y"'],
            [
                Challenge("bearer", {"realm": "https://a/t", "error": "insufficient_scope"}),
                Challenge("basic", {"realm": 'x"y'}),
            ],
        ),
        (["Negotiate", 'Basic realm="a"'], [Challenge("negotiate", {}), Challenge("basic", {"realm": "a"})]),
        ([""], []),
        ([], []),
    ],
)
def test_challenges_are_read(headers: list[str], found: list[Challenge]) -> None:
    assert parse(headers) == found


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_no_header_is_too_odd_to_read(header: str) -> None:
    assert isinstance(parse([header]), list)


BEARER = Challenge("bearer", {"realm": "https://auth.io/token", "service": "reg.io", "scope": "repository:a:pull"})


def test_an_anonymous_token_is_asked_for_with_the_scope() -> None:
    request = token_request(BEARER, "a", None)
    assert request is not None
    assert (request.url, request.form, request.basic) == ("https://auth.io/token", {}, None)
    assert request.query == {"scope": "repository:a:pull", "service": "reg.io"}


def test_a_password_goes_into_basic_authentication_and_an_identity_token_into_a_form() -> None:
    named = token_request(BEARER, "a", PullCredentials("me", "secret"))
    assert named is not None
    assert (named.basic, named.form) == (("me", "secret"), {})
    refresh = token_request(BEARER, "a", PullCredentials(identity_token="long"))
    assert refresh is not None
    assert refresh.basic is None
    assert refresh.query == {}
    assert (refresh.form["grant_type"], refresh.form["refresh_token"]) == ("refresh_token", "long")


def test_a_missing_scope_is_the_repositorys() -> None:
    request = token_request(Challenge("bearer", {"realm": "https://a/t"}), "org/app", None)
    assert request is not None
    assert request.query == {"scope": "repository:org/app:pull"}
    assert token_request(Challenge("bearer", {"realm": "ftp://a"}), "a", None) is None
    assert token_request(Challenge("bearer", {}), "a", None) is None


def reached(domain: str, named: tuple[str, ...] = ()) -> tuple[Endpoint, ...]:
    return endpoints(domain, insecure=is_insecure(domain, named, None))


def test_registries_are_reached_as_docker_does() -> None:
    assert reached("docker.io") == (Endpoint("https://registry-1.docker.io"),)
    assert reached("quay.io") == (Endpoint("https://quay.io"),)
    assert reached("localhost:5000")[1] == Endpoint("http://localhost:5000")
    assert reached("127.0.0.9")[1] == Endpoint("http://127.0.0.9")
    assert reached("[::1]:5000")[1] == Endpoint("http://[::1]:5000")
    assert reached("10.0.0.1:5000") == (Endpoint("https://10.0.0.1:5000"),)


@pytest.mark.parametrize("listed", ["reg.lan:5000", "reg.lan"])
def test_insecure_registries_are_tried_with_tls_and_without(listed: str) -> None:
    encrypted, plain = reached("reg.lan:5000", (listed,))
    assert encrypted == Endpoint("https://reg.lan:5000", verified=False)
    assert plain == Endpoint("http://reg.lan:5000")
    assert len(reached("other.lan:5000", (listed,))) == 1
