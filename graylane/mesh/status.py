"""What an object's status says about the mesh: whether the proxies that carry it are up to date, and what is amiss.

Pure. In: a `Verdict` and the object as it is. Out: the patch of its status, or None when it says so already.
Only `observedGeneration`, the condition Reconciled and `validationMessages` are ours; the rest is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from graylane.mesh.compiler import Compiled
from graylane.mesh.findings import Finding, refused
from graylane.mesh.inputs import Source
from graylane.model.meta import Condition, Obj, condition, dig, set_condition

RECONCILED = "Reconciled"
DRAINED = "graylane.dev/Drained"


class Reason(StrEnum):
    ACKNOWLEDGED = "Acknowledged"
    WAITING = "WaitingForProxies"
    REFUSED = "RefusedByProxy"
    NOT_ACTED_ON = "NotActedOn"


@dataclass(frozen=True, slots=True)
class Verdict:
    """About one state of one object. `message` is prose; two verdicts that differ in it alone say the same."""

    generation: int
    reason: Reason
    message: str
    findings: tuple[Finding, ...] = ()

    @property
    def status(self) -> str:
        return "True" if self.reason is Reason.ACKNOWLEDGED else "False"

    def same_as(self, other: Verdict | None) -> bool:
        return other is not None and (self.generation, self.reason, self.findings) == (
            other.generation,
            other.reason,
            other.findings,
        )


def acknowledged(compiled: Compiled, source: Source) -> Verdict:
    count = compiled.snapshot.carriers.get(source, 0)
    findings = compiled.plan.findings.get(source, ())
    return Verdict(source.generation, Reason.ACKNOWLEDGED, f"{count}/{count} proxies up to date", findings)


def waiting(compiled: Compiled, source: Source, why: str) -> Verdict:
    count = compiled.snapshot.carriers.get(source, 0)
    message = f"0/{count} proxies up to date: {why}"
    return Verdict(source.generation, Reason.WAITING, message, compiled.plan.findings.get(source, ()))


def kept_out(source: Source, why: str) -> Verdict:
    message = f"Envoy refused this configuration: {why}"
    return Verdict(source.generation, Reason.REFUSED, message, (refused(why),))


def verdicts(live: Compiled, guilty: Mapping[Source, str]) -> dict[Source, Verdict]:
    """What is known of every object once a snapshot is live: it works, or Envoy refused it."""
    found = {source: acknowledged(live, source) for source in live.snapshot.sources if source not in guilty}
    return found | {source: kept_out(source, why) for source, why in guilty.items()}


def status_patch(obj: Obj, verdict: Verdict, now: datetime) -> Obj | None:
    """A conditional merge patch for the status subresource."""
    status = obj.get("status") or {}
    said = Condition(RECONCILED, verdict.status, verdict.reason.value, verdict.message)
    new: Obj = {
        "observedGeneration": verdict.generation,
        "conditions": set_condition(status.get("conditions") or [], said, now),
        "validationMessages": [finding.to_json() for finding in verdict.findings] or None,
    }
    if all(status.get(name) == value for name, value in new.items()):
        return None
    return {"metadata": {"resourceVersion": dig(obj, "metadata", "resourceVersion")}, "status": new}


def drained_patch(pod: Obj, now: datetime) -> Obj | None:
    """Tells the kubelet that no proxy sends to this pod any more."""
    known = condition(pod, DRAINED)
    if known is not None and known.get("status") == "True":
        return None
    said = Condition(DRAINED, "True", "NoProxySendsHere", "every proxy has acknowledged endpoints without this pod")
    conditions = set_condition(dig(pod, "status", "conditions", default=[]), said, now)
    version = dig(pod, "metadata", "resourceVersion")
    return {"metadata": {"resourceVersion": version}, "status": {"conditions": conditions}}
