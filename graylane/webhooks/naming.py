"""The annotation that names a Rollout's TrafficRouting counts also where it is edited through v1beta1.

Pure. In: an admission request about an updated Rollout. Out: the patch that lets the field `trafficRoutingRef` follow,
or a warning that says what counts.

`kubectl annotate` speaks v1beta1, whose view of a v1alpha1 Rollout shows the annotation and the field that stands for
it. Conversion has to let one of them win, the field, and without a word the edit would be lost. Whoever wrote the field
himself, as its managers tell, keeps it.
"""

from __future__ import annotations

from graylane.kit.cache import View
from graylane.model.managers import manager_of
from graylane.model.meta import Obj, annotations_of, dig, name_of
from graylane.model.rollout import TRAFFIC_ROUTING_NAME
from graylane.webhooks.review import ALLOWED, AdmissionResponse

FOLLOW_NAME = "/follow-trafficrouting"
_FIELD = ("spec", "strategy", "canary", "trafficRoutingRef")


def follow_name(request: Obj, _: View) -> AdmissionResponse:
    """Of an edit that leaves the field as it was."""
    old, new = request.get("oldObject") or {}, request.get("object") or {}
    named, edited, field = annotations_of(new).get(TRAFFIC_ROUTING_NAME, ""), _is_edited(old, new), dig(new, *_FIELD)
    if request.get("operation") != "UPDATE" or request.get("subResource") or not edited or not field or named == field:
        return ALLOWED
    if named and not manager_of(new, *_FIELD):
        return AdmissionResponse(({"op": "replace", "path": "/" + "/".join(_FIELD), "value": named},))
    told = (
        f"Rollout {name_of(new)} goes on with TrafficRouting {field}, which {'.'.join(_FIELD)} names; "
        f"edit that in place of the annotation {TRAFFIC_ROUTING_NAME}"
    )
    return AdmissionResponse(warnings=(told,))


def _is_edited(old: Obj, new: Obj) -> bool:
    before, after = (annotations_of(obj).get(TRAFFIC_ROUTING_NAME) for obj in (old, new))
    return before != after and dig(old, *_FIELD) == dig(new, *_FIELD)
