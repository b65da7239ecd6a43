"""What controllers ask of pods, and how a template becomes one.

Pure. In: pods and pod templates. Out: predicates, names, new pods. The rules are those of Kubernetes' `podutil` and
`controller_utils.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import count, islice
from typing import Any

from graylane.model.hashing import short_hash
from graylane.model.kinds import Kind
from graylane.model.meta import (
    Obj,
    condition,
    dig,
    is_deleting,
    is_true,
    name_of,
    namespace_of,
    owner_reference,
    parse_time,
    uid_of,
)

_SUFFIX_LENGTH = 5
_LONGEST_PREFIX = 63 - _SUFFIX_LENGTH  # as kube-apiserver trims generateName, so that pod names stay DNS labels


def is_finished(pod: Mapping[str, Any]) -> bool:
    """No container will run again."""
    return dig(pod, "status", "phase") in ("Succeeded", "Failed")


def is_active(pod: Mapping[str, Any]) -> bool:
    """Counts towards a replica count: neither finished nor on its way out."""
    return not is_finished(pod) and not is_deleting(pod)


def is_ready(pod: Mapping[str, Any]) -> bool:
    return is_true(pod, "Ready")


def ready_since(pod: Mapping[str, Any]) -> datetime | None:
    """When a ready pod became ready; None while it is not."""
    entry = condition(pod, "Ready")
    if entry is None or entry.get("status") != "True" or not entry.get("lastTransitionTime"):
        return None
    return parse_time(entry["lastTransitionTime"])


def available_at(pod: Mapping[str, Any], min_ready_seconds: int) -> datetime | None:
    """From when on a ready pod counts as available; None while it is not ready."""
    since = ready_since(pod)
    return None if since is None else since + timedelta(seconds=min_ready_seconds)


def is_available(pod: Mapping[str, Any], min_ready_seconds: int, now: datetime) -> bool:
    if min_ready_seconds == 0:
        return is_ready(pod)
    since = available_at(pod, min_ready_seconds)
    return since is not None and since <= now


def new_names(owner: Obj, how_many: int, taken: Callable[[str], bool]) -> list[str]:
    """Names `<owner>-<5 characters>` for dependents still to be created.

    The same owner in the same version gives the same names, so asking twice cannot create twice; a later version (every
    pod that comes or goes changes its ReplicaSet's status) gives others, so a name is not used again for another pod.
    """
    seed = [uid_of(owner), dig(owner, "metadata", "resourceVersion", default="")]
    candidates = (f"{_prefix(owner)}{short_hash([*seed, number], _SUFFIX_LENGTH)}" for number in count())
    return list(islice((name for name in candidates if not taken(name)), how_many))


def _prefix(owner: Obj) -> str:
    return f"{name_of(owner)}-"[:_LONGEST_PREFIX]


def from_template(template: Mapping[str, Any], owner: Obj, kind: Kind, name: str) -> Obj:
    """The pod `name` of a workload `owner` of `kind`, as its template says."""
    wanted: Mapping[str, Any] = dig(template, "metadata", default={})
    metadata: Obj = {
        "name": name,
        "generateName": _prefix(owner),
        "namespace": namespace_of(owner),
        "ownerReferences": [owner_reference(owner, kind)],
    }
    for field in ("labels", "annotations", "finalizers"):
        if wanted.get(field):
            metadata[field] = wanted[field]
    return {"metadata": metadata, "spec": template.get("spec") or {}}


def first_wake(moments: Iterable[datetime | None], now: datetime) -> datetime | None:
    """The earliest of `moments` that is still to come."""
    return min((moment for moment in moments if moment is not None and moment > now), default=None)
