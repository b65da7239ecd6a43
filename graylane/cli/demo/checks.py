"""What must be seen, each row of the scenario as checks on values that were read.

Pure. In: objects and answers. Out: `Check`s with the measured value in words. Nothing here asks or waits.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graylane.cli.demo.answers import Answer
from graylane.model.meta import (
    Obj,
    annotations_of,
    condition,
    dig,
    generation_of,
    is_true,
    labels_of,
    name_of,
    uid_of,
)
from graylane.model.rollout import CANARY_DEPLOYMENT

GRAY_LABEL, GRAY = "istio.service.tag", "gray"
LANE_MATCH = [{"headers": {"my-request-id": {"exact": "canary"}}}]
LANE_SUBSET = {"name": "canary", "labels": {GRAY_LABEL: GRAY}}

_WATCH_SKEW_SECONDS = 0.02  # three kinds, three watches: two changes may reach us in the other order


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold, and what was measured."""

    what: str
    held: bool
    seen: str


def all_answer(what: str, answers: list[Answer], expected: str) -> Check:
    """Every answer took the path `expected`, e.g. `canary→canary`."""
    paths = Counter(answer.path if answer.ok else f"failed ({answer.error or answer.status})" for answer in answers)
    seen = ", ".join(f"{count} × {path}" for path, count in paths.most_common())
    if len(answers) == 1:
        seen = answers[0].body.strip() or answers[0].path
    return Check(what, set(paths) == {expected}, seen)


def same_pods(what: str, answers: list[Answer], ips: Mapping[str, str]) -> Check:
    """The addresses in the answers are those of the pods that the API shows, by service."""
    named = {hop.app: hop.ip for answer in answers for hop in answer.hops}
    return Check(what, bool(named) and named == dict(ips), ", ".join(f"{app} {ip}" for app, ip in named.items()))


def deployments_ready(deployments: list[Obj]) -> Check:
    ready = [item for item in deployments if is_rolled_out(item)]
    return Check("2 Deployments ready", len(ready) == len(deployments) == 2, f"{len(ready)} ready")


