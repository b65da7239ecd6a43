"""VirtualService.

Pure. In: its spec. Out: complaints. HTTP rules are `routes`' to judge.
"""

from __future__ import annotations

from typing import Any

from graylane.chain import hosts
from graylane.chain.validation.checks import (
    Block,
    Report,
    block,
    blocks,
    each_once,
    entries,
    export_to,
    gateway_names,
    host,
    labels,
    port,
    subnets,
)
from graylane.chain.validation.routes import destination, http_rule, weights

MESH = "mesh"


def check(report: Report, spec: Block) -> None:
    names = [str(each) for each in entries(spec.get("hosts"))]
    bound = [str(each) for each in entries(spec.get("gateways"))]
    is_delegate = not names
    _hosts(report, names, bound)
    gateway_names(report, "spec.gateways", bound)
    kinds = [kind for kind in ("http", "tls", "tcp") if entries(spec.get(kind))]
    if not kinds:
        report.error("spec", "http, tcp or tls must be provided in virtual service")
    if is_delegate:
        for field in ("gateways", "tls", "tcp"):
            if spec.get(field):
                report.error(f"spec.{field}", f"a virtual service without hosts is a delegate and must have no {field}")
    at_gateway = any(name != MESH for name in bound)
    for path, rule in blocks(spec.get("http"), "spec.http"):
        http_rule(report, path, rule, is_delegate=is_delegate, at_gateway=at_gateway)
    known = frozenset(names)
    for path, rule in blocks(spec.get("tls"), "spec.tls"):
        _tls_rule(report, path, rule, known)
    for path, rule in blocks(spec.get("tcp"), "spec.tcp"):
        _tcp_rule(report, path, rule)
    export_to(report, "spec.exportTo", spec.get("exportTo"))


def _hosts(report: Report, names: list[str], bound: list[str]) -> None:
    in_mesh = not bound or MESH in bound
    for number, name in enumerate(names):
        path = f"spec.hosts[{number}]"
        if name == "*" and in_mesh:
            report.error(path, "wildcard host * is not allowed for virtual services bound to the mesh gateway")
        elif name != "*":
            host(report, path, name, address=True)
    for name in each_once(names):
        report.error("spec.hosts", f"duplicate host {name}")
    for first, second in _overlapping(names):
        report.error("spec.hosts", f"overlapping hosts in one virtual service: {names[first]} and {names[second]}")


def _overlapping(names: list[str]) -> list[tuple[int, int]]:
    """Places of two names that have one in common. Wildcards are looked up by their text: there may be thousands."""
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    wildcards = {name: place for name, place in places.items() if hosts.is_wildcard(name)}
    found: list[tuple[int, int]] = []
    for name, place in places.items() if wildcards else ():
        wider = {wildcards.get("*" + name[cut:], place) for cut in range(1, len(name) + 1)} - {place}
        found += [(min(place, other), max(place, other)) for other in wider]
    return sorted(found)


def _tls_rule(report: Report, path: str, rule: Block, known: frozenset[str]) -> None:
    matches = list(blocks(rule.get("match"), f"{path}.match"))
    if not matches:
        report.error(path, "TLS match must have at least one SNI host")
    for where, match in matches:
        if not entries(match.get("sniHosts")):
            report.error(f"{where}.sniHosts", "TLS match must have at least one SNI host")
        for name in map(str, entries(match.get("sniHosts"))):
            host(report, f"{where}.sniHosts", name, address=True)
            if not hosts.covered(known, name):
                report.error(f"{where}.sniHosts", f"SNI host {name!r} is not a compatible subset of the hosts")
        _connection(report, where, match)
    _connection_routes(report, path, rule)


def _tcp_rule(report: Report, path: str, rule: Block) -> None:
    for where, match in blocks(rule.get("match"), f"{path}.match"):
        _connection(report, where, match)
    _connection_routes(report, path, rule)


def _connection(report: Report, path: str, match: Block) -> None:
    if match.get("port"):
        port(report, f"{path}.port", match["port"])
    subnets(report, f"{path}.destinationSubnets", match.get("destinationSubnets"))
    labels(report, f"{path}.sourceLabels", match.get("sourceLabels"))
    gateway_names(report, f"{path}.gateways", match.get("gateways"))


def _connection_routes(report: Report, path: str, rule: Block) -> None:
    routes: list[Any] = entries(rule.get("route"))
    if not routes:
        report.error(path, "a route is required")
    for where, entry in blocks(routes, f"{path}.route"):
        destination(report, f"{where}.destination", block(entry.get("destination")))
    weights(report, f"{path}.route", routes)
