"""`metadata.ownerReferences`: whom an object belongs to.

Pure. In: metadata. Out: field errors; the references without those that say the same twice.
"""

from __future__ import annotations

from graylane.cluster.apiserver.schema.fielderror import FieldError, invalid
from graylane.model.meta import Obj

_PATH = "metadata.ownerReferences"
_TWICE = (
    ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject "
    "such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
)


def check(metadata: Obj) -> list[FieldError]:
    references = metadata.get("ownerReferences") or []
    errors = [error for reference in references for error in _check(reference)]
    controllers = [reference.get("name", "") for reference in references if reference.get("controller")]
    if len(controllers) > 1:
        named = ", ".join(controllers[:-1]) + " and " + controllers[-1]
        detail = f'Only one reference can have Controller set to true. Found "true" in references for {named}'
        errors.append(invalid(_PATH, references, detail))
    return errors


def _check(reference: Obj) -> list[FieldError]:
    group, _, version = str(reference.get("apiVersion") or "").rpartition("/")
    errors: list[FieldError] = []
    if not version:
        errors.append(invalid(f"{_PATH}.apiVersion", reference.get("apiVersion", ""), "version must not be empty"))
    for name in ("kind", "name", "uid"):
        if not reference.get(name):
            errors.append(invalid(f"{_PATH}.{name}", "", "must not be empty"))
    if (group, reference.get("kind")) == ("", "Event"):
        detail = f"{group}/{version}, Kind=Event is disallowed from being an owner"
        errors.append(invalid(_PATH, reference, detail))
    return errors


def without_twins(obj: Obj) -> tuple[Obj, str]:
    """`obj` with every reference once, and what to warn of; "" when there was nothing to do."""
    references = obj["metadata"].get("ownerReferences") or []
    kept: list[Obj] = []
    for reference in references:
        if reference not in kept:
            kept.append(reference)
    if len(kept) == len(references):
        return obj, ""
    twice = dict.fromkeys(str(one.get("uid", "")) for one in kept if references.count(one) > 1)
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": kept}}, _TWICE + ", ".join(twice)
