"""Where one request goes, decided as Envoy decides, without Envoy.

Pure. In: a `Plan`, the listener the request arrives at, the request. Out: `Decision`: the virtual host, the route with
the object that asked for it, and what becomes of the request. Reads the same tables Envoy is given, with EnvoyFilters
worked in; what an EnvoyFilter's code does to a request cannot be told from outside, so a decision names such filters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from graylane.chain.match import Request
from graylane.mesh.compile.listeners import ListenerSpec, Role
from graylane.mesh.compile.plan import Plan
from graylane.mesh.domains import domains_of
from graylane.mesh.effective import effective
from graylane.mesh.inputs import Endpoint, Resolution, Source
from graylane.mesh.table import (
    PASSTHROUGH,
    SELF,
    Cors,
    DirectResponse,
    Fault,
    Forward,
    Redirect,
    Route,
    RouteTable,
    Target,
    VirtualHost,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Envoy's own answer: status, response flag and details as its access log has them."""

    status: int
    flag: str
    details: str


NO_LISTENER = Refusal(0, "", "nothing listens there")
NO_CHAIN = Refusal(0, "", "no server of this port has that name")
NO_ROUTE = Refusal(404, "NR", "route_not_found")
NO_CLUSTER = Refusal(503, "NC", "cluster_not_found")
NO_ENDPOINT = Refusal(503, "UH", "no_healthy_upstream")


@dataclass(frozen=True, slots=True)
class Reached:
    """A cluster gets `share` of such requests; `endpoints` are those it chooses among, none where nobody can tell."""

    cluster: str
    share: float
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """A destination that cannot be had refuses `share` of such requests."""

    cluster: str
    share: float
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class PassedThrough:
    """The host is no service: the request goes where its own name leads."""

    host: str


Outcome = Refusal | tuple[Reached | Lost, ...] | Redirect | DirectResponse | PassedThrough


@dataclass(frozen=True, slots=True)
class Decision:
    """`passed_over` are the routes of the virtual host that were tried before, in order.

    `stripped` are headers that the gateway's spoof guard took from the request before. `inside` are EnvoyFilters that
    change it where it comes in at the pods.
    """

    outcome: Outcome
    listener: str = ""
    virtual_host: str = ""
    route: Route | None = None
    passed_over: tuple[Route, ...] = ()
    filters: tuple[Source, ...] = ()
    stripped: tuple[tuple[str, str], ...] = ()
    inside: tuple[Source, ...] = ()

    @property
    def source(self) -> Source | None:
        return self.route.source if self.route else None

    @property
    def fault(self) -> Fault | None:
        return self.route.fault if self.route else None


def from_pod(plan: Plan, address: str, request: Request) -> Decision:
    """A pod at `address` calls out; what `request.authority` says is where to."""
    return simulate(plan, f"{address}_{plan.inputs.mesh.proxy_port}", request)


def table_of(spec: ListenerSpec, authority: str) -> str:
    """The routes for a request at this listener; "" where connections go on as they are, or are not taken."""
    if not spec.chains:
        return spec.table
    chain = spec.chain(_name(authority))
    return chain.table if chain else ""


def guarded(plan: Plan, listener: str, request: Request) -> tuple[Request, tuple[tuple[str, str], ...]]:
    """The request as a gateway takes it in, and the headers that its spoof guard took away."""
    spec = plan.listeners.get(listener)
    if spec is None or not spec.strips:
        return request, ()
    gone = tuple(header for header in request.headers if header[0] in spec.strips)
    return replace(request, headers=tuple(header for header in request.headers if header not in gone)), gone


def simulate(plan: Plan, listener: str, request: Request, *, within: bool = False) -> Decision:
    """`listener` is named `address_port`. `within`: the request is as it is behind the gateway's spoof guard."""
    found = _simulate(plan, listener, request, within=within)
    return replace(found, inside=_inside(plan, found.outcome)) if plan.inbound else found


def _inside(plan: Plan, outcome: Outcome) -> tuple[Source, ...]:
    parts = outcome if isinstance(outcome, tuple) else ()
    pods = (endpoint for part in parts if isinstance(part, Reached) for endpoint in part.endpoints)
    return tuple(dict.fromkeys(source for pod in pods for source in plan.changed_inside(pod)))


def _simulate(plan: Plan, listener: str, request: Request, *, within: bool) -> Decision:
    spec = plan.listeners.get(listener)
    if spec is None:
        return Decision(NO_LISTENER, listener)
    if spec.strips and not within:
        inside, gone = guarded(plan, listener, request)
        return replace(_simulate(plan, listener, inside, within=True), stripped=gone)
    if spec.role is Role.NODE_PORT:
        return Decision((_target(plan, Target(spec.cluster), 1.0),), listener)
    table = spec.table
    if spec.chains:
        chain = spec.chain(_name(request.authority))
        if chain is None:
            return Decision(NO_CHAIN, listener)
        if chain.targets:
            return Decision(tuple(_targets(plan, chain.targets)), listener)
        table = chain.table
    routes = effective(plan, table)
    found = _in_table(plan, routes.table, request)
    unclear = (*_filters(plan, spec), *routes.not_understood(found.virtual_host), *_of_clusters(plan, found.outcome))
    return replace(found, listener=listener, filters=tuple(dict.fromkeys(unclear)))


