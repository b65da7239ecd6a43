"""Job: pods until enough of them have succeeded, or too many have failed.

Pure. In: a Job and its pods. Out: an `Outcome`. Pods are counted in `job_tally.py`, the end is decided in
`job_verdict.py`, who works in `job_workers.py`; this file finds the facts and writes. In this order: the status first,
since it holds what is counted, then finalizers, then pods.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from graylane.cluster.workloads.claims import Owner, claim
from graylane.cluster.workloads.job_indexes import FAILURES, failures_with, limit_of
from graylane.cluster.workloads.job_pods import JOB_NAME, indexed_pods, is_tracked, let_go, new_pods, track
from graylane.cluster.workloads.job_tally import FAILING, format_indexes, tally
from graylane.cluster.workloads.job_verdict import (
    COMPLETE,
    FAILED,
    SUSPENDED,
    Facts,
    conditions,
    ending,
    finished,
    verdict,
)
from graylane.cluster.workloads.job_workers import Plan, plan
from graylane.cluster.workloads.namespaces import is_closing
from graylane.cluster.workloads.order import told_last
from graylane.cluster.workloads.pods import first_wake, is_ready
from graylane.cluster.workloads.refusals import failed_create
from graylane.kit import Create, Delete, Effect, Event, Outcome, Patch, View
from graylane.model.kinds import JOB, POD
from graylane.model.meta import (
    Condition,
    Key,
    Obj,
    controller_of,
    dig,
    find_condition,
    format_time,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    parse_time,
    uid_of,
)
from graylane.model.patches import create_merge_patch
from graylane.model.selectors import LabelSelector

MANAGER = "kubernetes.io/job-controller"  # `spec.managedBy` may give a Job to somebody else


def reconcile(view: View, key: Key, now: datetime) -> Outcome:
    """One round of one Job; what it causes brings the next."""
    job = view.get(JOB, *key)
    lost = tuple(let_go(pod) for pod in _left_alone(view, key, job))
    if job is None or lost:
        return Outcome(lost)
    selector = selector_of(job)
    if selector.empty or dig(job, "spec", "managedBy", default=MANAGER) != MANAGER:
        return Outcome()
    claims = claim(view, Owner(job, JOB, selector), POD)
    if claims.patches:
        return Outcome(claims.patches)  # first settle whose they are
    end = finished(job)
    if end is not None:
        return _after_the_end(job, end, claims.mine, now)
    return _work(view, Facts(job, claims.mine, tally(job, claims.mine), now))


def _left_alone(view: View, key: Key, job: Obj | None) -> list[Obj]:
    """Pods that nobody will count, because their Job is gone or selects them no more; the finalizer would keep them."""
    named = view.list(POD, key.namespace, LabelSelector.of_map({JOB_NAME: key.name}))
    owned = view.owned_by(POD, uid_of(job)) if job is not None else []
    found = {key_of(pod): pod for pod in (*named, *owned) if is_tracked(pod)}
    return [pod for pod in found.values() if not _has_job(pod, key.name, job)]


def _has_job(pod: Obj, name: str, job: Obj | None) -> bool:
    owner = controller_of(pod)
    if owner is not None and (owner.get("kind"), owner.get("name")) != ("Job", name):
        return True  # of another Job that borrowed the label
    mine = job is not None and (owner is None or owner.get("uid") == uid_of(job))
    return mine and selector_of(job).matches(labels_of(pod))


def selector_of(job: Obj | None) -> LabelSelector:
    return LabelSelector.of(dig(job, "spec", "selector"))


def _after_the_end(job: Obj, end: Obj, pods: tuple[Obj, ...], now: datetime) -> Outcome:
    """A finished Job stays as it is until its time to live is over."""
    releases = tuple(let_go(pod) for pod in pods if is_tracked(pod))
    seconds = dig(job, "spec", "ttlSecondsAfterFinished")
    if seconds is None or is_deleting(job):
        return Outcome(releases)
    expires = parse_time(end["lastTransitionTime"]) + timedelta(seconds=int(seconds))
    if expires > now:
        return Outcome(releases, expires)
    return Outcome((*releases, Delete(JOB, key_of(job), uid_of(job), propagation="Foreground")))


def _work(view: View, facts: Facts) -> Outcome:
    judged = verdict(facts)
    end = ending(facts, judged)
    told = conditions(facts, judged, end)
    todo = Plan() if judged or is_deleting(facts.job) else plan(facts)
    stopped = facts.active if judged and judged.type == FAILING else []
    surplus = [*todo.surplus, *(facts.active if judged and judged.type != FAILING else [])]
    effects = [
        *_status(facts, told, end),
        *map(let_go, facts.tally.countable),
        *(track(pod) for pod in facts.active if not is_tracked(pod) and pod not in surplus),
        *(effect for pod in stopped for effect in _delete(facts, pod)),
        *(effect for pod in surplus for effect in (*_uncounted(pod), *_delete(facts, pod))),
        *_create(view, facts, todo),
        *_announce(facts, told, end),
    ]
    moments = [todo.wait_until, None if judged else facts.deadline]
    return Outcome(told_last(effects), first_wake(moments, facts.now))


def _uncounted(pod: Obj) -> tuple[Patch, ...]:
    return (let_go(pod),) if is_tracked(pod) else ()


def _delete(facts: Facts, pod: Obj) -> Iterator[Effect]:
    yield Delete(POD, key_of(pod), uid_of(pod))
    yield Event(JOB, facts.job, "Normal", "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")


def _create(view: View, facts: Facts, todo: Plan) -> Iterator[Effect]:
    namespace = namespace_of(facts.job)
    if is_closing(view, namespace):
        return

    def taken(name: str) -> bool:
        return view.get(POD, namespace, name) is not None

    refused = failed_create(JOB, facts.job)
    for pod in (*new_pods(facts.job, todo.create, taken), *indexed_pods(facts.job, _marks(facts, todo), taken)):
        yield Create(POD, pod, refused)
        yield Event(JOB, facts.job, "Normal", "SuccessfulCreate", f"Created pod: {name_of(pod)}")


def _marks(facts: Facts, todo: Plan) -> dict[int, dict[str, str]]:
    """What new pods carry on of the failures of their index."""
    if limit_of(facts.job) is None:
        return {index: {} for index in todo.indexes}
    last = facts.tally.per_index.waiting
    failures = {index: failures_with(facts.job, pod) for index, pod in last.items()}
    return {index: {FAILURES: str(failures.get(index, 0))} for index in todo.indexes}


# Written even when there is nothing of them.
_SHOWN = ("ready", "terminating", "uncountedTerminatedPods", "failedIndexes")


def _status(facts: Facts, told: list[Obj], end: Condition | None) -> Iterator[Effect]:
    """Conditional on what was read: numbers grow from what they were."""
    old = dig(facts.job, "status", default={})
    new = _fields(facts) | {"conditions": told}
    if end is not None and end.type == COMPLETE:
        new["completionTime"] = format_time(facts.now)
    kept = {name: value for name, value in old.items() if name not in new}
    patch = create_merge_patch(old, kept | {name: new[name] for name in new if new[name] or name in _SHOWN})
    if patch:
        metadata = {"resourceVersion": facts.job["metadata"].get("resourceVersion")}
        yield Patch(JOB, key_of(facts.job), {"metadata": metadata, "status": patch}, subresource="status")


def _fields(facts: Facts) -> Obj:
    count, started = facts.tally, facts.started_at
    waiting = {"succeeded": list(count.uncounted_succeeded), "failed": list(count.uncounted_failed)}
    failed = {} if limit_of(facts.job) is None else {"failedIndexes": format_indexes(count.per_index.failed)}
    return failed | {
        "startTime": format_time(started) if started else None,
        "active": len(facts.active),
        "ready": sum(map(is_ready, facts.active)),
        "terminating": len(facts.terminating),
        "succeeded": count.succeeded,
        "failed": count.failed,
        "completedIndexes": format_indexes(count.indexes),
        "uncountedTerminatedPods": {name: uids for name, uids in waiting.items() if uids},
    }


def _announce(facts: Facts, told: list[Obj], end: Condition | None) -> Iterator[Event]:
    before = find_condition(dig(facts.job, "status", "conditions", default=[]), SUSPENDED)
    after = find_condition(told, SUSPENDED)
    if after is not None and after.get("status") != (before or {}).get("status"):
        word = "Suspended" if after["status"] == "True" else "Resumed"
        yield Event(JOB, facts.job, "Normal", word, str(after["message"]))
    if end is not None and end.type == FAILED:
        yield Event(JOB, facts.job, "Warning", end.reason, end.message)
    elif end is not None:
        yield Event(JOB, facts.job, "Normal", "Completed", "Job completed")
