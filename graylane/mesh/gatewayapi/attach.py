"""Which routes belong to which listeners, and why others do not.

Pure. In: a `View`. Out: `Listener`s of our Gateways, and for each parent that a route names an `Attachment`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graylane.chain import hosts
from graylane.kit.cache import View
from graylane.mesh.gatewayapi.backends import Problem
from graylane.model.kinds import GATEWAY_CLASS, HTTP_ROUTE, KUBE_GATEWAY, NAMESPACE, SERVICE
from graylane.model.meta import Key, Obj, dig, is_deleting, key_of, labels_of, namespace_of
from graylane.model.selectors import LabelSelector

CONTROLLER = "istio.io/gateway-controller"
CLASS = "istio"
_NO_PARENT = "NoMatchingParent"


@dataclass(frozen=True, slots=True)
class Listener:
    """One port of a Gateway. `problem` keeps it closed; routes still attach to it, as the API has it."""

    gateway: Key
    name: str
    port: int
    hostname: str
    problem: Problem | None = None
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """One of a route's parentRefs. `places` are listeners with the hosts on them; `service` is a parent in the mesh."""

    ref: Obj
    places: tuple[tuple[Listener, str], ...] = ()
    service: Key | None = None
    problem: Problem | None = None


def is_ours(view: View, gateway: Obj) -> bool:
    found = view.get(GATEWAY_CLASS, "", str(dig(gateway, "spec", "gatewayClassName", default="")))
    return found is not None and dig(found, "spec", "controllerName") == CONTROLLER and not is_deleting(gateway)


def listeners(gateway: Obj) -> tuple[Listener, ...]:
    found: list[Listener] = []
    taken: dict[int, str] = {}
    seen: set[tuple[int, str]] = set()
    for entry in dig(gateway, "spec", "listeners", default=[]):
        port, hostname, protocol = int(entry["port"]), str(entry.get("hostname") or "*"), str(entry["protocol"])
        problem, conflict = None, False
        if protocol != "HTTP":
            problem = Problem("UnsupportedProtocol", f"protocol {protocol!r} is not supported here, only HTTP")
        elif taken.setdefault(port, protocol) != protocol or (port, hostname) in seen:
            problem = Problem("HostnameConflict", f"port {port} has another listener for host {hostname}")
            conflict = True
        seen.add((port, hostname))
        found.append(Listener(key_of(gateway), str(entry["name"]), port, hostname, problem, conflict))
    return tuple(found)


def attachments(view: View, route: Obj) -> Iterator[Attachment]:
    """Parents that are not ours are passed over: somebody else's to tell about."""
    for ref in dig(route, "spec", "parentRefs", default=[]):
        group, kind = ref.get("group", KUBE_GATEWAY.group), ref.get("kind", KUBE_GATEWAY.kind)
        key = Key(str(ref.get("namespace") or namespace_of(route)), str(ref["name"]))
        if (group, kind) == (KUBE_GATEWAY.group, KUBE_GATEWAY.kind):
            gateway = view.get(KUBE_GATEWAY, *key)
            if gateway is not None and is_ours(view, gateway):
                yield _at_gateway(view, route, ref, gateway)
        elif (group, kind) == ("", "Service"):
            yield _in_mesh(view, ref, key)


def _in_mesh(view: View, ref: Obj, key: Key) -> Attachment:
    service = view.get(SERVICE, *key)
    ports = [port.get("port") for port in dig(service, "spec", "ports", default=[])]
    if service is None or (ref.get("port") and ref["port"] not in ports):
        return Attachment(ref, problem=Problem(_NO_PARENT, f"parent service {key} with such a port not found"))
    return Attachment(ref, service=key)


def _at_gateway(view: View, route: Obj, ref: Obj, gateway: Obj) -> Attachment:
    named = [
        (listener, entry)
        for listener, entry in zip(listeners(gateway), dig(gateway, "spec", "listeners", default=[]), strict=True)
        if ref.get("sectionName") in (None, "", listener.name) and ref.get("port") in (None, 0, listener.port)
    ]
    if not named:
        return Attachment(ref, problem=Problem(_NO_PARENT, f"no listener of {key_of(gateway)} has this name and port"))
    allowed = [listener for listener, entry in named if _admits(view, route, gateway, entry)]
    if not allowed:
        told = f"hostnames matched parent, but namespace {namespace_of(route)!r} is not allowed by the parent"
        return Attachment(ref, problem=Problem("NotAllowedByListeners", told))
    places = tuple((listener, host) for listener in allowed for host in _shared(listener, route))
    if not places:
        told = f"no hostnames matched parent hostname {allowed[0].hostname!r}"
        return Attachment(ref, problem=Problem("NoMatchingListenerHostname", told))
    return Attachment(ref, places)


def _admits(view: View, route: Obj, gateway: Obj, entry: Obj) -> bool:
    kinds = dig(entry, "allowedRoutes", "kinds", default=[])
    if kinds and not any(each.get("kind") == HTTP_ROUTE.kind for each in kinds):
        return False
    scope = dig(entry, "allowedRoutes", "namespaces", default={})
    if scope.get("from") == "All":
        return True
    if scope.get("from") == "Selector":
        namespace = view.get(NAMESPACE, "", namespace_of(route))
        labels = {"kubernetes.io/metadata.name": namespace_of(route), **(labels_of(namespace) if namespace else {})}
        return LabelSelector.of(scope.get("selector")).matches(labels)
    return namespace_of(route) == namespace_of(gateway)


def _shared(listener: Listener, route: Obj) -> Iterator[str]:
    for name in dig(route, "spec", "hostnames", default=["*"]):
        host = str(name)
        if hosts.matches(listener.hostname, host):
            yield hosts.narrower(listener.hostname, host)
