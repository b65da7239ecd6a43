"""Rollout: how a workload's next version is released. One hub type, whatever API version it was written in.

Pure. In: what `model/versions/` decoded. Out: `Rollout`, valid once constructed, and the keys OpenKruise and we write
on objects. Controllers import this module, never a version's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from graylane.model.hashing import short_hash
from graylane.model.meta import Key, Obj, condition, dig

GROUP = "rollouts.kruise.io"

# Annotations users set on a Rollout.
ROLLING_STYLE = f"{GROUP}/rolling-style"
TRAFFIC_ROUTING_NAME = f"{GROUP}/trafficrouting"
ABORT = "graylane.dev/abort"  # value: the status.canaryStatus.canaryRevision whose release shall end

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
class Rollout:
    """A canary release plan for one Deployment. `routing` is the TrafficRouting's name, "" for none."""

    key: Key
    uid: str
    generation: int
    workload: WorkloadRef
    steps: tuple[Step, ...]
    patch: MetadataPatch = MetadataPatch()
    failure_threshold: int | str = 0
    routing: str = ""
    paused: bool = False
    disabled: bool = False
    deleting: bool = False
    abort: str = ""

    @property
    def plan_hash(self) -> str:
        """Changes with the plan, not with its pauses or tolerance, so that editing those asks no approval again."""
        steps = [[step.replicas, step.weight] for step in self.steps]
        return short_hash([steps, dict(self.patch.labels), dict(self.patch.annotations)], 16)

    @property
    def finalizer(self) -> str:
        """What this Rollout puts on its TrafficRouting while routes shall lead to its canary."""
        return PROGRESSING_FINALIZER + self.key.name


def claim(rollout_name: str) -> str:
    """The value of the annotation `in-progressing` on a workload under release."""
    return f'{{"rolloutName":"{rollout_name}"}}'


def progressing_reason(rollout: Obj) -> str:
    """The reason of the condition Progressing: which part of a release the Rollout is in; "" outside of one."""
    if dig(rollout, "status", "phase") != Phase.PROGRESSING:
        return ""
    return str((condition(rollout, "Progressing") or {}).get("reason", ""))
