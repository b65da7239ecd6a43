"""One hop: who asks, which rule of which object decides, who answers or why nobody does.

Pure. In: a `Scene`, a `View` of the pods, a listener, a request. Out: `Hop`, all of it plain text and numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from graylane.chain.match import Request
from graylane.chain.workloads import version_labels, version_of
from graylane.kit.cache import View
from graylane.mesh.compile.directory import Client, parsed_cluster
from graylane.mesh.compile.listeners import ListenerSpec, Role
from graylane.mesh.explain import advice
from graylane.mesh.explain.rules import Passed, name_of_rule, passed_over
from graylane.mesh.explain.scene import Scene
from graylane.mesh.explain.words import in_words
from graylane.mesh.inputs import Endpoint, Labels, Service, Source
from graylane.mesh.simulate import (
    NO_CHAIN,
    NO_ROUTE,
    Decision,
    Lost,
    Outcome,
    PassedThrough,
    Reached,
    Refusal,
    guarded,
    simulate,
    table_of,
)
from graylane.mesh.table import DirectResponse, Fault, Forward, HeaderEdits, Redirect
from graylane.model.kinds import POD
from graylane.model.meta import Obj

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Pod:
    """A ready endpoint. `labels` are the ones that name versions, which may call it otherwise than it does itself.

    `changed_by` are EnvoyFilters that change requests there, on their way in.
    """

    namespace: str
    name: str
    address: str
    version: str
    labels: Labels = field(default_factory=dict)
    changed_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Destination:
    """`percent` of such requests. `headers` are the request's after this hop's rules have edited them."""

    percent: float
    service: str
    port: int
    subset: str
    labels: Labels
    rules: tuple[str, ...]
    pods: tuple[Pod, ...]
    headers: Headers
    refusal: Refusal | None = None
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Hop:
    """`callers` are a gateway, or pods that all fare the same. `answer` is one that no pod gives; `rule` "" is none.

    `request` is without the headers that the spoof guard has `stripped`.
    """

    callers: tuple[str, ...]
    request: Request
    listener: str
    opened_by: tuple[str, ...] = ()
    stripped: Headers = ()
    virtual_host: str = ""
    rule: str = ""
    wants: str = ""
    passed: tuple[Passed, ...] = ()
    not_evaluated: tuple[str, ...] = ()
    fault: str = ""
    destinations: tuple[Destination, ...] = ()
    answer: str = ""
    refusal: Refusal | None = None
    advice: str = ""
    sources: frozenset[Source] = frozenset()
    calls: tuple[Hop, ...] = ()


def hop_at(scene: Scene, view: View, spec: ListenerSpec, request: Request, callers: tuple[str, ...]) -> Hop:
    """`spec` is an HTTP listener of the scene."""
    decision = simulate(scene.plan, spec.name, request)
    spec = replace(spec, table=table_of(spec, request.authority) or spec.table)
    request, _ = guarded(scene.plan, spec.name, request)
    client = scene.client(spec.owner)
    found = _Hop(scene, view, spec, request, decision)
    refused = decision.outcome if isinstance(decision.outcome, Refusal) else _aborted(decision.fault)
    return Hop(
        callers=callers,
        request=request,
        listener=spec.name,
        opened_by=found.opened_by(),
        stripped=decision.stripped,
        virtual_host=decision.virtual_host,
        rule=name_of_rule(decision.route) if decision.route else "",
        wants=in_words(decision.route.match) if decision.route else "",
        passed=passed_over(scene, spec, decision, request),
        not_evaluated=tuple(map(str, decision.filters)),
        fault=_fault(decision.fault),
        destinations=tuple(found.destinations(client)) if client and not refused else (),
        answer=_answer(decision.outcome, request.authority),
        refusal=refused,
        advice=found.advice(refused),
        sources=found.sources(client),
    )


@dataclass(frozen=True, slots=True)
class _Hop:
    scene: Scene
    view: View
    spec: ListenerSpec
    request: Request
    decision: Decision

    def opened_by(self) -> tuple[str, ...]:
        port = self.scene.opened(self.spec) if self.spec.role is Role.GATEWAY else None
        openings = port.openings if port else ()
        return tuple(dict.fromkeys(str(opening.gateway.source) for opening in openings))

    def advice(self, refused: Refusal | None) -> str:
        if isinstance(self.decision.outcome, PassedThrough) and self.spec.owner is not None:
            services = self.scene.plan.inputs.services
            return advice.unknown_host(services, self.request.authority, self.spec.owner.namespace)
        if refused is None:
            return ""
        if refused == NO_CHAIN:
            return advice.no_server(self.spec)
        host = self.scene.virtual_host(self.spec, self.request.authority)
        if self.decision.outcome == NO_ROUTE:
            return advice.no_route(self.scene, self.spec, host, self.request.authority)
        return advice.ABORTED

    def destinations(self, client: Client) -> Iterable[Destination]:
        action = self.decision.route.action if self.decision.route else None
        targets, split = (action.targets, action.split) if isinstance(action, Forward) else ((), False)
        parts = self.decision.outcome if isinstance(self.decision.outcome, tuple) else ()
        for part, target in zip(parts, targets, strict=False):
            route = self.decision.route
            # With one destination its edits were joined with the route's own.
            edits = [route.request] if route else []
            edits = [target.request, *edits] if split else edits
            yield self._destination(client, part, edited(self.request.headers, edits))

    def _destination(self, client: Client, part: Reached | Lost, headers: Headers) -> Destination:
        host, port, subset = parsed_cluster(part.cluster)
        service = client.service(host)
        spec = self.scene.plan.clusters.get(part.cluster)
        rule = client.rule(service) if service else None
        is_lost = isinstance(part, Lost)
        return Destination(
            percent=part.share * 100,
            service=str(service.key) if service else host,
            port=port,
            subset=subset,
            labels=dict(spec.labels) if spec else {},
            rules=tuple(map(str, rule.sources)) if rule and subset else (),
            pods=() if is_lost or service is None else self._pods(service, port, part),
            headers=headers,
            refusal=part.refusal if isinstance(part, Lost) else None,
            advice=advice.lost(self.scene, self.view, client, part) if isinstance(part, Lost) else "",
        )

    def _pods(self, service: Service, port: int, part: Reached | Lost) -> tuple[Pod, ...]:
        found = service.port(port)
        endpoints = part.endpoints if isinstance(part, Reached) else ()
        return tuple(self._pod(service, each, found.name if found else "") for each in endpoints)

    def _pod(self, service: Service, endpoint: Endpoint, port: str) -> Pod:
        pod: Obj | None = self.view.get(POD, service.namespace, endpoint.pod)
        address = f"{endpoint.address}:{endpoint.number(port)}"
        changed_by = tuple(map(str, self.scene.plan.changed_inside(endpoint)))
        if pod is None:
            return Pod(service.namespace, endpoint.pod, address, "", changed_by=changed_by)
        return Pod(service.namespace, endpoint.pod, address, version_of(pod), version_labels(pod), changed_by)

    def sources(self, client: Client | None) -> frozenset[Source]:
        """The routing objects that this hop depends on."""
        route = self.decision.route
        found = {route.source} if route and route.source else set()
        for part in self.decision.outcome if isinstance(self.decision.outcome, tuple) and client else ():
            service = client.service(parsed_cluster(part.cluster)[0]) if client else None
            rule = client.rule(service) if client and service else None
            found.update(rule.sources if rule else ())
        return frozenset(found)


def edited(headers: Headers, edits: Iterable[HeaderEdits]) -> Headers:
    """What the next in line sees of the headers."""
    found = list(headers)
    for each in edits:
        gone = {name.lower() for name in each.remove} | {name.lower() for name, _ in each.set}
        found = [entry for entry in found if entry[0] not in gone]
        found += [(name.lower(), value) for name, value in (*each.set, *each.add)]
    return tuple(found)


def _answer(outcome: Outcome, authority: str) -> str:
    if isinstance(outcome, Redirect):
        path = outcome.path or (outcome.prefix and f"{outcome.prefix}…")
        where = f"{outcome.host}{path}"
        if outcome.scheme:
            where = f"{outcome.scheme}://{outcome.host or authority}{path}"
        return f"{outcome.code} redirect to {where or 'the same place'}" + (
            f", port {outcome.port}" * bool(outcome.port)
        )
    if isinstance(outcome, DirectResponse):
        return f"{outcome.status} answered by the rule itself"
    if isinstance(outcome, PassedThrough):
        return f"no Service of the mesh: passed on to {outcome.host} as it is"
    return ""


def _aborted(fault: Fault | None) -> Refusal | None:
    """A fault that leaves nobody through answers in the destination's place."""
    if fault is None or fault.abort_status is None or fault.abort_status[1] < 100:
        return None
    return Refusal(fault.abort_status[0], "FI", "fault_filter_abort")


def _fault(fault: Fault | None) -> str:
    if fault is None:
        return ""
    delay = f"{fault.delay[1]:g} % delayed by {fault.delay[0]:g} s" if fault.delay else ""
    status = fault.abort_status or fault.abort_grpc
    abort = f"{status[1]:g} % aborted with {status[0]}" if status else ""
    return ", ".join(filter(None, (delay, abort)))
