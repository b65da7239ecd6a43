"""What is said in one Envoy's ADS conversation, and what there is to report of it.

Pure. In: nothing. Out: nouns.
"""

from __future__ import annotations

from dataclasses import dataclass

from graylane.mesh.snapshot import Resource, Type


@dataclass(frozen=True, slots=True)
class Request:
    """`nonce` is that of the response it answers, "" for the first of its type; `error` is why that was refused.

    `version` is of the last response of this type that was taken, on an earlier stream too.
    """

    type: Type
    names: frozenset[str] = frozenset()
    nonce: str = ""
    error: str | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """`nonce` is, as istiod's, the push it belongs to (`EPOCH/SERIAL`) and 36 characters that occur once."""

    type: Type
    version: str
    nonce: str
    resources: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class Live:
    """Everything of the snapshot `serial` has been acknowledged, except what was reported as refused."""

    serial: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Envoy does not take `resource`; it goes on with the one it had, `instead`, if any."""

    resource: Resource
    instead: Resource | None
    reason: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """Envoy took `resource` after all, which it had refused before."""

    resource: Resource


Report = Live | Refused | Accepted
