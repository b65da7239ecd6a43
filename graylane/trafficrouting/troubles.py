"""What stands in the way of a TrafficRouting's routes, in the words users read.

Pure. In: a `View`, a TrafficRouting, `Surroundings`. Out: `Trouble`s, first those of its Services, then those of the
objects that route.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from graylane.kit.cache import View
from graylane.model.kinds import SERVICE, Kind
from graylane.model.meta import Obj
from graylane.model.trafficrouting import NetworkRef, ServiceRef, TrafficRouting
from graylane.trafficrouting.lua.script import Script
from graylane.trafficrouting.providers import ingress
from graylane.trafficrouting.providers.services import canary_trouble

Wanted = list[tuple[NetworkRef, list[ServiceRef]]]
"""Each object once, with all entries that name it."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the routes cannot be put in: a reason in one word, and what, which object, what to do."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the shell finds out for us. `kind_of`: None for a kind that is not served, or whose objects are `unread`;
    `script_of`: None without one."""

    kind_of: Callable[[NetworkRef], Kind | None]
    unread: Callable[[NetworkRef], bool]
    script_of: Callable[[NetworkRef], Script | None]
    script_hint: Callable[[NetworkRef], str]


def troubles(
    view: View, obj: Obj, routing: TrafficRouting, wanted: Wanted, around: Surroundings
) -> tuple[Trouble, ...]:
    """All of them; `obj` is the TrafficRouting as the API gives it."""
    where = f"TrafficRouting {routing.key}"
    found = [*_of_entries(view, routing), *_of_targets(view, obj, routing, wanted, around)]
    return tuple(Trouble(reason, f"{where}: {words}") for reason, words in found)


def _of_entries(view: View, routing: TrafficRouting) -> Iterator[tuple[str, str]]:
    if not routing.refs:
        yield "NothingToRoute", "spec.objectRef is empty; name a Service and what routes to it"
    for entry in routing.refs:
        if not entry.networks:
            yield "NothingToRoute", f"{entry.path}.customNetworkRefs is empty; name what to route"
        if view.get(SERVICE, routing.key.namespace, entry.service) is None:
            yield (
                "ServiceNotFound",
                f"Service {entry.service} not found; create it or correct {entry.path}.service",
            )


def _of_targets(
    view: View, obj: Obj, routing: TrafficRouting, wanted: Wanted, around: Surroundings
) -> Iterator[tuple[str, str]]:
    for ref, entries in wanted:
        kind = around.kind_of(ref)
        if not entries:
            continue
        if kind is None and around.unread(ref):
            hint = "it must be let list and watch them"
            yield "KindNotRead", f"the controller has not read {ref.kind} of {ref.api_version} yet; {hint}"
        elif kind is None:
            hint = f"install its CRD or correct {ref.path}"
            yield "KindNotServed", f"{ref.kind} of {ref.api_version} is not served; {hint}"
        elif ref.source:
            yield from _of_ingress(view, obj, routing, (ref, entries))
        elif view.get(kind, routing.key.namespace, ref.name) is None:
            yield f"{ref.kind}NotFound", f"{ref} not found; create it or correct {ref.path}"
        if kind is not None and not ref.source:
            yield from _of_services(view, routing, (ref, entries))
        if kind is not None and around.script_of(ref) is None:
            yield "ScriptNotFound", f"no script for {ref}; {around.script_hint(ref)}"


def _of_ingress(
    view: View, obj: Obj, routing: TrafficRouting, wanted: tuple[NetworkRef, list[ServiceRef]]
) -> Iterator[tuple[str, str]]:
    """A canary Ingress must have something to be made from, and lead somewhere else than the user's."""
    (ref, entries), namespace = wanted, routing.key.namespace
    source = view.get(ingress.INGRESS, namespace, ref.source)
    live = view.get(ingress.INGRESS, namespace, ref.name)
    if live is not None and not ingress.is_ours(live, obj):
        yield "IngressTaken", f"{ref} is somebody else's; it would be the canary's, so delete or rename it"
    if source is None:
        yield "IngressNotFound", f"Ingress {ref.source} not found; create it or correct {ref.path}.name"
        return
    for entry in entries:
        if not ingress.routes_to(source, entry.service):
            yield (
                "NothingToRoute",
                f"Ingress {ref.source} has no path to Service {entry.service}; add one or correct {entry.path}",
            )
        if _other_class(ref, entry):
            yield "ClassTypeConflict", f"Ingress {ref.source} is named with two classTypes; correct {entry.path}"
        if not ingress.tells_pods_apart(ref.class_type, source):
            reason, words = canary_trouble(view, namespace, entry.service, entry.canary_service)
            if reason:
                yield reason, f"Ingress {ref.source}: {words}"


def _of_services(
    view: View, routing: TrafficRouting, wanted: tuple[NetworkRef, list[ServiceRef]]
) -> Iterator[tuple[str, str]]:
    for entry in wanted[1]:
        if not (wanted[0].by_service or entry.canary_service):
            continue
        reason, words = canary_trouble(view, routing.key.namespace, entry.service, entry.canary_service)
        if reason:
            yield reason, f"{wanted[0]}: {words}"


def _other_class(ref: NetworkRef, entry: ServiceRef) -> bool:
    return any((other.source, other.class_type != ref.class_type) == (ref.source, True) for other in entry.networks)
