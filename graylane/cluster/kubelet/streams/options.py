"""What a client asks of exec, attach and port-forward, as the kubelet's query parameters say it.

Pure. In: a query. Out: frozen options, or `BadRequest` naming the parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from graylane.errors import BadRequest

_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))


class Query(Protocol):
    def getall(self, key: str, default: list[str], /) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """Which streams are wanted. With a terminal there is no stderr: all output is the terminal's."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    terminal: bool = False
    command: tuple[str, ...] = ()

    @classmethod
    def of(cls, query: Query) -> StreamOptions:
        def flag(name: str) -> bool:
            return any(value in _TRUE for value in query.getall(name, []))

        terminal = flag("tty")
        options = cls(
            stdin=flag("input"),
            stdout=flag("output"),
            stderr=flag("error") and not terminal,
            terminal=terminal,
            command=tuple(query.getall("command", [])),
        )
        if not (options.stdin or options.stdout or options.stderr):
            raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
        if any("\0" in word for word in options.command):
            raise BadRequest("command: a word of a command holds no zero byte")
        return options

    def wants(self, stream: str) -> bool:
        return self.stdout if stream == "stdout" else self.stderr


def ports_of(query: Query) -> tuple[int, ...]:
    """`port=80,443&port=8080`; clients that open a stream per connection name none here."""
    words = [word for value in query.getall("port", []) for word in value.split(",") if word]
    return tuple(map(port_number, words))


def port_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise BadRequest(f'port: "{text}" is not a number between 1 and 65535')
    return int(text)


def agreed(offered: Sequence[str], known: Sequence[str]) -> str:
    """The protocol both sides speak that we like best; "" is what a client speaks that names none.

    Raises `BadRequest` naming both lists.
    """
    for protocol in known:
        if protocol in (offered or [""]):
            return protocol
    told = ", ".join(offered) or "no subprotocol"
    raise BadRequest(f"unable to upgrade: the client speaks {told}, this server {', '.join(filter(None, known))}")
