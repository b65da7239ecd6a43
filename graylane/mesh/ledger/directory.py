"""Who is behind an address, and which rule is behind a route's name.

Pure. In: the `Plan` that is live. Out: answers about log entries. Pods that have gone are remembered for a while, since
their last requests are told of after they left.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from graylane.mesh.compile.listeners import ListenerSpec, Role
from graylane.mesh.compile.plan import Plan
from graylane.mesh.effective import effective
from graylane.mesh.explain.rules import name_of_rule
from graylane.mesh.inputs import Proxy
from graylane.mesh.simulate import choose_host, table_of
from graylane.mesh.table import NO_EDITS, Forward, HeaderEdits, Route

_MOST_GONE = 1000
_MOST_ROUTED = 4096


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: a gateway, or a pod through its own proxy."""

    name: str
    gateway: bool


@dataclass(frozen=True, slots=True)
class Routed:
    """`edits` are what this hop did to the headers, in order."""

    virtual_host: str = ""
    rule: str = ""
    edits: tuple[HeaderEdits, ...] = ()


NOBODY = Caller("", False)
NOWHERE = Routed()


class Directory:
    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._pods: dict[str, str] = {}
        self._gone: dict[str, str] = {}
        self._proxies: tuple[Proxy, ...] = ()
        self._routed: dict[tuple[str, str, str, str], Routed] = {}

    def learn(self, plan: Plan) -> None:
        """`plan` is what Envoy has from now on."""
        self._plan = plan
        if plan.inputs.proxies is not self._proxies:
            self._learn_pods(plan.inputs.proxies)
        self._routed.clear()

    def _learn_pods(self, proxies: tuple[Proxy, ...]) -> None:
        self._proxies = proxies
        now = {proxy.ip: str(proxy.key) for proxy in proxies}
        for address in self._pods.keys() - now.keys():
            self._gone[address] = self._pods[address]
        for address in list(self._gone)[: max(0, len(self._gone) - _MOST_GONE)]:
            del self._gone[address]
        self._pods = now

    @property
    def lanes(self) -> frozenset[str]:
        return self._plan.inputs.lanes if self._plan else frozenset()

    def pod(self, address: str) -> str:
        return self._pods.get(address) or self._gone.get(address, "")

    def changed_inside(self, upstream: str) -> bool:
        """Whether an EnvoyFilter changes what comes in at `address:port`."""
        address, _, number = upstream.rpartition(":")
        inbound = self._plan.inbound.get(address) if self._plan else None
        return inbound is not None and inbound.port(int(number)) is not None

    def listener(self, local: str, client: str) -> str:
        """Which listener took a request: where pods have networks of their own, one address is in each of them."""
        inside = f"{local}@{client}"
        return inside if self._listener(inside) else local

    def caller(self, listener: str) -> Caller:
        spec = self._listener(listener)
        if spec is not None and spec.owner is not None:
            return Caller(str(spec.owner.key), spec.role is Role.GATEWAY)
        return Caller(self.pod(listener.rpartition("_")[0]), False) if listener else NOBODY

    def routed(self, listener: str, authority: str, route: str, cluster: str) -> Routed:
        key = (listener, authority, route, cluster)
        if key not in self._routed:
            if len(self._routed) >= _MOST_ROUTED:
                self._routed.clear()
            self._routed[key] = self._look(*key)
        return self._routed[key]

    def _listener(self, name: str) -> ListenerSpec | None:
        return self._plan.listeners.get(name) if self._plan else None

    def _look(self, listener: str, authority: str, route: str, cluster: str) -> Routed:
        spec = self._listener(listener)
        name = table_of(spec, authority) if spec else ""
        known = self._plan is not None and name in self._plan.tables
        host = choose_host(effective(self._plan, name).table, authority) if self._plan and known else None
        if host is None:
            return NOWHERE
        found = next((each for each in host.routes if each.name == route and _leads_to(each, cluster)), None)
        routed = Routed(host.name)
        if found is None:
            return routed
        rule = name_of_rule(found) if found.source else ""
        return replace(routed, rule=rule, edits=tuple(_edits(found, cluster)))


def _leads_to(route: Route, cluster: str) -> bool:
    """Rules may share a name, which is the user's to give."""
    if route.match.connect:
        return False
    if isinstance(route.action, Forward):
        return not cluster or any(target.cluster == cluster for target in route.action.targets)
    return not cluster


def _edits(route: Route, cluster: str) -> Iterable[HeaderEdits]:
    """With one destination its edits were joined with the route's own."""
    targets = route.action.targets if isinstance(route.action, Forward) else ()
    if len(targets) > 1:
        yield from (target.request for target in targets if target.cluster == cluster and target.request != NO_EDITS)
    if route.request != NO_EDITS:
        yield route.request
