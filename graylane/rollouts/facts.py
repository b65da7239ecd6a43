"""What is true about one Rollout at one moment: a flat value with a name for every question the table asks.

Pure. In: what `observe.py` found. Out: predicates. No arithmetic elsewhere: a guard in the table is one of these names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from graylane.model.meta import Obj
from graylane.model.rollout import Rollout, Step, StepState
from graylane.rollouts.parts import Batch, Canary, Lane, RevisionSet, Services, Stable
from graylane.rollouts.release import HOLDING, ROLLED_BACK, Release, Stage
from graylane.rollouts.replicas import step_replicas, tolerated


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the decision may depend on. `strays` are other TrafficRoutings that still hold or serve us."""

    now: datetime
    obj: Obj
    rollout: Rollout
    release: Release
    stable: Stable | None
    canaries: tuple[Canary, ...] = ()
    lane: Lane | None = None
    strays: tuple[Obj, ...] = ()
    candidate: str = ""  # hash of the ReplicaSet a release that starts now would hold
    overlay: str = ""
    free_name: str = ""
    misfit: str = ""  # why a canary cannot be created at all
    services: Services | None = None
    exposed: str = ""  # how plain requests would reach canary pods
    watched_since: datetime | None = None
    former: tuple[Obj, ...] = ()  # TrafficRoutings we made for routes that the spec has no longer
    batch: Batch | None = None

    @property
    def moment(self) -> datetime:
        """Now in the status's whole seconds, rounded up, so that no pause ends before its time."""
        return self.now if not self.now.microsecond else self.now.replace(microsecond=0) + timedelta(seconds=1)

    # -- the plan

    @property
    def total_steps(self) -> int:
        return len(self.rollout.steps)

    @property
    def step(self) -> Step:
        """The present step; a plan that became shorter counts as its last."""
        return self.rollout.steps[min(max(self.release.step, 1), self.total_steps) - 1]

    def on_last_step(self) -> bool:
        return self.release.step >= self.total_steps

    @property
    def expected_next(self) -> int:
        return -1 if self.on_last_step() else self.release.step + 1

    def plan_changed(self) -> bool:
        return self.release.plan_hash != self.rollout.plan_hash

    def jump_asked(self) -> bool:
        asked = self.release.next_step
        return asked != self.expected_next and 1 <= asked <= self.total_steps

    # -- what users ask

    def deleted(self) -> bool:
        return self.rollout.deleting

    def disabled(self) -> bool:
        return self.rollout.disabled

    def enabled(self) -> bool:
        return not self.rollout.disabled

    def pause_requested(self) -> bool:
        return self.rollout.paused

    def frozen(self) -> bool:
        """A paused release finishes the pods that are on their way; nothing new begins, and no route moves."""
        return self.rollout.paused and self.release.stage in HOLDING

    def resumed(self) -> bool:
        return not self.rollout.paused

    def abort_requested(self) -> bool:
        """Only for the revision it names, so that an abort never hits a version its author did not see."""
        return bool(self.rollout.abort) and self.rollout.abort == self.release.canary_revision and self.can_go_back()

    def abort_misdirected(self) -> bool:
        return bool(self.rollout.abort) and self.rollout.abort != self.release.canary_revision

    # -- the stable workload

    def workload_missing(self) -> bool:
        return self.stable is None

    def workload_found(self) -> bool:
        return self.stable is not None

    def workload_replaced(self) -> bool:
        """The Deployment was deleted and created anew between two looks: nothing of the old one is left to hold."""
        return self.stable is not None and not self.can_go_back()

    @property
    def stable_set(self) -> RevisionSet | None:
        return self.stable.set_of(self.release.stable_revision) if self.stable else None

    def can_go_back(self) -> bool:
        return self.stable_set is not None

    def stable_suffices(self) -> bool:
        """The stable version's pods can bear all traffic, or there are no others that could."""
        stable, known = self.stable, self.stable_set
        if stable is None or known is None:
            return False
        others = any(item.replicas for item in stable.sets if item is not known)
        return not others or known.available >= max(1, stable.replicas - stable.max_unavailable)

    def new_revision(self) -> bool:
        """The template differs from what runs, noticed with or without admission's help."""
        return self.stable is not None and self.stable.replicas > 0 and bool(self.candidate)

    def back_to_stable(self) -> bool:
        return (
            self.stable is not None
            and self.stable_set is not None
            and (self.stable.revision == self.stable_set.revision)
        )

    def holds_stable(self) -> bool:
        """Un-pausing would start no other version than the one that runs."""
        return self.back_to_stable() or not self.candidate

    def newer_revision(self) -> bool:
        """The template is a version that this release knows nothing of, or one that it had just given up."""
        if self.stable is None or self.back_to_stable():
            return False
        return self.given_up() or self.stable.revision != self.release.canary_revision

    def given_up(self) -> bool:
        """The user took the version back by hand; finding it again means that they want it again.

        After an abort it is still there because we have not restored the template yet.
        """
        verdict = self.release.verdict
        return self.release.stage is Stage.CANCELLING and verdict is not None and verdict.reason == ROLLED_BACK

    def claimed(self) -> bool:
        return self.stable is not None and self.stable.claimed_by == self.rollout.key.name

    def stable_held(self) -> bool:
        return self.stable is not None and self.stable.paused and self.claimed() and self.stable.observed

    def promoted(self) -> bool:
        stable = self.stable
        return (
            stable is not None
            and stable.revision == self.release.canary_revision
            and stable.observed
            and not stable.paused
            and not self.claimed()
            and stable.runs_only(stable.revision)
        )

    def restored(self) -> bool:
        """The stable version runs alone and free; or there is nothing it could go back to."""
        if self.stable is None or self.stable_set is None:
            return True
        free = not self.stable.paused and not self.claimed() and self.stable.observed
        return free and self.back_to_stable() and self.stable.runs_only(self.stable.revision)

    # -- the canary

    @property
    def canary(self) -> Canary | None:
        """The canary of the present template and overlay; others are superseded or on their way out."""
        wanted = (self.stable.revision if self.stable else "", self.overlay)
        live = (item for item in self.canaries if (item.revision, item.overlay) == wanted and not item.deleting)
        return next(live, None)

    @property
    def target(self) -> int:
        """Canary pods wanted at this step. Within a release the canary only grows, as in OpenKruise."""
        wanted = step_replicas(self.step.replicas, self.stable.replicas) if self.stable else 0
        return max(wanted, self.grown)

    @property
    def grown(self) -> int:
        """How far this version's canary has come, also when a new overlay asks for another one."""
        revision = self.stable.revision if self.stable else ""
        return max((item.replicas for item in self.canaries if item.revision == revision), default=0)

    @property
    def needed(self) -> int:
        return self.target - tolerated(self.rollout.failure_threshold, self.target) if self.target else 0

    def canary_ready(self) -> bool:
        canary = self.canary
        if canary is None:
            return self.target == 0
        settled = canary.observed and canary.replicas >= self.target
        return settled and canary.updated >= self.target and canary.available >= self.needed

    def canary_serves(self) -> bool:
        """Ready, and where a lane is to lead to it also known to the routed Services."""
        if not self.canary_ready():
            return False
        return self.lane is None or self.target == 0 or self.listed_of_canary >= self.needed

    @property
    def listed_of_canary(self) -> int:
        return self.canary.listed if self.canary else 0

    @property
    def listed(self) -> int:
        """Ready canary endpoints of any version: what the lane leads to right now."""
        return sum(item.listed for item in self.canaries)

    def superseding(self) -> bool:
        """An older version's canary is still there, until the newer one serves."""
        return any(item.revision != self.release.canary_revision and not item.deleting for item in self.canaries)

    def no_canary(self) -> bool:
        return not self.canaries

    @property
    def ready_pods(self) -> int:
        return sum(item.available for item in self.canaries if not item.deleting)

    # -- the deadline

    def progressed(self) -> bool:
        """Nearer to the step's pods than when this was last noted."""
        return self.ready_pods > self.release.ready

    @property
    def deadline_seconds(self) -> int:
        """The Rollout's, else the workload's own."""
        return self.rollout.deadline.seconds or (self.stable.deadline_seconds if self.stable else 600)

    @property
    def overdue_at(self) -> datetime | None:
        """When the step will have stood still for too long; None where nothing is to move by itself.

        Time in which nobody looked does not count: an outage of ours, or of a whole cluster, is no failure of theirs.
        """
        if self.release.state not in (StepState.UPGRADE, StepState.TRAFFIC) or self.release.since is None:
            return None
        begun = max(self.release.since, self.watched_since or self.release.since)
        return begun + timedelta(seconds=self.deadline_seconds)

    def overdue(self) -> bool:
        if self.overdue_at is None or self.now < self.overdue_at:
            return False
        return not (self.progressed() or self._step_moves())

    def _step_moves(self) -> bool:
        moves = self.canary_serves() if self.release.state is StepState.UPGRADE else self.lane_live()
        return moves or self.plan_changed() or self.jump_asked()

    def recovered(self) -> bool:
        """Pods or routes came after all, the plan was edited, or the deadline was moved."""
        return not self.overdue()

    def promotion_stalled(self) -> bool:
        return self.release.stage is Stage.PROMOTING and self.stable is not None and self.stable.stalled

    def gives_up(self) -> bool:
        """The Rollout asks for its release to be taken back when it fails."""
        stands = self.overdue() if self.release.stage is Stage.FAILED else self.promotion_stalled()
        return self.rollout.deadline.aborts and stands and self.can_go_back()

    # -- the lane

    def lane_live(self) -> bool:
        """The routes of the present step are with the proxies; a step without a share wants none there."""
        if self.lane is None or self.target == 0:
            return True
        if self.rollout.embedded is None:
            return self.lane.live
        if self.step.strategy is None:
            return self.lane.clear
        return self.lane.live and self.lane.confirmed and self.lane.strategy == self.step.strategy

    def lane_clear(self) -> bool:
        return not self.strays and (self.lane is None or self.lane.clear)

    def lane_let_go(self) -> bool:
        return not self.strays and (self.lane is None or not self.lane.held)

    # -- the Services of embedded routes

    def pinned(self) -> bool:
        """No canary pod can be reached through the stable Service."""
        pair = self.services
        if pair is None or pair.unwanted:
            return True
        return not pair.trouble and bool(pair.pin) and pair.pin == self.release.stable_revision

    def unpinned(self) -> bool:
        return self.services is None or not self.services.pin

    def services_back(self) -> bool:
        """The user's Service is as it was, and the canary's is gone."""
        pair = self.services
        return pair is None or ((not pair.pin or pair.stable is None) and (pair.canary is None or pair.foreign))

    # -- the step

    def step_met(self) -> bool:
        return self.canary_serves() and self.lane_live()

    def measured(self) -> bool:
        """Metrics cannot be asked for yet, so that nothing is left to measure."""
        return True

    def approved_unseen(self) -> bool:
        """StepReady was written into a step that had not paused: nobody can have seen what they approved."""
        return not self.release.offered

    @property
    def pause_ends_at(self) -> datetime | None:
        seconds = self.step.pause_seconds
        if seconds is None or self.release.since is None:
            return None
        return self.release.since + timedelta(seconds=seconds)

    def pause_over(self) -> bool:
        """Without a human: the step that takes everything is not paused, others when their duration has passed."""
        if not self.step_met():
            return False
        if self.on_last_step() and self.step.takes_all:
            return True
        return self.pause_ends_at is not None and self.now >= self.pause_ends_at

    def steps_done(self) -> bool:
        return self.release.state is StepState.COMPLETED

    def last_step_met(self) -> bool:
        return self.on_last_step() and self.step_met()

    # -- the end

    def gone(self) -> bool:
        """Nothing of ours is left: routes let go, canaries deleted, Services as they were."""
        recorded = self.batch is not None and self.batch.ours
        ours = not self.own_routing() and not recorded
        return self.lane_let_go() and self.no_canary() and self.services_back() and ours

    def own_routing(self) -> bool:
        """The TrafficRouting made for embedded routes is still there, also one that the spec asks for no longer."""
        if self.former:
            return True
        lane = self.lane
        made = self.rollout.embedded is not None and lane is not None and not lane.trouble_of_name
        return made and lane is not None and lane.obj is not None

    def let_go(self) -> bool:
        return self.gone() and not self.claimed()

    def cancelled(self) -> bool:
        """Everything taken back, and the order to abort with it."""
        return self.gone() and self.restored() and not self.rollout.abort
