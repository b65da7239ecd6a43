"""Where connections go that are not routed by their requests: a VirtualService's `tcp` and `tls` rules.

Pure. In: rules as written, who asks. Out: weighted targets, and for `tls` the server names that lead to them.
"""

from __future__ import annotations

from collections.abc import Iterable

from graylane.chain import hosts
from graylane.mesh.compile.directory import Client
from graylane.mesh.compile.routes import names_gateway
from graylane.mesh.inputs import MESH, Block, Protocol, ServicePort, VirtualService, selects
from graylane.mesh.numbers import natural
from graylane.mesh.table import Target


def tcp_targets(service: VirtualService, client: Client, port: int, domain: str) -> tuple[Target, ...]:
    """The first `tcp` rule for this caller and port; () where there is none."""
    for rule in service.tcp:
        matches: Iterable[Block] = rule.get("match") or ({},)
        if any(_meant(match, service, client, port) for match in matches):
            return _targets(service, rule, client, port, domain)
    return ()


def tls_targets(
    service: VirtualService, client: Client, port: int, domain: str
) -> Iterable[tuple[tuple[str, ...], tuple[Target, ...]]]:
    """For each `tls` match for this caller and port: the server names it asks for, and where they lead."""
    for rule in service.tls:
        for match in rule.get("match") or ():
            if _meant(match, service, client, port):
                names = tuple(str(name).lower() for name in match.get("sniHosts") or ())
                yield names, _targets(service, rule, client, port, domain)


def connection_targets(
    service: VirtualService, client: Client, port: ServicePort, host: str, domain: str
) -> tuple[Target, ...]:
    """Where a client's connections to `host` go, whose server name is not looked at but taken to be the host.

    As in Istio `tls` rules are for ports that speak TLS, and those alone for these.
    """
    if port.protocol is not Protocol.TLS:
        return tcp_targets(service, client, port.number, domain)
    for names, targets in tls_targets(service, client, port.number, domain):
        if any(hosts.covers(name, host) for name in names):
            return targets
    return ()


def _meant(match: Block, owner: VirtualService, client: Client, port: int) -> bool:
    """As in Istio, and unlike matches of requests: `gateways` and the caller's conditions hold both, and whoever comes
    to a gateway is a caller that nobody knows."""
    if match.get("port") not in (None, 0, port) or not names_gateway(match, owner, client):
        return False
    known = selects(match.get("sourceLabels"), client.labels)
    known = known and match.get("sourceNamespace") in (None, "", client.namespace)
    return known or MESH not in client.gateways


def _targets(service: VirtualService, rule: Block, client: Client, port: int, domain: str) -> tuple[Target, ...]:
    written = rule.get("route") or ()
    if len(written) > 1:
        written = [entry for entry in written if entry.get("weight")]
    return tuple(_target(service, entry, client, port, domain) for entry in written)


def _target(service: VirtualService, entry: Block, client: Client, port: int, domain: str) -> Target:
    destination = entry.get("destination") or {}
    host = hosts.resolve(str(destination.get("host") or ""), service.namespace, domain)
    number = (destination.get("port") or {}).get("number")
    name, _ = client.cluster(host, str(destination.get("subset") or ""), number, port)
    return Target(name, max(natural(entry.get("weight") or 1), 1))
