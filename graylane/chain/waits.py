"""What a release waits for, and what one may type: the one table that the terminal and the documents tell from.

Pure. In: a Rollout, its TrafficRouting, its canary's pods. Out: `Facts`, and the table `WAITS`, which is read from the
top; its first row that applies says the wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from graylane.chain.workloads import Group
from graylane.model.meta import Obj, annotations_of, condition, dig, format_time, is_deleting, name_of, parse_time
from graylane.model.rollout import ABORT, Phase, StepState

WAITING = "graylane.dev/Waiting"
_BLOCKING = frozenset(
    {
        "CanaryImpossible",
        "ServicesNotReady",
        "StableNotSufficient",
        "CanaryNotReached",
        "CanaryNotListed",
        "TrafficRoutingNotReady",
    }
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the table below may ask about one Rollout."""

    rollout: Obj
    routing: Obj | None
    canary: Group

    @property
    def name(self) -> str:
        return name_of(self.rollout)

    @property
    def phase(self) -> str:
        return str(dig(self.rollout, "status", "phase", default=""))

    @property
    def state(self) -> str:
        return str(dig(self.rollout, "status", "canaryStatus", "currentStepState", default=""))

    @property
    def message(self) -> str:
        return str(dig(self.rollout, "status", "message", default=""))

    @property
    def index(self) -> int:
        return int(dig(self.rollout, "status", "canaryStatus", "currentStepIndex", default=0))

    @property
    def steps(self) -> list[Obj]:
        return dig(self.rollout, "spec", "strategy", "canary", "steps", default=[])  # type: ignore[no-any-return]

    @property
    def since(self) -> datetime | None:
        """When the step came into its state."""
        progressing = condition(self.rollout, "Progressing") or {}
        text = (
            dig(self.rollout, "status", "canaryStatus", "lastUpdateTime")
            or progressing.get("lastTransitionTime")
            or progressing.get("lastUpdateTime")
        )
        return parse_time(str(text)) if text else None

    @property
    def waits_since(self) -> datetime | None:
        """When it came to wait for what it waits for now, which may be later."""
        told = self._waiting.get("lastUpdateTime")
        return max(filter(None, (self.since, parse_time(str(told)) if told else None)), default=None)

    @property
    def _waiting(self) -> Obj:
        return condition(self.rollout, WAITING) or {}

    @property
    def waits(self) -> str:
        """The controller's own words for what is missing, with the object and what ends it."""
        return str(self._waiting.get("message", ""))

    @property
    def is_invalid(self) -> bool:
        return self._waiting.get("reason") == "InvalidSpec"

    @property
    def is_blocked(self) -> bool:
        """By something that somebody has to mend, or to do elsewhere, whatever state the step is in."""
        return self.is_progressing and self._waiting.get("reason") in _BLOCKING

    @property
    def is_disabling(self) -> bool:
        return self.phase == Phase.DISABLING

    @property
    def is_progressing(self) -> bool:
        return self.phase == Phase.PROGRESSING

    @property
    def is_unseen(self) -> bool:
        return not self.phase

    @property
    def is_held(self) -> bool:
        return self.is_progressing and bool(dig(self.rollout, "spec", "strategy", "paused", default=False))

    @property
    def is_aborting(self) -> bool:
        return self.is_progressing and ABORT in annotations_of(self.rollout)

    @property
    def reason(self) -> str:
        return str((condition(self.rollout, "Progressing") or {}).get("reason", "")) if self.is_progressing else ""

    @property
    def is_ending(self) -> bool:
        return self.reason in ("Finalising", "Cancelling")

    @property
    def has_failed(self) -> bool:
        """It stands still past its deadline and is kept as it is; one that is taken back then is ending."""
        return self.reason == "ProgressDeadlineExceeded"

    @property
    def awaits_approval(self) -> bool:
        return self.is_progressing and self.state == StepState.PAUSED and self.pause_seconds is None

    @property
    def awaits_time(self) -> bool:
        return self.is_progressing and self.state == StepState.PAUSED and self.pause_seconds is not None

    @property
    def awaits_pods(self) -> bool:
        return self.is_progressing and self.state == StepState.UPGRADE

    @property
    def awaits_routes(self) -> bool:
        return self.is_progressing and self.state == StepState.TRAFFIC

    @property
    def pause_seconds(self) -> int | None:
        seconds = dig(self.rollout, "spec", "strategy", "canary", "steps", self.index - 1, "pause", "duration")
        return None if seconds is None else int(seconds)


