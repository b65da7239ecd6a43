"""What client-side apply left behind: fields that `kubectl apply --server-side` may take over without a conflict.

Pure. In: the live object. Out: the fields that its annotation says were applied and that nobody has changed since.
Follows apimachinery's lastAppliedManager, so that moving from one way of applying to the other needs no force.
"""

from __future__ import annotations

import orjson

from graylane.cluster.apiserver.patch.compare import compare
from graylane.cluster.apiserver.patch.fieldset import EMPTY, FieldSet
from graylane.cluster.apiserver.patch.places import field_set
from graylane.cluster.apiserver.schema.node import Node
from graylane.errors import BadRequest
from graylane.model.meta import Obj, annotations_of

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
HEIR = "kubectl"  # the only manager that inherits; others opt out by their name


def renewed(obj: Obj, config: Obj, manager: str) -> Obj:
    """`obj` with the annotation saying what was applied now, so that a way back to client-side apply stays open."""
    if manager != HEIR or ANNOTATION not in annotations_of(obj):
        return obj
    text = orjson.dumps(config, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    annotations = {**annotations_of(obj), ANNOTATION: text}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def inherited(root: Node, live: Obj | None, manager: str) -> FieldSet:
    """Nothing when there is no such annotation or it makes no sense."""
    written = annotations_of(live).get(ANNOTATION) if live is not None else None
    if live is None or manager != HEIR or not written:
        return EMPTY
    try:
        applied = orjson.loads(written)
        found = compare(root, applied, live)
        return field_set(root, applied) - found.added - found.modified - found.removed
    except (orjson.JSONDecodeError, AttributeError, BadRequest):
        return EMPTY
