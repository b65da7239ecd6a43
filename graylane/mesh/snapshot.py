"""One complete configuration of Envoy: encoded resources by type, each versioned by its content.

Pure. In: encoded resources. Out: `Snapshot`, and what differs between two. Equal content has equal versions, so whoever
pushes can see what need not be pushed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from graylane.mesh.inputs import Source
from graylane.mesh.memo import Table


class Type(StrEnum):
    """The resource types we serve, by their type URLs."""

    CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
    LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
    ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"

    @property
    def short(self) -> str:
        return {"Cluster": "CDS", "ClusterLoadAssignment": "EDS", "Listener": "LDS", "RouteConfiguration": "RDS"}[
            self.rpartition(".")[2]
        ]

    @property
    def whole(self) -> bool:
        """Whether every response must hold all resources; the others may hold only what changed."""
        return self in (Type.CLUSTER, Type.LISTENER)


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """`body` is the serialized message; `sources` are the object states it was made from.

    `through` is there for endpoints of which some are behind listeners; it has what an Envoy shall be told that has
    some of these. `needs` are the route tables that Envoy is sure to ask for once it has this, although not at once.
    """

    type: Type
    name: str
    version: str
    body: bytes
    sources: frozenset[Source]
    through: Through | None = None
    needs: frozenset[str] = frozenset()


@dataclass(slots=True)
class Through:
    """Endpoints as they are for an Envoy that has these versions of these listeners; `doors` are all there may be."""

    doors: frozenset[str]
    build: Callable[[Mapping[str, str]], Resource]
    _last: tuple[Mapping[str, str], Resource] | None = None

    def given(self, versions: Mapping[str, str]) -> Resource:
        kept = {name: versions[name] for name in self.doors if name in versions}
        if self._last is None or self._last[0] != kept:
            self._last = (kept, self.build(kept))
        return self._last[1]


def resource(type: Type, name: str, message: Any, sources: frozenset[Source] = frozenset()) -> Resource:
    """Deterministic serialization makes equal configurations equal bytes, maps and packed messages included."""
    return of_bytes(type, name, message.SerializeToString(deterministic=True), sources)


def of_bytes(type: Type, name: str, body: bytes, sources: frozenset[Source] = frozenset()) -> Resource:
    return Resource(type, name, blake2b(body, digest_size=8).hexdigest(), body, sources)


@dataclass(frozen=True, slots=True)
class Part:
    """A message whose fields are some of another's. `digest` stands for it when the whole is given its version."""

    body: bytes
    digest: bytes


def part(message: Any) -> Part:
    body = message.SerializeToString(deterministic=True)
    return Part(body, blake2b(body, digest_size=16).digest())


def of_parts(type: Type, name: str, parts: Sequence[Part], sources: frozenset[Source]) -> Resource:
    """Serialized messages may be concatenated, by protobuf's own rule."""
    digest = blake2b(b"".join([each.digest for each in parts]), digest_size=8)
    return Resource(type, name, digest.hexdigest(), b"".join([each.body for each in parts]), sources)


Resources = Mapping[str, Resource]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """`serial` grows from one to the next. `sources` are all object states it was compiled from."""

    serial: int
    resources: Mapping[Type, Resources]
    sources: frozenset[Source] = frozenset()

    def of(self, type: Type) -> Resources:
        return self.resources.get(type, {})


EMPTY = Snapshot(0, {})


def by_name(resources: Iterable[Resource]) -> Table[str, Resource]:
    return Table((each.name, each) for each in resources)


def version_of(resources: Iterable[Resource]) -> str:
    """One text for a set of resources: equal sets, equal text."""
    digest = blake2b(digest_size=8)
    for each in sorted(resources, key=lambda each: each.name):
        digest.update(f"{each.name}={each.version};".encode())
    return digest.hexdigest()


def changed(old: Resources, new: Resources) -> list[Resource]:
    """Those of `new` that `old` lacks or has otherwise."""
    return [each for name, each in new.items() if (before := old.get(name)) is not each and differs(before, each)]


def differs(old: Resource | None, new: Resource) -> bool:
    return old is None or old.version != new.version
