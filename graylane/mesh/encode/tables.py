"""Route tables as Envoy `RouteConfiguration`s, whole or in parts.

Pure. In: `RouteTable`. Out: `Resource`s. Virtual hosts are serialized one by one and joined: serialized messages
may be concatenated by protobuf's own rule, so a change of one host costs one host.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from graylane.mesh.encode import observe, routes, shards
from graylane.mesh.encode.protos import route_components_pb2, route_pb2
from graylane.mesh.filters import apply
from graylane.mesh.filters.patches import Patch
from graylane.mesh.inputs import Source
from graylane.mesh.memo import Memo
from graylane.mesh.snapshot import Part, Resource, Type, of_parts, part, resource
from graylane.mesh.table import RouteTable, VirtualHost

_LARGEST_DIRECT_BODY = 1 << 20


def table(
    found: RouteTable, told: observe.Told | None, patches: Sequence[Patch], memo: Memo, *, signed: bool = True
) -> Resource:
    """`told` are headers the ledger is told of besides those the table's rules look at; None where there is none.

    `signed`: each route says in its metadata which object it is of. Only an EnvoyFilter can look there, and it costs
    Envoy a fifth of the time a table takes.
    """
    if patches:
        message = _patched(found, told, patches, memo, signed)
        return resource(Type.ROUTES, found.name, message, found.sources | _owners(patches))
    head = _head(found, told, memo, patched=False)
    parts = [part(head), *memo.each(("hosts", signed), found.hosts, partial(_part, signed, memo))]
    return of_parts(Type.ROUTES, found.name, parts, found.sources)


def sharded(
    found: RouteTable, told: observe.Told | None, patches: Sequence[Patch], memo: Memo, *, signed: bool = True
) -> list[Resource]:
    """The same in parts. One of which nothing changed is the same `Resource` as last time."""
    if patches:
        head = _patched(found, told, patches, memo, signed)
        known = {host.name: host.sources for host in found.hosts}
        sources = [known.get(host.name, frozenset()) for host in head.virtual_hosts]
        spread = [_shares(host) for host in head.virtual_hosts]
        head.ClearField("virtual_hosts")
    else:
        head = _head(found, told, memo, patched=False)
        sources = [host.sources for host in found.hosts]
        spread = memo.each(("shares", signed), found.hosts, partial(_shares_of, signed, memo))
    head.request_headers_to_remove.append(shards.HEADER)
    common = found.sources.difference(*sources) | _owners(patches)
    made: list[Resource] = []
    for key, (parts, owners) in _sorted_out(spread, sources).items():
        head.name = shards.name_of(found.name, key)
        build = partial(_as_last_time, head.name, [part(head), *parts], [common, *owners])
        made.append(memo.renew(head.name, build).made)
    return made


Shares = tuple[tuple[str, Part], ...]
Owners = list[frozenset[Source]]


def _sorted_out(spread: Iterable[Shares], sources: Owners) -> dict[str, tuple[list[Part], Owners]]:
    found: dict[str, tuple[list[Part], Owners]] = {key: ([], []) for key in shards.KEYS}
    for shares, owners in zip(spread, sources, strict=True):
        for key, each in shares:
            parts, all_owners = found[key]
            parts.append(each)
            all_owners.append(owners)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    parts: list[Part]
    owners: Owners
    made: Resource


def _as_last_time(name: str, parts: list[Part], owners: Owners, last: _Made | None) -> _Made:
    if last is not None and last.parts == parts and last.owners == owners:
        return last
    return _Made(parts, owners, of_parts(Type.ROUTES, name, parts, frozenset[Source]().union(*owners)))


def _shares_of(signed: bool, memo: Memo, host: VirtualHost) -> Shares:
    message = route_components_pb2.VirtualHost()
    routes.virtual_host(message, host, memo, signed=signed)
    return _shares(message)


def _shares(host: Any) -> Shares:
    """What each part has of a virtual host; those that have the same of it share it."""
    written: dict[tuple[str, ...], Part] = {}
    spread = shards.spread(host.domains)
    for domains in dict.fromkeys(spread.values()):
        one = route_pb2.RouteConfiguration()
        each = one.virtual_hosts.add()
        each.CopyFrom(host)
        del each.domains[:]
        each.domains.extend(domains)
        written[domains] = part(one)
    return tuple((key, written[domains]) for key, domains in spread.items())


def _owners(patches: Sequence[Patch]) -> frozenset[Source]:
    return frozenset(patch.owner.source for patch in patches)


def _patched(found: RouteTable, told: observe.Told | None, patches: Sequence[Patch], memo: Memo, signed: bool) -> Any:
    parts = [part(_head(found, told, memo, patched=True))]
    parts += memo.each(("hosts", signed), found.hosts, partial(_part, signed, memo))
    message = route_pb2.RouteConfiguration.FromString(b"".join(each.body for each in parts))
    apply.routes(message, patches, found.names, found.port)
    message.name = found.name
    return message


def _head(found: RouteTable, told: observe.Told | None, memo: Memo, *, patched: bool) -> Any:
    head = route_pb2.RouteConfiguration(name=found.name)
    head.validate_clusters.value = False  # a route may name what does not exist (yet): 503 for it, not refusal of all
    head.max_direct_response_body_size_bytes.value = _LARGEST_DIRECT_BODY
    head.ignore_port_in_host_matching = found.ignore_port
    if told is not None and (names := observe.read_headers(found.hosts, told, memo, patched=patched)):
        head.typed_per_filter_config[observe.FILTER].CopyFrom(observe.per_table(names))
    return head


def _part(signed: bool, memo: Memo, host: VirtualHost) -> Part:
    message = route_pb2.RouteConfiguration()
    routes.virtual_host(message.virtual_hosts.add(), host, memo, signed=signed)
    return part(message)


def empty_table(name: str) -> Resource:
    """Stands in for a table Envoy has none of."""
    return table(RouteTable(name, (name, "", ""), (), frozenset()), None, (), Memo())
