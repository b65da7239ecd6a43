"""What a Rollout waits for, since nothing that does not move may be silent.

Pure. In: `Facts` at rest, that is, when no row of the table applies. Out: `Wait`: a reason, what is missing, and
whether somebody must mend something. Status, events, CLI and dashboard all speak from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from graylane.model.meta import format_time
from graylane.model.rollout import StepState
from graylane.rollouts.facts import Facts
from graylane.rollouts.parts import Canary, Lane
from graylane.rollouts.release import Stage


@dataclass(frozen=True, slots=True)
class Wait:
    """`reason` is one word for tools, `text` completes a sentence, `trouble` says that waiting alone will not help.

    `others`: it is over when somebody acts on another Rollout, which is worth an event where it lasts.
    """

    reason: str
    text: str
    trouble: bool = False
    others: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """One row: when it applies, and what it says then."""

    when: Callable[[Facts], bool]
    says: Callable[[Facts], Wait]


def waits_for(facts: Facts) -> Wait | None:
    """The first thing that is missing; None at rest."""
    reasons = _BY_STAGE.get(facts.release.stage, ())
    return next((reason.says(facts) for reason in reasons if reason.when(facts)), None)


# -- sentences


def _workload(facts: Facts) -> Wait:
    return Wait(
        "WorkloadNotFound", f"Deployment {_stable(facts)} not found; create it or correct its name in the Rollout"
    )


def _misfit(facts: Facts) -> Wait:
    return Wait("CanaryImpossible", facts.misfit, trouble=True)


def _services(facts: Facts) -> Wait:
    return Wait("ServicesNotReady", facts.services.trouble if facts.services else "", trouble=True)


def _not_pinned(facts: Facts) -> Wait:
    """Canary pods must not be created yet: the stable Service would list them."""
    pair, stable, known = facts.services, facts.stable, facts.stable_set
    available, total = known.available if known else 0, stable.replicas if stable else 0
    text = f"Service {pair.stable_name if pair else ''} is pinned to the stable version once that can bear all requests"
    return Wait("StableNotSufficient", f"{text}: {available} of {total} pods of it are available")


def _freed(facts: Facts) -> Wait:
    """New stable pods have another hash, so none may start while the Service selects by the old one."""
    name = facts.services.stable_name if facts.services else ""
    return Wait(
        "ServiceNotFreed", f"Service {name} is being freed of its pin before Deployment {_stable(facts)} goes on"
    )


def _pods(facts: Facts) -> Wait:
    canary = facts.canary
    if canary is None:
        return Wait("CanaryNotReady", f"the canary Deployment of {_stable(facts)} is being created")
    ready = f"{min(canary.updated, canary.available)} of {facts.target} pods ready"
    text = f"canary Deployment {_where(facts, canary)} has {ready}"
    return Wait("CanaryNotReady", f"{text}: {canary.trouble}" if canary.trouble else text, bool(canary.trouble))


def _unreached(facts: Facts) -> Wait:
    return Wait("CanaryNotReached", facts.canary.unreached if facts.canary else "", trouble=True)


def _listed(facts: Facts) -> Wait:
    routing = _named(facts, facts.lane.name) if facts.lane else ""
    service = _named(facts, facts.canary.listed_least_by) if facts.canary else ""
    text = (
        f"Service {service} of TrafficRouting {routing} lists {facts.listed_of_canary} of {facts.target} canary pods; "
        "it must select them, or list another Rollout's canary"
    )
    return Wait("CanaryNotListed", text, others=True)


def _routing(facts: Facts) -> Wait:
    lane = facts.lane
    if lane is None:
        return Wait("RoutesNotConfirmed", "")
    if lane.trouble:
        return Wait("TrafficRoutingNotReady", lane.trouble, trouble=True)
    said = lane.says or "it has not taken up the request yet"
    return Wait("RoutesNotConfirmed", f"TrafficRouting {_named(facts, lane.name)}: {said}")


def _routing_at_rest(facts: Facts) -> Wait:
    """Worth knowing before a release, but manifests applied in any order must not raise an alarm."""
    return replace(_routing(facts), trouble=False)


def _approval(facts: Facts) -> Wait:
    return Wait("Approval", f"graylane approve {_typed(facts)}, or graylane abort {_typed(facts)}")


def _typed(facts: Facts, *others: str) -> str:
    """The Rollout, or others beside it, as one types them."""
    namespace, name = facts.rollout.key
    names = " ".join(others or (name,))
    return names if namespace == "default" else f"{names} -n {namespace}"


def _mending(facts: Facts) -> Wait:
    """What a failed release stands at, and what one can do."""
    cause = next((reason.says(facts).text for reason in _STEP if reason.when(facts)), "")
    return Wait("Failed", f"{cause}; mend it, or graylane abort {_typed(facts)}", trouble=True)


def _duration(facts: Facts) -> Wait:
    ends = facts.pause_ends_at
    return Wait("Duration", f"until {format_time(ends)}" if ends else "")


def _resume(facts: Facts) -> Wait:
    return Wait("Resume", f"spec.strategy.paused is true; graylane resume {_typed(facts)}")


def _stable_held(facts: Facts) -> Wait:
    return Wait("StableNotHeld", f"Deployment {_stable(facts)} is being paused at its stable version")


def _stable_updated(facts: Facts) -> Wait:
    stable = facts.stable
    available = stable.available_of(stable.revision) if stable else 0
    total = stable.replicas if stable else 0
    text = f"Deployment {_stable(facts)} has {available} of {total} pods updated and available"
    if facts.promotion_stalled():
        text += f", and its own progress deadline has passed; mend it, or graylane abort {_typed(facts)}"
    return Wait("StableNotUpdated", text, trouble=facts.promotion_stalled())


def _stable_restored(facts: Facts) -> Wait:
    known = facts.stable_set
    total = facts.stable.replicas if facts.stable else 0
    available = known.available if known else 0
    text = f"Deployment {_stable(facts)} has {available} of {total} pods of its stable version available"
    return Wait("StableNotRestored", text)


def _routes_back(facts: Facts) -> Wait:
    lane = facts.lane
    names = [_named(facts, str(item["metadata"]["name"])) for item in facts.strays]
    if lane and lane.shared_with:
        return _routes_shared(facts, lane)
    if lane and not lane.clear:
        said = lane.trouble or lane.says or "it has not taken up the request yet"
        return Wait("RoutesNotRestored", f"TrafficRouting {_named(facts, lane.name)} restores its routes: {said}")
    return Wait("RoutesNotRestored", f"TrafficRouting {', '.join(names)} restores its routes")


def _routes_shared(facts: Facts, lane: Lane) -> Wait:
    """Nobody's routes are told apart in one TrafficRouting, so this release ends with the last of them."""
    others = _typed(facts, *lane.shared_with)
    canaries = ", ".join(_where(facts, item) for item in facts.canaries)
    text = (
        f"TrafficRouting {_named(facts, lane.name)} keeps its routes for Rollout {', '.join(lane.shared_with)}; until "
        f"that ends, dyed requests go on to canary Deployment {canaries}: "
        f"graylane approve {others}, or graylane abort {others}"
    )
    return Wait("RoutesShared", text, others=True)


