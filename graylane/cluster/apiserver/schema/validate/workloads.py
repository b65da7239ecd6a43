"""Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs and CronJobs.

Pure. In: the new object and, on update, the old one. Out: field errors. Follows apps/v1 and batch/v1 validation of
Kubernetes 1.32; the sentences about selectors are the ones users search for.
"""

from __future__ import annotations

from graylane.cluster.apiserver.schema.fielderror import forbidden, invalid, not_supported, required
from graylane.cluster.apiserver.schema.validate import syntax
from graylane.cluster.apiserver.schema.validate.checks import (
    Errors,
    given,
    matches,
    needed,
    one_of,
    selector,
    spelled,
    unchanged,
)
from graylane.cluster.apiserver.schema.validate.pods import template
from graylane.model.meta import Obj, dig

_COUNTS = ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
_JOB_COUNTS = ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished")
_CRON_COUNTS = ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
_STATEFUL_MUTABLE = frozenset(
    (
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
        "revisionHistoryLimit",
    )
)
_STATEFUL_SENTENCE = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def deployment(new: Obj, old: Obj | None) -> Errors:
    spec = new.get("spec") or {}
    yield from _controlled(spec, "deployment", "ReplicaSet")
    yield from _deployment_strategy(spec.get("strategy") or {})
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if deadline is not None and deadline <= ready:
        yield invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")
    yield from unchanged(new, old, "spec", "selector")


def replica_set(new: Obj, old: Obj | None) -> Errors:
    yield from _controlled(new.get("spec") or {}, "deployment", "ReplicaSet")
    yield from unchanged(new, old, "spec", "selector")


def _controlled(spec: Obj, word: str, kind: str) -> Errors:
    """What all long-running workloads share: counts, a selector that selects its own template, Always restart."""
    for name in _COUNTS:
        yield from given(spec, name, "spec", syntax.not_negative)
    yield from _selector(spec, word)
    yield from template(spec.get("template"), "spec.template")
    pod_spec = dig(spec, "template", "spec", default={})
    if pod_spec.get("restartPolicy") in ("OnFailure", "Never"):
        yield not_supported("spec.template.spec.restartPolicy", pod_spec["restartPolicy"], ("Always",))
    if pod_spec.get("activeDeadlineSeconds") is not None:
        where = "spec.template.spec.activeDeadlineSeconds"
        yield forbidden(where, f"activeDeadlineSeconds in {kind} is not Supported")


def _selector(spec: Obj, word: str) -> Errors:
    found = spec.get("selector")
    if found is None:
        yield required("spec.selector")
        return
    problems = list(selector(found, "spec.selector"))
    yield from problems
    if not found.get("matchLabels") and not found.get("matchExpressions"):
        yield invalid("spec.selector", found, f"empty selector is invalid for {word}")
    elif not problems:
        own = dig(spec, "template", "metadata", "labels", default={})
        if not matches(found, own):
            yield invalid("spec.template.metadata.labels", own, "`selector` does not match template `labels`")


def _deployment_strategy(strategy: Obj) -> Errors:
    rolling, path = strategy.get("rollingUpdate"), "spec.strategy.rollingUpdate"
    if strategy.get("type") == "Recreate":
        if rolling is not None:
            yield forbidden(path, "may not be specified when strategy `type` is 'Recreate'")
    elif strategy.get("type") != "RollingUpdate":
        yield not_supported("spec.strategy", strategy.get("type"), ("Recreate", "RollingUpdate"))
    elif rolling is not None:
        yield from _bounds(rolling, path)
        if _is_zero(rolling.get("maxUnavailable")) and _is_zero(rolling.get("maxSurge")):
            zero = "may not be 0 when `maxSurge` is 0"
            yield invalid(f"{path}.maxUnavailable", rolling.get("maxUnavailable"), zero)


def _bounds(rolling: Obj, path: str) -> Errors:
    for name in ("maxUnavailable", "maxSurge"):
        yield from given(rolling, name, path, syntax.int_or_percent)
    share = rolling.get("maxUnavailable")
    if isinstance(share, str) and share[:-1].isdigit() and int(share[:-1]) > 100:
        yield invalid(f"{path}.maxUnavailable", share, "must not be greater than 100%")


def _is_zero(value: int | str | None) -> bool:
    return value in (0, "0%", None)


def stateful_set(new: Obj, old: Obj | None) -> Errors:
    yield from _controlled(new.get("spec") or {}, "statefulset", "StatefulSet")
    policies = ("OrderedReady", "Parallel")
    yield from one_of(new.get("spec") or {}, "podManagementPolicy", "spec", policies)
    if old is not None and _fixed(new) != _fixed(old):
        yield forbidden("spec", _STATEFUL_SENTENCE)


def _fixed(obj: Obj) -> Obj:
    return {name: value for name, value in (obj.get("spec") or {}).items() if name not in _STATEFUL_MUTABLE}


def daemon_set(new: Obj, old: Obj | None) -> Errors:
    spec = new.get("spec") or {}
    yield from _controlled(spec, "daemonset", "DaemonSet")
    rolling, path = dig(spec, "updateStrategy", "rollingUpdate"), "spec.updateStrategy.rollingUpdate"
    if rolling:
        yield from _bounds(rolling, path)
        unavailable, surge = _is_zero(rolling.get("maxUnavailable")), _is_zero(rolling.get("maxSurge"))
        if unavailable and surge:
            yield required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")
        elif not unavailable and not surge:
            detail = "may not be set when maxUnavailable is non-zero"
            yield invalid(f"{path}.maxSurge", rolling["maxSurge"], detail)
    yield from unchanged(new, old, "spec", "selector")


def job(new: Obj, old: Obj | None) -> Errors:
    yield from _job_spec(new.get("spec") or {}, "spec")
    yield from unchanged(new, old, "spec", "selector")
    yield from unchanged(new, old, "spec", "completionMode")
    if old is not None and not dig(old, "spec", "suspend"):
        yield from unchanged(new, old, "spec", "template")


def _job_spec(spec: Obj, path: str) -> Errors:
    for name in _JOB_COUNTS:
        yield from given(spec, name, path, syntax.not_negative)
    yield from template(spec.get("template"), f"{path}.template")
    where, policy = f"{path}.template.spec", dig(spec, "template", "spec", "restartPolicy")
    if policy == "Always":
        yield required(f"{where}.restartPolicy", 'valid values: "OnFailure", "Never"')


def cron_job(new: Obj, old: Obj | None) -> Errors:
    spec = new.get("spec") or {}
    yield from needed(spec, "schedule", "spec", _schedule)
    yield from one_of(spec, "concurrencyPolicy", "spec", ("Allow", "Forbid", "Replace"))
    for name in _CRON_COUNTS:
        yield from given(spec, name, "spec", syntax.not_negative)
    yield from _job_spec(dig(spec, "jobTemplate", "spec", default={}), "spec.jobTemplate.spec")
    if len(dig(new, "metadata", "name", default="")) > 52:
        yield from spelled(new["metadata"]["name"], "metadata.name", lambda _: ("must be no more than 52 characters",))


def _schedule(text: str) -> list[str]:
    if text.startswith("@"):
        return []
    fields = text.split()
    return [] if len(fields) == 5 else [f"expected exactly 5 fields, found {len(fields)}: [{text}]"]
