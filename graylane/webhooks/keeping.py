"""Keeps what a release has put into objects of the user's, whoever writes them meanwhile.

Shell (waits for scripts, not for long). In: an admission request about an updated object. Out: the patch that leaves
their edit in and puts ours on top, with a warning that says so; and the webhooks that make an API server ask. Nobody is
ever refused: who cannot be helped at once is told, and the controller does it a moment later.

Our controllers write under their own field manager and are let through: they alone take out what they put in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator

from graylane.kit.cache import View
from graylane.model.kinds import DESTINATION_RULE, TRAFFIC_ROUTING, VIRTUAL_SERVICE
from graylane.model.managers import CONTROLLERS
from graylane.model.meta import Obj, annotations_of, dig, finalizers_of, is_deleting, name_of
from graylane.model.revisions import POD_TEMPLATE_HASH
from graylane.model.rollout import PINNED_BY
from graylane.model.trafficrouting import ADDED, FINALIZER, PROGRESSING_FINALIZER
from graylane.webhooks.review import ALLOWED, AdmissionResponse, entry

KEEP_ROUTES, KEEP_PIN, KEEP_HOLD = "/keep-routes", "/keep-pin", "/keep-hold"
ROUTES = "mroutes.graylane.dev"
_TIMEOUT_SECONDS = 2  # what a stuck controller may cost a user's write
_PATIENCE_SECONDS = 1.5  # for scripts, so that the answer that they were late is not late itself
_KINDS = {
    VIRTUAL_SERVICE.group: (VIRTUAL_SERVICE.plural, DESTINATION_RULE.plural),
    "gateway.networking.k8s.io": ("httproutes",),
}

Keep = Callable[[Obj, Obj, View], Awaitable[tuple[Obj | None, tuple[str, ...]]]]
"""Of the stored and the wanted object: what to store in place of the latter, None for itself; and warnings."""
Late = Callable[[Obj, Obj], str]
Handler = Callable[[Obj, View], Awaitable[AdmissionResponse]]


def keeper(keep: Keep, late: Late) -> Handler:
    """`late`: what to say when `keep` takes too long."""

    async def handle(request: Obj, view: View) -> AdmissionResponse:
        old, new = _edit(request)
        if not old or not new:
            return ALLOWED
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                wanted, warnings = await keep(old, new, view)
        except TimeoutError:
            return AdmissionResponse(warnings=(late(old, new),))
        return AdmissionResponse(tuple(_difference(new, wanted or new)), warnings=warnings)

    return handle


def keep_pin(request: Obj, _: View) -> AdmissionResponse:
    """A Service pinned to stable pods stays so: freed, it would list canary pods for plain requests to meet."""
    old, new = _edit(request)
    owner, pin = annotations_of(old).get(PINNED_BY), dig(old, "spec", "selector", POD_TEMPLATE_HASH)
    selector = dig(new, "spec", "selector")
    if not owner or not pin or not selector or is_deleting(new):
        return ALLOWED
    patch = list(entry(new, "annotations", PINNED_BY, owner))
    if selector.get(POD_TEMPLATE_HASH) != pin:
        patch.append({"op": "add", "path": f"/spec/selector/{POD_TEMPLATE_HASH}", "value": pin})
    told = (
        f"Rollout {owner} keeps Service {name_of(new)} pinned to the stable version until its release ends; "
        "everything else is stored as you wrote it"
    )
    return AdmissionResponse(tuple(patch), warnings=(told,) if patch else ())


def keep_hold(request: Obj, _: View) -> AdmissionResponse:
    """A TrafficRouting stays held by the Rollouts that use it: let go, it would take its routes out.

    `kubectl replace` drops all finalizers. Who takes away single ones, as people do who hold it by hand, means it.
    """
    old, new = _edit(request)
    ours = [name for name in finalizers_of(old) if name == FINALIZER or name.startswith(PROGRESSING_FINALIZER)]
    if not ours or not {*ours}.isdisjoint(finalizers_of(new)) or is_deleting(new):
        return ALLOWED
    patch = {"op": "add", "path": "/metadata/finalizers", "value": [*finalizers_of(new), *ours]}
    holders = [name.removeprefix(PROGRESSING_FINALIZER) for name in ours if name != FINALIZER]
    told = f"Rollout {', '.join(holders)} keeps its hold of TrafficRouting {name_of(new)} until its release ends"
    return AdmissionResponse((patch,), warnings=(told,) if holders else ())


def _edit(request: Obj) -> tuple[Obj, Obj]:
    """The object as stored and as wanted; both empty when nobody but us wants anything."""
    ours = dig(request, "options", "fieldManager") == CONTROLLERS
    if ours or request.get("operation") != "UPDATE" or request.get("subResource"):
        return {}, {}
    return request.get("oldObject") or {}, request.get("object") or {}


def _difference(submitted: Obj, wanted: Obj) -> Iterator[Obj]:
    for path in (("metadata", "labels"), ("metadata", "annotations"), ("spec",)):
        before, after = dig(submitted, *path), dig(wanted, *path)
        if after == before:
            continue
        where = "/" + "/".join(path)
        yield {"op": "remove", "path": where} if after is None else {"op": "add", "path": where, "value": after}


# -- whom to ask about


def webhooks(client: Callable[[str], Obj]) -> list[Obj]:
    """All of them, as parts of a MutatingWebhookConfiguration. `client` gives the `clientConfig` for a path."""
    routings = [_rule(TRAFFIC_ROUTING.group, (TRAFFIC_ROUTING.plural,))]
    held = "has(oldObject.metadata.finalizers)"
    return [
        _webhook(ROUTES, client(KEEP_ROUTES), annotated(ADDED), rules(())),
        _webhook("mservice.graylane.dev", client(KEEP_PIN), annotated(PINNED_BY), [_rule("", ("services",))]),
        _webhook("mtrafficrouting.graylane.dev", client(KEEP_HOLD), held, routings),
    ]


def rules(more: Iterable[tuple[str, str]]) -> list[Obj]:
    """The kinds that every cluster may have, and `more`: groups and plurals that TrafficRoutings name besides."""
    known = [_rule(group, plurals) for group, plurals in _KINDS.items()]
    new = sorted({(group, plural) for group, plural in more if plural not in _KINDS.get(group, ())})
    return known + [_rule(group, (plural,)) for group, plural in new]


def annotated(name: str) -> str:
    """In CEL: the stored object has this annotation."""
    return f"has(oldObject.metadata.annotations) && '{name}' in oldObject.metadata.annotations"


def conditions(carries: str) -> list[Obj]:
    """Only of what `carries` something of ours, and not about our own writes.

    API servers before 1.28 do not know them, and ask about every object of these kinds.
    """
    others = f"!has(request.options.fieldManager) || request.options.fieldManager != '{CONTROLLERS}'"
    return [{"name": "by-somebody-else", "expression": others}, {"name": "carries-ours", "expression": carries}]


def _webhook(name: str, client: Obj, carries: str, asked: list[Obj]) -> Obj:
    return {
        "name": name,
        "clientConfig": client,
        "rules": asked,
        "matchConditions": conditions(carries),
        "failurePolicy": "Ignore",
        "reinvocationPolicy": "IfNeeded",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": _TIMEOUT_SECONDS,
    }


def _rule(group: str, plurals: tuple[str, ...]) -> Obj:
    return {"apiGroups": [group], "apiVersions": ["*"], "resources": list(plurals), "operations": ["UPDATE"]}
