"""What the story waits for, always a change that the API or the gateway tells.

Shell. In: a `Stage`. Out: returns when it is so; `GaveUp` names what did not come. Also the moments by which the order
of a release's end is judged.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from functools import partial

from graylane.chain.problems import Confirmation, confirmation
from graylane.chain.workloads import is_canary
from graylane.cli.demo.checks import is_rolled_out
from graylane.cli.demo.stage import APPS, FILTER, NAMESPACE, PATIENCE_SECONDS, ROLLOUTS, ROUTES, Stage
from graylane.cli.demo.timeline import Rule
from graylane.cli.exits import GaveUp
from graylane.kit.cache import View
from graylane.model.kinds import DEPLOYMENT, ENVOY_FILTER, ROLLOUT, TRAFFIC_ROUTING
from graylane.model.meta import Obj, condition, dig, is_deleting, labels_of
from graylane.model.rollout import CANARY_DEPLOYMENT, Phase, StepState

_ASK_AGAIN_SECONDS = 0.02
REQUESTS_PER_STATE = 100  # that the background client asks in each state, before the story goes on


async def until_rolled_out(stage: Stage) -> None:
    def ready(view: View) -> bool:
        found = [view.get(DEPLOYMENT, NAMESPACE, f"{app}-base") for app in APPS]
        return all(item is not None and is_rolled_out(item) for item in found)

    await stage.recorder.until(ready, PATIENCE_SECONDS, "both Deployments ready")


async def until_confirmed(stage: Stage) -> None:
    await stage.recorder.until(stage.confirmed, PATIENCE_SECONDS, "the routes confirmed by the proxies")


async def until_healthy(stage: Stage) -> None:
    """Both Rollouts and both TrafficRoutings; one that is not there yet is not healthy either."""

    def healthy(view: View) -> bool:
        found = [view.get(ROLLOUT, NAMESPACE, ROLLOUTS[app]) for app in APPS]
        found += [view.get(TRAFFIC_ROUTING, NAMESPACE, f"{app}-tr") for app in APPS]
        return all(_phase(item) == "Healthy" for item in found)

    await stage.recorder.until(healthy, PATIENCE_SECONDS, "Rollouts and TrafficRoutings Healthy")


async def until_released(stage: Stage, versions: dict[str, str]) -> None:
    """Changes templates and waits until every Rollout pauses. A lane counts as open from its own confirmation on."""
    stage.mark(Rule.EITHER, *versions)
    for app, version in versions.items():
        await stage.set_version(app, version)
    names = [ROLLOUTS[app] for app in versions]

    def paused(view: View) -> bool:
        return all(_is_paused(view.get(ROLLOUT, NAMESPACE, name)) for name in names)

    await stage.recorder.until(paused, PATIENCE_SECONDS, f"{' and '.join(names)} to pause with routes confirmed")
    for app in versions:
        stage.mark(Rule.CANARY, app, at=_confirmed_at(stage, app))
    await stage.traffic.more(REQUESTS_PER_STATE)


def _confirmed_at(stage: Stage, app: str) -> float:
    """When the TrafficRouting said that the proxies have this Rollout's routes."""

    def is_active(routing: Obj | None) -> bool:
        return ROLLOUTS[app] in dig(routing, "status", "activeFor", default=[])

    moment = stage.recorder.first(TRAFFIC_ROUTING, f"{app}-tr", is_active, stage.start)
    if moment is None:
        raise GaveUp(f"TrafficRouting {app}-tr never said that the routes of {ROLLOUTS[app]} are confirmed")
    return moment


async def until_over(stage: Stage, apps: tuple[str, ...], succeeded: str) -> None:
    """Healthy again, with the verdict expected, and no canary Deployment left; from then on base alone may serve."""

    def over(view: View) -> bool:
        rollouts = [view.get(ROLLOUT, NAMESPACE, ROLLOUTS[app]) for app in apps]
        canaries = list(filter(is_canary, view.list(DEPLOYMENT, NAMESPACE)))
        return not canaries and all(_phase(item) == "Healthy" and _verdict(item) == succeeded for item in rollouts)

    await stage.recorder.until(over, PATIENCE_SECONDS, f"the end of the releases of {' and '.join(apps)}")
    stage.mark(Rule.BASE, *apps)
    await stage.traffic.more(REQUESTS_PER_STATE)


async def until_dyeing(stage: Stage) -> None:
    def confirmed(view: View) -> bool:
        found = view.get(ENVOY_FILTER, "istio-system", FILTER)
        return found is not None and confirmation(found) is Confirmation.CONFIRMED

    await stage.recorder.until(confirmed, PATIENCE_SECONDS, "the EnvoyFilter confirmed by the gateway")


async def until_answered(stage: Stage, headers: Mapping[str, str], path: str) -> None:
    """For what no object's status tells: that endpoints have reached the proxies, that a filter is gone."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (answer := await stage.asker.ask(headers, fresh=True)).path != path:
        if time.monotonic() > deadline:
            raise GaveUp(f"the gateway does not answer {path} within {PATIENCE_SECONDS:g} s, but {answer.path}")
        await asyncio.sleep(_ASK_AGAIN_SECONDS)


def moments(stage: Stage, app: str) -> list[tuple[str, float | None]]:
    """Seconds into the step: stable promoted, the routes the originals again, the canary told to go."""
    first, start = stage.recorder.first, stage.start
    promoted = first(DEPLOYMENT, f"{app}-base", lambda item: item is not None and is_rolled_out(item), start)
    routes = [
        first(kind, f"{short}-{app}", partial(_is_original, stage.originals[f"{short}-{app}"]), start)
        for kind, short in ROUTES
    ]
    restored = max((moment for moment in routes if moment is not None), default=None)
    removed = [first(DEPLOYMENT, name, _is_going, start) for name in _canaries(stage, app)]
    found = {"promoted": promoted, "restored": restored, "removed": min(filter(None, removed), default=None)}
    return [(name, None if moment is None else moment - start) for name, moment in found.items()]


def _canaries(stage: Stage, app: str) -> set[str]:
    return {
        moment.key.name
        for moment in stage.recorder.since(stage.start, DEPLOYMENT)
        if labels_of(moment.new or moment.old or {}).get(CANARY_DEPLOYMENT) == f"{app}-base"
    }


def _is_going(item: Obj | None) -> bool:
    return item is None or is_deleting(item)


def _is_original(original: Obj, item: Obj | None) -> bool:
    return item is not None and item.get("spec") == original.get("spec")


def _phase(obj: Obj | None) -> str:
    return str(dig(obj, "status", "phase", default=""))


def _verdict(rollout: Obj | None) -> str:
    return str((condition(rollout or {}, "Succeeded") or {}).get("status", ""))


def _is_paused(rollout: Obj | None) -> bool:
    state = dig(rollout, "status", "canaryStatus", "currentStepState")
    return _phase(rollout) == Phase.PROGRESSING and state == StepState.PAUSED
