"""The cluster's DNS: what a name of a Service or of a pod behind one stands for.

Pure. In: Services, EndpointSlices, a query's bytes. Out: the zone, the answer's bytes. Names and records are those of
Kubernetes' DNS specification 1.1.0: `svc.ns.svc.domain`, `_port._protocol.svc.ns.svc.domain`, `host.svc.ns.svc.domain`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from graylane.model.meta import Key, Obj, dig, key_of, labels_of, namespace_of

_TTL = 5  # seconds, as CoreDNS has it for Kubernetes' names
_IN = dns.rdataclass.IN
_SMALLEST_UDP = 512
SERVICE_LABEL = "kubernetes.io/service-name"

Record = tuple[dns.rdatatype.RdataType, str]


@dataclass(slots=True)
class Zone:
    """Records by lower-case name with its final dot; a name without records of its own may be above others."""

    domain: str
    records: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    _above: set[str] = field(default_factory=set)

    def add(self, name: str, type: dns.rdatatype.RdataType, value: str) -> None:
        self.records[name.lower()].append((type, value))
        parts = name.lower().split(".")
        self._above.update(".".join(parts[start:]) for start in range(1, len(parts) - 1))

    def exists(self, name: str) -> bool:
        return name in self.records or name in self._above


def read_zone(domain: str, records: Iterable[tuple[str, int, str]]) -> Zone:
    """What `written` wrote."""
    zone = Zone(domain)
    for name, type, value in records:
        zone.add(name, dns.rdatatype.RdataType(type), value)
    return zone


def written(zone: Zone) -> tuple[str, list[tuple[str, int, str]]]:
    """As JSON can have it."""
    return zone.domain, [(name, int(type), value) for name, found in zone.records.items() for type, value in found]


def zone_of(services: Iterable[Obj], slices: Iterable[Obj], domain: str) -> Zone:
    zone = Zone(f"{domain}.")
    behind: dict[Key, list[Obj]] = defaultdict(list)
    for each in slices:
        behind[Key(namespace_of(each), labels_of(each).get(SERVICE_LABEL, ""))].append(each)
    for service in services:
        key = key_of(service)
        _add_service(zone, f"{key.name}.{key.namespace}.svc.{zone.domain}", service, behind[key])
    return zone


def _add_service(zone: Zone, name: str, service: Obj, slices: list[Obj]) -> None:
    address = str(dig(service, "spec", "clusterIP", default=""))
    if dig(service, "spec", "type") == "ExternalName":
        zone.add(name, dns.rdatatype.CNAME, f"{str(dig(service, 'spec', 'externalName')).rstrip('.')}.")
    elif address == "None":
        _add_pods(zone, name, service, slices)
    elif address:
        zone.add(name, dns.rdatatype.A, address)
        for port in dig(service, "spec", "ports", default=()):
            _add_port(zone, name, port, name)


def _add_pods(zone: Zone, name: str, service: Obj, slices: list[Obj]) -> None:
    unready = bool(dig(service, "spec", "publishNotReadyAddresses"))
    for each in slices:
        for endpoint in each.get("endpoints") or ():
            if not unready and dig(endpoint, "conditions", "ready") is False:
                continue
            for address in endpoint.get("addresses") or ():
                own = f"{endpoint.get('hostname') or address.replace('.', '-')}.{name}"
                zone.add(name, dns.rdatatype.A, address)
                zone.add(own, dns.rdatatype.A, address)
                for port in each.get("ports") or ():
                    _add_port(zone, name, port, own)


def _add_port(zone: Zone, name: str, port: Obj, target: str) -> None:
    if port.get("name"):
        protocol = str(port.get("protocol") or "TCP").lower()
        zone.add(f"_{port['name']}._{protocol}.{name}", dns.rdatatype.SRV, f"0 100 {port['port']} {target}")


def answer(zone: Zone, query: bytes, *, datagram: bool) -> bytes | None:
    """The response to one query; None to what is no DNS message, as any reply would invite a loop.

    Names elsewhere do not exist: nothing outside can be reached from a pod's network except through its proxy, which
    resolves them itself. A truncated answer (`datagram`) makes the resolver ask again over TCP.
    """
    try:
        question = dns.message.from_wire(query)
    except dns.exception.DNSException:
        return None
    if question.flags & dns.flags.QR or not question.question:
        return None
    response = dns.message.make_response(question, recursion_available=True)
    if question.opcode() != 0:
        response.set_rcode(dns.rcode.NOTIMP)
    else:
        response.flags |= dns.flags.AA
        _fill(response, zone, question.question[0])
    size = max(question.payload, _SMALLEST_UDP) if datagram else 65535
    try:
        return response.to_wire(max_size=size)
    except dns.exception.TooBig:
        response.answer.clear()
        response.flags |= dns.flags.TC
        return response.to_wire()


def _fill(response: dns.message.Message, zone: Zone, asked: dns.rrset.RRset) -> None:
    name = asked.name.to_text().lower()
    if asked.rdclass != _IN or not zone.exists(name):
        response.set_rcode(dns.rcode.NXDOMAIN)
        return
    for owner, found in _followed(zone, name, asked.rdtype):
        response.answer.append(dns.rrset.from_text_list(owner, _TTL, _IN, found[0][0], [text for _, text in found]))


def _followed(zone: Zone, name: str, wanted: dns.rdatatype.RdataType) -> Iterator[tuple[dns.name.Name, list[Record]]]:
    """The records asked for, behind the alias that leads to them if there is one."""
    for _ in range(8):  # an alias of an alias, but no circle
        records = zone.records.get(name, [])
        aliases = [each for each in records if each[0] == dns.rdatatype.CNAME]
        found = [each for each in records if wanted in (each[0], dns.rdatatype.ANY)]
        if found:
            yield dns.name.from_text(name), list(dict.fromkeys(found))
        if found or not aliases:
            return
        yield dns.name.from_text(name), aliases[:1]
        name = aliases[0][1].lower()
