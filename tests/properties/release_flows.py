"""What users do to a release, from its start to every end it may have: the flows that the proofs go through."""

from __future__ import annotations

import copy

from graylane.model.kinds import (
    BATCH_RELEASE,
    DEPLOYMENT,
    DESTINATION_RULE,
    ROLLOUT,
    SERVICE,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.meta import Obj, name_of
from graylane.testing.crashes import Act, Flow
from graylane.testing.joint_stage import HTTP_ROUTE, JointStage, Provider

TWO_STEPS = ({"replicas": 1, "pause": {}}, {"replicas": "100%", "pause": {"duration": 10}})
BOTH = ("web", "api")


def push(version: str, name: str = "web") -> Act:
    return lambda stage: stage.push(version, name)


def approve(name: str = "web") -> Act:
    return lambda stage: stage.approve(name)


def abort(name: str = "web") -> Act:
    return lambda stage: stage.abort(name)


def delete(kind: Kind, name: str = "web") -> Act:
    return lambda stage: stage.delete(kind, name)


def spec(**patch: object) -> Act:
    return lambda stage: stage.edit(patch)


def pause(paused: bool) -> Act:
    return spec(strategy={"paused": paused})


def scale(replicas: int) -> Act:
    return lambda stage: stage.edit_deployment({"spec": {"replicas": replicas}})


def apply_again(*kinds: Kind) -> Act:
    """A GitOps tool puts the manifests of these kinds back, annotations and all."""

    def act(stage: JointStage) -> None:
        for kind, obj in stage.manifests():
            if kind in kinds and stage.find(kind, name_of(obj)).get("spec") != obj["spec"]:
                stage.write(kind, obj)

    return act


def delete_canary(stage: JointStage) -> None:
    stage.delete(DEPLOYMENT, name_of(stage.canaries()[0]))


def delete_with_canaries(stage: JointStage) -> None:
    """The garbage collector is quicker than we are."""
    stage.delete(BATCH_RELEASE)
    stage.world.collect_garbage()


def edit_record(stage: JointStage) -> None:
    """By hand, as if OpenKruise still read it."""
    patch: Obj = {"metadata": {"ownerReferences": []}, "spec": {"releasePlan": {"batches": [], "batchPartition": None}}}
    stage.world.patch(BATCH_RELEASE, "shop", "web", patch)


def edit_route(stage: JointStage) -> None:
    """By hand, with our rule in place: a timeout on the user's own."""
    rules = copy.deepcopy(stage.get(VIRTUAL_SERVICE, "vs-web")["spec"]["http"])
    rules[-1]["timeout"] = "5s"
    stage.change(VIRTUAL_SERVICE, "vs-web", {"spec": {"http": rules}})


def edit_http_route(stage: JointStage) -> None:
    rules = copy.deepcopy(stage.get(HTTP_ROUTE, "web")["spec"]["rules"])
    rules[-1]["timeouts"] = {"request": "5s"}
    stage.change(HTTP_ROUTE, "web", {"spec": {"rules": rules}})


def unadmitted() -> JointStage:
    return JointStage(admission=False, allowed={"v1", "v2"})


def shared() -> JointStage:
    return JointStage(names=BOTH)


def of(provider: Provider) -> list[Flow]:
    def stage() -> JointStage:
        return JointStage(provider)

    return [
        Flow(f"finished by {provider}", (push("v2"), approve()), stage),
        Flow(f"rolled back by {provider}", (push("v2"), push("v1")), stage),
        Flow(f"superseded by {provider}", (push("v2"), push("v3"), approve()), stage),
        Flow(f"deleted by {provider}", (push("v2"), delete(ROLLOUT)), stage),
    ]


FLOWS = (
    Flow("finished", (push("v2"), approve())),
    Flow("finished in two steps", (push("v2"), approve()), lambda: JointStage(replicas=3, steps=TWO_STEPS)),
    Flow("finished without routes", (push("v2"), approve()), lambda: JointStage(routed=False)),
    Flow("paused and resumed", (push("v2"), pause(True), pause(False), approve())),
    Flow("scaled in the middle", (push("v2"), scale(3), approve()), lambda: JointStage(replicas=2)),
    Flow("rolled back", (push("v2"), push("v1"))),
    Flow("aborted", (push("v2"), abort())),
    Flow("aborted and released again", (push("v2"), abort(), push("v2"), approve())),
    Flow("superseded", (push("v2"), push("v3"), approve())),
    Flow("superseded and rolled back", (push("v2"), push("v3"), push("v1"))),
    Flow("deleted", (push("v2"), delete(ROLLOUT))),
    Flow("disabled and enabled", (push("v2"), spec(disabled=True), spec(disabled=False))),
    Flow("not admitted", (push("v2"), approve()), unadmitted),
    Flow("not admitted and aborted", (push("v2"), abort()), unadmitted),
    Flow("workload deleted", (push("v2"), delete(DEPLOYMENT)), hurts=True),
    Flow("canary deleted", (push("v2"), delete_canary, approve())),
    Flow("record deleted", (push("v2"), delete(BATCH_RELEASE), approve())),
    Flow("record and canary deleted", (push("v2"), delete_with_canaries, approve())),
    Flow("record edited", (push("v2"), edit_record, abort())),
    Flow("routing deleted", (push("v2"), delete(TRAFFIC_ROUTING, "lane"), apply_again(TRAFFIC_ROUTING), approve())),
    Flow(
        "route deleted",
        (push("v2"), delete(VIRTUAL_SERVICE, "vs-web"), apply_again(VIRTUAL_SERVICE), approve()),
        hurts=True,
    ),
    Flow(
        "subsets deleted",
        (push("v2"), delete(DESTINATION_RULE, "dr-web"), apply_again(DESTINATION_RULE), approve()),
        hurts=True,
    ),
    Flow("service deleted", (push("v2"), delete(SERVICE), apply_again(SERVICE), approve()), hurts=True),
    Flow("route edited", (push("v2"), edit_route, approve())),
    Flow("manifests applied again", (push("v2"), apply_again(VIRTUAL_SERVICE, DESTINATION_RULE), approve())),
    Flow(
        "manifests applied again, not admitted",
        (push("v2"), apply_again(VIRTUAL_SERVICE, DESTINATION_RULE), approve()),
        unadmitted,
        hurts=True,
    ),
    Flow("shared, first in first out", (push("v2"), push("v2", "api"), approve(), approve("api")), shared),
    Flow("shared, first in last out", (push("v2"), push("v2", "api"), approve("api"), approve()), shared),
    Flow("shared, one aborted", (push("v2"), push("v2", "api"), abort(), approve("api")), shared),
    *of(Provider.INGRESS),
    *of(Provider.GATEWAY),
    Flow("HTTPRoute edited", (push("v2"), edit_http_route, approve()), lambda: JointStage(Provider.GATEWAY)),
)
