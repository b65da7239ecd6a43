"""Which nodes may run a pod, and why the others may not.

Pure. In: a pod and the nodes. Out: fitting nodes, or the sentence kube-scheduler would say. Checked: readiness,
cordons, taints, nodeSelector and required node affinity. Resource requests are not: every node is this one machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graylane.model.meta import Obj, dig, is_deleting, is_true, labels_of, name_of

_REPELLING = ("NoSchedule", "NoExecute")
_CORDON = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}  # what a cordon is to those who tolerate


@dataclass(frozen=True, slots=True)
class Verdict:
    """Nodes a pod fits, and for the others how many say what."""

    fitting: tuple[Obj, ...]
    reasons: Mapping[str, int]
    total: int

    @property
    def message(self) -> str:
        """`0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.`"""
        if self.total == 0:
            return "no nodes available to schedule pods"
        said = ", ".join(sorted(f"{count} {reason}" for reason, count in self.reasons.items()))
        return f"0/{self.total} nodes are available: {said}."


def fit(pod: Obj, nodes: Sequence[Obj]) -> Verdict:
    """Ask every node; each names the first thing that is wrong with it."""
    answers = [(node, _first_objection(pod, node)) for node in nodes]
    reasons = Counter(objection for _, objection in answers if objection is not None)
    return Verdict(tuple(node for node, objection in answers if objection is None), reasons, len(nodes))


def unbound(pod: Obj, claim: Callable[[str], Obj | None]) -> str:
    """What the pod's PersistentVolumeClaims lack, "" when all are bound; no node can help with that."""
    for volume in dig(pod, "spec", "volumes", default=[]):
        name = str(dig(volume, "persistentVolumeClaim", "claimName", default=""))
        found = claim(name) if name else None
        if name and found is None:
            return f'persistentvolumeclaim "{name}" not found'
        if found is not None and is_deleting(found):
            return f'persistentvolumeclaim "{name}" is being deleted'
        if found is not None and dig(found, "status", "phase") != "Bound":
            return "pod has unbound immediate PersistentVolumeClaims"
    return ""


def _first_objection(pod: Obj, node: Obj) -> str | None:
    return next((says for says in (objection(pod, node) for objection in OBJECTIONS) if says), None)


def _cordoned(pod: Obj, node: Obj) -> str | None:
    if not dig(node, "spec", "unschedulable") or any(_tolerates(tol, _CORDON) for tol in _tolerations(pod)):
        return None
    return "node(s) were unschedulable"


def mismatch(pod: Obj, node: Obj) -> str | None:
    selector: dict[str, str] = dig(pod, "spec", "nodeSelector", default={})
    labels = labels_of(node)
    matches = all(labels.get(name) == value for name, value in selector.items()) and _affine(pod, node)
    return None if matches else "node(s) didn't match Pod's node affinity/selector"


def tainted(pod: Obj, node: Obj, effects: Collection[str] = _REPELLING) -> str | None:
    for taint in dig(node, "spec", "taints", default=[]):
        if taint.get("effect") in effects and not any(_tolerates(tol, taint) for tol in _tolerations(pod)):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    return None


def _tolerations(pod: Obj) -> list[Obj]:
    return dig(pod, "spec", "tolerations", default=[])  # type: ignore[no-any-return]


def _not_ready(pod: Obj, node: Obj) -> str | None:
    return None if is_true(node, "Ready") else "node(s) were not ready"


OBJECTIONS: tuple[Callable[[Obj, Obj], str | None], ...] = (_cordoned, tainted, mismatch, _not_ready)


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """An empty key with Exists tolerates everything, an empty effect every effect."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def _affine(pod: Obj, node: Obj) -> bool:
    """`requiredDuringSchedulingIgnoredDuringExecution`: any term, all its expressions; an empty term fits nothing."""
    path = ("spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
    terms = dig(pod, *path)
    return terms is None or any(_term_holds(term, node) for term in terms)


def _term_holds(term: Mapping[str, Any], node: Obj) -> bool:
    expressions: Iterable[Obj] = term.get("matchExpressions") or []
    fields: Iterable[Obj] = term.get("matchFields") or []
    if not expressions and not fields:
        return False
    labels = labels_of(node)
    return all(_holds(entry, labels) for entry in expressions) and all(
        _holds(entry, {"metadata.name": name_of(node)}) for entry in fields
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, wanted = labels.get(str(expression["key"])), [str(item) for item in expression.get("values") or []]
    match expression["operator"]:
        case "In":
            return value is not None and value in wanted
        case "NotIn":
            return value is None or value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return _number(value) is not None and _number(value, 0) > int(wanted[0])
        case "Lt":
            return _number(value) is not None and _number(value, 0) < int(wanted[0])
    return False


def _number(value: str | None, default: Any = None) -> Any:
    return int(value) if value is not None and value.removeprefix("-").isdigit() else default
