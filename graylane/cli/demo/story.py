"""The scenario as data: what is done in each step, and what must be seen.

Shell. In: a `Stage`. Out: the checks of one step. Each step waits for the API to say that its effect is there, never
for time to pass; what it then measures is judged by `checks.py`.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from graylane.chain.workloads import is_canary
from graylane.cli.demo import checks, waits
from graylane.cli.demo.asking import DYE
from graylane.cli.demo.checks import Check
from graylane.cli.demo.stage import APPS, FILTER, Stage, addresses, app_of
from graylane.cli.demo.timeline import Rule
from graylane.cli.releasing import abort, approve
from graylane.model.kinds import DEPLOYMENT, ENVOY_FILTER, TRAFFIC_ROUTING
from graylane.model.meta import name_of


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the scenario. `asks` are the commands a person would type for it."""

    number: int
    title: str
    asks: tuple[str, ...]
    run: Callable[[Stage], Awaitable[list[Check]]]


async def start(stage: Stage) -> list[Check]:
    await stage.apply("01", "02", "03", "04")
    await waits.until_rolled_out(stage)
    await waits.until_confirmed(stage)
    await waits.until_answered(stage, {}, "base→base")
    answers = await stage.asker.batch(1, {})
    return [
        checks.deployments_ready(await stage.deployments()),
        checks.all_answer("gateway answers base → base", answers, "base→base"),
        checks.same_pods("the addresses are the pods'", answers, addresses(await stage.pods(canary=False))),
    ]


async def declare(stage: Stage) -> list[Check]:
    await stage.apply("05", "06")
    await waits.until_healthy(stage)
    stage.originals = {name_of(item): item for item in await stage.routes()}
    stage.base_pods = await stage.pods(canary=False)
    return [
        checks.phases("Rollouts", await stage.rollouts(), "Healthy"),
        checks.phases("TrafficRoutings", await stage.read(TRAFFIC_ROUTING), "Healthy"),
    ]


async def release(stage: Stage) -> list[Check]:
    await waits.until_released(stage, {"mocka": "canary", "mockb": "canary"})
    deployments = list(filter(is_canary, await stage.read(DEPLOYMENT)))
    return [
        checks.pods_untouched(stage.base_pods, await stage.pods(canary=False)),
        checks.canary_deployments(deployments),
        checks.canary_labels(await stage.pods(canary=True)),
        checks.awaiting_approval(await stage.rollouts()),
    ]


async def look(stage: Stage) -> list[Check]:
    found: list[Check] = []
    for app in APPS:
        service, rule = await stage.routes(app)
        found.append(checks.lane_route(service, stage.originals[f"vs-{app}"]))
        found.append(checks.lane_subset(rule, stage.originals[f"dr-{app}"]))
    return found


async def ask_plain(stage: Stage) -> list[Check]:
    return [checks.all_answer("100 plain requests, all base → base", await stage.asker.batch(100, {}), "base→base")]


async def ask_dyed(stage: Stage) -> list[Check]:
    """The client's own headers carry values that occur nowhere else: a log that has one must have it from here."""
    secret = secrets.token_hex(8)
    headers = {**DYE, "x-demo-client": f"client-{secret}", "user-agent": f"demo-{secret}"}
    answers = await stage.asker.batch(100, headers)
    logs = {app_of(pod): await stage.logs(pod) for pod in await stage.pods(canary=True)}
    return [
        checks.all_answer("100 dyed requests, all canary → canary", answers, "canary→canary"),
        *checks.headers_logged(logs, (f"client-{secret}", f"demo-{secret}")),
    ]


async def dye_at_the_edge(stage: Stage) -> list[Check]:
    await stage.apply("07")
    await waits.until_dyeing(stage)
    return [
        checks.all_answer("50 × agent:pc", await stage.asker.batch(50, {"agent": "pc"}), "canary→canary"),
        checks.all_answer("50 × agent:phone", await stage.asker.batch(50, {"agent": "phone"}), "base→base"),
        checks.all_answer("50 × no header", await stage.asker.batch(50, {}), "base→base"),
    ]


