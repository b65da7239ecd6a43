"""What an object asks for that this mesh does not do, whatever else there is: told at admission and in its status.

Pure. In: an object as read. Out: the paths of fields, and the values of fields that are otherwise acted on.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.chain import hosts
from graylane.mesh.compile.gateways import bound, speech_of
from graylane.mesh.compile.policy import every
from graylane.mesh.entries import addresses_of
from graylane.mesh.fields import SHAPES
from graylane.mesh.findings import Finding, for_gateways, one_locality, unknown_fields
from graylane.mesh.inputs import Config, DestinationRule, Gateway, Server, ServiceEntry, VirtualService, WorkloadEntry


def refusals(config: Config) -> tuple[str, ...]:
    """Each once, in the order of the object."""
    shape = SHAPES[config.source.kind]
    return tuple(dict.fromkeys((*unknown_fields(config.spec, shape, "spec"), *_values(config))))


def reservations(config: Config) -> Iterator[Finding]:
    """What holds for some only, or comes to nothing."""
    if isinstance(config, DestinationRule):
        named = any(block.get("credentialName") for block in every("tls", config.spec))
        yield from [for_gateways("tls.credentialName")] if named and not config.selector else []
    elif isinstance(config, VirtualService):
        away = any((rule.get("retries") or {}).get("retryRemoteLocalities") for rule in config.http)
        yield from [one_locality("spec.http[].retries.retryRemoteLocalities")] if away else []


def _values(config: Config) -> Iterator[str]:
    if isinstance(config, VirtualService):
        yield from _claims(config)
    elif isinstance(config, Gateway):
        for server in config.servers:
            yield from _of_server(server)
    elif isinstance(config, ServiceEntry):
        yield from _of_entry(config)
    elif isinstance(config, WorkloadEntry) and not hosts.is_address(config.address):
        yield f"spec.address {config.address!r}, which is no IP address,"


def _claims(service: VirtualService) -> Iterator[str]:
    """Matches of a token's claims, which are written like headers; nobody here looks at tokens."""
    for rule in service.http:
        for match in rule.get("match") or ():
            for field in ("headers", "withoutHeaders"):
                names = (name for name in match.get(field) or () if name.startswith("@request.auth."))
                yield from (f"spec.http[].match[].{field}[{name}]" for name in names)


def _of_server(server: Server) -> Iterator[str]:
    if speech_of(server) is None:
        yield spoken(server)
    if bound(server) is None:
        yield f"spec.servers[].bind {server.bind} (neither the pod's own address nor one of this machine's loopback)"


def spoken(server: Server) -> str:
    mode = f" with tls.mode {server.mode}" if server.mode else ""
    return f"spec.servers[].port.protocol {server.protocol}{mode}"


def _of_entry(entry: ServiceEntry) -> Iterator[str]:
    resolution = str(entry.spec.get("resolution") or "NONE")
    if entry.spec.get("workloadSelector") and resolution != "STATIC":
        yield f"spec.workloadSelector with resolution {resolution}"
    for index, address in enumerate(map(str, entry.spec.get("addresses") or ())):
        if not addresses_of(address):
            yield f"spec.addresses[{index}] {address} (neither an address nor a network of at most 256)"
