"""What facts are made of: the stable workload, the canaries, the lane, the Services, each as one look found it.

Pure. In: what `observe.py` and `lane.py` read. Out: frozen values with the questions that concern one of them alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from graylane.model.meta import Obj, dig


@dataclass(frozen=True, slots=True)
class RevisionSet:
    """One ReplicaSet of the stable Deployment."""

    name: str
    hash: str
    revision: str
    wanted: int
    replicas: int
    available: int
    template: Obj


@dataclass(frozen=True, slots=True)
class Stable:
    """The workload the Rollout releases. `claimed_by` is the Rollout named by `in-progressing`, "" for none."""

    obj: Obj
    name: str
    replicas: int
    paused: bool
    revision: str
    claimed_by: str
    labelled: str
    typed: bool
    observed: bool
    max_unavailable: int
    sets: tuple[RevisionSet, ...]
    deadline_seconds: int = 600
    stalled: bool = False  # its own controller says so, of a rolling update past that deadline

    def set_of(self, pod_template_hash: str) -> RevisionSet | None:
        return next((item for item in self.sets if item.hash and item.hash == pod_template_hash), None)

    def runs_only(self, revision: str) -> bool:
        """Every pod there should be is there, available, and of this version."""
        others = [item for item in self.sets if item.revision != revision]
        own = [item for item in self.sets if item.revision == revision]
        available, wanted = sum(item.available for item in own), sum(item.wanted for item in own)
        alone = all(item.wanted == 0 and item.replicas == 0 for item in others)
        return alone and wanted == self.replicas and available >= self.replicas

    def available_of(self, revision: str) -> int:
        return sum(item.available for item in self.sets if item.revision == revision)


@dataclass(frozen=True, slots=True)
class Canary:
    """A canary Deployment of ours. `listed`: its ready pods found in the EndpointSlices of every routed Service that
    can select them; none while another routed Service lists no canary at all. `listed_least_by`: where that is least.

    `owner`: the uid of what controls it, "" when nothing does. `recorded`: that is, or was, the BatchRelease.
    `foreign`: of a release that OpenKruise began, not marked as ours yet. `unreached`: why no route would find its
    pods, which then count as not listed.
    """

    obj: Obj
    name: str
    revision: str
    overlay: str
    replicas: int
    updated: int
    available: int
    observed: bool
    deleting: bool
    protected: bool
    listed: int
    template_hash: str
    trouble: str
    owner: str = ""
    recorded: bool = False
    foreign: bool = False
    listed_least_by: str = ""
    unreached: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """The BatchRelease of the Rollout's name. `ours`: not a stranger's. `held`: by OpenKruise's own finalizer."""

    obj: Obj
    ours: bool
    deleting: bool
    held: bool


@dataclass(frozen=True, slots=True)
class Lane:
    """The TrafficRouting the Rollout names. `held`: our finalizer is on it; `live`: it says our routes are confirmed.

    `clear`: no route of it leads to a canary any more, confirmed. `trouble`: what it lacks, "" when nothing. `says`:
    its own words while it is at work on routes. `shared_with`: other Rollouts that hold it.

    For routes embedded in the Rollout: `strategy` is what it routes by, `confirmed` that the proxies have just that,
    `leads_to` names the canary's Services, `trouble_of_name` that its name is taken by another's.
    """

    name: str
    obj: Obj | None
    deleting: bool
    held: bool
    live: bool
    clear: bool
    trouble: str
    says: str
    shared_with: tuple[str, ...] = ()
    strategy: Obj | None = None
    confirmed: bool = True
    leads_to: tuple[str, ...] = ()
    trouble_of_name: bool = False


@dataclass(frozen=True, slots=True)
class Services:
    """The Services of routes embedded in the Rollout. `pin`, `canary_pin`: the `pod-template-hash` they select.

    `foreign`: the canary's name is taken by a Service that is not this Rollout's. `claimed_by`: another Rollout that
    has pinned the stable one. `stranger`: a pod it lists that is not of this release and that a pin would cut off.
    `lingering`: pods of a canary whose Deployment is gone, which only the pin keeps from the stable one.
    `unwanted`: they are left from a spec that had routes of its own; the present one does not ask for them.
    """

    stable_name: str
    canary_name: str
    stable: Obj | None
    canary: Obj | None
    pin: str
    canary_pin: str
    foreign: bool
    claimed_by: str = ""
    stranger: str = ""
    lingering: tuple[str, ...] = ()
    unwanted: bool = False

    @property
    def trouble(self) -> str:
        """Why the two cannot be told apart; "" when they can."""
        if self.unwanted:
            return ""
        if self.stable is None:
            return f"Service {self.stable_name} not found; create it or correct trafficRoutings[0].service"
        if not dig(self.stable, "spec", "selector", default={}):
            return f"Service {self.stable_name} has no selector, so its stable pods cannot be told from canary pods"
        if self.claimed_by:
            return f"Service {self.stable_name} is pinned for Rollout {self.claimed_by}; its release must end first"
        if self.stranger:
            return (
                f"Service {self.stable_name} also lists pod {self.stranger}, which this release is not about and which "
                "a pin to the stable version would cut off; give such pods a Service of their own"
            )
        if self.foreign:
            return f"Service {self.canary_name} is somebody else's; it would be the canary's, so delete or rename it"
        return ""
