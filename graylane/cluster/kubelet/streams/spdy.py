"""SPDY/3.1 as far as port forwarding speaks it: many streams, each with headers, in one sequence of bytes.

Pure. In: bytes of the peer. Out: frames; and bytes to send. Only what a server needs: streams are opened by the client.
There is no flow control: the one client of this protocol, kubectl, announces windows and minds none.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from graylane.cluster.kubelet.streams.spdywords import DICTIONARY

_VERSION = 3
_FIN = 0x01
_LARGEST_CONTROL = 64 * 1024
_LARGEST_HEADERS = 64 * 1024
_MASK = 0x7FFFFFFF


class ProtocolError(Exception):
    """The peer does not speak SPDY/3.1; the connection cannot go on."""


class Kind(IntEnum):
    """Control frames."""

    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    HEADERS = 8
    WINDOW_UPDATE = 9


class Reset(IntEnum):
    """Why a stream is reset."""

    PROTOCOL_ERROR = 1
    REFUSED_STREAM = 3
    CANCEL = 5


@dataclass(frozen=True, slots=True)
class Opened:
    stream: int
    headers: dict[str, str]
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    stream: int
    data: bytes
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """The peer wants no more of this stream, in either direction."""

    stream: int


@dataclass(frozen=True, slots=True)
class Ping:
    id: int


@dataclass(frozen=True, slots=True)
class Leaving:
    """No more streams will be opened."""


Frame = Opened | Data | Dropped | Ping | Leaving


@dataclass(slots=True)
class Codec:
    """One connection's two directions; header blocks share one compression state in each."""

    _rest: bytearray = field(default_factory=bytearray)
    _inflate: zlib._Decompress = field(default_factory=lambda: zlib.decompressobj(zdict=DICTIONARY))
    _deflate: zlib._Compress = field(default_factory=lambda: zlib.compressobj(zdict=DICTIONARY))

    def receive(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes. Raises `ProtocolError`."""
        self._rest += data
        while (size := self._complete()) is not None:
            frame = bytes(self._rest[:size])
            del self._rest[:size]
            if (decoded := self._decode(frame)) is not None:
                yield decoded

    def reply(self, stream: int) -> bytes:
        """Accept a stream that the peer opened."""
        block = self._deflate.compress(_number(0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control(Kind.SYN_REPLY, _number(stream) + block)

    def _complete(self) -> int | None:
        """How long the frame is that begins the buffer, if all of it is there."""
        if len(self._rest) < 8:
            return None
        length = int.from_bytes(self._rest[5:8], "big")
        if self._rest[0] & 0x80:
            if int.from_bytes(self._rest[:2], "big") & 0x7FFF != _VERSION:
                raise ProtocolError("not SPDY/3.1")
            if length > _LARGEST_CONTROL:
                raise ProtocolError(f"a control frame of {length} bytes")
        return 8 + length if len(self._rest) >= 8 + length else None

    def _decode(self, frame: bytes) -> Frame | None:
        head, fin, body = int.from_bytes(frame[:4], "big"), bool(frame[4] & _FIN), frame[8:]
        if not frame[0] & 0x80:
            return Data(head & _MASK, body, fin)
        kind = head & 0xFFFF
        if len(body) < _LEAST.get(kind, 0):
            raise ProtocolError(f"a frame of type {kind} is cut short")
        first = int.from_bytes(body[:4], "big") & _MASK
        match kind:
            case Kind.SYN_STREAM:
                return Opened(first, self._headers(body[10:]), fin)
            case Kind.RST_STREAM:
                return Dropped(first)
            case Kind.PING:
                return Ping(int.from_bytes(body[:4], "big"))
            case Kind.GOAWAY:
                return Leaving()
            case Kind.HEADERS | Kind.SYN_REPLY:
                self._headers(body[4:])  # of no use to us, but the next block is compressed with regard to it
        return None

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(block, _LARGEST_HEADERS)
        except zlib.error as error:
            raise ProtocolError(f"headers cannot be decompressed: {error}") from error
        if self._inflate.unconsumed_tail:
            raise ProtocolError(f"headers of more than {_LARGEST_HEADERS} bytes")
        return dict(_pairs(plain))


_LEAST: dict[int, int] = {
    Kind.SYN_STREAM: 10,
    Kind.SYN_REPLY: 4,
    Kind.RST_STREAM: 8,
    Kind.PING: 4,
    Kind.GOAWAY: 8,
    Kind.HEADERS: 4,
}


def data(stream: int, payload: bytes, *, fin: bool = False) -> bytes:
    return _number(stream) + bytes([_FIN if fin else 0]) + len(payload).to_bytes(3, "big") + payload


def reset(stream: int, why: Reset) -> bytes:
    return _control(Kind.RST_STREAM, _number(stream) + _number(why))


def ping(id: int) -> bytes:
    return _control(Kind.PING, _number(id))


def _control(kind: Kind, body: bytes) -> bytes:
    return _number(0x80000000 | _VERSION << 16 | kind) + b"\0" + len(body).to_bytes(3, "big") + body


def _number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _pairs(block: bytes) -> Iterator[tuple[str, str]]:
    """Names are lower case on the wire."""
    count, at = _word_length(block, 0), 4
    for _ in range(count):
        name, at = _word(block, at)
        value, at = _word(block, at)
        yield name, value


def _word(block: bytes, at: int) -> tuple[str, int]:
    start = at + 4
    end = start + _word_length(block, at)
    if end > len(block):
        raise ProtocolError("a header is cut short")
    return block[start:end].decode("latin-1"), end


def _word_length(block: bytes, at: int) -> int:
    if at + 4 > len(block):
        raise ProtocolError("a header is cut short")
    return int.from_bytes(block[at : at + 4], "big")
