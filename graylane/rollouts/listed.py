"""Which canary pods are ready, which of them a Service already lists, and why the others are not ready.

Pure. In: a `View` and ReplicaSets. Out: pod names, counts, one sentence of trouble.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from graylane.kit.cache import View
from graylane.model.kinds import DEPLOYMENT, ENDPOINT_SLICE, POD, REPLICA_SET, SERVICE
from graylane.model.meta import Obj, controller_of, dig, is_deleting, is_true, labels_of, name_of, namespace_of, uid_of
from graylane.model.revisions import POD_TEMPLATE_HASH
from graylane.model.rollout import CANARY_DEPLOYMENT
from graylane.model.selectors import LabelSelector

_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
SERVICE_NAME = "kubernetes.io/service-name"


def ready_pods(view: View, replica_sets: Iterable[Obj]) -> tuple[frozenset[str], str]:
    """Names of the Ready pods that are not going away, and what keeps the first of the others from being ready."""
    owned: list[list[Obj]] = [view.owned_by(POD, uid_of(item)) for item in replica_sets]
    pods = [pod for group in owned for pod in group if not is_deleting(pod)]
    ready = frozenset(name_of(pod) for pod in pods if is_true(pod, "Ready"))
    troubles = (trouble(pod) for pod in pods if name_of(pod) not in ready)
    return ready, next(filter(None, troubles), "")


def trouble(pod: Obj) -> str:
    """`pod NAME: REASON: message`, from whatever holds a container back; "" while it is merely starting."""
    for container in dig(pod, "status", "containerStatuses", default=[]):
        waiting = dig(container, "state", "waiting", default={})
        if str(waiting.get("reason", "")) not in _STARTING:
            return f"pod {name_of(pod)}: " + ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))
    for entry in dig(pod, "status", "conditions", default=[]):
        if entry.get("type") == "PodScheduled" and entry.get("status") == "False":
            return f"pod {name_of(pod)}: {entry.get('message') or entry.get('reason')}"
    return ""


def service_lists(view: View, namespace: str, service: str, pods: Set[str]) -> int:
    """How many of `pods` the Service's EndpointSlices hold as ready: what a proxy would send to."""
    return len(listed_pods(view, namespace, service) & pods)


def service_serves(view: View, namespace: str, service: str, canary: Obj, pods: Set[str]) -> int:
    """How many of the canary's `pods` the routes may count on as far as this Service goes.

    A Service that cannot select them stands for all once it lists a pod of another workload's canary: a TrafficRouting
    shared by Rollouts of several Services opens its routes through all of them at once, so each must lead to somebody.
    """
    selector: dict[str, str] = dict(dig(view.get(SERVICE, namespace, service), "spec", "selector", default={}))
    selector.pop(POD_TEMPLATE_HASH, None)  # no template has it, and where a Service selects by it we move it
    labels = dig(canary, "spec", "template", "metadata", "labels", default={})
    if LabelSelector.of_map(selector).matches(labels):
        return service_lists(view, namespace, service, pods)
    listed = (view.get(POD, namespace, name) for name in listed_pods(view, namespace, service))
    workloads = {_released_by(view, pod) for pod in listed if pod}
    return len(pods) if workloads - {"", labels_of(canary).get(CANARY_DEPLOYMENT, "")} else 0


def _released_by(view: View, pod: Obj) -> str:
    """The workload whose canary the pod is of; "" when it is of none."""
    deployment = view.get(DEPLOYMENT, namespace_of(pod), deployment_of(pod))
    return labels_of(deployment or {}).get(CANARY_DEPLOYMENT, "")


def deployment_of(pod: Obj) -> str:
    """A Deployment's ReplicaSet is named after it and the pods' template hash; "" of a pod that has none."""
    owner = controller_of(pod)
    if not owner or owner.get("kind") != REPLICA_SET.kind:
        return ""
    return str(owner.get("name")).removesuffix("-" + labels_of(pod).get(POD_TEMPLATE_HASH, ""))


def listed_pods(view: View, namespace: str, service: str) -> frozenset[str]:
    """By name, those its EndpointSlices hold as ready."""
    return frozenset(name for item in _slices(view, namespace, service) for name in _ready_targets(item))


def _slices(view: View, namespace: str, service: str) -> list[Obj]:
    """The Service owns its slices; those written by hand have only the label. A dead namesake's count for nothing."""
    obj = view.get(SERVICE, namespace, service)
    owned = view.owned_by(ENDPOINT_SLICE, uid_of(obj)) if obj else []
    labelled = view.list(ENDPOINT_SLICE, namespace, LabelSelector.of_map({SERVICE_NAME: service}))
    return owned or [item for item in labelled if (controller_of(item) or {}).get("kind") != SERVICE.kind]


def _ready_targets(endpoint_slice: Obj) -> Iterable[str]:
    """Absent conditions mean ready and not terminating (discovery.k8s.io/v1)."""
    for endpoint in endpoint_slice.get("endpoints") or []:
        ready = dig(endpoint, "conditions", "ready", default=True)
        if ready and not dig(endpoint, "conditions", "terminating", default=False):
            yield str(dig(endpoint, "targetRef", "name", default=""))
