"""Where the rules as stored would send one request.

Pure. In: a `View`, a `Request`. Out: `Routed`: the rule that decides, and for each destination its weight, ready pods
or the reason why a proxy would answer 503. Order of rules and of VirtualServices follows Istio 1.23: those of the most
specific host that takes the request in; in the mesh the oldest of them owns the host; at a gateway all are merged and
rules that match everything go last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graylane.chain import hosts
from graylane.chain.hosts import full_name, gateway_name, service_key
from graylane.chain.matching import covers
from graylane.chain.requests import MESH, Request
from graylane.kit.cache import View
from graylane.model.kinds import DESTINATION_RULE, ENDPOINT_SLICE, POD, SERVICE, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Key, Obj, dig, key_of, labels_of, name_of, namespace_of
from graylane.model.selectors import LabelSelector

_SERVICE_NAME = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Rule:
    """One `spec.http[index]` of one VirtualService."""

    source: Obj
    index: int
    body: Obj

    def __str__(self) -> str:
        return f"{name_of(self.source)} http[{self.index}]"

    @property
    def matches_all(self) -> bool:
        return not self.body.get("match")

    def covers(self, request: Request) -> bool:
        namespace = namespace_of(self.source)
        return self.matches_all or any(covers(match, request, namespace) for match in self.body["match"])


@dataclass(frozen=True, slots=True)
class Destination:
    """One share of the traffic; `problem` says why a proxy would answer 503 instead, "" when it would not."""

    host: str
    subset: str
    percent: int
    service: Key | None
    pods: tuple[Obj, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Routed:
    """The outcome for one request. `sources` are the Istio objects it depends on; none means plain Kubernetes."""

    rule: str
    destinations: tuple[Destination, ...]
    sources: tuple[Obj, ...] = ()
    problem: str = ""


def route(view: View, request: Request) -> Routed:
    """The first rule that covers the request; without any VirtualService, the Service itself."""
    rules = rules_for(view, request)
    if not rules:
        return _straight(view, request)
    chosen = next((rule for rule in rules if rule.covers(request)), None)
    if chosen is None:
        owners = tuple({key_of(rule.source): rule.source for rule in rules}.values())
        return Routed("", (), owners, "404: no rule covers it")
    return _follow(view, chosen, request)


def rules_for(view: View, request: Request) -> list[Rule]:
    """Every http rule a proxy holds for the request's host, in the order in which it tries them."""
    bound = [item for item in _by_age(_candidates(view, VIRTUAL_SERVICE, request.host)) if _is_bound(item, request)]
    bound = _nearest(bound, request.host)
    if request.gateway == MESH:
        bound = bound[:1]
    rules = [Rule(item, index, body) for item in bound for index, body in enumerate(_http(item))]
    return rules if request.gateway == MESH else sorted(rules, key=lambda rule: rule.matches_all)


def destinations_of(rule: Rule) -> list[tuple[Key | None, Obj]]:
    """The Services that a rule sends to, with the destination as written."""
    namespace = namespace_of(rule.source)
    written = [dict(entry.get("destination") or {}) for entry in rule.body.get("route") or []]
    return [(service_key(str(entry.get("host", "")), namespace), entry) for entry in written]


def _http(virtual_service: Obj) -> list[Obj]:
    return dig(virtual_service, "spec", "http", default=[])  # type: ignore[no-any-return]


def _candidates(view: View, kind: Kind, host: str) -> list[Obj]:
    """Those that name this very host, and those with a wildcard, each once."""
    named = [*view.found_by(kind, _by_host, host), *view.found_by(kind, _by_host, _WILDCARD)]
    return list({key_of(item): item for item in named}.values())


_WILDCARD = "*"


def _by_host(obj: Obj) -> Iterator[str]:
    """Of a VirtualService or a DestinationRule."""
    written = [*dig(obj, "spec", "hosts", default=[]), *filter(None, [dig(obj, "spec", "host")])]
    names = (full_name(str(host), namespace_of(obj)) for host in written)
    yield from {_WILDCARD if hosts.is_wildcard(name) else name for name in names}


def _by_age(found: list[Obj]) -> list[Obj]:
    def age(item: Obj) -> tuple[str, str, str]:
        return str(dig(item, "metadata", "creationTimestamp", default="")), name_of(item), namespace_of(item)

    return sorted(found, key=age)


def _is_bound(virtual_service: Obj, request: Request) -> bool:
    namespace = namespace_of(virtual_service)
    gateways = dig(virtual_service, "spec", "gateways", default=[MESH])
    return request.gateway in {gateway_name(name, namespace) for name in gateways} and bool(
        _taking(virtual_service, request.host)
    )


