"""Jobs: the selector and the labels that tell each Job's pods from all others.

Pure. In: Jobs. Out: Jobs that select their pods by their own uid, unless the user asked to select by hand
(`spec.manualSelector`); field errors for labels and selectors that pretend to be generated. Follows Kubernetes' job
strategy and `ValidateGeneratedSelector`; the labels without a domain are its older spelling, which tools still read.
"""

from __future__ import annotations

from datetime import datetime

from graylane.cluster.apiserver.schema.fielderror import FieldError, invalid, required
from graylane.cluster.apiserver.strategy.base import Strategy
from graylane.model.meta import Obj, dig, labels_of, name_of, uid_of
from graylane.model.selectors import LabelSelector

_UID = "batch.kubernetes.io/controller-uid"
_UIDS, _NAMES = ("controller-uid", _UID), ("job-name", "batch.kubernetes.io/job-name")


def _generated(job: Obj) -> dict[str, str]:
    return dict.fromkeys(_UIDS, uid_of(job)) | dict.fromkeys(_NAMES, name_of(job))


def _by_hand(job: Obj) -> bool:
    return bool(dig(job, "spec", "manualSelector", default=False))


def _create(job: Obj, now: datetime) -> Obj:
    """What the user wrote is kept, and refused by `_check` where it disagrees."""
    if _by_hand(job) or not isinstance(job.get("spec"), dict):
        return job
    template: Obj = job["spec"].get("template") or {}
    labels = _generated(job) | labels_of(template)
    metadata = (template.get("metadata") or {}) | {"labels": labels}
    selector: Obj = job["spec"].get("selector") or {}
    chosen = selector | {"matchLabels": {_UID: uid_of(job)} | (selector.get("matchLabels") or {})}
    chosen_spec = job["spec"] | {"selector": chosen, "template": template | {"metadata": metadata}}
    own = job["metadata"] if labels_of(job) else job["metadata"] | {"labels": labels}
    return {**job, "metadata": own, "spec": chosen_spec}


def _check(new: Obj, old: Obj | None) -> list[FieldError]:
    template, selector = labels_of(dig(new, "spec", "template", default={})), dig(new, "spec", "selector")
    if selector is None:
        return [required("spec.selector")]
    if not _by_hand(new):
        return _check_generated(new, template, selector)
    if LabelSelector.of(selector).matches(template):
        return []
    return [invalid("spec.template.metadata.labels", template, "`selector` does not match template `labels`")]


def _check_generated(job: Obj, template: dict[str, str], selector: Obj) -> list[FieldError]:
    expected = _generated(job)
    errors = [
        invalid(f"spec.template.metadata.labels[{name}]", template, f"must be '{value}'")
        for name, value in expected.items()
        if template.get(name) != value
    ]
    if not LabelSelector.of(selector).matches(expected):
        errors.append(invalid("spec.selector", selector, "`selector` not auto-generated"))
    return errors


JOBS = Strategy(create=_create, check=_check)
