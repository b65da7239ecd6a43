"""Which rule decided, and why those before it did not.

Pure. In: a `Scene`, a listener, a decision, the request. Out: the rules before, in the order in which they count. A
rule that asks for another caller is not in the caller's table; it is told where it is written all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from graylane.chain.match import Request, route_match
from graylane.mesh.compile.delegates import place_of
from graylane.mesh.compile.listeners import ListenerSpec
from graylane.mesh.explain.scene import Scene, Speaker
from graylane.mesh.explain.words import Unmet, in_words, unmet, unmet_of_caller
from graylane.mesh.inputs import Block, Source
from graylane.mesh.simulate import Decision
from graylane.mesh.table import Route


@dataclass(frozen=True, slots=True)
class Passed:
    """One match of a rule that came before and did not hold."""

    rule: str
    wants: str
    unmet: tuple[Unmet, ...]


@dataclass(frozen=True, slots=True)
class _Hidden:
    """A match that is meant for other callers. `index` is its rule's, in the order of the object."""

    source: Source
    index: int
    passed: Passed


def name_of_rule(route: Route) -> str:
    """`VirtualService default/vs-mocka http[0]`; "" for what no object asked for."""
    return f"{route.source} {route.place}" if route.source else ""


def passed_over(scene: Scene, spec: ListenerSpec, decision: Decision, request: Request) -> tuple[Passed, ...]:
    """Other matches of the deciding rule are alternatives, and not told."""
    host = scene.virtual_host(spec, request.authority)
    if host is None:
        return ()
    inner = replace(request, method="GET") if _ended_tunnel(decision, request) else request
    speakers = scene.speakers(spec, host)
    hidden = [each for speaker in speakers for each in _hidden(speaker)]
    found = tuple(_in_order(hidden, decision, inner, _indexes(speakers)))
    decided = name_of_rule(decision.route) if decision.route else ""
    return tuple(each for each in found if each.rule != decided)


def _ended_tunnel(decision: Decision, request: Request) -> bool:
    return request.method == "CONNECT" and decision.route is not None and not decision.route.match.connect


def _hidden(speaker: Speaker) -> Iterable[_Hidden]:
    service = speaker.service
    for index, rule in enumerate(service.http):
        for block in rule.get("match") or ():
            lacks = unmet_of_caller(block, service, speaker.client, speaker.port)
            if lacks is not None:
                told = Passed(f"{service.source} {place_of(rule, index)}", _wants(block, lacks), (lacks,))
                yield _Hidden(service.source, index, told)


def _wants(block: Block, lacks: Unmet) -> str:
    match = route_match(block)
    return f"{lacks.condition}, {in_words(match)}" if not match.takes_all else lacks.condition


Indexes = dict[tuple[Source, str], int]


def _indexes(speakers: Iterable[Speaker]) -> Indexes:
    return {
        (speaker.service.source, place_of(rule, index)): index
        for speaker in speakers
        for index, rule in enumerate(speaker.service.http)
    }


def _in_order(hidden: list[_Hidden], decision: Decision, request: Request, indexes: Indexes) -> Iterable[Passed]:
    left = list(hidden)
    tried = [route for route in decision.passed_over if not route.match.connect]
    heard = {route.source for route in (*tried, decision.route) if route is not None}
    yield from _take(left, lambda each: each.source not in heard)
    for route in tried:
        yield from _take(left, _before(route, indexes))
        yield Passed(name_of_rule(route), in_words(route.match), unmet(route.match, request))
    yield from _take(left, _before(decision.route, indexes) if decision.route else lambda _: True)


def _before(route: Route, indexes: Indexes) -> Callable[[_Hidden], bool]:
    index = indexes.get((route.source, route.place), 0) if route.source else 0
    return lambda each: each.source == route.source and each.index < index


def _take(left: list[_Hidden], wanted: Callable[[_Hidden], bool]) -> list[Passed]:
    """What is wanted, taken out of what is left."""
    taken = [each for each in left if wanted(each)]
    left[:] = [each for each in left if not wanted(each)]
    return [each.passed for each in taken]