@dataclass(frozen=True, slots=True)
class Wait:
    """One row: when it applies, what is waited for, what the user may type (`{name}` is the Rollout's).

    `asks`: it is over when somebody approves.
    """

    applies: Callable[[Facts], bool]
    says: Callable[[Facts], str]
    next: tuple[str, ...] = ()
    asks: bool = False


WAITS = (  # first row that applies wins; what a human must do stands above what will happen by itself
    Wait(lambda f: is_deleting(f.rollout), lambda f: f"its removal to finish: {f.message}"),
    Wait(lambda f: f.is_invalid, lambda f: f"its spec to be corrected: {f.waits}"),
    Wait(
        lambda f: f.is_unseen,
        lambda f: "a controller to notice it",
        ("graylane up, or graylane controller",),
    ),
    Wait(lambda f: f.phase == Phase.INITIAL, lambda f: f"its workload: {f.waits or f.message}"),
    Wait(lambda f: f.is_disabling, lambda f: f"what is left of the release to go: {f.waits or f.message}"),
    Wait(lambda f: f.is_aborting, lambda f: f"the abort to finish: {f.message}"),
    Wait(lambda f: f.is_ending, lambda f: f.message),
    Wait(lambda f: f.is_held, lambda f: "resume: spec.strategy.paused is true", ("graylane resume {name}",)),
    Wait(
        lambda f: f.has_failed,
        lambda f: f"somebody to mend or abort it: {_sentence(f)}",
        ("graylane abort {name}",),
    ),
    Wait(lambda f: f.is_blocked, lambda f: f.waits, ("graylane abort {name}",)),
    Wait(
        lambda f: f.awaits_approval,
        lambda f: _approval(f),
        ("graylane approve {name}", "graylane abort {name}"),
        asks=True,
    ),
    Wait(lambda f: f.awaits_time, lambda f: _until(f), ("graylane approve {name}", "graylane abort {name}")),
    Wait(lambda f: f.awaits_pods, lambda f: _pods(f), ("graylane abort {name}",)),
    Wait(lambda f: f.awaits_routes, lambda f: _routes(f), ("graylane abort {name}",)),
    Wait(lambda f: f.is_progressing, lambda f: f.message or f.state, ("graylane abort {name}",)),
)


def _approval(facts: Facts) -> str:
    sentence = _sentence(facts)
    return f"approval: {sentence}" if sentence else "approval"


def _sentence(facts: Facts) -> str:
    """The status' own words, without the commands that the controller adds for readers of kubectl: `next` has them."""
    return facts.message.partition(": graylane ")[0].partition("; mend it, or graylane ")[0]


def _until(facts: Facts) -> str:
    seconds = facts.pause_seconds or 0
    if facts.since is None:
        return f"its pause of {seconds} s to pass"
    return f"its pause of {seconds} s to pass, until {format_time(facts.since + timedelta(seconds=seconds))}"


def _pods(facts: Facts) -> str:
    """From the pods themselves, which tell more, and sooner, than any status."""
    canary = facts.canary
    if not canary.wanted and facts.waits:
        return facts.waits
    text = f"canary pods: {canary.ready} of {canary.wanted} ready"
    troubles = sorted({trouble for pod in canary.pods for trouble in troubles_of(pod)})
    if troubles:
        return f"{text}; {'; '.join(troubles)}"
    return f"{text}, then for the routed Services to list them" if 0 < canary.wanted <= canary.ready else text


def troubles_of(pod: Obj) -> list[str]:
    """Why containers of a pod do not run, in the kubelet's words."""
    states = [dig(item, "state", "waiting", default={}) for item in dig(pod, "status", "containerStatuses", default=[])]
    return [
        f"{state['reason']}: {state.get('message', '')}".rstrip(": ")
        for state in states
        if state.get("reason") not in (None, "ContainerCreating", "PodInitializing")
    ]


def _routes(facts: Facts) -> str:
    if facts.routing is None:
        return f"routes: {facts.waits or facts.message}"
    for kind in ("Accepted", "RoutesConfirmed"):
        entry = condition(facts.routing, kind)
        if entry is not None and entry.get("status") != "True":
            return f"routes: {entry.get('message') or entry.get('reason')}"
    return f"routes: {dig(facts.routing, 'status', 'message', default=facts.message)}"
