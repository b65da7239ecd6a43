"""Claims for storage, which keep their wish as Kubernetes' do.

Pure. In: the new object and, on update, the old one. Out: field errors.
"""

from __future__ import annotations

from graylane.cluster.apiserver.schema.fielderror import forbidden, required
from graylane.cluster.apiserver.schema.validate.checks import Errors
from graylane.model.meta import Obj, dig

_FIXED = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def claim(new: Obj, old: Obj | None) -> Errors:
    if not dig(new, "spec", "accessModes"):
        yield required("spec.accessModes", "at least 1 access mode is required")
    if not dig(new, "spec", "resources", "requests", "storage"):
        yield required("spec.resources[storage]")
    if old is not None and _wish(new, old) != _wish(old, old):
        yield forbidden("spec", _FIXED)


def _wish(claim: Obj, old: Obj) -> Obj:
    """What stays: a claim that is bound may grow, one that is not may be given its volume."""
    bound = dig(old, "status", "phase") == "Bound"
    free = (
        ("resources", "volumeAttributesClassName")
        if bound
        else ()
        if dig(old, "spec", "volumeName")
        else ("volumeName",)
    )
    return {name: value for name, value in (claim.get("spec") or {}).items() if name not in free}
