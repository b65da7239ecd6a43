"""Which routes belong to which listeners, and why others do not.

Pure. In: a `View`, a route. Out: for each parent that the route names an `Attachment`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graylane.chain import hosts
from graylane.chain.hosts import DOMAIN, fqdn
from graylane.kit.cache import View
from graylane.mesh.gatewayapi.grants import Problem
from graylane.mesh.gatewayapi.listeners import Listener, listeners
from graylane.mesh.gatewayapi.routes import kind_of
from graylane.model.kinds import GATEWAY_CLASS, KUBE_GATEWAY, NAMESPACE, SERVICE, SERVICE_ENTRY
from graylane.model.meta import Key, Obj, dig, is_deleting, key_of, labels_of, namespace_of
from graylane.model.selectors import LabelSelector

CONTROLLER = "istio.io/gateway-controller"
CLASS = "istio"
_NO_PARENT = "NoMatchingParent"


@dataclass(frozen=True, slots=True)
class Attachment:
    """One of a route's parentRefs. `places` are listeners with those hosts of the route that meet theirs.

    `parent` is a Service or ServiceEntry in the mesh, `hosts` are what it is called there. `told` refuses nothing.
    """

    ref: Obj
    places: tuple[tuple[Listener, str], ...] = ()
    parent: Key | None = None
    hosts: tuple[str, ...] = ()
    problem: Problem | None = None
    told: Problem | None = None


def is_ours(view: View, gateway: Obj) -> bool:
    found = view.get(GATEWAY_CLASS, "", str(dig(gateway, "spec", "gatewayClassName", default="")))
    return found is not None and dig(found, "spec", "controllerName") == CONTROLLER and not is_deleting(gateway)


def attachments(view: View, route: Obj) -> Iterator[Attachment]:
    """Parents that are not ours are passed over: somebody else's to tell about."""
    for ref in dig(route, "spec", "parentRefs", default=[]):
        group, kind = ref.get("group", KUBE_GATEWAY.group), ref.get("kind", KUBE_GATEWAY.kind)
        key = Key(str(ref.get("namespace") or namespace_of(route)), str(ref["name"]))
        if (group, kind) == (KUBE_GATEWAY.group, KUBE_GATEWAY.kind):
            gateway = view.get(KUBE_GATEWAY, *key)
            if gateway is not None and is_ours(view, gateway):
                yield _at_gateway(view, route, ref, gateway)
        elif (group, kind) == (SERVICE.group, SERVICE.kind):
            names = (fqdn(key.name, key.namespace, DOMAIN),)
            yield _in_mesh(view.get(SERVICE, *key), ref, key, names, "port")
        elif (group, kind) == (SERVICE_ENTRY.group, SERVICE_ENTRY.kind):
            entry = view.get(SERVICE_ENTRY, *key)
            yield _in_mesh(entry, ref, key, tuple(map(str, dig(entry, "spec", "hosts", default=[]))), "number")


def _in_mesh(parent: Obj | None, ref: Obj, key: Key, names: tuple[str, ...], number: str) -> Attachment:
    name = f"parent {ref.get('kind')} {key}"
    if parent is None:
        return Attachment(ref, parent=key, problem=Problem(_NO_PARENT, f"{name} not found"))
    ports = [port.get(number) for port in dig(parent, "spec", "ports", default=[])]
    absent = ref.get("port") and ref["port"] not in ports
    told = Problem(_NO_PARENT, f"{name} has no port {ref['port']}: no request meets this route") if absent else None
    return Attachment(ref, parent=key, hosts=names, told=told)


def _at_gateway(view: View, route: Obj, ref: Obj, gateway: Obj) -> Attachment:
    named = [
        (listener, entry)
        for listener, entry in zip(listeners(view, gateway), dig(gateway, "spec", "listeners", default=[]), strict=True)
        if ref.get("sectionName") in (None, "", listener.name) and ref.get("port") in (None, 0, listener.port)
    ]
    if not named:
        return Attachment(ref, problem=Problem(_NO_PARENT, f"no listener of {key_of(gateway)} has this name and port"))
    met = [(listener, entry) for listener, entry in named if any(_met(listener, route))]
    if not met:
        told = f"no hostnames matched parent hostname {named[0][0].hostname!r}"
        return Attachment(ref, problem=Problem("NoMatchingListenerHostname", told))
    allowed = [(listener, entry) for listener, entry in met if _admits(view, route, gateway, entry)]
    if not allowed:
        told = f"hostnames matched parent, but namespace {namespace_of(route)!r} is not allowed by the parent"
        return Attachment(ref, problem=Problem("NotAllowedByListeners", told))
    fitting = [listener for listener, _ in allowed if kind_of(route) in listener.takes]
    if not fitting:
        told = f"no listener of {key_of(gateway)} that has its host takes {kind_of(route).kind}s"
        return Attachment(ref, problem=Problem("NotAllowedByListeners", told))
    places = tuple((listener, host) for listener in fitting for host in _met(listener, route))
    return Attachment(ref, places)


def _admits(view: View, route: Obj, gateway: Obj, entry: Obj) -> bool:
    scope = dig(entry, "allowedRoutes", "namespaces", default={})
    if scope.get("from") == "All":
        return True
    if scope.get("from") == "Selector":
        namespace = view.get(NAMESPACE, "", namespace_of(route))
        labels = {"kubernetes.io/metadata.name": namespace_of(route), **(labels_of(namespace) if namespace else {})}
        return LabelSelector.of(scope.get("selector")).matches(labels)
    return namespace_of(route) == namespace_of(gateway)


def _met(listener: Listener, route: Obj) -> Iterator[str]:
    for name in dig(route, "spec", "hostnames", default=["*"]):
        host = str(name)
        if hosts.matches(listener.hostname, host):
            yield host
