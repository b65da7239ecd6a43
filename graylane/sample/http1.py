"""HTTP/1.0 and 1.1 messages, parsed from whatever pieces the network delivers.

Pure. In: bytes as they arrive. Out: whole `Request`s or one `Response`, or `BadMessage` with the status a server owes.

Only the standard library: the sample service starts with `python -S`, in a tenth of a second, without site-packages.
Rules are RFC 9112's; where it lets a recipient choose, we refuse (two lengths, folded headers, a bare LF), because a
message that two parties frame differently is how requests get smuggled past a proxy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

MAX_HEAD = 64 * 1024
MAX_HEADERS = 1000
MAX_BODY = 8 * 1024 * 1024

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_REQUEST_LINE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP/(\d)\.(\d)\Z")
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-5]\d\d)(?: (.*))?\Z")
_FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

Headers = tuple[tuple[str, str], ...]
Until = Literal["length", "chunked", "close"]


class BadMessage(Exception):
    """What arrived is not HTTP as we speak it; `status` is the answer a server gives."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """Header names are lower case, in the order received."""

    method: str
    target: str
    minor: int
    headers: Headers
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path with its query, also when the client sent the absolute form."""
        scheme, separator, rest = self.target.partition("://")
        if not separator or "/" in scheme:
            return self.target
        return "/" + rest.partition("/")[2]

    @property
    def keep_alive(self) -> bool:
        return _keep_alive(self.minor, self.headers)


@dataclass(frozen=True, slots=True)
class Response:
    """`keep_alive` says whether the connection it came on may carry another request."""

    status: int
    headers: Headers
    body: bytes
    keep_alive: bool


def value_of(headers: Headers, name: str) -> str | None:
    """All values of `name` joined with a comma; None when absent."""
    values = [value for key, value in headers if key == name]
    return ", ".join(values) if values else None


class RequestParser:
    """One per connection. `feed` returns every request completed by the new bytes, in order."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: Request | None = None
        self._body: _Body | None = None
        self._continued = False

    def take_continue(self) -> bool:
        """Whether to say `100 Continue` now: the client holds its body back until then (curl does, above 1 MiB)."""
        head = self._head
        asked = head is not None and head.minor == 1 and value_of(head.headers, "expect") == "100-continue"
        due, self._continued = asked and not self._continued, asked
        return due

    def feed(self, data: bytes) -> list[Request]:
        self._buffer += data
        done: list[Request] = []
        while (request := self._next()) is not None:
            done.append(request)
        return done

    def _next(self) -> Request | None:
        if self._body is None:
            lines = _take_head(self._buffer)
            if lines is None:
                return None
            self._head = _request_head(lines)
            self._body = _Body(*_request_framing(self._head))
        if not self._body.take(self._buffer):
            return None
        head, body = self._head, bytes(self._body.content)
        self._head = self._body = None
        assert head is not None
        return Request(head.method, head.target, head.minor, head.headers, body) if body else head


class ResponseParser:
    """One per request sent. `feed` and `eof` return the response once it is whole."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._buffer = bytearray()
        self._head: tuple[int, int, Headers] | None = None
        self._body: _Body | None = None

    @property
    def started(self) -> bool:
        """Whether anything was received; until then a request may be repeated on another connection."""
        return bool(self._buffer) or self._head is not None

    def feed(self, data: bytes) -> Response | None:
        self._buffer += data
        while self._body is None:
            lines = _take_head(self._buffer)
            if lines is None:
                return None
            head = _response_head(lines)
            if head[1] >= 200:  # 1xx are interim: the final answer follows
                self._head = head
                self._body = _Body(*_response_framing(self._method, head[1], head[2]))
        return self._finish() if self._body.take(self._buffer) else None

    def eof(self) -> Response | None:
        """The peer closed: that ends a body without a length and breaks off any other."""
        if self._body is None or self._body.until != "close":
            return None
        return self._finish()

    def _finish(self) -> Response:
        assert self._head is not None
        assert self._body is not None
        minor, status, headers = self._head
        reusable = self._body.until != "close" and not self._buffer and _keep_alive(minor, headers)
        return Response(status, headers, bytes(self._body.content), reusable)


