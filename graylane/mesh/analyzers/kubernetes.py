"""The Kubernetes Gateway API's objects: listeners that are not opened, routes that are not accepted or lead nowhere.

Pure. In: lists of objects by kind. Out: findings, each with the object it is about, by the functions that write these
objects' statuses; so that manifests are told what a cluster would say of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from graylane.chain.likeness import meant
from graylane.kit.cache import Cache, View
from graylane.mesh.explain.reading import Lists
from graylane.mesh.findings import Finding, not_found
from graylane.mesh.gatewayapi.attach import is_ours
from graylane.mesh.gatewayapi.controller import GATEWAY_CLASS_OBJECT
from graylane.mesh.gatewayapi.listeners import listeners
from graylane.mesh.gatewayapi.objects import Wanted, wanted
from graylane.mesh.gatewayapi.routes import ROUTES, RouteId, routes
from graylane.mesh.inputs import Source
from graylane.mesh.read import TRANSLATED
from graylane.model.kinds import (
    GATEWAY,
    GATEWAY_CLASS,
    GRPC_ROUTE,
    HTTP_ROUTE,
    KUBE_GATEWAY,
    NAMESPACE,
    POD,
    REFERENCE_GRANT,
    SECRET,
    SERVICE,
    SERVICE_ENTRY,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.meta import Key, Obj, dig, key_of, labels_of, namespace_of

ASKED = (GATEWAY_CLASS, KUBE_GATEWAY, *ROUTES, REFERENCE_GRANT, NAMESPACE)
_ALWAYS = (*ASKED, SERVICE, SERVICE_ENTRY, POD)
_OF_RULE = re.compile(
    r"VirtualService rule (?P<namespace>[^.\s]+)\.(?P<name>\S+)\.(?P<number>\d+)(?P<grpc>\.grpc)?(?P<rest> .*)"
)
_OTHER_RULE = re.compile(r"\(rule #\d+")
Found = Iterator[tuple[Source, Finding]]


def is_used(lists: Lists) -> bool:
    return any(lists.get(kind) for kind in (KUBE_GATEWAY, *ROUTES))


def with_translations(lists: Lists) -> Lists:
    """Manifests, with the Istio objects that a controller would make of them."""
    if not is_used(lists):
        return lists
    classes = lists.get(GATEWAY_CLASS) or [GATEWAY_CLASS_OBJECT]
    found = {**lists, GATEWAY_CLASS: classes}
    for (kind, _), obj in wanted(_view(found)).objects.items():
        if kind in (GATEWAY, VIRTUAL_SERVICE):
            found[kind] = [*found.get(kind, ()), obj]
    return found


def gateways(lists: Lists) -> Found:
    if not is_used(lists):
        return
    view = _view(lists)
    found = wanted(view)
    for gateway in view.list(KUBE_GATEWAY):
        for listener in listeners(view, gateway) if is_ours(view, gateway) else ():
            problem = listener.problem or listener.unresolved
            if problem is not None:
                yield _source(KUBE_GATEWAY, gateway), _closed(listener.name, problem.message)
    for key, route in routes(view):
        yield from ((_source(key[0], route), finding) for finding in _of_route(view, found, key, route))


def made(lists: Lists) -> frozenset[Key]:
    """The VirtualServices that routes became."""
    return frozenset(key_of(obj) for obj in lists.get(VIRTUAL_SERVICE, ()) if TRANSLATED in labels_of(obj))


def as_written(made: frozenset[Key], source: Source, finding: Finding) -> tuple[Source, Finding]:
    """What is found of a rule that a route became is said of the route, once for all its listeners."""
    ours = source.kind == VIRTUAL_SERVICE.kind and Key(source.namespace, source.name) in made
    told = _OF_RULE.match(finding.message) if ours else None
    if told is None:
        return source, finding
    kind = GRPC_ROUTE if told["grpc"] else HTTP_ROUTE
    rest = _OTHER_RULE.sub("(another rule", told["rest"])
    message = f"{kind.kind} rule #{told['number']}{rest}"
    return Source(kind.kind, told["namespace"], told["name"], 0), replace(finding, message=message)


def _of_route(view: View, found: Wanted, key: RouteId, route: Obj) -> Iterator[Finding]:
    yield from _absent_parents(view, route)
    told: set[str] = set()
    for attachment in found.attached[key]:
        result = found.translations[key, attachment.parent is None]
        for problem in (attachment.problem, result.refused, result.unresolved):
            if problem is not None and problem.message not in told:
                told.add(problem.message)
                yield Finding("GRL0003", "ERROR", f"{problem.reason}: {problem.message}")


def _absent_parents(view: View, route: Obj) -> Iterator[Finding]:
    for ref in dig(route, "spec", "parentRefs", default=[]):
        named = (ref.get("group", KUBE_GATEWAY.group), ref.get("kind", KUBE_GATEWAY.kind))
        key = Key(str(ref.get("namespace") or namespace_of(route)), str(ref["name"]))
        if named == (KUBE_GATEWAY.group, KUBE_GATEWAY.kind) and view.get(KUBE_GATEWAY, *key) is None:
            finding = not_found("gateway", str(key))
            known = (str(key_of(each)) for each in view.list(KUBE_GATEWAY))
            yield Finding(finding.code, finding.level, finding.message + meant(str(key), known))


def _closed(listener: str, why: str) -> Finding:
    return Finding("GRL0003", "ERROR", f"listener {listener!r} is not opened: {why}")


def _source(kind: Kind, obj: Obj) -> Source:
    return Source(kind.kind, *key_of(obj), 0)


def _view(lists: Lists) -> View:
    """Secrets that are not given are not asked for."""
    caches = {kind: Cache() for kind in (*_ALWAYS, *((SECRET,) if SECRET in lists else ()))}
    for kind, cache in caches.items():
        cache.replace_all(lists.get(kind) or ())
    return View(caches)
