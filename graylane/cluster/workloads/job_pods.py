"""A Job's pods: how one is made, which index it works on, and when and how it ended.

Pure. In: a Job and pods. Out: new pods, predicates, times. The finalizer keeps a pod that ended, even one that is
deleted, until the Job has counted it. The rules are those of Kubernetes' `job_controller.go`, `indexed_job_utils.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from graylane.cluster.workloads.job_policies import has_failure_policy
from graylane.cluster.workloads.pods import from_template, is_finished, new_names
from graylane.kit import Patch
from graylane.model.kinds import JOB, POD
from graylane.model.meta import (
    Obj,
    annotations_of,
    condition,
    dig,
    finalizers_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    parse_time,
)

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
JOB_NAME = "batch.kubernetes.io/job-name"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"


def is_indexed(job: Obj) -> bool:
    return bool(dig(job, "spec", "completionMode") == "Indexed")


def replaces_only_failed(job: Obj) -> bool:
    """`podReplacementPolicy: Failed`: a pod that is stopping still has its place.

    So it has where a failure policy wants to know how it ended.
    """
    return bool(dig(job, "spec", "podReplacementPolicy") == "Failed") or has_failure_policy(job)


def index_of(pod: Obj) -> int | None:
    text = annotations_of(pod).get(INDEX, "")
    return int(text) if text.isdigit() else None


def is_tracked(pod: Obj) -> bool:
    return TRACKING in finalizers_of(pod)


def has_succeeded(pod: Obj) -> bool:
    return bool(dig(pod, "status", "phase") == "Succeeded")


def has_failed(job: Obj, pod: Obj) -> bool:
    """A pod that is deleted before its end counts as failed: nobody may be left to say how it ended."""
    if dig(pod, "status", "phase") == "Failed":
        return True
    has_kubelet = dig(pod, "spec", "nodeName") and dig(pod, "metadata", "deletionGracePeriodSeconds") != 0
    return is_deleting(pod) and not is_finished(pod) and not (replaces_only_failed(job) and has_kubelet)


def is_terminating(pod: Obj) -> bool:
    return is_deleting(pod) and not is_finished(pod)


def ended_at(pod: Obj) -> datetime:
    """When its last container ended; failing that, when it stopped being ready, was deleted, or was created."""
    statuses = dig(pod, "status", "containerStatuses", default=[])
    ends = [end for status in statuses if (end := dig(status, "state", "terminated", "finishedAt"))]
    if ends:
        return max(map(parse_time, ends))
    unready = (condition(pod, "Ready") or {}).get("lastTransitionTime")
    metadata = pod["metadata"]
    return parse_time(unready or metadata.get("deletionTimestamp") or metadata["creationTimestamp"])


def restarts(pods: Iterable[Obj]) -> int:
    lists = ("initContainerStatuses", "containerStatuses")
    statuses = [status for pod in pods for name in lists for status in dig(pod, "status", name, default=[])]
    return sum(int(status.get("restartCount", 0)) for status in statuses)


def new_pods(job: Obj, how_many: int, taken: Callable[[str], bool]) -> list[Obj]:
    return [_tracked(job, name) for name in new_names(job, how_many, taken)]


def indexed_pods(job: Obj, marks: Mapping[int, Mapping[str, str]], taken: Callable[[str], bool]) -> list[Obj]:
    """`<job>-<index>-<suffix>`; each container is told its index. `marks` are further annotations by index."""
    return [_indexed(job, index, further, taken) for index, further in marks.items()]


def _indexed(job: Obj, index: int, further: Mapping[str, str], taken: Callable[[str], bool]) -> Obj:
    stem = f"{name_of(job)}-{index}"
    [name] = new_names(job | {"metadata": job["metadata"] | {"name": stem}}, 1, taken)
    pod = _tracked(job, name)
    mark = {INDEX: str(index)}
    metadata = pod["metadata"] | {
        "labels": labels_of(pod) | mark,
        "annotations": {**annotations_of(pod), **mark, **further},
    }
    lists = {field: _told_index(pod["spec"][field]) for field in _CONTAINERS if pod["spec"].get(field)}
    return {"metadata": metadata, "spec": pod["spec"] | {"hostname": stem} | lists}


_CONTAINERS = ("initContainers", "containers")


def _told_index(containers: list[Obj]) -> list[Obj]:
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{INDEX}']"}}
    variable = {"name": INDEX_VARIABLE, "valueFrom": source}
    return [
        container
        if any(known.get("name") == INDEX_VARIABLE for known in container.get("env") or [])
        else container | {"env": [*(container.get("env") or []), variable]}
        for container in containers
    ]


def _tracked(job: Obj, name: str) -> Obj:
    pod = from_template(dig(job, "spec", "template", default={}), job, JOB, name)
    return pod | {"metadata": pod["metadata"] | {"finalizers": [*finalizers_of(pod), TRACKING]}}


def track(pod: Obj) -> Patch:
    return _with_finalizers(pod, [*finalizers_of(pod), TRACKING], "to be counted when it ends")


def let_go(pod: Obj) -> Patch:
    return _with_finalizers(pod, [name for name in finalizers_of(pod) if name != TRACKING], "it need not be counted")


def _with_finalizers(pod: Obj, finalizers: list[str], reason: str) -> Patch:
    metadata = {"finalizers": finalizers or None, "resourceVersion": pod["metadata"].get("resourceVersion")}
    return Patch(POD, key_of(pod), {"metadata": metadata}, reason=reason)
