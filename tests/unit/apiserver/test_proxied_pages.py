"""Links of pages and redirects that come through a proxy."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.apiserver.streaming.html_links import LinkRewriter, through

PREFIX = "/api/v1/namespaces/default/services/web/proxy"
HOSTS = frozenset({"10.0.0.1:80", "cluster:6443"})


def rewritten(page: str, size: int = 1 << 20) -> str:
    links = LinkRewriter(PREFIX, HOSTS)
    data = page.encode()
    pieces = [links.feed(data[at : at + size]) for at in range(0, len(data), size)]
    return b"".join([*pieces, links.feed(b"", last=True)]).decode()


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("/", f"{PREFIX}/"),
        ("/a/b?c=d#e", f"{PREFIX}/a/b?c=d#e"),
        ("http://10.0.0.1:80/a", f"{PREFIX}/a"),
        ("https://cluster:6443/a/", f"{PREFIX}/a/"),
        ("http://elsewhere/a", "http://elsewhere/a"),
        ("//elsewhere/a", "//elsewhere/a"),
        ("a/b", "a/b"),
        ("#top", "#top"),
        ("mailto:a@b", "mailto:a@b"),
        (f"{PREFIX}/a", f"{PREFIX}/a"),
        ("http://[", "http://["),
    ],
)
def test_where_a_link_leads(url: str, wanted: str) -> None:
    assert through(url, PREFIX, HOSTS) == wanted


@pytest.mark.parametrize(
    ("page", "wanted"),
    [
        ('<a href="/x">y</a>', f'<a href="{PREFIX}/x">y</a>'),
        ("<A class=b HREF='/x'>", f'<A class=b HREF="{PREFIX}/x">'),
        ("<img src=/x.png alt='1 > 0'>", f"<img src=\"{PREFIX}/x.png\" alt='1 > 0'>"),
        ('<p title="/x">1 < 2 & 3 > 2</p>', '<p title="/x">1 < 2 & 3 > 2</p>'),
        ('<!-- <a href="/x"> -->', '<!-- <a href="/x"> -->'),
        (
            "<script src='/s.js'>a = '<a href=\"/x\">'</script><a href=/z>",
            f'<script src="{PREFIX}/s.js">a = \'<a href="/x">\'</script><a href="{PREFIX}/z">',
        ),
        ('<a href="/x?a=1&amp;b=2">', f'<a href="{PREFIX}/x?a=1&amp;b=2">'),
        ("<!DOCTYPE html><title>ä</title>", "<!DOCTYPE html><title>ä</title>"),
        ("unfinished <a href=", "unfinished <a href="),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_what_becomes_of_a_page(page: str, wanted: str, size: int) -> None:
    assert rewritten(page, size) == wanted


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="<>/a ='\"-!script&", max_size=80), st.integers(1, 9))
def test_pieces_make_no_difference_and_nothing_without_links_is_changed(page: str, size: int) -> None:
    assert rewritten(page, size) == rewritten(page)
    if "/" not in page:
        assert rewritten(page) == page


@pytest.mark.parametrize(
    "page",
    [
        "<a " + "x" * 15_000,
        "<a " + "x" * 15_000 + ">",
        "<a " + "x =" * 5_000 + ">",
        "<a " + " " * 15_000 + "=>",
        '<a "' * 50_000,
        "<" * 200_000,
        "<!--" * 50_000,
        "<script></script>" * 20_000,
        "<script>" + "</scrip" * 30_000,
    ],
)
def test_a_page_costs_about_its_length(page: str) -> None:
    started = time.process_time()
    assert len(rewritten(page, 4096)) >= len(page)
    assert time.process_time() - started < 2
