"""ServiceEntries and WorkloadEntries decoded into the nouns of `inputs`, as `read` decodes all other objects.

Pure. In: objects as the API gives them. Out: nouns; odd values are read as absent.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

from graylane.chain import hosts
from graylane.mesh.inputs import (
    Endpoint,
    Endpoints,
    Resolution,
    Service,
    ServiceEntry,
    ServicePort,
    WorkloadEntry,
)
from graylane.mesh.numbers import natural
from graylane.mesh.read import PROTOCOLS, config_of, protocol_of
from graylane.model.meta import Obj, dig

_RESOLUTIONS = {each.value: each for each in Resolution}


def service_entry(obj: Obj) -> ServiceEntry:
    config = config_of(obj, "ServiceEntry")
    spec = config["spec"]
    named = (str(host).lower() for host in spec.get("hosts") or ())
    return ServiceEntry(**config, services=tuple(_entry_service(host, config) for host in dict.fromkeys(named)))


def _entry_service(host: str, config: dict[str, Any]) -> Service:
    spec, source = config["spec"], config["source"]
    ports = [port for port in spec.get("ports") or () if port.get("number")]
    found = _RESOLUTIONS.get(str(spec.get("resolution")), Resolution.NONE)
    selector = dig(spec, "workloadSelector", "labels") or {}
    listed = Endpoints(_entry_endpoints(host, found, ports, spec.get("endpoints") or ()))
    return Service(
        namespace=source.namespace,
        name=host,
        host=host,
        ports=tuple(_entry_port(port) for port in ports),
        addresses=tuple(address for each in spec.get("addresses") or () for address in addresses_of(str(each))),
        selector=selector,
        headless=False,
        export_to=config["export_to"],
        resolution=found,
        entry=source,
        listed=None if selector and found is Resolution.STATIC else listed,
        subject_names=tuple(map(str, spec.get("subjectAltNames") or ())),
    )


_MOST_ADDRESSES = 256


def addresses_of(written: str) -> tuple[str, ...]:
    """An address, or all of a small network: a proxy that is asked by name knows each by its name. () for others."""
    if hosts.is_address(written):
        return (written,)
    try:
        network = ip_network(written, strict=False)
    except ValueError:
        return ()
    return tuple(map(str, network)) if network.num_addresses <= _MOST_ADDRESSES else ()


def workload_entry(obj: Obj) -> WorkloadEntry:
    config = config_of(obj, "WorkloadEntry")
    spec = config["spec"]
    return WorkloadEntry(
        **config,
        address=str(spec.get("address") or ""),
        ports={str(name): natural(number) for name, number in (spec.get("ports") or {}).items()},
        labels={str(name): str(value) for name, value in (spec.get("labels") or {}).items()},
        weight=max(natural(spec.get("weight") or 1), 1),
    )


def _entry_port(port: Obj) -> ServicePort:
    told = str(port.get("protocol") or "").lower()
    number = natural(port["number"])
    protocol = PROTOCOLS.get(told) or protocol_of({"name": told, "port": number})
    return ServicePort(str(port.get("name") or ""), number, protocol, natural(port.get("targetPort") or number), 0)


def _entry_endpoints(
    host: str, resolution: Resolution, ports: Iterable[Obj], written: Iterable[Obj]
) -> tuple[Endpoint, ...]:
    """What a name resolves to, where no endpoints are written, is found under the host itself."""
    if resolution.is_dns and not written:
        written = ({"address": host},)
    return tuple(
        Endpoint(
            address=str(entry["address"]),
            ports=tuple(sorted((str(port.get("name") or ""), _entry_number(port, entry)) for port in ports)),
            labels=tuple(sorted((name, str(value)) for name, value in (entry.get("labels") or {}).items())),
            pod="",
            weight=max(natural(entry.get("weight") or 1), 1),
        )
        for entry in written
        if _has_address(entry, resolution)
    )


def _has_address(entry: Obj, resolution: Resolution) -> bool:
    """Envoy refuses a listed endpoint that is no IP address."""
    address = str(entry.get("address") or "")
    return bool(address) and (resolution.is_dns or hosts.is_address(address))


def _entry_number(port: Obj, entry: Obj) -> int:
    return natural((entry.get("ports") or {}).get(port.get("name")) or port.get("targetPort") or port["number"])
