"""Lets the API server ask about the kinds that TrafficRoutings name, whatever those are.

Pure. In: a `View` of TrafficRoutings, CRDs and our webhook configuration. Out: one `Controller`, which keeps the rules
of the webhook that keeps routes. Rules with wildcards would make it ask about everything that anybody writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from graylane.kit.cache import View
from graylane.kit.effects import Outcome, Patch
from graylane.kit.loop import Controller
from graylane.model.kinds import CRD, MUTATING_WEBHOOK, TRAFFIC_ROUTING
from graylane.model.meta import Key, Obj, dig
from graylane.model.patches import guarded
from graylane.webhooks.keeping import ROUTES, rules
from graylane.webhooks.server import MUTATING

_OURS = Key("", MUTATING)
_INGRESS = "networking.k8s.io", "Ingress", "ingresses"


def controller() -> Controller:
    return Controller(
        name="admission",
        primary=MUTATING_WEBHOOK,
        reconcile=_reconcile,
        watches={TRAFFIC_ROUTING: lambda _: (_OURS,), CRD: lambda _: (_OURS,)},
    )


def _reconcile(view: View, key: Key, now: datetime) -> Outcome:
    found = view.get(MUTATING_WEBHOOK, *_OURS)
    if key != _OURS or found is None:
        return Outcome()
    wanted = rules(_named(view))
    hooks = [hook | {"rules": wanted} if hook.get("name") == ROUTES else hook for hook in found.get("webhooks") or ()]
    if all(_asks_the_same(old, new) for old, new in zip(found.get("webhooks") or (), hooks, strict=True)):
        return Outcome()
    patch = guarded(found, {"webhooks": hooks})
    return Outcome((Patch(MUTATING_WEBHOOK, _OURS, patch, reason="ask about what is routed"),))


def _named(view: View) -> Iterator[tuple[str, str]]:
    """Groups and plurals of the kinds that exist and that some TrafficRouting names."""
    for group, kind, plural in (_INGRESS, *map(_kind_of, view.list(CRD))):
        if view.found_by(TRAFFIC_ROUTING, _kinds_named, f"{kind}.{group}"):
            yield group, plural


def _kind_of(crd: Obj) -> tuple[str, str, str]:
    names = dig(crd, "spec", "names", default={})
    return str(dig(crd, "spec", "group")), str(names.get("kind")), str(names.get("plural"))


def _kinds_named(routing: Obj) -> Iterable[str]:
    refs = [
        ref for entry in dig(routing, "spec", "objectRef", default=[]) for ref in entry.get("customNetworkRefs") or ()
    ]
    return {f"{ref.get('kind')}.{str(ref.get('apiVersion', '')).rpartition('/')[0]}" for ref in refs}


def _asks_the_same(old: Obj, new: Obj) -> bool:
    """Whatever defaults the API server has filled in."""
    return [_asked(rule) for rule in old.get("rules") or ()] == [_asked(rule) for rule in new.get("rules") or ()]


def _asked(rule: Obj) -> tuple[Obj, ...]:
    return tuple(rule.get(name) for name in ("apiGroups", "apiVersions", "resources", "operations"))  # type: ignore[misc]
