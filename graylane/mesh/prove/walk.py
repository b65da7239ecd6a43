"""Proves a lane: every class of requests at every hop, from every way in.

Pure. In: a `View`, the mesh's `Inputs`, a `Lane`. Out: `Proof`.

At a gateway a request may be anything; in between a service is taken to pass on the lane's headers, to call what its
pods are configured with, and to send anything else besides. A request may be dyed by a rule at the edge; what a rule
further in takes away or adds is followed. A service that only the mesh reaches is asked from its own namespace.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from graylane.chain.match import Request
from graylane.chain.topology import calls_of_pod
from graylane.kit.cache import View
from graylane.mesh.compile.directory import parsed_cluster
from graylane.mesh.compile.listeners import ListenerSpec, Role
from graylane.mesh.compile.plan import Plan, plan
from graylane.mesh.effective import effective
from graylane.mesh.explain.hop import edited
from graylane.mesh.explain.reading import Lists, inputs_of, view_of
from graylane.mesh.explain.rules import name_of_rule
from graylane.mesh.inputs import Inputs, Source
from graylane.mesh.memo import Memo
from graylane.mesh.prove.classes import Values, samples
from graylane.mesh.prove.imagine import imagined
from graylane.mesh.prove.judge import CLAIMS, Claim, Fault, Judge, parts
from graylane.mesh.prove.lane import Cast, Headers, Lane, lanes_of, spelled
from graylane.mesh.prove.proof import Failure, Proof, Step
from graylane.mesh.simulate import Decision, choose_host, simulate, table_of
from graylane.mesh.table import Forward, VirtualHost
from graylane.model.meta import Obj, dig, key_of

MAX_CLASSES = 10_000


def prove(view: View, inputs: Inputs, lane: Lane, claims: frozenset[Claim] = CLAIMS) -> Proof:
    """`claims` leaves out what need not hold yet: between two steps of a release `Claim.CANARY` may not.

    Each way in which a promise is broken is told once, for the rule that decides.
    """
    return _Prover(view, plan(inputs, Memo()), lane, claims).proof()


def prove_all(view: View, inputs: Inputs, namespace: str = "", claims: frozenset[Claim] = CLAIMS) -> tuple[Proof, ...]:
    """One proof for each lane of the TrafficRoutings in `namespace`, or in all."""
    return tuple(prove(view, inputs, lane, claims) for lane in lanes_of(view, namespace))


def prove_lists(lists: Lists, namespace: str = "", claims: frozenset[Claim] = CLAIMS) -> tuple[Proof, ...]:
    """`prove_all` of objects as they are written: what is missing of pods and endpoints is taken to be ready."""
    found = imagined(lists)
    return prove_all(view_of(found), inputs_of(found), namespace, claims)


class _Dye(StrEnum):
    DYED = "dyed"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class _State:
    """A kind of request at a listener. `carried` are the lane's headers where they are neither dye nor free.

    `host` and `path` are of the request that is certain to be sent; `host` is "" at a gateway, where any may be.
    """

    table: str
    dye: _Dye
    host: str = ""
    path: str = "/"
    carried: Headers | None = None


@dataclass(slots=True)
class _Prover:
    view: View
    plan: Plan
    lane: Lane
    claims: frozenset[Claim]
    judge: Judge = field(init=False)
    tried: int = 0
    complete: bool = True
    failures: dict[tuple[Claim, str, str], Failure] = field(default_factory=dict)
    filters: dict[Source, None] = field(default_factory=dict)
    seen: dict[_State, None] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    queue: deque[tuple[_State, ListenerSpec, str, tuple[Step, ...]]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.judge = Judge(self.view, self.plan, Cast(self.view, self.lane))

    def proof(self) -> Proof:
        for table, spec in self._gateways().items():
            for dye in _Dye:
                self._enter(_State(table, dye), spec, f"gateway {spec.owner.key if spec.owner else ''}", ())
        self._run()
        for state, spec, caller in self._unreached():
            self._enter(state, spec, caller, ())
        self._run()
        return Proof(
            self.lane,
            tuple(self.failures.values()),
            self.tried,
            len({(state.table, state.host) for state in self.seen}),
            self.judge.has_canaries(),
            self.complete,
            tuple(map(str, self.filters)),
        )

    def _run(self) -> None:
        while self.queue:
            self._hop(*self.queue.popleft())

    def _enter(self, state: _State, spec: ListenerSpec, caller: str, trail: tuple[Step, ...]) -> None:
        if state not in self.seen:
            self.seen[state] = None
            self.queue.append((state, spec, caller, trail))

    def _gateways(self) -> dict[str, ListenerSpec]:
        """A listener for each of the gateways' tables, on the node where there is one."""
        found: dict[str, ListenerSpec] = {}
        for spec in self.plan.listeners.values():
            for table in spec.tables if spec.role is Role.GATEWAY else ():
                on_node = spec.owner is not None and spec.address != spec.owner.ip
                if table not in found or on_node:
                    found[table] = spec
        return found

    def _unreached(self) -> Iterator[tuple[_State, ListenerSpec, str]]:
        """Services that no way in leads to, each asked from every kind of pod in its namespace."""
        for group in self.plan.groups:
            proxy = group.proxies[0]
            spec = self.plan.listeners.get(f"{proxy.ip}_{self.plan.inputs.mesh.proxy_port}")
            if spec is None or spec.role is not Role.OUTBOUND:
                continue
            for service in self.plan.inputs.services:
                if service.namespace != proxy.namespace or service.host in self.reached:
                    continue
                for port in service.ports if self.judge.serves_everybody(service.key) else ():
                    if port.protocol.is_http:
                        host = service.name if port.number == 80 else f"{service.name}:{port.number}"
                        for dye in _Dye:
                            yield _State(spec.table, dye, host), spec, f"pod {proxy.key}"

    def _hop(self, state: _State, spec: ListenerSpec, caller: str, trail: tuple[Step, ...]) -> None:
        for request, certain in self._requests(state, spec):
            if self.tried >= MAX_CLASSES:
                self.complete = False
                return
            self.tried += 1
            decision = simulate(self.plan, spec.name, request, within=True)
            self.filters.update(dict.fromkeys((*decision.filters, *decision.inside)))
            rule = name_of_rule(decision.route) if decision.route else ""
            here = (*trail, Step(caller, spec.name, request, rule))
            for fault in self._faults(state, spec, request, decision, certain=certain):
                self._tell(fault, here)
            self._go_on(state, request, decision, here)

    def _faults(
        self, state: _State, spec: ListenerSpec, request: Request, decision: Decision, *, certain: bool
    ) -> Iterator[Fault]:
        if state.dye is _Dye.PLAIN:
            yield from self.judge.plain(decision, certain=certain)
            return
        kept = tuple(header for header in request.headers if header[0] not in self.lane.names)
        twin = simulate(self.plan, spec.name, replace(request, headers=kept), within=True)
        yield from self.judge.dyed(decision, twin, certain=certain)

    def _tell(self, fault: Fault, trail: tuple[Step, ...]) -> None:
        key = (fault.claim, trail[-1].listener, trail[-1].rule or fault.says)
        if fault.claim in self.claims:
            self.failures.setdefault(key, Failure(fault.claim, fault.says, trail))

    def _requests(self, state: _State, spec: ListenerSpec) -> Iterator[tuple[Request, bool]]:
        """A request for each class; which of them are certain to be sent."""
        hosts = self._hosts(state, spec)
        for host, authority in hosts:
            matches = [route.match for route in host.routes if not route.match.connect] if host else []
            for fixed in self._fixed(state):
                before = self.lane.matches if state.dye is _Dye.PLAIN and state.carried is None else ()
                known = {":scheme": (spec.scheme(authority),), **fixed}
                for sample in samples([*before, *matches], authority, known, below=state.path):
                    if sample.index >= len(before):
                        plain = not {name for name, _ in sample.request.headers} - self.lane.names
                        yield sample.request, bool(state.host) and plain and sample.request.path == state.path

    def _hosts(self, state: _State, spec: ListenerSpec) -> Iterable[tuple[VirtualHost | None, str]]:
        """Where connections are told apart by server name, only those that lead to the state's own table."""
        table = effective(self.plan, state.table).table
        if state.host:
            return [(choose_host(table, state.host), state.host)]
        named = ((host, _authority(domain, spec)) for host in table.hosts for domain in host.domains)
        return [(host, authority) for host, authority in named if table_of(spec, authority) == state.table]

    def _fixed(self, state: _State) -> Iterable[Mapping[str, Values]]:
        if state.carried is not None:
            carried = dict(state.carried)
            return [{name: (carried.get(name),) for name in self.lane.names}]
        if state.dye is _Dye.PLAIN:
            return [{}]
        return [spelled(dye) for dye in self.lane.dyes]

    def _go_on(self, state: _State, request: Request, decision: Decision, trail: tuple[Step, ...]) -> None:
        """Into what the pods that are reached call, with the lane's headers as the rules left them."""
        route = decision.route
        targets = route.action.targets if route and isinstance(route.action, Forward) else ()
        split = route is not None and isinstance(route.action, Forward) and route.action.split
        for part, target in zip(parts(decision), targets, strict=False):
            self.reached.add(parsed_cluster(part.cluster)[0])
            edits = [route.request] if route else []
            edits = [target.request, *edits] if split else edits
            headers = edited(request.headers, edits)
            dye, carried = self._dye_of(state, trail[-1], request.headers, headers)
            if dye is _Dye.DYED and state.dye is _Dye.PLAIN:
                for fault in self.judge.missed(decision):
                    self._tell(fault, trail)
            for pod in self.judge.behind(part):
                self._call(pod, dye, carried, trail)

    def _dye_of(self, state: _State, step: Step, before: Headers, after: Headers) -> tuple[_Dye, Headers | None]:
        """A dye that an edge gives counts; one that is lost on the way makes a request that still should be dyed."""
        names = self.lane.names
        was, now = (tuple(each for each in found if each[0] in names) for found in (before, after))
        if self.lane.is_dyed(now):
            dye = _Dye.DYED if step.at_gateway or state.dye is _Dye.DYED else _Dye.PLAIN
            return dye, None if dye is _Dye.DYED else now
        if state.dye is _Dye.DYED:
            return _Dye.DYED, now
        return _Dye.PLAIN, None if was == now else now

    def _call(self, pod: Obj, dye: _Dye, carried: Headers | None, trail: tuple[Step, ...]) -> None:
        address = str(dig(pod, "status", "podIP", default=""))
        spec = self.plan.listeners.get(f"{address}_{self.plan.inputs.mesh.proxy_port}")
        if spec is None or spec.role is not Role.OUTBOUND:
            return
        for call in calls_of_pod(self.view, pod):
            state = _State(spec.table, dye, call.authority, call.request.path, carried)
            self._enter(state, spec, f"pod {key_of(pod)}", trail)


def _authority(domain: str, spec: ListenerSpec) -> str:
    if domain == "*":
        return spec.address if spec.port == 80 else f"{spec.address}:{spec.port}"
    return domain.replace("*", "any", 1)
