"""Services: cluster addresses and node ports that nobody else has.

Pure. In: the new and old Service, and every Service of the moment. Out: the Service with `clusterIP` and `nodePort`.
"""

from __future__ import annotations

from typing import Any

from graylane.cluster.apiserver.schema.fielderror import FieldError, as_api_error, invalid
from graylane.cluster.apiserver.strategy.base import Ledger, Strategy
from graylane.errors import InternalError
from graylane.model.meta import Obj, dig, uid_of

_WITH_NODE_PORTS = ("NodePort", "LoadBalancer")
_OUTSIDE_ONLY = ("externalTrafficPolicy", "healthCheckNodePort", "allocateLoadBalancerNodePorts")


def _update(new: Obj, old: Obj) -> Obj:
    """An update that does not mention what was handed out keeps it; one that changes the type loses what it had."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return {**new, "spec": _less(spec, "clusterIP", "clusterIPs")}
    kept = {name: before[name] for name in ("clusterIP", "clusterIPs") if name in before and not spec.get(name)}
    outside, was_outside = spec.get("type") in _WITH_NODE_PORTS, before.get("type") in _WITH_NODE_PORTS
    if outside and was_outside:
        kept["ports"] = _keep_node_ports(spec.get("ports") or [], before.get("ports") or [])
    elif was_outside:
        old_ports = {port.get("nodePort") for port in before.get("ports") or []}
        kept["ports"] = [_drop_node_port(port, old_ports) for port in spec.get("ports") or []]
        spec = _less(spec, *(name for name in _OUTSIDE_ONLY if spec.get(name) == before.get(name)))
    return {**new, "spec": {**spec, **kept}}


def _less(spec: Obj, *names: str) -> Obj:
    return {name: value for name, value in spec.items() if name not in names}


def _keep_node_ports(ports: list[Obj], before: list[Obj]) -> list[Obj]:
    known = {_port_id(port): port["nodePort"] for port in before if port.get("nodePort")}
    return [
        port if port.get("nodePort") or _port_id(port) not in known else {**port, "nodePort": known[_port_id(port)]}
        for port in ports
    ]


def _drop_node_port(port: Obj, old: set[Any]) -> Obj:
    return _less(port, "nodePort") if port.get("nodePort") in old else port


def _port_id(port: Obj) -> tuple[Any, ...]:
    return (port.get("protocol", "TCP"), port.get("port"))


def _check(new: Obj, old: Obj | None) -> list[FieldError]:
    before, after = dig(old, "spec", "clusterIP"), dig(new, "spec", "clusterIP")
    kinds = {dig(new, "spec", "type"), dig(old, "spec", "type")}
    if before and after != before and "ExternalName" not in kinds:
        return [invalid("spec.clusterIPs[0]", [after], "may not change once set")]
    return []


def _allocate(new: Obj, old: Obj | None, ledger: Ledger) -> Obj:
    others = [entry.obj for entry in ledger.heads.heads("services") if uid_of(entry.obj) != uid_of(new)]
    return _with_node_ports(_with_address(new, others, ledger), others, ledger)


def _with_address(service: Obj, others: list[Obj], ledger: Ledger) -> Obj:
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return service
    taken = {dig(other, "spec", "clusterIP") for other in others}
    address = spec.get("clusterIP") or (spec.get("clusterIPs") or [""])[0]
    if not address:
        address = _free_address(service, taken, ledger)
    elif address != "None" and address in taken:
        raise _refused(
            service, invalid("spec.clusterIPs", [address], "failed to allocate IP: provided IP is already allocated")
        )
    families = {} if spec.get("ipFamilies") else {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}
    return {**service, "spec": {**spec, "clusterIP": address, "clusterIPs": [address], **families}}


def _free_address(service: Obj, taken: set[Any], ledger: Ledger) -> str:
    """The lowest free one; the first of the range belongs to the API's own Service, `kubernetes`, for ever."""
    hosts = (str(ip) for ip in ledger.service_cidr.hosts())
    own = next(hosts)
    if _is_api(service):
        return own
    address = next((ip for ip in hosts if ip not in taken), None)
    if address is None:
        raise InternalError(f"no free address is left in {ledger.service_cidr}; delete a Service")
    return address


def _is_api(service: Obj) -> bool:
    metadata = service["metadata"]
    return bool(metadata["name"] == "kubernetes" and metadata.get("namespace") == "default")


def _with_node_ports(service: Obj, others: list[Obj], ledger: Ledger) -> Obj:
    spec = service["spec"]
    if spec.get("type") not in _WITH_NODE_PORTS:
        return service
    taken = {port.get("nodePort") for other in others for port in dig(other, "spec", "ports", default=[])}
    ports: list[Obj] = []
    for index, port in enumerate(spec.get("ports") or []):
        wanted = port.get("nodePort") or _free_node_port(taken, ledger)
        _check_node_port(service, f"spec.ports[{index}].nodePort", wanted, taken, ledger)
        taken.add(wanted)
        ports.append({**port, "nodePort": wanted})
    return {**service, "spec": {**spec, "ports": ports}}


def _free_node_port(taken: set[Any], ledger: Ledger) -> int:
    port = next((number for number in ledger.node_ports if number not in taken), None)
    if port is None:
        raise InternalError("no free node port is left; delete a Service of type NodePort")
    return port


def _check_node_port(service: Obj, path: str, port: int, taken: set[Any], ledger: Ledger) -> None:
    if port not in ledger.node_ports:
        low, high = ledger.node_ports.start, ledger.node_ports.stop - 1
        detail = f"provided port is not in the valid range. The range of valid ports is {low}-{high}"
        raise _refused(service, invalid(path, port, detail))
    if port in taken:
        raise _refused(service, invalid(path, port, "provided port is already allocated"))


def _refused(service: Obj, error: FieldError) -> Exception:
    return as_api_error("", "v1", "Service", service["metadata"]["name"], [error])


SERVICES = Strategy(update=_update, check=_check, allocate=_allocate, create_on_update=True, answers_deleted=True)
