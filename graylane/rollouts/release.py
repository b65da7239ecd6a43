"""Where a release stands: the whole memory of the controller, as stored in the Rollout's status.

Pure. In: values. Out: `Release`. `status.py` says how it is written and read; `lifecycle.py` how it changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from graylane.model.rollout import StepState


class Stage(StrEnum):
    """OpenKruise's phase, and within Progressing its reason; Finalising is told apart into two stages of ours."""

    INITIAL = "Initial"  # no workload
    HEALTHY = "Healthy"
    INITIALIZING = "Initializing"  # the stable Deployment is being held
    ROLLING = "InRolling"  # the steps
    PAUSED = "Paused"  # spec.strategy.paused
    FAILED = "Failed"  # no progress within the deadline
    PROMOTING = "Promoting"  # stable takes the new version
    RETIRING = "Retiring"  # routes back, then the canary goes
    CANCELLING = "Cancelling"  # routes back, stable restored, the canary goes
    DISABLED = "Disabled"
    DISABLING = "Disabling"
    TERMINATING = "Terminating"


HOLDING = frozenset({Stage.INITIALIZING, Stage.ROLLING, Stage.PAUSED, Stage.FAILED})  # the stable workload is held
GOING = HOLDING | {Stage.PROMOTING}  # its end is not decided yet

COMPLETED, ROLLED_BACK, ABORTED, DELETED, DISABLED = "Completed", "RolledBack", "Aborted", "Deleted", "Disabled"
OVERDUE = "ProgressDeadlineExceeded"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a release ends: the condition Succeeded. `reason` is one of the above."""

    succeeded: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Release:
    """Valid in every stage; outside of a release the step fields describe the last one.

    `offered`: the present step has paused, so an approval found now was given to it and not to an earlier one.
    `since`: when the step came into its state, or last came nearer to leaving it; `ready` counts the canary pods ready
    then. `next_step` is what the status holds, -1 on the last step: a client that writes another number asks for a
    jump.
    """

    stage: Stage = Stage.INITIAL
    step: int = 0
    state: StepState = StepState.COMPLETED
    next_step: int = 0
    offered: bool = False
    stable_revision: str = ""
    canary_revision: str = ""
    plan_hash: str = ""
    since: datetime | None = None
    verdict: Verdict | None = None
    ready: int = 0
    foreign: bool = False  # OpenKruise wrote it
