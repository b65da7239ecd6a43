"""Which of a canary's ready pods routes may count on, as far as one Service goes."""

from __future__ import annotations

import pytest

from graylane.model.kinds import DEPLOYMENT, ENDPOINT_SLICE, POD, SERVICE
from graylane.model.meta import Obj
from graylane.rollouts.listed import SERVICE_NAME, service_serves
from graylane.testing.world import World

READY = frozenset({"new-1", "new-2"})


def canary(name: str, workload: str, **labels: str) -> Obj:
    metadata = {"name": name, "namespace": "shop", "labels": {"rollouts.kruise.io/canary-deployment": workload}}
    return {"metadata": metadata, "spec": {"template": {"metadata": {"labels": labels}}}}


def shop(selector: dict[str, str], *listed: str) -> World:
    """A Service that lists pods of a canary Deployment each: `web-old` of workload web, `api-old` of workload api."""
    world = World()
    world.put(SERVICE, {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"selector": selector}})
    endpoints = [{"targetRef": {"kind": "Pod", "name": name}} for name in listed]
    labelled = {"name": "web-x", "namespace": "shop", "labels": {SERVICE_NAME: "web"}}
    world.put(ENDPOINT_SLICE, {"metadata": labelled, "endpoints": endpoints})
    for workload in ("web", "api"):
        name = f"{workload}-old"
        world.put(DEPLOYMENT, canary(name, workload))
        owner = {"kind": "ReplicaSet", "name": f"{name}-h", "controller": True}
        metadata = {"namespace": "shop", "labels": {"pod-template-hash": "h"}, "ownerReferences": [owner]}
        world.put(POD, {"metadata": metadata | {"name": f"{name}-h-1"}, "spec": {}})
    return world


@pytest.mark.parametrize(
    ("selector", "listed", "counted"),
    [
        ({"app": "web"}, ("new-1",), 1),
        ({"app": "web", "pod-template-hash": "h"}, ("web-old-h-1",), 0),
        ({"app": "web", "pod-template-hash": "n"}, ("new-1", "new-2"), 2),
        ({"app": "web", "lane": "gray"}, ("web-old-h-1",), 0),
        ({"app": "api"}, ("api-old-h-1",), 2),
        ({"app": "api"}, (), 0),
    ],
    ids=[
        "it selects them and lists one",
        "it still selects the superseded canary by hash",
        "it selects them by hash",
        "it selects the superseded canary by a label they no longer have",
        "it lists another workload's canary",
        "it lists nobody",
    ],
)
def test_a_service_counts_for(selector: dict[str, str], listed: tuple[str, ...], counted: int) -> None:
    new = canary("web-new", "web", app="web", lane="blue")
    assert service_serves(shop(selector, *listed).view(), "shop", "web", new, READY) == counted
