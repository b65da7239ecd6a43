"""Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs and CronJobs.

Pure. In: the new object and, on update, the old one. Out: field errors. Follows apps/v1 and batch/v1 validation of
Kubernetes 1.32; the sentences about selectors are the ones users search for.
"""

from __future__ import annotations

import re

from graylane.cluster.apiserver.schema.fielderror import forbidden, invalid, not_supported, required
from graylane.cluster.apiserver.schema.validate import syntax
from graylane.cluster.apiserver.schema.validate.checks import (
    Errors,
    given,
    labels,
    matches,
    needed,
    one_of,
    selector,
    spelled,
    unchanged,
)
from graylane.cluster.apiserver.schema.validate.pods import template
from graylane.model import cron
from graylane.model.meta import Obj, dig

_COUNTS = ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
_JOB_COUNTS = ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished")
_CRON_COUNTS = ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
_POD_MANAGEMENT = ("OrderedReady", "Parallel")
_STATEFUL_STRATEGIES = ("RollingUpdate", "OnDelete")
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
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def deployment(new: Obj, old: Obj | None) -> Errors:
    spec = new.get("spec") or {}
    yield from _replicated(spec)
    yield from _deployment_strategy(spec.get("strategy") or {})
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if deadline is not None and deadline <= ready:
        yield invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")
    yield from unchanged(new, old, "spec", "selector")


def replica_set(new: Obj, old: Obj | None) -> Errors:
    yield from _replicated(new.get("spec") or {})
    yield from unchanged(new, old, "spec", "selector")


def _replicated(spec: Obj) -> Errors:
    """What Deployments and ReplicaSets share; a selector that cannot be read ends the reading."""
    yield from _counts(spec)
    problems = list(_selector(spec, "deployment"))
    yield from problems
    if not _readable(spec):
        yield invalid("spec.selector", spec["selector"], "invalid label selector")
        return
    yield from _selected(spec)
    yield from template(spec.get("template"), "spec.template")
    yield from _always_running(spec, "ReplicaSet")


def _counts(spec: Obj) -> Errors:
    for name in _COUNTS:
        yield from given(spec, name, "spec", syntax.not_negative)


def _selector(spec: Obj, word: str) -> Errors:
    found = spec.get("selector")
    if found is None:
        yield required("spec.selector")
        return
    yield from selector(found, "spec.selector")
    if not found.get("matchLabels") and not found.get("matchExpressions"):
        yield invalid("spec.selector", found, f"empty selector is invalid for {word}")


def _readable(spec: Obj) -> bool:
    return not list(selector(spec.get("selector") or {}, ""))


def _selected(spec: Obj) -> Errors:
    """The selector selects its own template. None at all selects nothing, an empty one everything."""
    found = spec.get("selector")
    own = dig(spec, "template", "metadata", "labels", default={})
    if found is None or not matches(found, own):
        yield invalid("spec.template.metadata.labels", own, "`selector` does not match template `labels`")


def _always_running(spec: Obj, kind: str) -> Errors:
    """Pods that are kept running restart always and have no deadline."""
    pod_spec = dig(spec, "template", "spec", default={})
    if pod_spec.get("restartPolicy") != "Always":
        yield not_supported("spec.template.spec.restartPolicy", pod_spec.get("restartPolicy", ""), ("Always",))
    if pod_spec.get("activeDeadlineSeconds") is not None:
        where = "spec.template.spec.activeDeadlineSeconds"
        yield forbidden(where, f"activeDeadlineSeconds in {kind} is not Supported")


def _deployment_strategy(strategy: Obj) -> Errors:
    rolling, path = strategy.get("rollingUpdate"), "spec.strategy.rollingUpdate"
    if strategy.get("type") == "Recreate":
        if rolling is not None:
            yield forbidden(path, "may not be specified when strategy `type` is 'Recreate'")
    elif strategy.get("type") != "RollingUpdate":
        found = {"Type": strategy.get("type") or "", "RollingUpdate": rolling}
        yield not_supported("spec.strategy", found, ("Recreate", "RollingUpdate"))
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
    """What is neither a number nor a percentage counts as nothing."""
    if isinstance(value, str):
        return not (value.endswith("%") and value[:-1].isdigit() and int(value[:-1]))
    return not value


