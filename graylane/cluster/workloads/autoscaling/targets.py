"""What an autoscaler scales: its target's size and pods, and who else counts these pods.

Pure. In: a view. Out: the `Scale`, or the sentence that says why there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graylane.cluster.workloads.autoscaling.decision import Scale
from graylane.kit import View
from graylane.model.kinds import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, REPLICA_SET, STATEFUL_SET, Kind
from graylane.model.meta import Obj, dig, key_of, labels_of, namespace_of
from graylane.model.selectors import LabelSelector

SCALABLE = (DEPLOYMENT, REPLICA_SET, STATEFUL_SET)


def target_kind(autoscaler: Obj) -> Kind | None:
    """By group and kind, whatever version is named."""
    reference = dig(autoscaler, "spec", "scaleTargetRef", default={})
    group = str(reference.get("apiVersion", "")).rpartition("/")[0]
    return next((kind for kind in SCALABLE if (kind.group, kind.kind) == (group, reference.get("kind"))), None)


def scale_of(view: View, autoscaler: Obj) -> Scale | str:
    reference = dig(autoscaler, "spec", "scaleTargetRef", default={})
    kind = target_kind(autoscaler)
    if kind is None:
        shown = " in ".join(filter(None, (str(reference.get("kind")), str(reference.get("apiVersion") or ""))))
        return f"{shown} is none of the kinds that are scaled here: Deployment, ReplicaSet and StatefulSet in apps/v1"
    target = view.get(kind, namespace_of(autoscaler), str(reference.get("name")))
    if target is None:
        return f'{kind.plural}/scale.{kind.group} "{reference.get("name")}" not found'
    size, selector = dig(target, "spec", "replicas", default=1), LabelSelector.of(dig(target, "spec", "selector"))
    return Scale(int(size), selector, target["metadata"]["resourceVersion"])


def rivals(view: View, autoscaler: Obj, pods: Iterable[Obj]) -> tuple[str, ...]:
    """All autoscalers, `autoscaler` included, whose targets select some of `pods`."""
    labels = [labels_of(pod) for pod in pods]
    return tuple(
        str(key_of(other))
        for other, selector in _selectors(view, namespace_of(autoscaler))
        if any(map(selector.matches, labels))
    )


def _selectors(view: View, namespace: str) -> Iterator[tuple[Obj, LabelSelector]]:
    for autoscaler in view.list(HORIZONTAL_POD_AUTOSCALER, namespace):
        scale = scale_of(view, autoscaler)
        if isinstance(scale, Scale) and not scale.selector.empty:
            yield autoscaler, scale.selector
