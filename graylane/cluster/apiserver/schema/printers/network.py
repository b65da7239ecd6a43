"""How network kinds are printed: Service, Endpoints, EndpointSlice, Ingress and their relatives.

Pure. In: objects and now. Out: cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.schema.printers.columns import (
    NONE,
    Printer,
    age,
    columns,
    labels_text,
    limited,
    selector_text,
)
from graylane.model.meta import Obj, dig, name_of

UNSET = "<unset>"
_SHOWN = 3


def service(obj: Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    addresses = [_cluster_ip(spec), _external_ip(obj, spec)]
    ports = ",".join(_port(port) for port in spec.get("ports") or ()) or NONE
    kind = spec.get("type", "ClusterIP")
    return [name_of(obj), kind, *addresses, ports, age(obj, now), labels_text(spec.get("selector"))]


def _cluster_ip(spec: Obj) -> str:
    return next(iter(spec.get("clusterIPs") or ()), spec.get("clusterIP") or NONE)


def _external_ip(obj: Obj, spec: Obj) -> str:
    external = ",".join(spec.get("externalIPs") or ())
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName") or NONE)
    if spec.get("type") != "LoadBalancer":
        return external or NONE
    balancers = ",".join(sorted(set(_balancers(obj))))
    return ",".join(filter(None, (balancers, external))) or "<pending>"


def _balancers(obj: Obj) -> Iterator[str]:
    for entry in dig(obj, "status", "loadBalancer", "ingress", default=[]):
        yield str(entry.get("ip") or entry.get("hostname") or "")


def _port(port: Obj) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node}/{port.get('protocol', 'TCP')}"


def endpoints(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), limited(_endpoint_addresses(obj), _SHOWN) if obj.get("subsets") else NONE, age(obj, now)]


def _endpoint_addresses(obj: Obj) -> Iterator[str]:
    for subset in obj.get("subsets") or ():
        ips = [address["ip"] for address in subset.get("addresses") or ()]
        ports: list[Obj] = subset.get("ports") or []
        yield from (f"{_bracketed(ip)}:{port['port']}" for port in ports for ip in ips)
        if not ports:
            yield from ips


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


def endpoint_slice(obj: Obj, now: datetime) -> list[Any]:
    ports = [
        str(port["port"]) if port.get("port") is not None else port.get("name") or "*"
        for port in obj.get("ports") or ()
    ]
    addresses = [address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ()]
    texts = [limited(ports, _SHOWN) or UNSET, limited(addresses, _SHOWN) or UNSET]
    return [name_of(obj), obj.get("addressType", ""), *texts, age(obj, now)]


def ingress(obj: Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    return [
        name_of(obj),
        spec.get("ingressClassName") or NONE,
        _hosts(spec.get("rules") or []),
        ",".join(sorted(set(_balancers(obj)))),
        "80, 443" if spec.get("tls") else "80",
        age(obj, now),
    ]


def _hosts(rules: list[Obj]) -> str:
    """What is left out is counted in rules, with a host or without."""
    named = [index for index, rule in enumerate(rules) if rule.get("host")][:_SHOWN]
    text = ",".join(rules[index]["host"] for index in named) or "*"
    cut = len(named) == _SHOWN and named[-1] < len(rules) - 1
    return f"{text} + {len(rules) - _SHOWN} more..." if cut else text


def ingress_class(obj: Obj, now: datetime) -> list[Any]:
    parameters = dig(obj, "spec", "parameters")
    text = NONE
    if parameters:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
        text = f"{parameters['kind']}{group}/{parameters['name']}"
    return [name_of(obj), dig(obj, "spec", "controller", default=""), text, age(obj, now)]


def network_policy(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), selector_text(dig(obj, "spec", "podSelector")), age(obj, now)]


PRINTERS = {
    ("", "Service"): Printer(
        columns("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector+"), service
    ),
    ("", "Endpoints"): Printer(columns("Name", "Endpoints", "Age"), endpoints),
    ("discovery.k8s.io", "EndpointSlice"): Printer(
        columns("Name", "AddressType", "Ports", "Endpoints", "Age"), endpoint_slice
    ),
    ("networking.k8s.io", "Ingress"): Printer(columns("Name", "Class", "Hosts", "Address", "Ports", "Age"), ingress),
    ("networking.k8s.io", "IngressClass"): Printer(columns("Name", "Controller", "Parameters", "Age"), ingress_class),
    ("networking.k8s.io", "NetworkPolicy"): Printer(columns("Name", "Pod-Selector", "Age"), network_policy),
}
