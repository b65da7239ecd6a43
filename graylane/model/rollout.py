"""Rollout: how a workload's next version is released. One hub type, whatever API version it was written in.

Pure. In: what `model/versions/` decoded. Out: `Rollout`, valid once constructed, and the keys OpenKruise and we write
on objects. Controllers import this module, never a version's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from graylane.model.hashing import short_hash
from graylane.model.meta import Key, Obj, annotations_of, condition, dig, name_of

GROUP = "rollouts.kruise.io"

# Annotations users set on a Rollout.
ROLLING_STYLE = f"{GROUP}/rolling-style"
TRAFFIC_ROUTING_NAME = f"{GROUP}/trafficrouting"
ABORT = "graylane.dev/abort"  # value: the status.canaryStatus.canaryRevision whose release shall end
DEADLINE = "graylane.dev/progress-deadline-seconds"  # else the workload's own progressDeadlineSeconds
ON_FAILURE = "graylane.dev/on-failure"  # "abort": a release past its deadline is taken back by itself; else "hold"

OWN_ROUTES = "-routes"  # after the Rollout's name: the TrafficRouting it makes for routes of its own

# Keys OpenKruise writes and other tools read.
HASH = f"{GROUP}/hash"
ROLLOUT_FINALIZER = f"{GROUP}/rollout"
PROGRESSING_FINALIZER = f"progressing.{GROUP}/"  # + the Rollout's name, on its TrafficRouting
IN_PROGRESSING = f"{GROUP}/in-progressing"
STABLE_REVISION = f"{GROUP}/stable-revision"
WORKLOAD_TYPE = f"{GROUP}/workload-type"
ROLLOUT_ID = f"{GROUP}/rollout-id"
CANARY_DEPLOYMENT = f"{GROUP}/canary-deployment"
CANARY_FINALIZER = f"finalizer.{GROUP}/batch-release"

# Of releases that OpenKruise began and we finish.
BATCH_RELEASE_FINALIZER = f"{GROUP}/batch-release-finalizer"
CONTROL_INFO = f"batchrelease.{GROUP}/control-info"

# Ours, on a Service that is pinned to stable pods: the Rollout that will free it.
PINNED_BY = "graylane.dev/pinned-by"

# Ours, on the canary Deployment: which template it carries and which overlay was laid on it.
REVISION = "graylane.dev/revision"
OVERLAY = "graylane.dev/overlay"


class Phase(StrEnum):
    """`status.phase`."""

    INITIAL = "Initial"
    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    TERMINATING = "Terminating"
    DISABLED = "Disabled"
    DISABLING = "Disabling"


class StepState(StrEnum):
    """`status.canaryStatus.currentStepState`, in the order a step passes through them."""

    UPGRADE = "StepUpgrade"
    TRAFFIC = "StepTrafficRouting"
    METRICS = "StepMetricsAnalysis"
    PAUSED = "StepPaused"
    READY = "StepReady"
    COMPLETED = "Completed"


@dataclass(frozen=True, slots=True)
class WorkloadRef:
    """The workload to release; in the Rollout's own namespace."""

    api_version: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `replicas` is a count or "N%"; `pause_seconds` None waits for a human, 0 goes on at once."""

    replicas: int | str
    weight: int | None = None
    pause_seconds: int | None = None
    matches: tuple[Obj, ...] = ()
    modifier: Obj | None = None

    @property
    def strategy(self) -> Obj | None:
        """What a TrafficRouting's `spec.strategy` would be; None: the step asks for no traffic."""
        if self.weight is None and not self.matches:
            return None
        asked = {"weight": self.weight, "matches": list(self.matches), "requestHeaderModifier": self.modifier}
        return {name: value for name, value in asked.items() if value not in (None, [])}

    @property
    def takes_all(self) -> bool:
        """The string "100%" alone counts: a number equal to all replicas pauses (OpenKruise)."""
        return self.replicas == "100%"


