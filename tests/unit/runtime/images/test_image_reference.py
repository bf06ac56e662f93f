"""Docker's meaning of image names, and the words with which bad ones are refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.runtime.images.reference import InvalidReference, parse, parse_image_id

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("library/busybox", "docker.io/library/busybox:latest"),
        ("grafana/grafana", "docker.io/grafana/grafana:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("registry:5000/a/b/c", "registry:5000/a/b/c:latest"),
        ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("quay.io/org/app-name_x.y__z", "quay.io/org/app-name_x.y__z:latest"),
        ("UPPER/app", "UPPER/app:latest"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
        (f"busybox:1@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
    ],
)
def test_names_are_normalised_as_docker_does(text: str, canonical: str) -> None:
    assert parse(text).canonical == canonical


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "invalid reference format"),
        ("Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"),
        ("docker.io/Org/App", "invalid reference format: repository name (Org/App) must be lowercase"),
        ("a" * 64, "cannot specify 64-byte hexadecimal strings"),
        ("app:", "invalid reference format"),
        ("app:.tag", "invalid reference format"),
        ("app:" + "t" * 129, "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("a/-b", "invalid reference format"),
        ("a___b", "invalid reference format"),
        ("app name", "invalid reference format"),
        ("app\n", "invalid reference format"),
        ("app@sha256:abc", "invalid reference format"),
        ("app@sha256:" + "a" * 63, "invalid checksum digest length"),
        ("app@sha256:" + "A" * 64, "invalid checksum digest format"),
        ("app@md5:" + "a" * 32, "unsupported digest algorithm"),
        ("quay.io/" + "a" * 256, "must not be more than 255 characters"),
        ("http://quay.io/app", "invalid reference format"),
    ],
)
def test_bad_names_are_refused_in_upstreams_words(text: str, why: str) -> None:
    with pytest.raises(InvalidReference) as refused:
        parse(text)
    assert str(refused.value).startswith(f'couldn\'t parse image name "{text}": ')
    assert why in str(refused.value)
    assert refused.value.reason == "InvalidImageName"


def test_a_digest_decides_and_the_tag_stays_visible() -> None:
    name = parse(f"nginx:1.25@{DIGEST}")
    assert name.selector == DIGEST
    assert str(name) == f"docker.io/library/nginx:1.25@{DIGEST}"
    assert parse("nginx").pinned_to(DIGEST).canonical == f"docker.io/library/nginx@{DIGEST}"


def test_image_ids_are_told_from_names() -> None:
    assert parse_image_id("b" * 64) == "sha256:" + "b" * 64
    assert parse_image_id(DIGEST) == DIGEST
    assert parse_image_id("busybox") == ""
    assert parse_image_id("b" * 12) == ""


_component = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}", fullmatch=True)
_plain = st.from_regex(r"[a-z0-9]{1,6}", fullmatch=True)  # with a dot it would be a domain
_domain = st.one_of(st.just(""), st.from_regex(r"([a-z]{1,5}\.[a-z]{2,3}|localhost)(:[0-9]{1,5})?/", fullmatch=True))
_tag = st.one_of(st.just(""), st.from_regex(r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True))
_digest = st.one_of(st.just(""), st.from_regex(r"@sha256:[0-9a-f]{64}", fullmatch=True))


@settings(max_examples=200, deadline=None)
@given(_domain, _plain, st.lists(_component, max_size=2), _tag, _digest)
def test_normalising_twice_changes_nothing(domain: str, first: str, path: list[str], tag: str, digest: str) -> None:
    name = parse(f"{domain}{'/'.join([first, *path])}{tag}{digest}")
    assert parse(str(name)) == name
    assert parse(name.canonical).canonical == name.canonical
    assert name.repository.count("/") >= 1


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_every_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = parse(text)
    except InvalidReference:
        return
    assert parse(name.canonical).canonical == name.canonical
