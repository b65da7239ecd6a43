"""ingress: a second Ingress for the canary, beside the user's, that the Ingress controller prefers for some requests.

Pure. In: the user's Ingress, whose canary is wanted, a script's annotations. Out: the canary Ingress, the `obj` that
Ingress scripts see (docs/lua.md), and the patch that keeps a live one as wanted. The user's Ingress is never written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from graylane.model.kinds import Kind
from graylane.model.meta import Obj, annotations_of, controller_of, dig, labels_of, namespace_of, uid_of
from graylane.model.patches import create_merge_patch, merge_patch
from graylane.model.trafficrouting import ADDED
from graylane.trafficrouting.providers.custom import Contribution, weights

INGRESS = Kind("networking.k8s.io", "v1", "Ingress", "ingresses")

# Classes of ours whose controllers tell versions apart by Service alone, unless the user's Ingress has the annotation
# that tells pods apart. What a class with a script of the user's can do, only the user knows.
_SUBSET_ANNOTATION: dict[str, str | None] = {
    "nginx": None,
    "higress": None,
    "aliyun-alb": None,
    "mse": "mse.ingress.kubernetes.io/service-subset",
}
# Bookkeeping of the tools that applied the user's Ingress: copied, it would make them take the canary for theirs.
_NOT_COPIED = ("kubectl.kubernetes.io/last-applied-configuration", "argocd.argoproj.io/")
_SECTIONS = ("labels", "annotations")


@dataclass(frozen=True, slots=True)
class Derived:
    """A target of our own making. `bare`: as it would be before its script; None: there is nothing to make it of."""

    bare: Obj | None
    routing: Obj  # the TrafficRouting, which is told when the API refuses it


def is_ours(live: Obj, routing: Obj) -> bool:
    """Whether the TrafficRouting made it, or OpenKruise for the Rollout whose routes the TrafficRouting carries."""
    makers = {uid_of(routing), (controller_of(routing) or {}).get("uid")} - {None, ""}
    return (controller_of(live) or {}).get("uid") in makers


def tells_pods_apart(class_type: str, source: Obj) -> bool:
    """Whether stable and canary may share a Service, or this class can tell nothing of it."""
    annotation = _SUBSET_ANNOTATION.get(class_type, "")
    return annotation == "" or annotation in annotations_of(source)


def routes_to(source: Obj, service: str) -> bool:
    return any(service == _service(path) for rule in _rules(source) for path in _paths(rule))


def bare(source: Obj, name: str, owner: Obj, services: Mapping[str, str]) -> Obj | None:
    """The canary Ingress without canary annotations: the paths to `services`, led to what those map to.

    `owner` is a reference to the TrafficRouting, so that the canary never outlives it. None: no path leads there.
    """
    rules = [
        rule | {"http": rule["http"] | {"paths": paths}}
        for rule in _rules(source)
        if (paths := [_moved(path, services) for path in _paths(rule) if _service(path) in services])
    ]
    if not rules:
        return None
    kept = {field: source["spec"][field] for field in ("ingressClassName", "tls") if source["spec"].get(field)}
    annotations = {key: text for key, text in annotations_of(source).items() if not key.startswith(_NOT_COPIED)}
    return {
        "metadata": {
            "name": name,
            "namespace": namespace_of(source),
            "ownerReferences": [owner],
            "labels": labels_of(source),
            "annotations": annotations,
        },
        "spec": kept | {"rules": rules},
    }


def _rules(source: Obj) -> list[Obj]:
    return dig(source, "spec", "rules", default=[])  # type: ignore[no-any-return]


def _paths(rule: Obj) -> list[Obj]:
    return dig(rule, "http", "paths", default=[])  # type: ignore[no-any-return]


def _service(path: Obj) -> str:
    return str(dig(path, "backend", "service", "name", default=""))


def _moved(path: Obj, services: Mapping[str, str]) -> Obj:
    return merge_patch(path, {"backend": {"service": {"name": services[_service(path)]}}})  # type: ignore[no-any-return]


# -- scripts


def script_input(annotations: Mapping[str, str], wish: Contribution) -> Obj:
    """The global `obj`. That the weight is a string, and "-1" without one, is OpenKruise's."""
    obj = {
        "annotations": dict(annotations),
        "weight": str(weights(wish)[0]),
        "matches": wish.strategy.get("matches"),
        "canaryService": wish.canary_service or wish.service,
        "requestHeaderModifier": wish.strategy.get("requestHeaderModifier"),
    }
    return {name: value for name, value in obj.items() if value is not None}


def dressed(plain: Obj, annotations: Mapping[str, str], wishes: Mapping[str, Contribution]) -> Obj:
    """With the script's annotations, and a note of what is ours in it and why."""
    note = {
        "for": {key: wishes[key].to_json() for key in sorted(wishes)},
        "keys": {"labels": sorted(labels_of(plain)), "annotations": sorted(annotations)},
    }
    metadata = plain["metadata"] | {"annotations": dict(annotations) | {ADDED: json.dumps(note, sort_keys=True)}}
    return plain | {"metadata": metadata}


def change(live: Obj, desired: Obj) -> Obj:
    """The merge patch that makes `live` as `desired`; {} when it is. What others stamped on it stays."""
    before = {"metadata": {section: _section(live, section) for section in _SECTIONS}, "spec": live.get("spec") or {}}
    ours = _written(live)
    stamped = {
        section: {key: text for key, text in _section(live, section).items() if key not in ours[section]}
        for section in _SECTIONS
    }
    wanted: Obj = {section: stamped[section] | _section(desired, section) for section in _SECTIONS}
    if controller_of(live) != controller_of(desired):
        wanted["ownerReferences"] = desired["metadata"]["ownerReferences"]
    return create_merge_patch(before, {"metadata": wanted, "spec": desired["spec"]})


def _section(obj: Obj, section: str) -> dict[str, str]:
    return dig(obj, "metadata", section, default={})  # type: ignore[no-any-return]


def _written(live: Obj) -> dict[str, set[str]]:
    """The keys we wrote last; all of them where the note is lost or OpenKruise made it."""
    try:
        keys = json.loads(annotations_of(live)[ADDED])["keys"]
        return {section: set(keys[section]) for section in _SECTIONS}
    except (KeyError, ValueError, TypeError):
        return {section: set(_section(live, section)) for section in _SECTIONS}
