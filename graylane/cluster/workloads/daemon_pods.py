"""A DaemonSet's pods: which nodes they are for, and how one is made for a node.

Pure. In: a DaemonSet, nodes, its pods. Out: `Place`s, one for each node concerned, and new pods. The rules are those of
Kubernetes' `daemon_controller.go`: pods are bound to their node by affinity, so the scheduler stays the one who binds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graylane.cluster.workloads.fitting import mismatch, tainted
from graylane.cluster.workloads.history import POD_REVISION
from graylane.cluster.workloads.pods import from_template
from graylane.model.kinds import DAEMON_SET
from graylane.model.meta import Obj, dig, is_deleting, labels_of, name_of

_TOLERATED = (  # daemons stay where other pods are driven away, and come where they are not let in
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)
_ON_HOST_NETWORK = (("network-unavailable", "NoSchedule"),)


@dataclass(frozen=True, slots=True)
class Place:
    """One node and the set's pods on it, oldest first. `wanted`: a pod belongs there; `bearable`: one may stay."""

    node: str
    wanted: bool
    bearable: bool
    pods: tuple[Obj, ...]

    @property
    def staying(self) -> tuple[Obj, ...]:
        return tuple(pod for pod in self.pods if not is_deleting(pod))


def places(daemon_set: Obj, nodes: Iterable[Obj], pods: Iterable[Obj]) -> list[Place]:
    """Of every node that wants a pod or has one; pods of nodes that are gone may not stay."""
    by_node: dict[str, list[Obj]] = {}
    for pod in sorted(pods, key=_seniority):
        by_node.setdefault(node_of(pod), []).append(pod)
    found = [_place(daemon_set, node, by_node.pop(name_of(node), [])) for node in nodes]
    return [*found, *(Place(node, False, False, tuple(left)) for node, left in sorted(by_node.items()))]


def _place(daemon_set: Obj, node: Obj, pods: list[Obj]) -> Place:
    template = dig(daemon_set, "spec", "template", "spec", default={})
    like = {"spec": template | {"tolerations": _tolerations(template)}}
    fits = template.get("nodeName", name_of(node)) == name_of(node) and not mismatch(like, node)
    bearable = fits and not tainted(like, node, ("NoExecute",))
    return Place(name_of(node), fits and not tainted(like, node), bearable, tuple(pods))


def node_of(pod: Obj) -> str:
    """Where it runs, or where its affinity will have it run."""
    if node := dig(pod, "spec", "nodeName"):
        return str(node)
    terms = dig(pod, "spec", "affinity", "nodeAffinity", _REQUIRED, "nodeSelectorTerms", default=[])
    return str(dig(terms, 0, "matchFields", 0, "values", 0, default="")) if terms else ""


def hash_of(revision: Obj) -> str:
    """What pods of this ControllerRevision carry as a label."""
    return labels_of(revision).get(POD_REVISION) or name_of(revision)


def _seniority(pod: Obj) -> tuple[bool, str, str]:
    created = str(dig(pod, "metadata", "creationTimestamp", default=""))
    return not dig(pod, "spec", "nodeName"), created, name_of(pod)


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def new_pod(daemon_set: Obj, name: str, node: str, revision: Obj) -> Obj:
    pod = from_template(dig(daemon_set, "spec", "template", default={}), daemon_set, DAEMON_SET, name)
    spec: Obj = pod["spec"]
    affinity = spec.get("affinity") or {}
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    here = (affinity.get("nodeAffinity") or {}) | {_REQUIRED: {"nodeSelectorTerms": [term]}}
    labels = labels_of(pod) | {POD_REVISION: hash_of(revision)}
    return {
        "metadata": pod["metadata"] | {"labels": labels},
        "spec": spec | {"affinity": affinity | {"nodeAffinity": here}, "tolerations": _tolerations(spec)},
    }


def _tolerations(spec: Obj) -> list[Obj]:
    own: list[Obj] = spec.get("tolerations") or []
    known = (*_TOLERATED, *_ON_HOST_NETWORK) if spec.get("hostNetwork") else _TOLERATED
    ours = [{"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": effect} for key, effect in known]
    return [*own, *(toleration for toleration in ours if toleration not in own)]
