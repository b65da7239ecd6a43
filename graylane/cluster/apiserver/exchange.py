"""One request and its answer, free of any HTTP library, so that the whole API can be driven in process.

Pure. In: method, path, query, headers, body. Out: `Reply` (whole) or `Stream` (chunk by chunk).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from graylane.errors import BadRequest

JSON = "application/json"
SEPARATOR = "\n"  # between the values of a header that was sent several times: no value can contain it


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. Members of `system:masters` may do everything. `extra` is what the credential says besides."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def info(self) -> dict[str, Any]:
        """As `UserInfo` of authentication.k8s.io/v1, in reviews and in questions to webhooks."""
        extra = {key: list(values) for key, values in self.extra}
        info = {"username": self.name, "uid": self.uid, "groups": list(self.groups), "extra": extra}
        return {name: value for name, value in info.items() if value}


@dataclass(frozen=True, slots=True)
class Query:
    """The query string; a repeated parameter keeps all its values."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        found = self.values.get(name)
        return found[0] if found else default

    def all(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())

    def flag(self, name: str, default: bool = False) -> bool:
        """Whatever is said means yes, but for `false` and `0`: so Kubernetes reads query parameters."""
        found = self.values.get(name)
        return default if not found else found[0].lower() not in ("false", "0")

    def number(self, name: str) -> int | None:
        text = self.text(name)
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


@dataclass(frozen=True, slots=True)
class Request:
    """`headers` has lower-case names; an Impersonate header that came several times has its values joined by
    `SEPARATOR`. `path` is already unquoted segment by segment where it matters."""

    method: str
    path: str
    query: Query = field(default_factory=Query)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def json(value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
        return Reply(status, orjson.dumps(value), JSON, headers)


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that goes on: a watch, or logs that are followed. The iterator may raise `CutOff`."""

    chunks: AsyncIterator[bytes]
    content_type: str = JSON
    status: int = 200


class CutOff(Exception):
    """Drop the connection without a proper end: the reader was too slow and must not take the stream for complete."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The connection becomes a WebSocket that speaks `protocol` ("": none named), joined with `peer`, a node's."""

    protocol: str
    peer: Any


Answer = Reply | Stream | Upgrade