def _taking(virtual_service: Obj, host: str) -> list[str]:
    """Its hosts that take this one in."""
    names = (
        full_name(each, namespace_of(virtual_service)) for each in dig(virtual_service, "spec", "hosts", default=[])
    )
    return [name for name in names if hosts.covers(name, host)]


def _nearest(found: list[Obj], host: str) -> list[Obj]:
    """Those of the most specific host: a proxy looks for the rules of no other, though none of these fits."""
    taking = [min(_taking(item, host), key=hosts.specificity) for item in found]
    nearest = min(taking, key=hosts.specificity, default="")
    return [item for item, name in zip(found, taking, strict=True) if name == nearest]


def _straight(view: View, request: Request) -> Routed:
    if request.gateway != MESH:
        return Routed("", (), (), "404: no VirtualService is bound to this gateway and host")
    destination, sources = _destination(view, {"host": request.host}, request.source_namespace, 100)
    return Routed("", (destination,), sources)


def _follow(view: View, rule: Rule, request: Request) -> Routed:
    for answer in ("redirect", "directResponse", "delegate"):
        if answer in rule.body:
            return Routed(str(rule), (), (rule.source,), f"answered by {answer}")
    entries = rule.body.get("route") or []
    shares = _percentages([int(entry.get("weight", 0)) for entry in entries])
    sources = [rule.source]
    destinations = []
    for entry, percent in zip(entries, shares, strict=True):
        if percent:
            written = entry.get("destination") or {}
            destination, used = _destination(view, written, namespace_of(rule.source), percent)
            destinations.append(destination)
            sources += [item for item in used if item not in sources]
    return Routed(str(rule), tuple(destinations), tuple(sources))


def _percentages(weights: list[int]) -> list[int]:
    """A lone destination gets everything whatever its weight; rounding is for reading, not for routing."""
    if len(weights) == 1:
        return [100]
    total = sum(weights)
    return [round(100 * weight / total) if total else 0 for weight in weights]


def _destination(view: View, written: Obj, namespace: str, percent: int) -> tuple[Destination, tuple[Obj, ...]]:
    host, subset = str(written.get("host", "")), str(written.get("subset", ""))
    key = service_key(host, namespace)
    service = view.get(SERVICE, *key) if key else None
    if key is None or service is None:
        return Destination(host, subset, percent, None, (), f"503: host {host} not found"), ()
    rules = _destination_rules(view, key)
    pods = ready_endpoints(view, key)
    if not subset:
        return Destination(host, "", percent, key, pods, "" if pods else f"503: {host} has no ready pod"), rules
    labels = _subset_labels(rules, subset)
    if labels is None:
        return Destination(host, subset, percent, key, (), f"503: {host} has no subset {subset}"), rules
    chosen = tuple(pod for pod in pods if labels.items() <= labels_of(pod).items())
    problem = "" if chosen else f"503: subset {subset} of {host} has no ready pod"
    return Destination(host, subset, percent, key, chosen, problem), rules


def _destination_rules(view: View, service: Key) -> tuple[Obj, ...]:
    wanted = full_name(service.name, service.namespace)
    return tuple(
        item
        for item in sorted(_candidates(view, DESTINATION_RULE, wanted), key=key_of)
        if hosts.covers(full_name(str(dig(item, "spec", "host", default="")), namespace_of(item)), wanted)
    )


def _subset_labels(rules: tuple[Obj, ...], name: str) -> dict[str, str] | None:
    for rule in rules:
        for subset in dig(rule, "spec", "subsets", default=[]):
            if subset.get("name") == name:
                return dict(subset.get("labels") or {})
    return None


def ready_endpoints(view: View, service: Key) -> tuple[Obj, ...]:
    """The pods that EndpointSlices list as ready for a Service."""
    names = [
        str(dig(endpoint, "targetRef", "name", default=""))
        for piece in view.list(ENDPOINT_SLICE, service.namespace, LabelSelector.of_map({_SERVICE_NAME: service.name}))
        for endpoint in piece.get("endpoints") or []
        if _is_serving(endpoint)
    ]
    found = (view.get(POD, service.namespace, name) for name in dict.fromkeys(names))
    return tuple(pod for pod in found if pod is not None)


def _is_serving(endpoint: dict[str, Any]) -> bool:
    """A missing `ready` counts as ready, as the EndpointSlice API says."""
    conditions = endpoint.get("conditions") or {}
    return conditions.get("ready") is not False and not conditions.get("terminating")