@dataclass(frozen=True, slots=True)
class MetadataPatch:
    """`patchPodTemplateMetadata`: laid over the canary's pod template, key by key."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Embedded:
    """`trafficRoutings`: routes in the Rollout itself. `entry` is what a TrafficRouting's `objectRef` would hold.

    `own_service`: stable and canary get a Service each, told apart by `pod-template-hash` (OpenKruise's default).
    """

    service: str
    entry: Obj
    own_service: bool = True

    @property
    def canary_service(self) -> str:
        return f"{self.service}-canary" if self.own_service else ""


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long a release may stand still. `seconds` None: as long as the workload's own `progressDeadlineSeconds`."""

    seconds: int | None = None
    aborts: bool = False


@dataclass(frozen=True)  # without slots, which have no room for what is worked out once
class Rollout:
    """A canary release plan for one Deployment. `named_routing` is the annotated TrafficRouting's name, "" for none."""

    key: Key
    uid: str
    generation: int
    workload: WorkloadRef
    steps: tuple[Step, ...]
    patch: MetadataPatch = MetadataPatch()
    failure_threshold: int | str = 0
    named_routing: str = ""
    embedded: Embedded | None = None
    deadline: Deadline = Deadline()
    paused: bool = False
    disabled: bool = False
    deleting: bool = False
    abort: str = ""

    @cached_property
    def plan_hash(self) -> str:
        """Changes with the plan, not with its pauses or tolerance, so that editing those asks no approval again."""
        steps = [[step.replicas, step.weight, *_routes(step)] for step in self.steps]
        return short_hash([steps, dict(self.patch.labels), dict(self.patch.annotations)], 16)

    @cached_property
    def overlay(self) -> str:
        """Identifies `patchPodTemplateMetadata`. Compared instead of the template, which others may complete."""
        return short_hash([dict(self.patch.labels), dict(self.patch.annotations)])

    @property
    def routing(self) -> str:
        """The TrafficRouting that leads to the canary: the user's, or ours where routes are in the Rollout itself."""
        return f"{self.key.name}{OWN_ROUTES}" if self.embedded else self.named_routing

    @property
    def finalizer(self) -> str:
        """What this Rollout puts on its TrafficRouting while routes shall lead to its canary."""
        return PROGRESSING_FINALIZER + self.key.name


def _routes(step: Step) -> list[Any]:
    """Nothing for steps without, whose plans keep the hash they had before routes could be in a step."""
    return [list(step.matches), step.modifier] if step.matches or step.modifier else []


def deadline_of(annotations: Mapping[str, str], wrong: Callable[[str, Any, str], None]) -> Deadline:
    """From the annotations; `wrong` is told what cannot be read."""
    seconds, reaction = annotations.get(DEADLINE), annotations.get(ON_FAILURE, "hold")
    if seconds is not None and not (seconds.isdigit() and int(seconds) > 0):
        wrong(DEADLINE, seconds, "must be a number of seconds above 0")
        seconds = None
    if reaction not in ("hold", "abort"):
        wrong(ON_FAILURE, reaction, "must be 'hold' or 'abort'")
    return Deadline(int(seconds) if seconds else None, reaction == "abort")


def claim(rollout_name: str) -> str:
    """The value of the annotation `in-progressing` on a workload under release."""
    return f'{{"rolloutName":"{rollout_name}"}}'


def routing_name(rollout: Obj) -> str:
    """The TrafficRouting of a wire object (v1alpha1), decoded or not: see `Rollout.routing`."""
    if dig(rollout, "spec", "strategy", "canary", "trafficRoutings"):
        return f"{name_of(rollout)}{OWN_ROUTES}"
    return annotations_of(rollout).get(TRAFFIC_ROUTING_NAME, "")


def progressing_reason(rollout: Obj) -> str:
    """The reason of the condition Progressing: which part of a release the Rollout is in; "" outside of one."""
    if dig(rollout, "status", "phase") != Phase.PROGRESSING:
        return ""
    return str((condition(rollout, "Progressing") or {}).get("reason", ""))
