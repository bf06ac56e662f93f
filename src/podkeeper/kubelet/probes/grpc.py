"""The gRPC health check (grpc.health.v1.Health/Check) as one HTTP/2 exchange, spoken by hand.

Only what a single unary call needs: no header decompression, because the answer that counts is in the DATA frame.
https://github.com/grpc/grpc/blob/master/doc/health-checking.md, RFC 9113, RFC 7541.
"""

from __future__ import annotations

import asyncio
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK, PADDED = 0x1, 0x4, 0x1, 0x8
MAX_FRAME = 1 << 16
STATES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


class GRPCFailure(Exception):
    """The service is not serving, or does not speak the health protocol."""


async def check_health(host: str, port: int, service: str) -> None:
    """Returns when ``service`` (empty: the server as a whole) is SERVING. Raises GRPCFailure or OSError."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        writer.write(PREFACE + frame(SETTINGS, 0, 0, b"") + request(authority, service))
        await writer.drain()
        state = serving_status(await _answer(reader, writer))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise GRPCFailure("error: health rpc probe failed: connection closed before an answer came") from error
    finally:
        writer.close()
    if state != 1:
        raise GRPCFailure(f'service unhealthy (responded with "{STATES.get(state, state)}")')


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The first gRPC message of stream 1."""
    body = b""
    while True:
        kind, flags, stream, payload = await _read_frame(reader)
        if kind == SETTINGS and not flags & ACK:
            writer.write(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            writer.write(frame(PING, ACK, 0, payload))
        elif kind in (GOAWAY, RST_STREAM):
            raise GRPCFailure("error: health rpc probe failed: the server closed the stream")
        elif stream == 1 and kind == DATA:
            body += _unpadded(payload, flags)
            if len(body) > MAX_FRAME:
                raise GRPCFailure("error: health rpc probe failed: the answer is too long")
            if len(body) >= 5 and len(body) >= 5 + struct.unpack(">I", body[1:5])[0]:
                return body[5 : 5 + struct.unpack(">I", body[1:5])[0]]
        if stream == 1 and flags & END_STREAM and kind in (DATA, HEADERS):
            raise GRPCFailure("error: this server does not implement the grpc health protocol (grpc.health.v1.Health)")


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, int, int, bytes]:
    head = await reader.readexactly(9)
    length = int.from_bytes(head[:3], "big")
    if length > MAX_FRAME:
        raise GRPCFailure("error: health rpc probe failed: not an HTTP/2 answer")
    return head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, await reader.readexactly(length)


def _unpadded(payload: bytes, flags: int) -> bytes:
    return payload[1 : len(payload) - payload[0]] if flags & PADDED and payload else payload


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One HTTP/2 frame."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def request(authority: str, service: str) -> bytes:
    """HEADERS and DATA of the call; headers are literals that nobody indexes, so no table is needed."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/grpc.health.v1.Health/Check",
        ":authority": authority,
        "content-type": "application/grpc",
        "te": "trailers",
        "user-agent": "kube-probe/1.36",
    }
    block = b"".join(b"\x00" + _text(name) + _text(value) for name, value in headers.items())
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    body = b"\x00" + struct.pack(">I", len(message)) + message
    return frame(HEADERS, END_HEADERS, 1, block) + frame(DATA, END_STREAM, 1, body)


def _text(value: str) -> bytes:
    """A string literal without Huffman coding; the length has a 7-bit prefix."""
    data = value.encode()
    if len(data) < 127:
        return bytes((len(data),)) + data
    return b"\x7f" + _varint(len(data) - 127) + data


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes((*parts, number))


def serving_status(message: bytes) -> int:
    """Field 1 of HealthCheckResponse; absent means UNKNOWN."""
    return message[1] if len(message) >= 2 and message[0] == 0x08 else 0
