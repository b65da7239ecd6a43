"""Services, Endpoints, EndpointSlices and Ingresses.

Pure. In: the new object and, on update, the old one. Out: field errors. Addresses and node ports, which must be unique
in the cluster, are the write strategy's business. Follows Kubernetes 1.32.
"""

from __future__ import annotations

from graylane.cluster.apiserver.schema.fielderror import duplicate, forbidden, invalid, required
from graylane.cluster.apiserver.schema.filling import is_reachable
from graylane.cluster.apiserver.schema.validate import syntax
from graylane.cluster.apiserver.schema.validate.checks import (
    Errors,
    every,
    given,
    labels,
    needed,
    one_of,
    spelled,
    unchanged,
    unique,
)
from graylane.cluster.apiserver.schema.validate.containers import PROTOCOLS
from graylane.model.meta import Obj, dig

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_POLICIES = ("Cluster", "Local")


def service(new: Obj, old: Obj | None) -> Errors:
    spec = new.get("spec") or {}
    kind, headless = spec.get("type"), spec.get("clusterIP") == "None"
    ports = spec.get("ports") or []
    if not ports and not headless and kind != "ExternalName":
        yield required("spec.ports")
    if headless and kind in ("NodePort", "LoadBalancer"):
        yield invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        yield from _external_name(spec)
    for index, port in enumerate(ports):
        yield from _port(port, f"spec.ports[{index}]", named=len(ports) > 1)
    yield from unique(spec, "ports", "spec", "name")
    yield from labels(spec.get("selector"), "spec.selector")
    yield from one_of(spec, "sessionAffinity", "spec", ("ClientIP", "None"))
    yield from _addresses(spec)
    yield from one_of(spec, "type", "spec", _TYPES)
    yield from _node_ports(spec)
    yield from _same_ports(spec)
    yield from _traffic_policies(spec)


def _external_name(spec: Obj) -> Errors:
    yield from needed(spec, "externalName", "spec", lambda name: syntax.subdomain(name.removesuffix(".")))
    for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(name):
            yield forbidden(f"spec.{name}", "may not be set for ExternalName services")


def _port(port: Obj, path: str, *, named: bool) -> Errors:
    if named or port.get("name"):
        yield from needed(port, "name", path, syntax.label)
    yield from spelled(port.get("port") or 0, f"{path}.port", syntax.port_number)
    yield from one_of(port, "protocol", path, PROTOCOLS)
    yield from given(port, "targetPort", path, syntax.port)
    if port.get("appProtocol"):
        yield from given(port, "appProtocol", path, syntax.label_key)


def _addresses(spec: Obj) -> Errors:
    address = spec.get("clusterIP")
    if address and address != "None":
        yield from spelled(address, "spec.clusterIPs[0]", syntax.ip)
    for index, external in enumerate(spec.get("externalIPs") or ()):
        yield from spelled(external, f"spec.externalIPs[{index}]", syntax.ip)


def _node_ports(spec: Obj) -> Errors:
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(spec.get("ports") or ()):
        if not port.get("nodePort"):
            continue
        path, key = f"spec.ports[{index}].nodePort", (port.get("protocol", "TCP"), port["nodePort"])
        if spec.get("type") == "ClusterIP":
            yield forbidden(path, "may not be used when `type` is 'ClusterIP'")
        if key in seen:
            yield duplicate(path, port["nodePort"])
        seen.add(key)


def _same_ports(spec: Obj) -> Errors:
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(spec.get("ports") or ()):
        key = (port.get("protocol", "TCP"), port.get("port") or 0)
        if key in seen:
            yield duplicate(f"spec.ports[{index}]", {"protocol": key[0], "port": key[1]})
        seen.add(key)


def _traffic_policies(spec: Obj) -> Errors:
    if is_reachable(spec):
        yield from one_of(spec, "externalTrafficPolicy", "spec", _POLICIES)
    elif spec.get("externalTrafficPolicy"):
        detail = "may only be set for externally-accessible services"
        yield invalid("spec.externalTrafficPolicy", spec["externalTrafficPolicy"], detail)
    if spec.get("internalTrafficPolicy"):
        yield from one_of(spec, "internalTrafficPolicy", "spec", _POLICIES)


def endpoints(new: Obj, old: Obj | None) -> Errors:
    yield from every(new, "subsets", "", _subset)


def _subset(subset: Obj, path: str) -> Errors:
    if not subset.get("addresses") and not subset.get("notReadyAddresses"):
        yield required(path, "must specify `addresses` or `notReadyAddresses`")
    for name in ("addresses", "notReadyAddresses"):
        yield from every(subset, name, path, lambda address, where: needed(address, "ip", where, syntax.ip))
    yield from every(subset, "ports", path, lambda port, where: needed(port, "port", where, syntax.port_number))


def endpoint_slice(new: Obj, old: Obj | None) -> Errors:
    kinds = ("FQDN", "IPv4", "IPv6")
    yield from one_of(new, "addressType", "", kinds)
    yield from unchanged(new, old, "addressType")
    for index, endpoint in enumerate(new.get("endpoints") or ()):
        where = f"endpoints[{index}].addresses"
        if not endpoint.get("addresses"):
            yield required(where, "must contain at least 1 address")
        if new.get("addressType") != "FQDN":
            for position, address in enumerate(endpoint.get("addresses") or ()):
                yield from spelled(address, f"{where}[{position}]", syntax.ip)


def ingress(new: Obj, old: Obj | None) -> Errors:
    spec = new.get("spec") or {}
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield invalid("spec", spec or None, "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend"):
        yield from _backend(spec["defaultBackend"], "spec.defaultBackend")
    for index, rule in enumerate(spec.get("rules") or ()):
        yield from every(dig(rule, "http", default={}), "paths", f"spec.rules[{index}].http", _path)


def _path(path: Obj, where: str) -> Errors:
    kinds = ("Exact", "ImplementationSpecific", "Prefix")
    if not path.get("pathType"):
        yield required(f"{where}.pathType", "pathType must be specified")
    else:
        yield from one_of(path, "pathType", where, kinds)
    if path.get("pathType") in ("Exact", "Prefix") and not (path.get("path") or "").startswith("/"):
        yield invalid(f"{where}.path", path.get("path") or "", "must be an absolute path")
    yield from _backend(path.get("backend") or {}, f"{where}.backend")


def _backend(backend: Obj, path: str) -> Errors:
    if backend.get("resource") is not None:
        return
    target = backend.get("service")
    if target is None:
        yield required(path, "resource or service backend is required")
        return
    yield from needed(target, "name", f"{path}.service")
    port = target.get("port") or {}
    if not port.get("name") and not port.get("number"):
        yield required(f"{path}.service", "port name or number is required")
