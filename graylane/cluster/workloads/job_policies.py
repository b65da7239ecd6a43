"""What a Job itself says about how its pods end: `podFailurePolicy` and `successPolicy`.

Pure. In: a Job, a failed pod; the indexes that succeeded. Out: the first rule that matches, and the sentence that says
so. The rules are those of Kubernetes' `pod_failure_policy.go` and `success_policy.go`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from graylane.model.meta import Obj, dig, name_of, namespace_of

_STATUSES = ("containerStatuses", "initContainerStatuses")


class Action(StrEnum):
    COUNT = "Count"  # as a failure like any other
    IGNORE = "Ignore"
    FAIL_JOB = "FailJob"
    FAIL_INDEX = "FailIndex"


@dataclass(frozen=True, slots=True)
class Match:
    action: Action
    message: str


def has_failure_policy(job: Obj) -> bool:
    return dig(job, "spec", "podFailurePolicy") is not None


def match_failure(job: Obj, pod: Obj) -> Match | None:
    """What the first matching rule makes of a pod that failed; None when it counts because no rule says otherwise."""
    if dig(pod, "status", "phase") != "Failed":
        return None
    for index, rule in enumerate(dig(job, "spec", "podFailurePolicy", "rules", default=[])):
        action = Action(rule["action"])
        for fact in (*_exits(rule, pod), *_conditions(rule, pod)):
            return Match(action, f"{fact} matching {action} rule at index {index}")
    return None


def is_ignored(job: Obj, pod: Obj) -> bool:
    match = match_failure(job, pod)
    return match is not None and match.action is Action.IGNORE


def fails_job(job: Obj, pod: Obj) -> str:
    """The sentence, "" when it does not."""
    match = match_failure(job, pod)
    return match.message if match is not None and match.action is Action.FAIL_JOB else ""


def _exits(rule: Mapping[str, Any], pod: Obj) -> Iterator[str]:
    """Containers that ended with one of the codes, or with none of them; success never matches."""
    wish = rule.get("onExitCodes")
    if not wish:
        return
    for status in (status for name in _STATUSES for status in dig(pod, "status", name, default=[])):
        code = dig(status, "state", "terminated", "exitCode", default=0)
        named = wish.get("containerName") in (None, status.get("name"))
        if named and code != 0 and (code in wish["values"]) is (wish["operator"] == "In"):
            where = f"{namespace_of(pod)}/{name_of(pod)}"
            yield f"Container {status.get('name')} for pod {where} failed with exit code {code}"


def _conditions(rule: Mapping[str, Any], pod: Obj) -> Iterator[str]:
    for wish in rule.get("onPodConditions") or []:
        for entry in dig(pod, "status", "conditions", default=[]):
            if (entry.get("type"), entry.get("status")) == (wish["type"], wish.get("status", "True")):
                yield f"Pod {namespace_of(pod)}/{name_of(pod)} has condition {wish['type']}"


def match_success(job: Obj, succeeded: Collection[int]) -> str:
    """Which rule of the success policy is met, "" when none is."""
    for number, rule in enumerate(dig(job, "spec", "successPolicy", "rules", default=[])):
        wanted = parse_indexes(str(rule["succeededIndexes"])) if rule.get("succeededIndexes") is not None else None
        found = set(succeeded) if wanted is None else wanted & set(succeeded)
        enough = rule.get("succeededCount")
        if len(found) >= (len(wanted or ()) if enough is None else int(enough)):
            return f"Matched rules at index {number}"
    return ""


def parse_indexes(text: str) -> frozenset[int]:
    """`0-2,5` → 0, 1, 2, 5."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)
