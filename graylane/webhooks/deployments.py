"""Holds a Deployment back the moment its template changes, so that no pod of the new version starts unasked.

Pure. In: an admission request about an updated Deployment, a `View` of Rollouts and ReplicaSets. Out: the patch that
pauses and claims it. The rules are those of OpenKruise's workload webhook, numbered W1 to W8 in their order there:

    W1 claimed already: stays paused   W2 no replicas   W3 `rollout-id` unchanged   W4 template unchanged
    W5 no Rollout   W6 nothing else runs   W7 embedded routes and a roll under way   W8 else: hold it

W3 is not followed: whoever has a Rollout wants a new image released, whatever its id. Neither is W7: a roll under way
is no reason to let the next version out unasked.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.errors import Invalid
from graylane.kit.cache import View
from graylane.model.kinds import REPLICA_SET, ROLLOUT
from graylane.model.meta import Obj, annotations_of, controller_of, dig, is_deleting, labels_of, name_of, uid_of
from graylane.model.revisions import hash_of, revision_of, stable_candidate, template_of, wanted_replicas
from graylane.model.rollout import (
    CANARY_DEPLOYMENT,
    IN_PROGRESSING,
    STABLE_REVISION,
    Phase,
    Rollout,
    claim,
    progressing_reason,
)
from graylane.model.versions.rollout import decode
from graylane.webhooks.review import ALLOWED, AdmissionResponse, entry

_GIVING_BACK = frozenset({"Finalising", "Cancelling"})  # the release un-pauses the Deployment itself


def mutate_deployment(request: Obj, view: View) -> AdmissionResponse:
    """Allows every update; at most pauses, claims and labels the Deployment."""
    new, old = request.get("object") or {}, request.get("oldObject") or {}
    if request.get("operation") != "UPDATE" or request.get("subResource") or CANARY_DEPLOYMENT in labels_of(new):
        return ALLOWED
    namespace = str(request.get("namespace") or dig(new, "metadata", "namespace", default=""))
    found = _rollout_for(view, namespace, name_of(new) or str(request.get("name", "")))
    if found is None:  # W5; above W1, so that a claim nobody answers for cannot keep a Deployment paused for ever
        return ALLOWED
    obj, rollout = found
    sets = _sets(view, new, old)
    if _claimed(obj, new, old, sets):
        return AdmissionResponse(tuple(_keep(new, old, rollout)), warnings=tuple(_told(new, old, rollout)))
    if wanted_replicas(new) == 0:  # W2: nothing runs, nothing to hold back
        return ALLOWED
    if revision_of(template_of(new)) == revision_of(template_of(old)):  # W4
        return ALLOWED
    if _gives_back(obj, new, sets):
        return ALLOWED
    stable = stable_candidate(sets, template_of(new))
    if stable is None:  # W6: no other version runs
        return ALLOWED
    return AdmissionResponse(tuple(_hold(new, rollout, hash_of(stable))))  # W8


def _rollout_for(view: View, namespace: str, name: str) -> tuple[Obj, Rollout] | None:
    """The Rollout that releases this Deployment and is alive and able to."""
    for obj in view.list(ROLLOUT, namespace):
        if dig(obj, "spec", "objectRef", "workloadRef", "name") != name or is_deleting(obj):
            continue
        try:
            rollout = decode(obj)
        except Invalid:
            continue
        if not rollout.disabled and dig(obj, "status", "phase") != Phase.DISABLED:
            return obj, rollout
    return None


def _claimed(obj: Obj, new: Obj, old: Obj, sets: list[Obj]) -> bool:
    """W1, and beyond it: a claim also stands when the update drops the annotation, as `kubectl replace` does.

    OpenKruise looks at the new object alone, so replacing the Deployment mid-release rolls the new version out.
    Only the controller may end a claim: its release then is giving back, or the template is the stable one again.
    """
    if annotations_of(new).get(IN_PROGRESSING):
        return True
    if not annotations_of(old).get(IN_PROGRESSING) or progressing_reason(obj) in _GIVING_BACK:
        return False
    return stable_candidate(sets, template_of(new)) is not None


def _gives_back(obj: Obj, new: Obj, sets: list[Obj]) -> bool:
    """The controller restores the stable template of a release that had begun to promote: both versions run."""
    stable = dig(obj, "status", "canaryStatus", "stableRevision", default="")
    revision = revision_of(template_of(new))
    restored = any(hash_of(item) == stable and revision_of(template_of(item)) == revision for item in sets)
    return progressing_reason(obj) == "Cancelling" and restored


def _sets(view: View, new: Obj, old: Obj) -> list[Obj]:
    """By the stored object's uid: clients like Karmada submit objects without one (openkruise/rollouts #330)."""
    uid = uid_of(old) or uid_of(new)
    owned: list[Obj] = view.owned_by(REPLICA_SET, uid)
    return [item for item in owned if (controller_of(item) or {}).get("uid") == uid]


def _keep(new: Obj, old: Obj, rollout: Rollout) -> Iterator[Obj]:
    """Stays paused and claimed, whatever the update says."""
    yield from _paused(new)
    yield from entry(new, "annotations", IN_PROGRESSING, claim(rollout.key.name))
    label = labels_of(old).get(STABLE_REVISION)
    if label:
        yield from entry(new, "labels", STABLE_REVISION, label)
    if dig(new, "spec", "strategy", "type") == "Recreate" and dig(old, "spec", "strategy", "type") != "Recreate":
        yield {"op": "replace", "path": "/spec/strategy", "value": dig(old, "spec", "strategy", default={})}


def _told(new: Obj, old: Obj, rollout: Rollout) -> Iterator[str]:
    """`kubectl rollout resume` says "resumed" all the same, and its `undo` asks for a resume first."""
    if dig(old, "spec", "paused") is not True or dig(new, "spec", "paused") is True:
        return
    namespace, name = rollout.key
    typed = name if namespace == "default" else f"{name} -n {namespace}"
    yield (
        f"Rollout {name} keeps this Deployment paused until its release ends: "
        f"graylane approve {typed}, or graylane undo {typed}"
    )


def _hold(new: Obj, rollout: Rollout, stable_revision: str) -> Iterator[Obj]:
    yield from _paused(new)
    yield from entry(new, "labels", STABLE_REVISION, stable_revision)
    yield from entry(new, "annotations", IN_PROGRESSING, claim(rollout.key.name))


def _paused(new: Obj) -> Iterator[Obj]:
    if dig(new, "spec", "paused") is not True:
        yield {"op": "add", "path": "/spec/paused", "value": True}
