"""How batch kinds and autoscalers are printed: Job, CronJob, HorizontalPodAutoscaler, PodDisruptionBudget.

Pure. In: objects and now. Out: cells.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.schema.printers.columns import (
    NONE,
    UNKNOWN,
    Printer,
    age,
    columns,
    containers,
    limited,
    selector_text,
    since,
)
from graylane.cluster.apiserver.schema.printers.durations import human_duration
from graylane.model.meta import Obj, dig, is_deleting, is_true, name_of, parse_time

# First that is true says how the job is; the order is Kubernetes' own.
_JOB_STATES = (
    ("Complete", "Complete"),
    ("Failed", "Failed"),
    ("", "Terminating"),
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
)


def job(obj: Obj, now: datetime) -> list[Any]:
    wide = [*containers(dig(obj, "spec", "template", "spec")), selector_text(dig(obj, "spec", "selector"))]
    return [name_of(obj), _job_state(obj), _completions(obj), _job_duration(obj, now), age(obj, now), *wide]


def _job_state(obj: Obj) -> str:
    for kind, word in _JOB_STATES:
        if is_true(obj, kind) if kind else is_deleting(obj):
            return word
    return "Running"


def _completions(obj: Obj) -> str:
    succeeded = dig(obj, "status", "succeeded", default=0)
    wanted, workers = dig(obj, "spec", "completions"), dig(obj, "spec", "parallelism", default=0)
    if wanted is not None:
        return f"{succeeded}/{wanted}"
    return f"{succeeded}/1 of {workers}" if workers > 1 else f"{succeeded}/1"


def _job_duration(obj: Obj, now: datetime) -> str:
    start, end = dig(obj, "status", "startTime"), dig(obj, "status", "completionTime")
    if not start:
        return ""
    return human_duration((parse_time(end) if end else now) - parse_time(start))


def cron_job(obj: Obj, now: datetime) -> list[Any]:
    spec, last = obj.get("spec") or {}, dig(obj, "status", "lastScheduleTime")
    suspended = "<unset>" if spec.get("suspend") is None else str(spec["suspend"])
    when = [spec.get("schedule"), spec.get("timeZone") or NONE, suspended]
    active = len(dig(obj, "status", "active", default=[]))
    job_spec = dig(spec, "jobTemplate", "spec", default={})
    wide = [*containers(dig(job_spec, "template", "spec")), selector_text(job_spec.get("selector"))]
    return [name_of(obj), *when, active, since(last, now) if last else NONE, age(obj, now), *wide]


def autoscaler(obj: Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    target = spec.get("scaleTargetRef") or {}
    least = spec.get("minReplicas")
    return [
        name_of(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _targets(obj),
        str(least) if least is not None else "<unset>",
        spec.get("maxReplicas", 0),
        dig(obj, "status", "currentReplicas", default=0),
        age(obj, now),
    ]


def _targets(obj: Obj) -> str:
    """autoscaling/v1 knows one CPU target; v2 a list of metrics."""
    cpu = dig(obj, "spec", "targetCPUUtilizationPercentage")
    if cpu is not None:
        now = dig(obj, "status", "currentCPUUtilizationPercentage")
        return f"cpu: {UNKNOWN if now is None else f'{now}%'}/{cpu}%"
    metrics = dig(obj, "spec", "metrics", default=[])
    current = dig(obj, "status", "currentMetrics", default=[])
    texts = [_metric(metric, current[i] if i < len(current) else {}) for i, metric in enumerate(metrics)]
    return limited(texts, 2, ", ") or NONE


def _metric(metric: Obj, current: Obj) -> str:
    """`cpu: 10%/80%`; a metric nobody has measured is unknown."""
    kind = metric.get("type", "")
    source = kind[:1].lower() + kind[1:]
    wanted, found = dig(metric, source, "target", default={}), dig(current, source, "current", default={})
    name = dig(metric, source, "name") or dig(metric, source, "metric", "name", default="")
    prefix = f"{name}: " if kind in ("Resource", "ContainerResource") else ""
    suffix = " (avg)" if kind in ("External", "Object") and "averageValue" in wanted else ""
    return f"{prefix}{_amount(found) or UNKNOWN}/{_amount(wanted) or '<auto>'}{suffix}"


def _amount(values: Obj) -> str:
    if values.get("averageUtilization") is not None:
        return f"{values['averageUtilization']}%"
    return str(values.get("averageValue") or values.get("value") or "")


def disruption_budget(obj: Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    bounds = [str(spec[name]) if spec.get(name) is not None else "N/A" for name in ("minAvailable", "maxUnavailable")]
    return [name_of(obj), *bounds, dig(obj, "status", "disruptionsAllowed", default=0), age(obj, now)]


_WIDE = ("Containers+", "Images+", "Selector+")
PRINTERS = {
    ("batch", "Job"): Printer(columns("Name", "Status", "Completions", "Duration", "Age", *_WIDE), job),
    ("batch", "CronJob"): Printer(
        columns("Name", "Schedule", "Timezone", "boolean:Suspend", "integer:Active", "Last Schedule", "Age", *_WIDE),
        cron_job,
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): Printer(
        columns("Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"), autoscaler
    ),
    ("policy", "PodDisruptionBudget"): Printer(
        columns("Name", "Min Available", "Max Unavailable", "integer:Allowed Disruptions", "Age"), disruption_budget
    ),
}