def is_rolled_out(deployment: Obj) -> bool:
    """Every replica is of the current template and available, and no old one is left."""
    wanted = dig(deployment, "spec", "replicas", default=1)
    status = deployment.get("status") or {}
    return (
        status.get("observedGeneration") == generation_of(deployment)
        and not dig(deployment, "spec", "paused", default=False)
        and status.get("replicas", 0) == wanted
        and status.get("updatedReplicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
    )


def phases(kind: str, objects: list[Obj], expected: str) -> Check:
    found = [str(dig(item, "status", "phase", default="none")) for item in objects]
    return Check(f"{kind} {expected}", found == [expected] * 2, ", ".join(found))


def pods_untouched(before: list[Obj], after: list[Obj]) -> Check:
    """The same pods, ready, never restarted."""
    old = {uid_of(pod) for pod in before}
    kept = [pod for pod in after if uid_of(pod) in old and is_true(pod, "Ready") and restarts(pod) == 0]
    return Check("base pods untouched and running", len(kept) == len(before) > 0, f"{len(kept)} of {len(before)}")


def restarts(pod: Obj) -> int:
    return sum(int(item.get("restartCount", 0)) for item in dig(pod, "status", "containerStatuses", default=[]))


def canary_deployments(deployments: list[Obj]) -> Check:
    """One for each stable Deployment, named after it."""
    owners = sorted(labels_of(item).get(CANARY_DEPLOYMENT, "") for item in deployments)
    named = all(name_of(item).startswith(f"{labels_of(item)[CANARY_DEPLOYMENT]}-") for item in deployments)
    seen = ", ".join(name_of(item) for item in deployments) or "none"
    return Check("a canary Deployment for each", owners == ["mocka-base", "mockb-base"] and named, seen)


def canary_labels(pods: list[Obj]) -> Check:
    wanted = {GRAY_LABEL: GRAY, "version": "canary"}
    right = [pod for pod in pods if wanted.items() <= labels_of(pod).items()]
    what = "canary pods labelled gray and canary"
    return Check(what, len(right) == len(pods) == 2, f"{len(right)} of {len(pods)} pods")


def awaiting_approval(rollouts: list[Obj]) -> Check:
    """Progressing, StepPaused, and a message that says what is waited for."""
    states = [
        f"{dig(item, 'status', 'phase')} {dig(item, 'status', 'canaryStatus', 'currentStepState')}" for item in rollouts
    ]
    messages = [str(dig(item, "status", "message", default="")) for item in rollouts]
    held = states == ["Progressing StepPaused"] * 2 and all("manually confirm" in message for message in messages)
    return Check("Rollouts paused, saying why", held, f"{', '.join(states)}; {messages[0]!r}")


def lane_route(virtual_service: Obj, original: Obj) -> Check:
    """First the lane's rule, behind it exactly what was there before."""
    http = dig(virtual_service, "spec", "http", default=[])
    first = http[0] if http else {}
    destinations = [dig(entry, "destination", "subset") for entry in first.get("route") or []]
    held = (
        first.get("match") == LANE_MATCH
        and destinations == ["canary"]
        and http[1:] == dig(original, "spec", "http", default=[])
    )
    seen = f"http[0] match {dig(first, 'match')} → subset {', '.join(map(str, destinations)) or 'none'}"
    return Check(f"{name_of(virtual_service)}: lane first, original behind", held, _short(seen))


def lane_subset(destination_rule: Obj, original: Obj) -> Check:
    subsets = dig(destination_rule, "spec", "subsets", default=[])
    held = subsets == [*dig(original, "spec", "subsets", default=[]), LANE_SUBSET]
    seen = ", ".join(f"{item.get('name')} {item.get('labels')}" for item in subsets)
    return Check(f"{name_of(destination_rule)}: subset canary added", held, _short(seen))


def restored(objects: list[Obj], originals: list[Obj]) -> Check:
    """Spec and annotations are what they were, so nothing of ours is left."""
    changed = [
        name_of(now)
        for now, before in zip(objects, originals, strict=True)
        if now.get("spec") != before.get("spec") or annotations_of(now) != annotations_of(before)
    ]
    seen = f"{len(objects)} equal to the originals" if not changed else f"differ: {', '.join(changed)}"
    return Check("routes restored", not changed and bool(objects), seen)


def gone(what: str, objects: Iterable[Obj]) -> Check:
    names = [name_of(item) for item in objects]
    return Check(what, not names, "none left" if not names else f"left: {', '.join(names)}")


def succeeded(rollouts: list[Obj], status: str) -> Check:
    """Healthy, with condition Succeeded as expected; False needs a reason in words."""
    found = [condition(item, "Succeeded") or {} for item in rollouts]
    words = [f"{entry.get('status', 'absent')} {entry.get('message') or entry.get('reason') or ''}" for entry in found]
    held = all(entry.get("status") == status for entry in found) and bool(found)
    if status == "False":
        held = held and all(entry.get("message") or entry.get("reason") for entry in found)
    return Check(f"Succeeded {status}", held, _short("; ".join(word.strip() for word in words)))


def in_order(what: str, moments: list[tuple[str, float | None]]) -> Check:
    """Every moment is known and none is before the one named ahead of it."""
    times = [time for _, time in moments if time is not None]
    pairs = itertools.pairwise(times)
    held = len(times) == len(moments) and all(after >= before - _WATCH_SKEW_SECONDS for before, after in pairs)
    seen = ", ".join(f"{name} {'never' if time is None else f'after {time:.2f} s'}" for name, time in moments)
    return Check(what, held, seen)


def env_of(deployment: Obj, name: str) -> str:
    entries = dig(deployment, "spec", "template", "spec", "containers", 0, "env", default=[])
    return next((str(entry.get("value", "")) for entry in entries if entry.get("name") == name), "")


def version_is(deployment: Obj, expected: str) -> Check:
    found = env_of(deployment, "version")
    return Check(f"{name_of(deployment)} template is {expected}", found == expected, f"version={found}")


def headers_logged(logs: Mapping[str, str], marks: Iterable[str]) -> list[Check]:
    """Every canary logged the dye; the first hop logged the client's other headers too, the second none of them."""
    dyed = [app for app, text in logs.items() if "my-request-id: canary" in text]
    leaked = [mark for mark in marks if mark.lower() in logs.get("mockb", "").lower()]
    arrived = [mark for mark in marks if mark.lower() in logs.get("mocka", "").lower()]
    return [
        Check("canary logs show my-request-id: canary", len(dyed) == len(logs) == 2, ", ".join(dyed) or "none"),
        Check(
            "no other client header at mockb",
            bool(arrived) and not leaked,
            f"{len(arrived)} at mocka, {len(leaked)} at mockb",
        ),
    ]


def _short(text: str, most: int = 160) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
