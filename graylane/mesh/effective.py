"""Route tables as Envoy has them: with what EnvoyFilters change of them worked in.

Pure. In: a `Plan`. Out: `Effective` tables. Patches are applied to the very messages Envoy gets, and what comes out is
read back; a route that they leave alone is the one it was, with the rule it comes from. Made when first asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

from graylane.mesh import decode
from graylane.mesh.compile.plan import Plan
from graylane.mesh.decode import Common, Unclear
from graylane.mesh.encode.protos import route_components_pb2, route_pb2
from graylane.mesh.encode.routes import virtual_host
from graylane.mesh.filters import apply
from graylane.mesh.filters.patches import Patch
from graylane.mesh.inputs import Source
from graylane.mesh.table import Route, RouteTable, VirtualHost

_TAG = "graylane"  # a key of a route's metadata, by which it is known again
Patches = tuple[Patch, ...]


@dataclass(frozen=True, slots=True)
class Effective:
    """`by` are the EnvoyFilters that change it. Of the hosts in `unclear`, "" for all, they ask for something that is
    not simulated; the table is as if they did not."""

    table: RouteTable
    by: tuple[Source, ...] = ()
    unclear: frozenset[str] = frozenset()

    def not_understood(self, host: str) -> tuple[Source, ...]:
        return self.by if self.unclear & {"", host} else ()


_KNOWN: WeakKeyDictionary[RouteTable, tuple[Patches, Effective]] = WeakKeyDictionary()


def effective(plan: Plan, name: str) -> Effective:
    table, patches = plan.tables[name], plan.edits.tables.get(name, ())
    if not patches:
        return Effective(table)
    known = _KNOWN.get(table)
    if known is None or known[0] != patches:
        known = _KNOWN[table] = (patches, _effective(table, patches))
    return known[1]


def _effective(table: RouteTable, patches: Patches) -> Effective:
    routes = [route for host in table.hosts for route in host.routes]
    message, before = _written(table), route_pb2.RouteConfiguration()
    before.CopyFrom(message)
    tagged = tuple(_tagged(patch, number) for number, patch in enumerate(patches))
    apply.routes(message, tagged, table.names, table.port)
    reader = _Reader(table, routes, patches)
    hosts = tuple(reader.hosts(message, before))
    ignoring = message.ignore_port_in_host_matching
    found = replace(table, hosts=hosts, ignore_port=ignoring, sources=table.sources.union(reader.sources))
    return Effective(found, reader.sources, frozenset(reader.unclear))


def _written(table: RouteTable) -> Any:
    """The table as Envoy is given it, each route marked with its number."""
    message = route_pb2.RouteConfiguration(name=table.names[0], ignore_port_in_host_matching=table.ignore_port)
    number = 0
    for host in table.hosts:
        written = message.virtual_hosts.add()
        virtual_host(written, host)
        for route in written.routes:
            _mark(route, "route", number)
            number += 1
    return message


def _tagged(patch: Patch, number: int) -> Patch:
    """What a patch brings along is marked with its number; what it merges is not."""
    if patch.operation in ("MERGE", "REMOVE") or patch.target not in ("HTTP_ROUTE", "VIRTUAL_HOST"):
        return patch
    value = type(patch.value)()
    value.CopyFrom(patch.value)
    for route in (value,) if patch.target == "HTTP_ROUTE" else value.routes:
        _mark(route, "patch", number)
    return replace(patch, value=value)


def _mark(route: Any, kind: str, number: int) -> None:
    route.metadata.filter_metadata[_TAG][kind] = number


@dataclass(slots=True)
class _Reader:
    table: RouteTable
    routes: list[Route]
    patches: Patches
    unclear: set[str] = field(default_factory=set)

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(dict.fromkeys(patch.owner.source for patch in self.patches))

    def hosts(self, message: Any, before: Any) -> Iterable[VirtualHost]:
        outer = self._common(message, decode.TABLE, "")
        was = {host.name: each for host, each in zip(before.virtual_hosts, self.table.hosts, strict=True)}
        written = {host.name: host for host in before.virtual_hosts}
        for each in message.virtual_hosts:
            known = was.get(each.name)
            if known is not None and outer == Common() and each == written[each.name]:
                yield known
                continue
            if any(domain.endswith("*") and domain != "*" for domain in each.domains):
                self.unclear.add("")  # nobody else's tables have such domains
            if each.require_tls == route_components_pb2.VirtualHost.EXTERNAL_ONLY:
                self.unclear.add(each.name)
            shared = self._common(each, decode.HOST, each.name).over(outer)
            read = (self._route(found, shared, each.name) for found in each.routes)
            routes = tuple(route for route in read if route is not None)
            yield VirtualHost(
                each.name,
                tuple(each.domains),
                routes,
                known.sources if known else frozenset(self.sources),
                each.require_tls == route_components_pb2.VirtualHost.ALL,
            )

    def _common(self, message: Any, fields: set[str], host: str) -> Common:
        try:
            decode.only(message, fields)
            return decode.common(message)
        except Unclear:
            self.unclear.add(host)
            return Common()

    def _route(self, message: Any, shared: Common, host: str) -> Route | None:
        """None for one that is not understood: the table is then as if it were not there."""
        tag = message.metadata.filter_metadata[_TAG].fields
        was = self.routes[int(tag["route"].number_value)] if "route" in tag else None
        by = self.patches[int(tag["patch"].number_value)] if "patch" in tag else None
        try:
            found = was if was is not None and _same(message, was) else decode.route(message)
        except Unclear:
            self.unclear.add(host)
            return was
        own = Common(found.request, found.response, found.fault, found.cors).over(shared)
        source, place = (was.source, was.place) if was is not None else (None, "")
        if by is not None:
            source, place = by.owner.source, f"configPatches[{by.index}]"
        return replace(
            found,
            request=own.request,
            response=own.response,
            fault=own.fault,
            cors=own.cors,
            source=source,
            place=place,
        )


def _same(message: Any, route: Route) -> bool:
    plain = route_components_pb2.Route()
    plain.CopyFrom(message)
    del plain.metadata.filter_metadata[_TAG]
    if not plain.metadata.filter_metadata:
        plain.ClearField("metadata")
    host = route_components_pb2.VirtualHost()
    virtual_host(host, VirtualHost("", (), (route,)))
    return bool(host.routes[0] == plain)
