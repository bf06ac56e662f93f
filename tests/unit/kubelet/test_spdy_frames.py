"""SPDY frames against golden bytes, a client written for the tests, and input that is cut or makes no sense."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podkeeper.kubelet.server import spdy
from podkeeper.kubelet.server.spdy import DICTIONARY, Event, Opened, Pinged, Received, Reset, Session, SpdyError

PING = bytes.fromhex("80030006 00000004 00000001")


def events(session: Session, data: bytes) -> list[Event]:
    return list(session.feed(data))


def test_the_dictionary_is_the_specifications() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_frames_of_ours_are_laid_out_as_the_specification_says() -> None:
    session = Session()
    assert session.ping(1) == PING
    assert session.data(3, b"hi") == bytes.fromhex("00000003 00000002 6869")
    assert session.data(3, b"", last=True) == bytes.fromhex("00000003 01000000")
    assert session.reset(5) == bytes.fromhex("80030003 00000008 00000005 00000005")
    reply = session.reply(7)
    assert reply[:4] == bytes.fromhex("80030002")
    assert reply[8:18] == bytes.fromhex("00000007 78bb e3c6a7c2")  # zlib with the dictionary's checksum
    assert zlib.decompressobj(zdict=DICTIONARY).decompress(reply[12:]) == bytes(4)  # no headers


def test_what_a_client_sends_is_understood(spdy_client: Any) -> None:
    client, session = spdy_client(), Session()
    headers = {"streamtype": "data", "port": "80", "requestid": "0"}
    assert events(session, PING) == [Pinged(1)]
    assert events(session, client.open(1, headers)) == [Opened(1, headers)]
    assert events(session, client.open(3, {"Port": "81"}, last=True)) == [
        Opened(3, {"port": "81"}),
        Received(3, b"", True),
    ]
    assert events(session, client.data(1, b"GET /")) == [Received(1, b"GET /")]
    assert events(session, client.data(1, b"", last=True) + client.reset(1)) == [Received(1, b"", True), Reset(1)]


def test_frames_that_nobody_needs_are_passed_over() -> None:
    settings_frame = bytes.fromhex("80030004 0000000c 00000001 00000004 00000064")
    window_update = bytes.fromhex("80030009 00000008 00000001 00001000")
    assert events(Session(), settings_frame + window_update + PING) == [Pinged(1)]


@settings(max_examples=60)
@given(pieces=st.lists(st.binary(max_size=40), max_size=6), size=st.integers(1, 30))
def test_it_does_not_matter_how_the_bytes_are_cut(spdy_client: Any, pieces: list[bytes], size: int) -> None:
    client = spdy_client()
    sent = client.open(1, {"port": "80"}) + b"".join(client.data(1, piece) for piece in pieces) + client.reset(1)
    session = Session()
    seen: list[Event] = []
    for start in range(0, len(sent), size):
        seen += session.feed(sent[start : start + size])
    assert seen == [Opened(1, {"port": "80"}), *(Received(1, piece) for piece in pieces), Reset(1)]


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("00000001 00ffffff", "too long"),
        ("80020006 00000004 00000001", "version 2"),
        ("80030006 00000001 00", "makes no sense"),
        ("80030001 0000000e 00000001 00000000 0000 ffffffff", "makes no sense"),
    ],
)
def test_nonsense_is_refused(sent: str, words: str) -> None:
    with pytest.raises(SpdyError, match=words):
        events(Session(), bytes.fromhex(sent))


def test_headers_that_unpack_to_very_much_are_refused(spdy_client: Any) -> None:
    with pytest.raises(SpdyError, match="longer than"):
        events(Session(), spdy_client().open(1, {"x": "y" * (2 * spdy.MAX_HEADERS)}))
