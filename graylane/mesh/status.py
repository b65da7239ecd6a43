"""What an object's status says about the mesh: whether the proxies that carry it are up to date, and what is amiss.

Pure. In: a `Verdict` and the object as it is. Out: the patch of its status, or None when it says so already.
Only `observedGeneration`, the condition Reconciled and `validationMessages` are ours; the rest is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from graylane.mesh import findings
from graylane.mesh.blame import complaint, field_of
from graylane.mesh.compiler import Compiled
from graylane.mesh.findings import Finding, refused
from graylane.mesh.inputs import Source
from graylane.model.meta import Condition, Obj, condition, dig, generation_of, set_condition

RECONCILED = "Reconciled"
DRAINED = "graylane.dev/Drained"


_NEXT_START = "Envoy reads its bootstrap only when it starts, then with this: graylane down, then graylane up"


class Reason(StrEnum):
    ACKNOWLEDGED = "Acknowledged"
    WAITING = "WaitingForProxies"
    REFUSED = "RefusedByProxy"
    LEFT_OUT = "LeftOutAfterCrash"
    NEXT_START = "AtNextStart"
    NOT_ACTED_ON = "NotActedOn"


@dataclass(frozen=True, slots=True)
class Verdict:
    """About one state of one object. `message` is prose; `refusal` is what Envoy says against it; `note` what holds
    of it that may change without a new generation.
    """

    generation: int
    reason: Reason
    message: str
    findings: tuple[Finding, ...] = ()
    refusal: str = ""
    note: str = ""

    @property
    def status(self) -> str:
        return "True" if self.reason is Reason.ACKNOWLEDGED else "False"

    def tells(self, generation: int, reason: Reason, findings: tuple[Finding, ...], note: str = "") -> bool:
        """Whether this says as much already; how many proxies there are is not worth another write."""
        return (self.generation, self.reason, self.findings, self.note) == (generation, reason, findings, note)


def acknowledged(compiled: Compiled, source: Source) -> Verdict:
    count = len(compiled.plan.carriers(source))
    findings = compiled.plan.findings.get(source, ())
    note = compiled.plan.notes.get(source, "")
    message = f"{count}/{count} proxies up to date" + (f"; {note}" if note else "")
    return Verdict(source.generation, Reason.ACKNOWLEDGED, message, findings, note=note)


def in_bootstrap(verdict: Verdict, started: bool) -> Verdict:
    """Of an object that wants something in Envoy's bootstrap: whether the running Envoy has read it."""
    if started:
        return replace(verdict, message=f"{verdict.message}; Envoy started with it")
    return replace(verdict, reason=Reason.NEXT_START, message=_NEXT_START)


def waiting(compiled: Compiled, source: Source, why: str) -> Verdict:
    count = len(compiled.plan.carriers(source))
    message = f"0/{count} proxies up to date: {why}"
    return Verdict(source.generation, Reason.WAITING, message, compiled.plan.findings.get(source, ()))


def kept_out(source: Source, why: str, field: str = "") -> Verdict:
    """`field` is what was found to be at fault; otherwise it is looked for in what Envoy says."""
    said = complaint(why)
    verdict = Verdict(source.generation, Reason.REFUSED, f"Envoy refused this configuration: {said}", (refused(said),))
    return _blaming(verdict, field, said) if field else replace(verdict, refusal=said)


def left_out(source: Source, why: str) -> Verdict:
    finding = findings.left_out(why)
    return Verdict(source.generation, Reason.LEFT_OUT, finding.message, (finding,))


def why_left_out(obj: Obj) -> str:
    """What `left_out` once said of this state of an object, "" for nothing."""
    said = condition(obj, RECONCILED) or {}
    current = dig(obj, "status", "observedGeneration") == generation_of(obj)
    return str(said.get("message")).partition(": ")[2] if current and said.get("reason") == Reason.LEFT_OUT else ""


def doubted(verdict: Verdict, why: str) -> Verdict:
    return replace(verdict, findings=(*verdict.findings, findings.ended(why)))


def _blaming(verdict: Verdict, field: str, why: str) -> Verdict:
    said = f"{field}: {why}"
    return replace(verdict, message=f"Envoy refused {said}", findings=(refused(said),))


def _with_field(verdict: Verdict, obj: Obj) -> Verdict:
    """The refusal with the field that is at fault, where the complaint gives it away."""
    field = field_of(obj, verdict.refusal) if verdict.refusal else ""
    return _blaming(verdict, field, verdict.refusal) if field else verdict


def status_patch(obj: Obj, verdict: Verdict, now: datetime) -> Obj | None:
    """A conditional merge patch for the status subresource."""
    verdict = _with_field(verdict, obj)
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
