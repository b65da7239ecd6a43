"""A StatefulSet's pods: who they are by name and label, and how one is made.

Pure. In: a StatefulSet, an ordinal, a ControllerRevision. Out: pods, and patches that give a pod its identity back.
"""

from __future__ import annotations

from graylane.cluster.workloads.history import POD_REVISION, template_of
from graylane.cluster.workloads.pods import from_template
from graylane.cluster.workloads.stateful_claims import with_claims
from graylane.kit import Patch
from graylane.model.kinds import POD, STATEFUL_SET
from graylane.model.meta import Obj, dig, key_of, labels_of, name_of

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"


def ordinal_of(pod: Obj, stateful_set: str) -> int | None:
    """3 for `web-3` of `web`; None for a name that no pod of this set has."""
    parent, _, number = name_of(pod).rpartition("-")
    proper = number.isdigit() and str(int(number)) == number
    return int(number) if parent == stateful_set and proper else None


def revision_of(pod: Obj) -> str:
    """The name of the ControllerRevision it was made from."""
    return labels_of(pod).get(POD_REVISION, "")


def new_pod(stateful_set: Obj, ordinal: int, revision: Obj) -> Obj:
    name = f"{name_of(stateful_set)}-{ordinal}"
    pod = from_template(template_of(revision), stateful_set, STATEFUL_SET, name)
    labels = labels_of(pod) | _identity(name) | {POD_REVISION: name_of(revision)}
    spec = with_claims(stateful_set, ordinal, pod["spec"] | {"hostname": name})
    if service := dig(stateful_set, "spec", "serviceName"):
        spec["subdomain"] = service
    return {"metadata": pod["metadata"] | {"labels": labels}, "spec": spec}


def restored(pod: Obj) -> tuple[Patch, ...]:
    """The labels a Service selects one pod by, back on a pod that lost them."""
    labels = labels_of(pod)
    missing = {label: value for label, value in _identity(name_of(pod)).items() if labels.get(label) != value}
    return (Patch(POD, key_of(pod), {"metadata": {"labels": missing}}, reason="its identity"),) if missing else ()


def _identity(name: str) -> dict[str, str]:
    return {POD_NAME: name, POD_INDEX: name.rpartition("-")[2]}