def _canary_gone(facts: Facts) -> Wait:
    names = ", ".join(_where(facts, item) for item in facts.canaries)
    return Wait("CanaryNotGone", f"canary Deployment {names} is being deleted")


def _routing_gone(facts: Facts) -> Wait:
    pair = facts.services
    service = f", Service {pair.canary_name} is being deleted and {pair.stable_name} freed" if pair else ""
    return Wait("RoutesNotGone", f"TrafficRouting {_named(facts, facts.rollout.routing)} is being deleted{service}")


def _where(facts: Facts, canary: Canary) -> str:
    return _named(facts, canary.name)


def _stable(facts: Facts) -> str:
    return _named(facts, facts.rollout.workload.name)


def _named(facts: Facts, name: str) -> str:
    return f"{facts.rollout.key.namespace}/{name}"


# -- tables


def _state(*states: StepState) -> Callable[[Facts], bool]:
    return lambda facts: facts.release.state in states


def _lane_troubled(facts: Facts) -> bool:
    return facts.lane is not None and bool(facts.lane.trouble)


_STEP = (
    Reason(lambda f: bool(f.misfit), _misfit),
    Reason(lambda f: f.services is not None and bool(f.services.trouble), _services),
    Reason(lambda f: f.canary is None and not f.pinned(), _not_pinned),
    Reason(lambda f: not f.canary_ready(), _pods),
    Reason(_lane_troubled, _routing),
    Reason(lambda f: f.canary is not None and bool(f.canary.unreached), _unreached),
    Reason(lambda f: not f.canary_serves(), _listed),
    Reason(lambda f: not f.lane_live(), _routing),
    Reason(lambda f: f.step.pause_seconds is not None and _state(StepState.PAUSED)(f), _duration),
    Reason(_state(StepState.PAUSED), _approval),
)
_AWAY = (
    Reason(lambda f: not f.no_canary() and not f.lane_clear(), _routes_back),
    Reason(lambda f: not f.lane_let_go(), _routes_back),
    Reason(lambda f: not f.no_canary(), _canary_gone),
    Reason(lambda f: not f.gone(), _routing_gone),
)
_BY_STAGE: dict[Stage, tuple[Reason, ...]] = {
    Stage.INITIAL: (Reason(lambda _: True, _workload),),
    Stage.HEALTHY: (Reason(_lane_troubled, _routing_at_rest),),
    Stage.INITIALIZING: (Reason(lambda _: True, _stable_held),),
    Stage.ROLLING: _STEP,
    Stage.FAILED: (Reason(lambda _: True, _mending),),
    Stage.PAUSED: (Reason(lambda _: True, _resume),),
    Stage.PROMOTING: (Reason(lambda f: not f.unpinned(), _freed), Reason(lambda _: True, _stable_updated)),
    Stage.RETIRING: _AWAY,
    Stage.CANCELLING: (_AWAY[0], Reason(lambda f: not f.restored(), _stable_restored), *_AWAY[1:]),
    Stage.DISABLING: _AWAY,
    Stage.TERMINATING: _AWAY,
}