async def stop_dyeing(stage: Stage) -> list[Check]:
    await stage.client.delete(ENVOY_FILTER, FILTER, "istio-system")
    await waits.until_answered(stage, {"agent": "pc"}, "base→base")
    found: list[Check] = []
    for words, fresh in (("new connections", True), ("kept-alive connections", False)):
        plain = await stage.asker.batch(100, {}, fresh=fresh)
        dyed = await stage.asker.batch(100, DYE, fresh=fresh)
        found.append(checks.all_answer(f"100 plain, {words}", plain, "base→base"))
        found.append(checks.all_answer(f"100 dyed, {words}", dyed, "canary→canary"))
    return found


async def approve_both(stage: Stage) -> list[Check]:
    stage.mark(Rule.EITHER, *APPS)
    await stage.do(approve, *APPS)
    await waits.until_over(stage, APPS, "True")
    canaries = list(filter(is_canary, await stage.read(DEPLOYMENT)))
    return [
        *(checks.version_is(item, "canary") for item in await stage.deployments()),
        *(checks.in_order(f"{app}: promote, restore, remove", waits.moments(stage, app)) for app in APPS),
        checks.restored(await stage.routes(), stage.original()),
        checks.gone("canary Deployments gone", canaries),
        checks.phases("Rollouts", await stage.rollouts(), "Healthy"),
        checks.succeeded(await stage.rollouts(), "True"),
    ]


async def release_one(stage: Stage) -> list[Check]:
    await waits.until_released(stage, {"mockb": "canary2"})
    return [
        checks.all_answer("50 dyed: stable → mockb canary", await stage.asker.batch(50, DYE), "canary→canary2"),
        checks.all_answer("50 plain: stable → stable", await stage.asker.batch(50, {}), "canary→canary"),
    ]


async def abort_one(stage: Stage) -> list[Check]:
    stage.mark(Rule.EITHER, "mockb")
    await stage.do(abort, "mockb")
    await waits.until_over(stage, ("mockb",), "False")
    canaries = list(filter(is_canary, await stage.read(DEPLOYMENT)))
    return [
        checks.restored(await stage.routes("mockb"), stage.original("mockb")),
        checks.gone("canary gone", [*canaries, *await stage.pods(canary=True)]),
        *(checks.version_is(item, "canary") for item in await stage.deployments("mockb")),
        checks.all_answer("50 dyed: stable → stable", await stage.asker.batch(50, DYE), "canary→canary"),
        checks.all_answer("50 plain: stable → stable", await stage.asker.batch(50, {}), "canary→canary"),
        checks.succeeded(await stage.rollouts("mockb"), "False"),
    ]


_EXAMPLES = "kubectl apply -f examples/end-to-end-canary/"
FIRST_WITH_TRAFFIC, LAST_WITH_TRAFFIC = 3, 11
STEPS = (
    Step(1, "Start, and apply the services", (f"{_EXAMPLES}01…04", "curl $GATEWAY"), start),
    Step(2, "Declare the releases", (f"{_EXAMPLES}05…06",), declare),
    Step(
        3,
        "Change both services",
        tuple(f"kubectl set env deploy/{app}-base version=canary" for app in APPS),
        release,
    ),
    Step(4, "Read the routes", ("kubectl get vs,dr -o yaml",), look),
    Step(5, "Ask without dye", ("curl $GATEWAY    # × 100",), ask_plain),
    Step(6, "Ask with dye", ('curl -H "my-request-id:canary" $GATEWAY    # × 100', "kubectl logs …"), ask_dyed),
    Step(
        7,
        "Let the gateway dye by agent",
        (f"{_EXAMPLES}07…", "curl -H agent:pc $GATEWAY    # × 50, then agent:phone, then none"),
        dye_at_the_edge,
    ),
    Step(8, "Stop dyeing at the gateway", (f"kubectl delete envoyfilter -n istio-system {FILTER}",), stop_dyeing),
    Step(9, "Approve both", ("graylane approve rollouts-a rollouts-b",), approve_both),
    Step(10, "Release only mockb", ("kubectl set env deploy/mockb-base version=canary2",), release_one),
    Step(11, "Abort it", ("graylane abort rollouts-b",), abort_one),
)
