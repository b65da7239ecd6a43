"""Whether the routes of a lane would lead to canary pods, told from labels before a route is asked for.

Pure. In: a `View`, a TrafficRouting, a canary Deployment. Out: one sentence, "" when they would or nobody can tell.
A VirtualService sends a Service's lane to the subset `canary` of its DestinationRule. Canary pods that are not in it
are ready and listed, and no dyed request finds them: each would end in 503. OpenKruise does not look.

What scripts of the user's own make of either object is theirs to know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graylane.kit.cache import View
from graylane.model.kinds import CONFIG_MAP, DESTINATION_RULE, SERVICE, VIRTUAL_SERVICE
from graylane.model.meta import Obj, dig, name_of, namespace_of
from graylane.model.selectors import LabelSelector
from graylane.model.userscripts import config_map_key, data_key

_SUBSET = "canary"
_SHIPPED = {"istio.service.tag": "gray"}  # the subset that the script for DestinationRules adds where there is none


def unreached(view: View, routing: Obj | None, canary: Obj) -> str:
    """The first subset that should hold the canary's pods and does not, and what would mend it."""
    if routing is None or _is_scripted(view):
        return ""
    labels: dict[str, str] = dict(dig(canary, "spec", "template", "metadata", "labels", default={}))
    for entry in dig(routing, "spec", "objectRef", default=[]):
        for rule in _subsets_of(view, namespace_of(routing), entry, labels):
            wanted = _labels_of_subset(rule)
            if not wanted.items() <= labels.items():
                return (
                    f"no canary pod is in subset {_SUBSET} of DestinationRule {name_of(rule)}, which dyed requests "
                    f"would be sent to; let patchPodTemplateMetadata.labels set {_text(wanted)}"
                )
    return ""


def _subsets_of(view: View, namespace: str, entry: Obj, labels: Mapping[str, str]) -> Iterator[Obj]:
    """The DestinationRules whose subset the entry's routes lead to, where it is this canary that they are for."""
    refs = entry.get("customNetworkRefs") or []
    service = view.get(SERVICE, namespace, str(entry.get("service", "")))
    selector = LabelSelector.of_map(dig(service, "spec", "selector", default={}))
    apart = bool(entry.get("canaryService"))
    if apart or not selector.matches(labels) or not any(ref.get("kind") == VIRTUAL_SERVICE.kind for ref in refs):
        return
    named = (str(ref.get("name", "")) for ref in refs if ref.get("kind") == DESTINATION_RULE.kind)
    yield from filter(None, (view.get(DESTINATION_RULE, namespace, name) for name in named))


def _labels_of_subset(rule: Obj) -> dict[str, str]:
    subsets = dig(rule, "spec", "subsets", default=None) or []
    found = (subset.get("labels") or {} for subset in subsets if subset.get("name") == _SUBSET)
    return dict(next(found, _SHIPPED))


def _is_scripted(view: View) -> bool:
    data = dig(view.get(CONFIG_MAP, *config_map_key()), "data", default=None) or {}
    return any(data_key(kind.kind, kind.group) in data for kind in (VIRTUAL_SERVICE, DESTINATION_RULE))


def _text(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