class _Body:
    """Collects one body out of a shared buffer."""

    def __init__(self, until: Until, length: int = 0) -> None:
        self.until = until
        self.content = bytearray()
        self._missing = length
        self._within: Literal["size", "data", "end", "trailer"] = "size"

    def take(self, buffer: bytearray) -> bool:
        """Move what belongs to this body out of `buffer`; True when the body is whole."""
        if self.until == "chunked":
            return self._take_chunks(buffer)
        wanted = self._missing if self.until == "length" else len(buffer)
        self._move(buffer, wanted)
        return self.until == "length" and self._missing == 0

    def _move(self, buffer: bytearray, wanted: int) -> None:
        piece = buffer[:wanted]
        if len(self.content) + len(piece) > MAX_BODY:
            raise BadMessage(413, f"a body may have at most {MAX_BODY} bytes")
        self.content += piece
        self._missing -= len(piece)
        del buffer[: len(piece)]

    def _take_chunks(self, buffer: bytearray) -> bool:
        while True:
            if self._within == "data":
                self._move(buffer, self._missing)
                if self._missing:
                    return False
                self._within = "end"
            line = _take_line(buffer)
            if line is None:
                return False
            if self._within == "size":
                self._missing = _chunk_size(line)
                self._within = "data" if self._missing else "trailer"
            elif self._within == "end":
                if line:
                    raise BadMessage(400, "a chunk is longer than its size line says")
                self._within = "size"
            elif not line:
                return True


def _take_line(buffer: bytearray) -> bytes | None:
    end = buffer.find(b"\r\n")
    if end < 0:
        if len(buffer) > MAX_HEAD:
            raise BadMessage(400, "a chunk's size line is too long")
        return None
    line = bytes(buffer[:end])
    del buffer[: end + 2]
    return line


def _take_head(buffer: bytearray) -> list[str] | None:
    while buffer[:2] == b"\r\n":  # RFC 9112 §2.2: tolerate empty lines ahead of a request
        del buffer[:2]
    end = buffer.find(b"\r\n\r\n")
    if end > MAX_HEAD or (end < 0 and len(buffer) > MAX_HEAD):
        raise BadMessage(431, f"the header section may have at most {MAX_HEAD} bytes")
    if end < 0:
        return None
    text = buffer[:end].decode("latin-1")
    del buffer[: end + 4]
    return text.split("\r\n")


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", digits):
        raise BadMessage(400, f"not a chunk size: {line[:40]!r}")
    return int(digits, 16)


def _request_head(lines: list[str]) -> Request:
    found = _REQUEST_LINE.match(lines[0])
    if not found:
        raise BadMessage(400, f"not a request line: {lines[0][:80]!r}")
    method, target, major, minor = found.groups()
    if major != "1":
        raise BadMessage(505, f"HTTP/{major}.{minor} is not spoken here, only HTTP/1.x")
    request = Request(method, target, min(int(minor), 1), _headers(lines[1:]))
    if request.minor == 1 and len([key for key, _ in request.headers if key == "host"]) != 1:
        raise BadMessage(400, "an HTTP/1.1 request has exactly one Host header")
    return request


def _response_head(lines: list[str]) -> tuple[int, int, Headers]:
    found = _STATUS_LINE.match(lines[0])
    if not found:
        raise BadMessage(502, f"not a status line: {lines[0][:80]!r}")
    return int(found[1]), int(found[2]), _headers(lines[1:])


def _headers(lines: list[str]) -> Headers:
    if len(lines) > MAX_HEADERS:
        raise BadMessage(431, f"a message may have at most {MAX_HEADERS} header lines")
    headers: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        if not colon or not _TOKEN.match(name) or _FORBIDDEN_IN_VALUE.search(value):
            raise BadMessage(400, f"not a header line: {line[:80]!r}")
        headers.append((name.lower(), value))
    return tuple(headers)


def _request_framing(head: Request) -> tuple[Until, int]:
    until, length = _framing(head.headers)
    return ("length", 0) if until == "close" else (until, length)


def _response_framing(method: str, status: int, headers: Headers) -> tuple[Until, int]:
    if method == "HEAD" or status in (204, 304):
        return "length", 0
    return _framing(headers)


def _framing(headers: Headers) -> tuple[Until, int]:
    coding = value_of(headers, "transfer-encoding")
    lengths = {value for key, value in headers if key == "content-length"}
    if coding is not None:
        if lengths:
            raise BadMessage(400, "Transfer-Encoding and Content-Length exclude each other")
        if coding.lower() != "chunked":
            raise BadMessage(501, f"transfer coding {coding!r} is not supported, only chunked")
        return "chunked", 0
    if not lengths:
        return "close", 0
    text = lengths.pop()
    if lengths or not re.fullmatch(r"\d{1,15}", text, re.ASCII):
        raise BadMessage(400, "Content-Length is not one number")
    if int(text) > MAX_BODY:
        raise BadMessage(413, f"a body may have at most {MAX_BODY} bytes")
    return "length", int(text)


def _keep_alive(minor: int, headers: Headers) -> bool:
    options = {option.strip().lower() for option in (value_of(headers, "connection") or "").split(",")}
    return "close" not in options and (minor == 1 or "keep-alive" in options)
