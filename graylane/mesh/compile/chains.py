"""The filter chains of a gateway's port that speaks TLS or plain TCP: which connections go where.

Pure. In: the `World`, `GatewayPort`s of one number. Out: `Chain`s, and findings on servers that cannot be had. A server
name is given once: the first to ask for it has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from graylane.chain import hosts
from graylane.mesh.compile.connections import tcp_targets, tls_targets
from graylane.mesh.compile.gateways import GatewayPort, Speech, client, shared_hosts
from graylane.mesh.compile.world import World
from graylane.mesh.credentials import AUTHORITY_SUFFIX, located
from graylane.mesh.findings import Finding, invalid, not_found
from graylane.mesh.inputs import Block, Credential, Source
from graylane.mesh.table import Target
from graylane.model.meta import Key

_CLIENTS_CERTIFICATE = {"MUTUAL": True, "OPTIONAL_MUTUAL": False}


@dataclass(frozen=True, slots=True, eq=False)
class Termination:
    """TLS that ends at the gateway. `require` None asks clients for no certificate, False takes one if given."""

    server: Credential
    authority: bytes
    require: bool | None
    settings: Block


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """`names` are the server names it is for, () any. A `table` routes requests, `targets` share connections; `label`
    names their statistics.
    """

    names: tuple[str, ...]
    tls: Termination | None
    table: str
    targets: tuple[Target, ...]
    sources: frozenset[Source]
    label: str = ""

    def takes(self, name: str) -> int:
        """How exactly a server name fits: 0 not at all."""
        if not self.names:
            return 1
        fits = (2 if hosts.is_wildcard(each) else 1 << 16 for each in self.names if hosts.covers(each, name))
        return max(fits, default=0)


@dataclass(frozen=True, slots=True, eq=False)
class Chains:
    each: tuple[Chain, ...]
    findings: tuple[tuple[Source, Finding], ...]


def chains(world: World, ports: Sequence[GatewayPort]) -> Chains:
    """`ports` are those of one router that share a number."""
    inputs = world.inputs
    known = (world.virtual_services, world.services, inputs.credentials, inputs.envoy_filters)
    key = ("chains", tuple(ports), known)
    return world.memo.get(key, lambda: _chains(world, ports))


def _chains(world: World, ports: Sequence[GatewayPort]) -> Chains:
    findings: list[tuple[Source, Finding]] = []
    taken: set[str] = set()
    found: list[Chain] = []
    for port in ports:
        for chain in _of_port(world, port, findings):
            names = tuple(name for name in chain.names or ("",) if name not in taken)
            taken.update(names)
            if names:
                label = port.openings[0].server.label
                found.append(replace(chain, names=tuple(filter(None, names)), label=label))
    return Chains(tuple(found), tuple(findings))


def _of_port(world: World, port: GatewayPort, findings: list[tuple[Source, Finding]]) -> Iterable[Chain]:
    opening = port.openings[0]
    tls: Termination | None = None
    if port.speech in (Speech.HTTPS, Speech.TLS):
        terminated = _termination(world, port)
        if isinstance(terminated, Finding):
            findings.append((opening.gateway.source, terminated))
            return
        tls = terminated
    if port.speech is Speech.HTTPS:
        yield Chain(_names(host for _, host in opening.server.hosts), tls, port.table_name, (), port.sources)
    elif port.speech is Speech.PASSTHROUGH:
        yield from _passed_through(world, port)
    else:
        targets, sources = _tcp(world, port)
        if targets:
            yield Chain(_names(host for _, host in opening.server.hosts) if tls else (), tls, "", targets, sources)


def _names(written: Iterable[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(written))
    return () if "*" in names else names


def _tcp(world: World, port: GatewayPort) -> tuple[tuple[Target, ...], frozenset[Source]]:
    opening = port.openings[0]
    caller = client(world, port.proxy, opening.gateway)
    for service in world.bound(port.proxy.namespace, caller.gateways):
        if shared_hosts(opening.server, service):
            targets = tcp_targets(service, caller, opening.server.number, world.domain)
            if targets:
                return targets, port.sources | world.sources(service)
    return (), port.sources


def _passed_through(world: World, port: GatewayPort) -> Iterable[Chain]:
    opening = port.openings[0]
    caller = client(world, port.proxy, opening.gateway)
    for service in world.bound(port.proxy.namespace, caller.gateways):
        if shared_hosts(opening.server, service):
            for names, targets in tls_targets(service, caller, opening.server.number, world.domain):
                if names and targets:
                    yield Chain(_names(names), None, "", targets, port.sources | world.sources(service))


def _termination(world: World, port: GatewayPort) -> Termination | Finding:
    """Secrets are looked for next to the gateway's pod, as in Istio, not next to the Gateway."""
    written, mode = port.openings[0].server.tls, port.openings[0].server.mode
    name = str(written.get("credentialName") or "")
    if not name:
        return invalid("spec.servers[].tls.credentialName is missing; certificates in files are not acted on")
    credentials = world.inputs.credentials
    key = located(name, port.proxy.namespace)
    if key.namespace != port.proxy.namespace and not port.openings[0].gateway.translated:
        return invalid(
            f"credentialName {name} may only name another namespace in what the Gateway API's objects became"
        )
    found = credentials.get(key)
    if found is None or not found.certificate:
        return not_found("credentialName", str(key))
    authority = found
    if mode in _CLIENTS_CERTIFICATE and not found.authority:
        beside = credentials.get(Key(key.namespace, key.name + AUTHORITY_SUFFIX))
        if beside is None:
            return not_found("CA certificate (ca.crt, or a Secret beside it)", f"{key}{AUTHORITY_SUFFIX}")
        authority = beside
    for secret in (found, authority):
        if secret.fault:
            return invalid(f"Secret {secret.key} cannot be used: {secret.fault}")
    return Termination(found, authority.authority, _CLIENTS_CERTIFICATE.get(mode), written)
