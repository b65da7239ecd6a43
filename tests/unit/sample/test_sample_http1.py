"""HTTP messages arrive in any pieces; each is understood once or refused with the right status."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graylane.sample.http1 import BadMessage, RequestParser, Response, ResponseParser, value_of

GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nMy-Request-Id: canary\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: v\r\n\r\n"
)


def requests_of(data: bytes, cuts: list[int]) -> list[tuple[str, bytes]]:
    parser, seen, here = RequestParser(), [], 0
    for cut in [*sorted(cuts), len(data)]:
        seen += parser.feed(data[here:cut])
        here = max(cut, here)
    return [(request.path, request.body) for request in seen]


@given(st.lists(st.integers(0, len(GET + POST + CHUNKED)), max_size=8))
def test_however_the_bytes_are_cut_the_same_requests_come_out(cuts: list[int]) -> None:
    assert requests_of(GET + POST + CHUNKED, cuts) == [("/a?b=c", b""), ("/", b"hello"), ("/", b"hello")]


def test_header_names_are_lower_case_and_repeated_values_are_joined() -> None:
    (request,) = RequestParser().feed(b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\na:  2 \r\n\r\n")
    assert value_of(request.headers, "a") == "1, 2"


def test_the_absolute_form_has_the_same_path_as_the_origin_form() -> None:
    (request,) = RequestParser().feed(b"GET http://mockb:8000/x HTTP/1.1\r\nHost: mockb:8000\r\n\r\n")
    assert request.path == "/x"


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_a_connection_is_kept_as_its_version_says(head: bytes, keeps: bool) -> None:
    assert RequestParser().feed(head)[0].keep_alive is keeps


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 10_000 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 70_000, 431),
    ],
)
def test_what_is_not_http_is_refused_with_its_status(data: bytes, status: int) -> None:
    with pytest.raises(BadMessage) as refused:
        RequestParser().feed(data)
    assert refused.value.status == status


def test_a_client_that_waits_before_its_body_is_told_to_go_on_once() -> None:
    parser = RequestParser()
    parser.feed(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert parser.take_continue()
    assert not parser.take_continue()
    assert parser.feed(b"ok")[0].body == b"ok"


def response_of(data: bytes, method: str = "GET", *, eof: bool = False) -> Response | None:
    parser = ResponseParser(method)
    return parser.feed(data) or (parser.eof() if eof else None)


def test_a_response_ends_by_length_by_chunks_or_by_closing() -> None:
    by_length = response_of(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    by_chunks = response_of(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    by_close = response_of(b"HTTP/1.1 200 OK\r\n\r\nok", eof=True)
    assert [(r.body, r.keep_alive) for r in (by_length, by_chunks, by_close) if r] == [
        (b"ok", True),
        (b"ok", True),
        (b"ok", False),
    ]


def test_interim_answers_are_passed_over_and_a_head_answer_has_no_body() -> None:
    interim = response_of(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
    head = response_of(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD")
    assert interim is not None
    assert interim.status == 204
    assert head is not None
    assert head.body == b""


def test_a_broken_off_response_is_not_a_response() -> None:
    assert response_of(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", eof=True) is None
