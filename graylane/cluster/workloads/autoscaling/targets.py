"""What an autoscaler scales: its target's size and pods, and who else counts these pods.

Pure but for what `Rivals` remembers. In: a view. Out: the `Scale`, or the sentence that says why there is none.
"""

from __future__ import annotations

from collections.abc import Iterable

from graylane.cluster.workloads.attraction import Attraction
from graylane.cluster.workloads.autoscaling.decision import Scale
from graylane.kit import View
from graylane.model.kinds import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, REPLICA_SET, STATEFUL_SET, Kind
from graylane.model.meta import Key, Obj, dig, namespace_of
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


class Rivals:
    """Which autoscalers count a pod: found by its labels, not by asking each of them.

    Each is noted when it is looked at; with the first of a namespace, all that are there.
    """

    def __init__(self) -> None:
        self._attraction = Attraction(lambda noted: noted["selector"])
        self._namespaces: set[str] = set()

    def note(self, view: View, autoscaler: Obj) -> None:
        namespace = namespace_of(autoscaler)
        fresh = namespace not in self._namespaces
        self._namespaces.add(namespace)
        for each in view.list(HORIZONTAL_POD_AUTOSCALER, namespace) if fresh else (autoscaler,):
            scale = scale_of(view, each)
            selector = scale.selector if isinstance(scale, Scale) and not scale.selector.empty else None
            self._attraction.note({"metadata": each["metadata"], "selector": selector})

    def forget(self, key: Key) -> None:
        self._attraction.forget(key)

    def of(self, pods: Iterable[Obj]) -> tuple[str, ...]:
        return tuple(map(str, sorted({key for pod in pods for key in self._attraction.of(pod)})))
