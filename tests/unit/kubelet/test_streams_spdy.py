"""SPDY/3.1, frame by frame, against a client's side that is written out by hand here."""

from __future__ import annotations

import contextlib
import itertools
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graylane.cluster.kubelet.streams import spdy
from graylane.cluster.kubelet.streams.spdy import Codec, Data, Dropped, Frame, Leaving, Opened, Ping, ProtocolError
from graylane.cluster.kubelet.streams.spdywords import DICTIONARY

FIN = 1


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def control(kind: int, body: bytes, flags: int = 0, version: int = 3) -> bytes:
    return (0x8000 | version).to_bytes(2, "big") + kind.to_bytes(2, "big") + number(flags << 24 | len(body)) + body


class Client:
    """What a client writes; its header blocks share one compression state."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def block(self, headers: dict[str, str]) -> bytes:
        plain = number(len(headers))
        for word in (word.encode() for pair in headers.items() for word in pair):
            plain += number(len(word)) + word
        return self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def open(self, stream: int, headers: dict[str, str], flags: int = 0) -> bytes:
        return control(1, number(stream) + number(0) + b"\0\0" + self.block(headers), flags)


ERROR = {"streamtype": "error", "port": "8080", "requestid": "0"}
DATA = {**ERROR, "streamtype": "data"}


def test_the_dictionary_is_the_one_of_spdy_3() -> None:
    assert len(DICTIONARY) == 1423
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2  # every header block of SPDY/3 begins 78 bb e3 c6 a7 c2


def conversation() -> tuple[bytes, list[Frame]]:
    client = Client()
    sent = [
        control(4, number(1) + number(4) + number(100)),  # SETTINGS
        client.open(1, ERROR),
        number(1) + number(FIN << 24),
        client.open(3, DATA),
        number(3) + number(5) + b"hello",
        control(6, number(7)),
        control(9, number(3) + number(1000)),  # WINDOW_UPDATE
        control(8, number(3) + client.block({"more": "headers"})),
        client.open(5, DATA, flags=FIN),
        control(3, number(3) + number(5)),
        control(7, number(3) + number(0)),
    ]
    frames: list[Frame] = [
        Opened(1, ERROR),
        Data(1, b"", fin=True),
        Opened(3, DATA),
        Data(3, b"hello"),
        Ping(7),
        Opened(5, DATA, fin=True),
        Dropped(3),
        Leaving(),
    ]
    return b"".join(sent), frames


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=20))
def test_frames_are_read_however_the_bytes_are_cut(cuts: list[int]) -> None:
    sent, expected = conversation()
    codec, places = Codec(), sorted({0, *cuts, len(sent)})
    found = [frame for start, end in itertools.pairwise(places) for frame in codec.receive(sent[start:end])]
    assert found == expected


def test_what_is_written_is_read_by_a_client() -> None:
    codec, inflate = Codec(), zlib.decompressobj(zdict=DICTIONARY)
    for stream in (1, 3):  # the second block depends on the first
        frame = codec.reply(stream)
        assert frame[:4] == bytes.fromhex("80030002")
        assert int.from_bytes(frame[5:8], "big") == len(frame) - 8
        assert frame[8:12] == number(stream)
        assert inflate.decompress(frame[12:]) == number(0)
    assert spdy.data(3, b"hello", fin=True) == number(3) + b"\1\0\0\5hello"
    assert spdy.reset(3, spdy.Reset.CANCEL) == bytes.fromhex("8003000300000008 00000003 00000005".replace(" ", ""))
    assert spdy.ping(9) == bytes.fromhex("8003000600000004 00000009".replace(" ", ""))


@pytest.mark.parametrize(
    "sent",
    [
        control(1, number(1), version=2),
        control(1, number(1)),
        control(1, number(1) + number(0) + b"\0\0" + b"not compressed"),
        control(4, b"x" * 70_000),
        Client().open(1, {"x": "y" * 100_000}),
        b"\xff" * 8,
    ],
)
def test_what_is_not_spdy_ends_the_connection(sent: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(Codec().receive(sent))


def test_headers_that_promise_more_than_they_hold_are_refused() -> None:
    client = Client()
    lying = client._deflate.compress(number(1) + number(50) + b"short") + client._deflate.flush(zlib.Z_SYNC_FLUSH)
    with pytest.raises(ProtocolError, match="cut short"):
        list(Codec().receive(control(1, number(1) + number(0) + b"\0\0" + lying)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_are_too_strange_to_be_refused_or_read(sent: bytes) -> None:
    codec = Codec()
    with contextlib.suppress(ProtocolError):
        list(codec.receive(sent))
