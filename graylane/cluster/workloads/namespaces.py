"""Namespaces on their way out: everything in them is deleted, then they are let go.

Pure. In: a namespace and what is still in it. Out: deletions, conditions that say what remains, the finalize write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from graylane.cluster.workloads.garbage import Dependent
from graylane.kit import Delete, Effect, Outcome, Patch, Replace, View
from graylane.model.kinds import NAMESPACE
from graylane.model.meta import Condition, Obj, dig, finalizers_of, is_deleting, key_of, set_condition, uid_of

CONTENT = "kubernetes"
_LOOK_AGAIN = timedelta(seconds=1)  # changes of the content call us too; this covers kinds that are not watched


def is_terminating(namespace: Obj) -> bool:
    return is_deleting(namespace) and CONTENT in dig(namespace, "spec", "finalizers", default=[])


def is_closing(view: View, name: str) -> bool:
    """Nothing new may be created there: what is asked for would be refused, and is not wanted any more."""
    namespace = view.get(NAMESPACE, "", name)
    return namespace is not None and is_deleting(namespace)


def terminate(namespace: Obj, content: Sequence[Dependent], now: datetime) -> Outcome:
    """One round: delete what is not being deleted yet; with nothing left, take our finalizer off."""
    if not content:
        return Outcome((_finalize(namespace),))
    effects = (*_report(namespace, content, now), *_delete(content))
    return Outcome(effects, now + _LOOK_AGAIN)


def _delete(content: Iterable[Dependent]) -> Iterable[Effect]:
    for dependent in content:
        if not is_deleting(dependent.obj):
            yield Delete(dependent.kind, key_of(dependent.obj), uid_of(dependent.obj))


def _finalize(namespace: Obj) -> Replace:
    finalizers = [name for name in dig(namespace, "spec", "finalizers", default=[]) if name != CONTENT]
    return Replace(NAMESPACE, namespace | {"spec": {"finalizers": finalizers}}, subresource="finalize")


def _report(namespace: Obj, content: Sequence[Dependent], now: datetime) -> Iterable[Effect]:
    """Phase and conditions, as `kubectl describe namespace` shows them while it waits."""
    conditions = dig(namespace, "status", "conditions", default=[])
    for condition in (_remaining(content), _finalizers(content)):
        conditions = set_condition(conditions, condition, now)
    status = {"phase": "Terminating", "conditions": conditions}
    if {name: dig(namespace, "status", name) for name in status} != status:
        yield Patch(NAMESPACE, key_of(namespace), {"status": status}, subresource="status")


def _remaining(content: Sequence[Dependent]) -> Condition:
    counts = Counter(str(dependent.kind) for dependent in content)
    said = ", ".join(f"{kind}. has {count} resource instances" for kind, count in sorted(counts.items()))
    message = f"Some resources are remaining: {said}"
    return Condition("NamespaceContentRemaining", "True", "SomeResourcesRemain", message)


def _finalizers(content: Sequence[Dependent]) -> Condition:
    counts = Counter(name for dependent in content for name in finalizers_of(dependent.obj))
    if not counts:
        message = "All content-preserving finalizers finished"
        return Condition("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers", message)
    said = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(counts.items()))
    message = f"Some content in the namespace has finalizers remaining: {said}"
    return Condition("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", message)
