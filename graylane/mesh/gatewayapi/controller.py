"""Keeps Istio's objects equal to what the Gateway API's objects ask for, and those informed.

Pure. In: a `View`. Out: effects. There is one key, the class `istio`: routes of several namespaces meet at one host, so
that the whole is looked at whenever a part changes. Without the class nothing is ours, and what we made goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from graylane.kit import Controller, Create, Delete, Effect, Outcome, Patch
from graylane.kit.cache import View
from graylane.mesh.gatewayapi.attach import CLASS, CONTROLLER
from graylane.mesh.gatewayapi.objects import FROM, LABEL, Wanted, wanted
from graylane.mesh.gatewayapi.routes import ROUTES
from graylane.mesh.gatewayapi.status import statuses
from graylane.mesh.read import AGE, SPOOF_GUARD
from graylane.model.kinds import (
    GATEWAY,
    GATEWAY_CLASS,
    KUBE_GATEWAY,
    NAMESPACE,
    POD,
    REFERENCE_GRANT,
    SECRET,
    SERVICE,
    SERVICE_ENTRY,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.meta import Key, Obj, annotations_of, dig, is_deleting, key_of, labels_of, uid_of
from graylane.model.patches import create_merge_patch
from graylane.model.selectors import LabelSelector

_KEY = Key("", CLASS)
_PORT = ("name", "port", "targetPort", "protocol")
_MADE = (GATEWAY, VIRTUAL_SERVICE, SERVICE)
_OURS = LabelSelector.of_map({LABEL: FROM})

GATEWAY_CLASS_OBJECT: Obj = {
    "apiVersion": GATEWAY_CLASS.api_version,
    "kind": GATEWAY_CLASS.kind,
    "metadata": {"name": CLASS},
    "spec": {"controllerName": CONTROLLER, "description": "The default Istio GatewayClass"},
}


def controller() -> Controller:
    asking = (KUBE_GATEWAY, *ROUTES, REFERENCE_GRANT, SERVICE, SERVICE_ENTRY, SECRET, NAMESPACE)
    return Controller(
        "gateway-api",
        GATEWAY_CLASS,
        reconcile,
        watches={**dict.fromkeys(_MADE, _if_ours), **dict.fromkeys(asking, _always), POD: _if_gateway},
    )


def _always(_: Obj) -> Iterable[Key]:
    return (_KEY,)


def _if_ours(obj: Obj) -> Iterable[Key]:
    return (_KEY,) if labels_of(obj).get(LABEL) == FROM else ()


def _if_gateway(pod: Obj) -> Iterable[Key]:
    return (_KEY,) if "istio" in labels_of(pod) else ()


def reconcile(view: View, key: Key, now: datetime) -> Outcome:
    if key != _KEY:
        return Outcome()
    found = wanted(view) if view.get(GATEWAY_CLASS, *_KEY) is not None else Wanted()
    effects: list[Effect] = [*_made(view, found)]
    if view.get(GATEWAY_CLASS, *_KEY) is not None:
        effects += statuses(view, found, now)
    return Outcome(tuple(effects))


def _made(view: View, found: Wanted) -> Iterator[Effect]:
    for (kind, key), obj in found.objects.items():
        old = view.get(kind, *key)
        if old is None:
            yield Create(kind, obj)
        elif labels_of(old).get(LABEL) == FROM and (change := dict(_changes(kind, old, obj))):
            yield Patch(kind, key, change)
    for kind in _MADE:
        for obj in view.list(kind, None, _OURS):
            if (kind, key_of(obj)) not in found.objects and not is_deleting(obj):
                yield Delete(kind, key_of(obj), uid_of(obj))


def _changes(kind: Kind, old: Obj, new: Obj) -> Iterator[tuple[str, Obj]]:
    if not _is_as_wanted(kind, old, new):
        yield "spec", _change(kind, old, new)
    before, after = ({name: annotations_of(each).get(name) for name in (SPOOF_GUARD, AGE)} for each in (old, new))
    if before != after:
        yield "metadata", {"annotations": {name: value for name, value in after.items() if value != before[name]}}


def _is_as_wanted(kind: Kind, old: Obj, new: Obj) -> bool:
    """A Service has more than we say: what the API server handed out."""
    if kind != SERVICE:
        return bool(old.get("spec") == new["spec"])
    ports = [{name: port.get(name) for name in _PORT} for port in dig(old, "spec", "ports", default=[])]
    return bool({**old["spec"], **new["spec"], "ports": ports} == {**old["spec"], "ports": new["spec"]["ports"]})


def _change(kind: Kind, old: Obj, new: Obj) -> Obj:
    return dict(new["spec"]) if kind == SERVICE else create_merge_patch(old.get("spec") or {}, new["spec"])
