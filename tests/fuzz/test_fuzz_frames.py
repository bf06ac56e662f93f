"""Frames of WebSocket, SPDY and watches: whatever comes is read or refused, never anything else."""

from __future__ import annotations

import contextlib

from hypothesis import example, given, settings
from hypothesis import strategies as st

from podkeeper.api import protobuf
from podkeeper.kubelet.server.spdy import Session, SpdyError
from podkeeper.kubelet.server.spdy_channels import SpdyChannels

FUZZ = settings(settings.get_profile("fuzz"), max_examples=4 * settings.get_profile("fuzz").max_examples)


def control(kind: int, payload: bytes, flags: int = 0, version: int = 0x8003) -> bytes:
    return (
        version.to_bytes(2, "big")
        + kind.to_bytes(2, "big")
        + bytes([flags])
        + len(payload).to_bytes(3, "big")
        + payload
    )


_FRAMES = st.one_of(
    st.binary(max_size=40),
    st.builds(control, st.integers(0, 12), st.binary(max_size=40), st.integers(0, 3)),
    st.builds(lambda stream, body: stream.to_bytes(4, "big") + b"\0" + len(body).to_bytes(3, "big") + body,
              st.integers(0, 2**31 - 1), st.binary(max_size=20)),
)  # fmt: skip


@FUZZ
@given(st.lists(_FRAMES, max_size=6), st.integers(1, 50))
@example([control(1, b"")], 1)
@example([control(6, b"")], 50)
@example([control(3, b"\0")], 50)
def test_spdy_frames_are_read_or_refused(frames: list[bytes], cut: int) -> None:
    data = b"".join(frames)
    for session in (Session(), SpdyChannels(frozenset({"error", "stdout"}))):
        with contextlib.suppress(SpdyError):
            for start in range(0, len(data), cut):
                list(session.feed(data[start : start + cut]))


@FUZZ
@given(st.binary(max_size=120), st.sampled_from(["", "v1"]), st.sampled_from(["", "Pod", "Nothing"]))
def test_protobuf_is_read_or_refused(body: bytes, version: str, kind: str) -> None:
    for data in (body, b"k8s\0" + body):
        with contextlib.suppress(protobuf.ProtobufError):
            protobuf.decode(data, version, kind)