def stateful_set(new: Obj, old: Obj | None) -> Errors:
    """Its pod template is not judged here, as Kubernetes does not: mounts may name volume claims."""
    spec = new.get("spec") or {}
    for name, choices in (("podManagementPolicy", _POD_MANAGEMENT), ("updateStrategy", _STATEFUL_STRATEGIES)):
        yield from _either(spec, name, choices)
    yield from _counts(spec)
    yield from _selector(spec, "statefulset")
    if _readable(spec):
        yield from _selected(spec)
        yield from labels(dig(spec, "template", "metadata", "labels"), "spec.template.labels")
    else:
        yield invalid("spec.selector", spec["selector"], "")
    yield from _always_running(spec, "StatefulSet")
    if old is not None and _fixed(new) != _fixed(old):
        yield forbidden("spec", _STATEFUL_SENTENCE)


def _either(spec: Obj, name: str, choices: tuple[str, str]) -> Errors:
    value = spec.get(name)
    word = value.get("type") if isinstance(value, dict) else value
    if not word:
        yield required(f"spec.{name}")
    elif word not in choices:
        yield invalid(f"spec.{name}", value, f"must be '{choices[0]}' or '{choices[1]}'")


def _fixed(obj: Obj) -> Obj:
    return {name: value for name, value in (obj.get("spec") or {}).items() if name not in _STATEFUL_MUTABLE}


def daemon_set(new: Obj, old: Obj | None) -> Errors:
    spec = new.get("spec") or {}
    found = spec.get("selector")
    yield from unchanged(new, old, "spec", "selector")
    yield from selector(found or {}, "spec.selector")
    if _readable(spec):
        yield from _selected(spec)
    if found is not None and not found.get("matchLabels") and not found.get("matchExpressions"):
        yield invalid("spec.selector", found, "empty selector is invalid for daemonset")
    yield from template(spec.get("template"), "spec.template")
    yield from _always_running(spec, "DaemonSet")
    yield from _counts(spec)
    yield from _daemon_set_strategy(spec.get("updateStrategy") or {})


def _daemon_set_strategy(strategy: Obj) -> Errors:
    rolling, path = strategy.get("rollingUpdate"), "spec.updateStrategy.rollingUpdate"
    if not rolling or strategy.get("type") != "RollingUpdate":
        return
    yield from _bounds(rolling, path)
    unavailable, surge = _is_zero(rolling.get("maxUnavailable")), _is_zero(rolling.get("maxSurge"))
    if unavailable and surge:
        yield required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")
    elif not unavailable and not surge:
        yield invalid(f"{path}.maxSurge", rolling["maxSurge"], "may not be set when maxUnavailable is non-zero")


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
    if policy in (None, "", "Always"):
        yield required(f"{where}.restartPolicy", 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        yield not_supported(f"{where}.restartPolicy", policy, ("OnFailure", "Never"))


def cron_job(new: Obj, old: Obj | None) -> Errors:
    spec = new.get("spec") or {}
    yield from needed(spec, "schedule", "spec")
    if schedule := spec.get("schedule"):
        yield from spelled(schedule, "spec.schedule", _schedule)
        yield from _places(schedule, dig(old, "spec", "schedule", default=""), spec.get("timeZone"))
    if old is None or spec.get("timeZone") != dig(old, "spec", "timeZone"):
        yield from given(spec, "timeZone", "spec", _time_zone)
    yield from one_of(spec, "concurrencyPolicy", "spec", ("Allow", "Forbid", "Replace"))
    for name in _CRON_COUNTS:
        yield from given(spec, name, "spec", syntax.not_negative)
    yield from _job_spec(dig(spec, "jobTemplate", "spec", default={}), "spec.jobTemplate.spec")
    if len(dig(new, "metadata", "name", default="")) > 52:
        yield from spelled(new["metadata"]["name"], "metadata.name", lambda _: ("must be no more than 52 characters",))


def _schedule(text: str) -> tuple[str, ...]:
    try:
        cron.parse(text)
    except ValueError as error:
        return (str(error),)
    return ()


def _places(schedule: str, before: str, zone: str | None) -> Errors:
    """A time zone in the schedule itself: left alone where it is already, and nowhere else."""
    if "TZ" not in schedule:
        return
    if "TZ" not in before:
        yield invalid("spec.schedule", schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
    elif zone is not None:
        yield invalid("spec.schedule", schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule")


_ZONE_PART = re.compile(r"(?!-)(?!\.\.?$)[A-Za-z._0-9+-]{1,14}")


def _time_zone(name: str) -> tuple[str, ...]:
    """Source: https://data.iana.org/time-zones/theory.html#naming."""
    if not name:
        return ("timeZone must be nil or non-empty string",)
    if name.lower() == "local":
        return ("timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",)
    try:
        if not all(map(_ZONE_PART.fullmatch, name.split("/"))):
            raise ValueError(f"unknown time zone {name}")
        cron.zone_of(name)
    except ValueError as error:
        return (str(error),)
    return ()
