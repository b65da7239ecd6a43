"""Read protobuf's wire format: numbered fields that are integers, fixed words or bytes.

Pure. In: the bytes of one message. Out: (field number, int or bytes) in the order written; `Truncated` when it ends
in the middle of something.
"""

from __future__ import annotations

from collections.abc import Iterator


class Truncated(ValueError):
    """The bytes are not a protobuf message."""


def wire_fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    here, end = 0, len(raw)
    while here < end:
        key, here = _varint(raw, here)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, here = _varint(raw, here)
            yield number, value
        elif kind == 2:
            size, here = _varint(raw, here)
            yield number, _slice(raw, here, size)
            here += size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            yield number, int.from_bytes(_slice(raw, here, size), "little")
            here += size
        else:
            raise Truncated(f"field {number} has the unknown wire type {kind}")


def _slice(raw: bytes, here: int, size: int) -> bytes:
    if here + size > len(raw):
        raise Truncated(f"{size} bytes announced, {len(raw) - here} left")
    return raw[here : here + size]


def _varint(raw: bytes, here: int) -> tuple[int, int]:
    value = shift = 0
    while here < len(raw) and shift < 70:
        byte = raw[here]
        here += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, here
        shift += 7
    raise Truncated("a number has no end")


def text(value: int | bytes) -> str:
    if not isinstance(value, bytes):
        raise Truncated("a text is written as a number")
    return value.decode()
