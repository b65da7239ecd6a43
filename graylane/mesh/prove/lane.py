"""A lane: which requests are dyed, and which pods are its canaries.

Pure. In: a `View` of TrafficRoutings, Rollouts and workloads. Out: `Lane`s, one for each set of dyes that occurs.

A canary is a pod of a Deployment that carries OpenKruise's canary label and whose Rollout uses one of the lane's
TrafficRoutings. A lane that no TrafficRouting makes has the canaries of all Rollouts, and the pods told besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graylane.chain import hosts
from graylane.chain.match import How, RouteMatch, Text, route_match
from graylane.chain.match import Named as Condition
from graylane.chain.requests import Dye, DyeHeader
from graylane.chain.workloads import deployment_of
from graylane.kit.cache import View
from graylane.mesh.inputs import NO_ENDPOINTS, Inputs, VirtualService, selects
from graylane.mesh.prove.samples import OTHER, matching
from graylane.model.kinds import ROLLOUT, SERVICE, TRAFFIC_ROUTING
from graylane.model.meta import Key, Obj, annotations_of, dig, key_of, labels_of, name_of, namespace_of
from graylane.model.rollout import CANARY_DEPLOYMENT, TRAFFIC_ROUTING_NAME

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Lane:
    """Any of `dyes` puts a request into it. `pods` are canaries that no Rollout made."""

    dyes: tuple[Dye, ...]
    routings: frozenset[Key] = frozenset()
    pods: frozenset[Key] = frozenset()

    def __str__(self) -> str:
        return " or ".join(map(str, self.dyes))

    @property
    def matches(self) -> tuple[RouteMatch, ...]:
        """Each dye as a rule would ask for it."""
        return tuple(RouteMatch(headers=tuple(map(_condition, dye.headers))) for dye in self.dyes)

    @property
    def names(self) -> frozenset[str]:
        """The headers that dyes are made of."""
        return frozenset(header.name for dye in self.dyes for header in dye.headers)

    def is_dyed(self, headers: Headers) -> bool:
        return any(all(_has(headers, condition) for condition in match.headers) for match in self.matches)


def _condition(header: DyeHeader) -> Condition:
    return Condition(header.name, Text(How.REGEX if header.regex else How.EXACT, header.value))


def _has(headers: Headers, condition: Condition) -> bool:
    return any(name == condition.name and condition.text.accepts(value) for name, value in headers)


def spelled(dye: Dye) -> Mapping[str, tuple[str, ...]]:
    """Values for each header of a dye that make a request dyed."""
    return {header.name: tuple(matching(header.value)) if header.regex else (header.value,) for header in dye.headers}


def lanes_of(view: View, namespace: str = "") -> tuple[Lane, ...]:
    """The lanes that TrafficRoutings define, each once; a split by weight is none. `namespace` "" looks in all."""
    found: dict[tuple[Dye, ...], set[Key]] = {}
    for routing in view.list(TRAFFIC_ROUTING, namespace) if namespace else view.list(TRAFFIC_ROUTING):
        dyes = Dye.all_of(routing)
        if dyes:
            found.setdefault(dyes, set()).add(key_of(routing))
    return tuple(Lane(dyes, frozenset(keys)) for dyes, keys in found.items())


def lane_of(view: View, inputs: Inputs, dye: Dye) -> Lane:
    """The lane that a dye opens. Where no TrafficRouting makes it, its canaries are what rules for it lead to."""
    headers = tuple((header.name, header.value) for header in dye.headers)
    for lane in lanes_of(view):
        if dye in lane.dyes or lane.is_dyed(headers):
            return lane
    return Lane((dye,), pods=frozenset(_led_to(inputs, dye)))


def _led_to(inputs: Inputs, dye: Dye) -> Iterator[Key]:
    """Pods of the subsets that rules which ask for the dye send to."""
    asked = {header.name: header for header in dye.headers}
    for service in inputs.virtual_services:
        for rule in service.http:
            if any(_asks_for(match, asked) for match in rule.get("match") or ()):
                for entry in rule.get("route") or ():
                    yield from _behind(inputs, service, entry.get("destination") or {})


def _asks_for(match: Mapping[str, Any], dye: Mapping[str, DyeHeader]) -> bool:
    conditions = [each for each in route_match(match).headers if each.name in dye and not each.inverted]
    return bool(conditions) and all(
        each.text.accepts(dye[each.name].value) and not each.text.accepts(OTHER) for each in conditions
    )


def _behind(inputs: Inputs, owner: VirtualService, destination: Mapping[str, Any]) -> Iterator[Key]:
    host = hosts.resolve(str(destination.get("host") or ""), owner.namespace, inputs.mesh.domain)
    subset = str(destination.get("subset") or "")
    service = next((each for each in inputs.services if each.host == host), None)
    labels = [
        one.labels
        for rule in inputs.destination_rules
        if rule.host == host
        for one in rule.subsets
        if one.name == subset
    ]
    for endpoint in inputs.endpoints.get(service.key, NO_ENDPOINTS).each if service and labels else ():
        if service and selects(labels[0], dict(endpoint.labels)):
            yield Key(service.namespace, endpoint.pod)


@dataclass(slots=True)
class Cast:
    """Who a pod is to a lane. `family` is the same for base and canary: their stable Deployment."""

    view: View
    lane: Lane
    _routings: dict[Key, frozenset[Key]] = field(init=False)

    def __post_init__(self) -> None:
        found: dict[Key, set[Key]] = {}
        for rollout in self.view.list(ROLLOUT):
            workload = Key(namespace_of(rollout), str(dig(rollout, "spec", "objectRef", "workloadRef", "name")))
            routing = annotations_of(rollout).get(TRAFFIC_ROUTING_NAME, "")
            found.setdefault(workload, set()).add(Key(namespace_of(rollout), routing))
        self._routings = {workload: frozenset(keys) for workload, keys in found.items()}

    def is_canary(self, pod: Obj) -> bool:
        if key_of(pod) in self.lane.pods:
            return True
        deployment = deployment_of(self.view, pod)
        if deployment is None or CANARY_DEPLOYMENT not in labels_of(deployment):
            return False
        return not self.lane.routings or bool(self._routings.get(self.family(pod), frozenset()) & self.lane.routings)

    def family(self, pod: Obj) -> Key:
        """In a lane made by hand nothing says which Deployment is whose canary: those behind one Service belong."""
        if self.lane.pods and (service := self._service_of(pod)) is not None:
            return key_of(service)
        deployment = deployment_of(self.view, pod)
        if deployment is None:
            return key_of(pod)
        return Key(namespace_of(pod), labels_of(deployment).get(CANARY_DEPLOYMENT) or name_of(deployment))

    def _service_of(self, pod: Obj) -> Obj | None:
        for service in self.view.list(SERVICE, namespace_of(pod)):
            selector = dig(service, "spec", "selector", default={})
            if selector and selects(selector, labels_of(pod)):
                return service
        return None
