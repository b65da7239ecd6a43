"""What the Gateway API's objects become: Gateways and VirtualServices of Istio, and Services for ports they lack.

Pure. In: a `View`. Out: `Wanted`: a Gateway for each listener, a VirtualService for each host, and which of them each
route and listener depends on.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from graylane.kit.cache import View
from graylane.mesh.gatewayapi.attach import Attachment, attachments, is_ours
from graylane.mesh.gatewayapi.listeners import Listener, listeners
from graylane.mesh.gatewayapi.ports import selector_of, service
from graylane.mesh.gatewayapi.routes import RouteId, routes
from graylane.mesh.gatewayapi.rules import Rank, Rule, Translated, translated
from graylane.mesh.read import AGE, SPOOF_GUARD, TRANSLATED
from graylane.model.hashing import short_hash
from graylane.model.kinds import GATEWAY, GRPC_ROUTE, KUBE_GATEWAY, SERVICE, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Key, Obj, annotations_of, dig, namespace_of

LABEL = TRANSLATED
FROM = "gateway-api"
_LONGEST = 63
_PORT = "default"
"""The port name of every listener in Istio, by which EnvoyFilters find its routes."""

Target = tuple[Kind, Key]


@dataclass(slots=True)
class Wanted:
    """`of_route` and `of_listener` name the objects that must be live for a route, or a listener, to be."""

    objects: dict[Target, Obj] = field(default_factory=dict)
    attached: dict[RouteId, list[Attachment]] = field(default_factory=dict)
    translations: dict[tuple[RouteId, bool], Translated] = field(default_factory=dict)
    of_route: dict[RouteId, set[Target]] = field(default_factory=lambda: defaultdict(set))
    of_listener: dict[tuple[Key, str], Target] = field(default_factory=dict)
    counts: dict[tuple[Key, str], set[RouteId]] = field(default_factory=lambda: defaultdict(set))


@dataclass(slots=True)
class _Host:
    """All rules for one host at one place, whichever routes they come from."""

    name: Key
    binding: Rule
    age: str = ""
    ranked: list[tuple[Rank, Rule]] = field(default_factory=list)
    routes: list[RouteId] = field(default_factory=list)


def wanted(view: View) -> Wanted:
    found = Wanted()
    for gateway in view.list(KUBE_GATEWAY):
        if is_ours(view, gateway):
            _open(view, gateway, found)
    hosts: dict[tuple[Any, ...], _Host] = {}
    for key, route in sorted(routes(view), key=_older):
        found.attached[key] = list(attachments(view, route))
        for attachment in found.attached[key]:
            _place(view, key, route, attachment, found, hosts)
    for host in hosts.values():
        target = (VIRTUAL_SERVICE, host.name)
        ordered = [rule for _, rule in sorted(host.ranked, key=lambda each: each[0])]
        found.objects[target] = _aged(_object(*target, {**host.binding, "http": ordered}), host.age)
        for key in host.routes:
            found.of_route[key].add(target)
    return found


def _older(route: tuple[RouteId, Obj]) -> tuple[bool, str, Key]:
    """HTTPRoutes first; the first for a host gives its age to what they become together."""
    (kind, key), obj = route
    return kind == GRPC_ROUTE, _created(obj), key


def _open(view: View, gateway: Obj, found: Wanted) -> None:
    every = listeners(view, gateway)
    for listener in every:
        if listener.opens:
            target = (GATEWAY, _gateway_name(listener))
            made = _aged(_object(*target, _opened(view, gateway, listener)), _created(gateway))
            found.objects[target] = _guarded(made, gateway)
            found.of_listener[listener.gateway, listener.name] = target
    for key, spec in filter(None, [service(view, gateway, every)]):
        found.objects[SERVICE, key] = _object(SERVICE, key, spec)


def _place(
    view: View, key: RouteId, route: Obj, attachment: Attachment, found: Wanted, hosts: dict[tuple[Any, ...], _Host]
) -> None:
    at_gateway = attachment.parent is None
    result = found.translations.setdefault((key, at_gateway), translated(view, route, at_gateway=at_gateway))
    if attachment.problem is not None:
        return
    for listener, _ in attachment.places:
        found.counts[listener.gateway, listener.name].add(key)
    if not result.rules:
        return
    for place in _places(route, attachment):
        host = hosts.setdefault((place.name,), place)
        if key not in host.routes:
            host.routes.append(key)
            host.ranked += _for_port(result.rules, attachment)


def _places(route: Obj, attachment: Attachment) -> list[_Host]:
    age = _created(route)
    if attachment.parent is not None:
        port = attachment.ref.get("port")
        return [_in_mesh(route, attachment.parent, host, port, age) for host in attachment.hosts]
    return [_at_listener(listener, host, age) for listener, host in attachment.places if listener.opens]


def _at_listener(listener: Listener, host: str, age: str) -> _Host:
    """One for each host that routes write: it is the mesh that finds where it meets the listener's."""
    gateway = _gateway_name(listener)
    name = _short(f"{listener.gateway.name}-{listener.name}-{short_hash([host])}")
    return _Host(Key(gateway.namespace, name), {"hosts": [host], "gateways": [str(gateway)]}, age)


def _in_mesh(route: Obj, parent: Key, host: str, port: int | None, age: str) -> _Host:
    """A route next to its Service is everybody's; one from elsewhere is its own namespace's, and wins there.

    As in Istio those for one port are apart from those for all: of the two the older speaks for the host.
    """
    namespace = namespace_of(route)
    scope = {} if namespace == parent.namespace else {"exportTo": ["."]}
    name = _short(f"{parent.name}-mesh-{short_hash([host, *([str(port)] if port else [])])}")
    return _Host(Key(namespace, name), {"hosts": [host], "gateways": ["mesh"], **scope}, age)


def _for_port(rules: tuple[tuple[Rank, Rule], ...], attachment: Attachment) -> list[tuple[Rank, Rule]]:
    port = attachment.ref.get("port") if attachment.parent else None
    if not port:
        return list(rules)
    return [(rank, {**rule, "match": [{**match, "port": port} for match in rule["match"]]}) for rank, rule in rules]


def _gateway_name(listener: Listener) -> Key:
    name = f"{listener.gateway.name}-istio-autogenerated-k8s-gateway-{listener.name}"
    return Key(listener.gateway.namespace, _short(name))


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 9]}-{short_hash([name])[:8]}"


def _opened(view: View, gateway: Obj, listener: Listener) -> Rule:
    port = {"number": listener.port, "name": _PORT, "protocol": listener.protocol}
    server: Rule = {"port": port, "hosts": [f"*/{listener.hostname}"]}
    if listener.tls:
        server["tls"] = listener.tls
    return {"selector": selector_of(view, gateway), "servers": [server]}


def _guarded(obj: Obj, gateway: Obj) -> Obj:
    """The spoof guard is asked for where the Gateway is written."""
    guard = annotations_of(gateway).get(SPOOF_GUARD)
    return obj if guard is None else _annotated(obj, SPOOF_GUARD, guard)


def _created(obj: Obj) -> str:
    return str(dig(obj, "metadata", "creationTimestamp", default=""))


def _aged(obj: Obj, age: str) -> Obj:
    return _annotated(obj, AGE, age) if age else obj


def _annotated(obj: Obj, name: str, value: str) -> Obj:
    return {**obj, "metadata": {**obj["metadata"], "annotations": {**annotations_of(obj), name: value}}}


def _object(kind: Kind, key: Key, spec: Rule) -> Obj:
    meta = {"name": key.name, "namespace": key.namespace, "labels": {LABEL: FROM}}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "spec": spec}
