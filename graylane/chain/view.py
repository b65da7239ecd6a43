"""The chain on one screen: hop by hop, versions, pods, who serves dyed and plain requests, what each release waits for.

Pure. In: a `View`, a namespace. Out: `ChainView`, the one model behind `graylane status`, its JSON and the dashboard.
Who serves is predicted from the rules as stored; `routes` says whether the proxies have confirmed those rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from graylane.chain.problems import Confirmation, Problem, problems, weakest
from graylane.chain.releases import Release, release
from graylane.chain.requests import Dye, Request
from graylane.chain.routing import Routed, route
from graylane.chain.topology import Call, Hop, trees
from graylane.chain.workloads import Group, Role, canaries_of, group, role_of, stable_deployments, versions
from graylane.kit.cache import View
from graylane.model.kinds import ROLLOUT, SERVICE, TRAFFIC_ROUTING
from graylane.model.meta import Obj, labels_of, name_of
from graylane.model.rollout import routing_name


@dataclass(frozen=True, slots=True)
class Served:
    """Who answers one kind of request at one hop, in percent of it; `problem` when somebody gets an error instead."""

    base: int
    canary: int
    rule: str
    problem: str = ""

    def __str__(self) -> str:
        if self.problem and not self.base + self.canary:
            return self.problem.partition(":")[0]
        shares = [(self.base, Role.BASE.value), (self.canary, Role.CANARY.value)]
        present = [(share, name) for share, name in shares if share]
        if len(present) == 1 and not self.problem:
            return present[0][1]
        if self.base + self.canary == 100:  # a screen of 80 columns has no room for both shares of both requests
            return f"{Role.CANARY.value} {self.canary}%"
        return " ".join(f"{name} {share}%" for share, name in present)


@dataclass(frozen=True, slots=True)
class HopView:
    """One row. `served` holds one answer for each dye of the view, in its order."""

    service: str
    depth: int
    version: str
    base: Group
    canary: Group
    plain: Served
    served: tuple[Served, ...]
    routes: Confirmation
    direct: bool


@dataclass(frozen=True, slots=True)
class EntryView:
    """A way in and the hops behind it; `gateway` is "" for Services that only the mesh calls."""

    gateway: str
    host: str
    hops: tuple[HopView, ...]


@dataclass(frozen=True, slots=True)
class ChainView:
    """Everything `graylane status` shows."""

    namespace: str
    dyes: tuple[Dye, ...]
    entries: tuple[EntryView, ...]
    releases: tuple[Release, ...]
    problems: tuple[Problem, ...]


def chain_view(view: View, namespace: str, only: frozenset[str] = frozenset()) -> ChainView:
    """`only` narrows the releases and dyes to some Rollouts; the hops stay, because the chain is the point."""
    rollouts = [item for item in view.list(ROLLOUT, namespace) if not only or name_of(item) in only]
    dyes = _dyes(view, rollouts, namespace)
    return ChainView(
        namespace=namespace,
        dyes=dyes,
        entries=tuple(
            EntryView(
                tree.entry.gateway.name if tree.entry else "",
                tree.entry.host if tree.entry else "",
                tuple(row for hop in tree.hops for row in _rows(view, hop, dyes)),
            )
            for tree in trees(view, namespace)
        ),
        releases=tuple(release(view, item) for item in rollouts),
        problems=problems(view, namespace),
    )


def _dyes(view: View, rollouts: list[Obj], namespace: str) -> tuple[Dye, ...]:
    """Every distinct dye of the TrafficRoutings that these Rollouts use, in order of name."""
    names = {routing_name(item) for item in rollouts}
    routings = [item for item in view.list(TRAFFIC_ROUTING, namespace) if name_of(item) in names]
    return tuple(dict.fromkeys(dye for item in routings for dye in Dye.all_of(item)))


def _rows(view: View, hop: Hop, dyes: tuple[Dye, ...]) -> Iterator[HopView]:
    """This hop and what it calls. Each kind of request carries on with the labels of the pod it would reach here."""
    yield from _walk(view, hop, hop.call.request, tuple(hop.call.request.dyed(dye) for dye in dyes), 0)


def _walk(view: View, hop: Hop, plain: Request, dyed: tuple[Request, ...], depth: int) -> Iterator[HopView]:
    routed = [route(view, request) for request in (plain, *dyed)]
    yield _row(view, hop.call, routed, depth)
    for called in hop.calls:
        requests = [
            _carry_on(called.call.request, request, outcome)
            for request, outcome in zip((plain, *dyed), routed, strict=True)
        ]
        yield from _walk(view, called, requests[0], tuple(requests[1:]), depth + 1)


def _carry_on(called: Request, request: Request, outcome: Routed) -> Request:
    """The next hop's request: same headers (the service passes the dye on), sent by the pod that was reached."""
    pods = [pod for destination in outcome.destinations for pod in destination.pods]
    labels = labels_of(pods[0]) if pods else {}
    return replace(called, headers=request.headers, source_labels=labels)


def _row(view: View, call: Call, routed: list[Routed], depth: int) -> HopView:
    service = view.get(SERVICE, *call.service) or {}
    stable = stable_deployments(view, service)
    canaries = [item for deployment in stable for item in canaries_of(view, deployment)]
    sources = [item for outcome in routed for item in outcome.sources]
    served = tuple(_served(view, outcome) for outcome in routed)
    return HopView(
        service=call.service.name,
        depth=depth,
        version=", ".join(versions(view, item, canaries_of(view, item)) for item in stable) or "-",
        base=group(view, stable),
        canary=group(view, canaries),
        plain=served[0],
        served=served[1:],
        routes=weakest(sources),
        direct=not sources,
    )


def _served(view: View, outcome: Routed) -> Served:
    shares = {Role.BASE: 0.0, Role.CANARY: 0.0}
    for destination in outcome.destinations:
        for pod in destination.pods:
            shares[role_of(view, pod)] += destination.percent / len(destination.pods)
    troubles = [destination.problem for destination in outcome.destinations if destination.problem]
    problem = outcome.problem or "; ".join(troubles)
    return Served(round(shares[Role.BASE]), round(shares[Role.CANARY]), outcome.rule, problem)
