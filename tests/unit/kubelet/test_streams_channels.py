"""The remote-command protocol, message by message, and what a client may ask for."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from graylane.cluster.kubelet.streams.channels import (
    PROTOCOLS,
    V4,
    V5,
    Channel,
    EndOfInput,
    Input,
    Resize,
    Wish,
    decode,
    encode,
    encode_status,
    exited,
    refused,
    succeeded,
)
from graylane.cluster.kubelet.streams.options import StreamOptions, agreed, ports_of
from graylane.errors import BadRequest


@pytest.mark.parametrize(
    ("message", "wish"),
    [
        (b"\0hello", Input(b"hello")),
        (b"\0", None),
        (b"", None),
        (b'\x04{"Width":97,"Height":41}', Resize(41, 97)),
        (b'\x04{"Width":0,"Height":0}', None),
        (b'\x04{"Width":1e9,"Height":41}', None),
        (b'\x04{"Width":70000,"Height":41}', None),
        (b"\x04[]", None),
        (b"\x04{", None),
        (b"\xff\0", EndOfInput()),
        (b"\xff\1", None),
        (b"\1nobody writes there", None),
        (b"\x63what is this", None),
    ],
)
def test_a_message_says_what_its_client_wants(message: bytes, wish: Wish | None) -> None:
    assert decode(message, V5) == wish


def test_only_version_5_knows_the_end_of_input() -> None:
    assert decode(b"\xff\0", V4) is None


@given(st.binary(max_size=64), st.sampled_from(PROTOCOLS))
def test_no_message_is_too_strange_to_be_read(message: bytes, protocol: str) -> None:
    decode(message, protocol)


def test_the_last_message_tells_how_it_went() -> None:
    assert encode(Channel.STDOUT, b"hi") == b"\1hi"
    message = encode_status(exited(3))
    assert message[0] == 3
    status = orjson.loads(message[1:])
    assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert exited(0) == succeeded() == {"metadata": {}, "status": "Success"}
    assert refused("no")["message"] == "no"


def test_options_are_read_as_kubelet_reads_them() -> None:
    query = MultiDict([("command", "sh"), ("command", "-c"), ("command", ""), ("input", "1"), ("output", "true")])
    options = StreamOptions.of(query)
    assert options == StreamOptions(stdin=True, stdout=True, command=("sh", "-c", ""))
    assert options.wants("stdout")
    assert not options.wants("stderr")
    assert not StreamOptions.of(MultiDict(output="1", error="1", tty="1")).stderr


@pytest.mark.parametrize("query", [{}, {"output": "0"}, {"tty": "1"}, {"output": "1", "command": "a\0b"}])
def test_options_without_sense_are_refused(query: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        StreamOptions.of(MultiDict(query))


def test_ports_may_be_given_one_by_one_or_as_a_list() -> None:
    assert ports_of(MultiDict([("port", "80,443"), ("port", "8080")])) == (80, 443, 8080)
    assert ports_of(MultiDict()) == ()
    for wrong in ("0", "65536", "-1", "http", "٣"):
        with pytest.raises(BadRequest, match="is not a number between 1 and 65535"):
            ports_of(MultiDict(port=wrong))


def test_the_best_protocol_that_both_speak_is_chosen() -> None:
    assert agreed(["v4.channel.k8s.io", "v5.channel.k8s.io"], PROTOCOLS) == V5
    assert agreed([V4], PROTOCOLS) == V4
    assert agreed([], (V4, "")) == ""
    for offered in (["channel.k8s.io"], []):
        with pytest.raises(BadRequest, match=r"this server v5\.channel\.k8s\.io, v4\.channel\.k8s\.io"):
            agreed(offered, PROTOCOLS)
