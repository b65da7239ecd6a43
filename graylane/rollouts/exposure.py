"""Whether plain requests would reach canary pods, told from labels before the first of them exists.

Pure. In: a `View`, a Rollout with its TrafficRouting, the stable Deployment. Out: one sentence, "" when versions are
kept apart. Canary pods carry the stable pods' labels, changed by `patchPodTemplateMetadata`; a route to a subset, or to
the Service itself, whose labels they still match leads to them as well. OpenKruise does not look; nor does a mesh mind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graylane.kit.cache import View
from graylane.model.kinds import DESTINATION_RULE, SERVICE, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Key, Obj, dig
from graylane.model.rollout import Rollout
from graylane.rollouts.canary import template

_CANARY_SUBSET = "canary"  # it is there for canary pods
_PROTOCOLS = ("http", "tcp", "tls")


def exposure(view: View, rollout: Rollout, routing: Obj | None, stable: Obj) -> str:
    """The first route that does not keep canary pods out. Istio's routes are read; other providers check theirs."""
    if routing is None or (rollout.embedded and rollout.embedded.own_service):
        return ""
    labels = dig(template(stable, rollout), "metadata", "labels", default={})
    for entry in dig(routing, "spec", "objectRef", default=[]):
        if entry.get("canaryService"):
            continue
        found = _of_entry(view, rollout.key.namespace, entry, labels)
        if found:
            return found
    return ""


def read_by(routing: Obj | None) -> Iterator[tuple[Kind, str]]:
    """The objects that the answer depends on."""
    for entry in dig(routing, "spec", "objectRef", default=[]):
        for kind in (VIRTUAL_SERVICE, DESTINATION_RULE):
            yield from ((kind, name) for name in _named(entry, kind))


def _of_entry(view: View, namespace: str, entry: Obj, labels: Mapping[str, str]) -> str:
    service = str(entry.get("service", ""))
    rules = [view.get(DESTINATION_RULE, namespace, name) for name in _named(entry, DESTINATION_RULE)]
    for name in _named(entry, VIRTUAL_SERVICE):
        for subset in _subsets_routed_to(view.get(VIRTUAL_SERVICE, namespace, name), service):
            words = _of_subset(rules, subset, labels) if subset else _of_service(view, Key(namespace, service), labels)
            if words:
                return f"plain requests will reach canary pods: VirtualService {name} routes to {words}"
    return ""


def _named(entry: Obj, kind: Kind) -> list[str]:
    refs = entry.get("customNetworkRefs") or []
    return [str(ref.get("name", "")) for ref in refs if ref.get("kind") == kind.kind]


def _subsets_routed_to(virtual_service: Obj | None, service: str) -> Iterator[str]:
    """By name, "" for the Service as a whole; each once."""
    spec = dig(virtual_service, "spec", default={})
    routes = (route for name in _PROTOCOLS for rule in spec.get(name) or () for route in rule.get("route") or ())
    targets = (route.get("destination") or {} for route in routes)
    found = (str(to.get("subset") or "") for to in targets if str(to.get("host", "")).partition(".")[0] == service)
    return (name for name in dict.fromkeys(found) if name != _CANARY_SUBSET)


def _of_subset(rules: list[Obj | None], subset: str, labels: Mapping[str, str]) -> str:
    for rule in rules:
        for entry in dig(rule, "spec", "subsets", default=[]):
            chosen = entry.get("labels") or {}
            if entry.get("name") == subset and chosen.items() <= labels.items():
                return (
                    f"subset {subset} of DestinationRule {dig(rule, 'metadata', 'name')}, which they are in by "
                    f"{_text(chosen)}; let patchPodTemplateMetadata.labels change one of these"
                )
    return ""


def _of_service(view: View, key: Key, labels: Mapping[str, str]) -> str:
    selector = dig(view.get(SERVICE, *key), "spec", "selector", default={})
    if not selector or not selector.items() <= labels.items():
        return ""
    return (
        f"Service {key.name} without a subset, and it selects them by {_text(selector)}; "
        "let it route to a subset that patchPodTemplateMetadata.labels takes them out of"
    )


def _text(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items())) or "no label at all"