def _filters(plan: Plan, spec: ListenerSpec) -> tuple[Source, ...]:
    return tuple(patch.owner.source for patch in plan.edits.listeners.get(spec.name, ()))


_PLAIN_FIELDS = {  # of a cluster: they change how a request is sent, not whether and where to
    *("connect_timeout", "lb_policy", "circuit_breakers", "outlier_detection", "per_connection_buffer_limit_bytes"),
    *("upstream_connection_options", "common_lb_config", "metadata", "alt_stat_name", "cleanup_interval"),
    *("least_request_lb_config", "round_robin_lb_config", "ring_hash_lb_config", "maglev_lb_config"),
    *("name", "dns_refresh_rate", "respect_dns_ttl", "wait_for_warm_on_init"),
}


def _of_clusters(plan: Plan, outcome: Outcome) -> Iterable[Source]:
    """EnvoyFilters that do more to a cluster than is understood here."""
    for part in outcome if isinstance(outcome, tuple) else ():
        spec = plan.clusters.get(part.cluster)
        patches = spec.edits if spec else (patch for patch in plan.edits.clusters if patch.value.name == part.cluster)
        for patch in patches:
            if spec is None or any(field.name not in _PLAIN_FIELDS for field, _ in patch.value.ListFields()):
                yield patch.owner.source


def _in_table(plan: Plan, table: RouteTable, request: Request) -> Decision:
    host = choose_host(table, request.authority)
    if host is None:
        return Decision(NO_ROUTE)
    if host.https_only and request.scheme == "http":
        return Decision(Redirect(scheme="https"), virtual_host=host.name)
    if request.method == "CONNECT" and _tunnels(host):
        # The tunnel ends at the same listener, where what is inside is routed; its first request names the same host.
        return _in_table(plan, table, replace(request, method="GET"))
    for number, route in enumerate(host.routes):
        if route.match.accepts(request):
            outcome = _outcome(plan, route, request)
            return Decision(outcome, virtual_host=host.name, route=route, passed_over=host.routes[:number])
    return Decision(NO_ROUTE, virtual_host=host.name, passed_over=host.routes)


def _tunnels(host: VirtualHost) -> bool:
    actions = (route.action for route in host.routes if route.match.connect)
    return any(isinstance(action, Forward) and action.targets[0].cluster == SELF for action in actions)


def _name(authority: str) -> str:
    """What a client asks for by SNI when it is to call this authority."""
    return re.sub(r":\d+$", "", authority.lower())


def choose_host(table: RouteTable, authority: str) -> VirtualHost | None:
    """Exact name first, then the longest wildcard, then `*`. Case does not matter."""
    return domains_of(table).find(_name(authority) if table.ignore_port else authority.lower())


def _outcome(plan: Plan, route: Route, request: Request) -> Outcome:
    action = route.action
    if not isinstance(action, Forward):
        return action
    if route.cors is not None and _answers_preflight(route.cors, request):
        return DirectResponse(200)
    if all(_passes(plan, target.cluster) for target in action.targets):
        return PassedThrough(request.authority)
    return tuple(_targets(plan, action.targets))


def _answers_preflight(cors: Cors, request: Request) -> bool:
    """A browser's question whether it may ask is answered by the proxy, for origins that the rule allows."""
    origins = request.values("origin")
    if request.method != "OPTIONS" or not any(request.values("access-control-request-method")) or not any(origins):
        return False
    return not cors.forward_unmatched or any(allowed.accepts(origins[0]) for allowed in cors.origins)


def _passes(plan: Plan, cluster: str) -> bool:
    """Whether requests go on to where their own host leads, as those for a ServiceEntry without resolution do."""
    spec = plan.clusters.get(cluster)
    if spec is None:
        return cluster == PASSTHROUGH
    return spec.service.resolution is Resolution.NONE and not spec.closed


def _targets(plan: Plan, targets: Sequence[Target]) -> Iterable[Reached | Lost]:
    total = sum(target.weight for target in targets)
    for target in targets:
        yield _target(plan, target, target.weight / total)


def _target(plan: Plan, target: Target, share: float) -> Reached | Lost:
    if _passes(plan, target.cluster):
        return Reached(target.cluster, share, ())
    spec = plan.clusters.get(target.cluster)
    if spec is None and any(patch.value.name == target.cluster for patch in plan.edits.clusters):
        return Reached(target.cluster, share, ())  # an EnvoyFilter's own, whose endpoints it knows
    if spec is None:
        return Lost(target.cluster, share, NO_CLUSTER)
    endpoints = plan.picked(spec)
    return Reached(target.cluster, share, endpoints) if endpoints else Lost(target.cluster, share, NO_ENDPOINT)
