"""DestinationRules on live traffic: which one holds, what several add up to, and what their policies do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import yaml

from graylane.testing import meshes
from graylane.testing.waiting import eventually

from .town import Town, to, vs

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

BY_USER = {"loadBalancer": {"consistentHash": {"httpHeaderName": "x-user"}}}
IN_TURN = {"loadBalancer": {"simple": "ROUND_ROBIN"}}
EJECTING = {"consecutive5xxErrors": 3, "interval": "1s", "maxEjectionPercent": 100}
ONCE = "- {route: [{destination: {host: b}}], retries: {attempts: 0}}\n"


def rule(name: str, **spec: Any) -> str:
    metadata = {"name": name, "namespace": spec.pop("namespace", "shop")}
    return yaml.safe_dump({"kind": "DestinationRule", "metadata": metadata, "spec": {"host": "b", **spec}})


def one_is_dead(town: Town) -> None:
    town.cluster.pods[3]["status"]["podIP"] = town.address(99)  # nobody listens there


# -- policies -------------------------------------------------------------------------------------------------------


async def test_82_a_full_connection_pool_sheds_load(town: Town) -> None:
    pool = {"tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1}}
    await town.follow({"connectionPool": pool}, vs(to("v1", ", retries: {attempts: 0}")))
    assert await town.who() == "v1"  # while its one connection is being made, a request counts as pending
    answers = await asyncio.gather(*(town.ask("http://b:8000/?wait=0.2") for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 200, 503, 503]
    assert any(answer.headers.get("x-envoy-overloaded") == "true" for answer in answers)


async def test_83_outliers_are_ejected_and_come_back(town: Town) -> None:
    one_is_dead(town)
    await town.follow({**IN_TURN, "outlierDetection": {**EJECTING, "baseEjectionTime": "1s"}}, vs(ONCE))
    assert [await town.who() for _ in range(30)].count(503) == 3

    async def tried_again() -> bool:
        return await town.who() == 503

    await eventually(tried_again, 30)


async def test_84_consistent_hashing_keeps_a_value_on_its_pod_when_pods_are_added(town: Town) -> None:
    await town.follow(BY_USER)
    users = [f"user-{number}" for number in range(24)]
    before = {user: {await town.who(x_user=user) for _ in range(3)} for user in users}
    assert all(len(pods) == 1 for pods in before.values())
    assert len(set.union(*before.values())) == 2
    town.cluster.pods.append(meshes.pod("b-3", town.address(6), {"app": "b"}, namespace="shop"))
    await town.push()
    moved = [user for user in users if {await town.who(x_user=user)} != before[user]]
    assert 0 < len(moved) < 18


# -- which rule -----------------------------------------------------------------------------------------------------


async def test_97_a_rule_of_the_clients_namespace_has_clusters_of_its_own(town: Town) -> None:
    spec = {"host": "*.local", "subsets": [{"name": "v1", "labels": {"version": "v2"}}]}
    theirs = {"kind": "DestinationRule", "metadata": {"name": "mine", "namespace": "elsewhere"}, "spec": spec}
    await town.have(vs(to("v1")), yaml.safe_dump(theirs))
    assert {await town.who("http://b.shop:8000/") for _ in range(8)} == {"v1"}
    assert {await town.who("http://b.shop:8000/", "stranger") for _ in range(8)} == {"v2"}


async def test_98_two_rules_of_one_host_unite_their_subsets_and_follow_the_first_policy(town: Town) -> None:
    second = rule("second", subsets=[{"name": "late", "labels": {"version": "v2"}}], trafficPolicy=IN_TURN)
    await town.follow(BY_USER, second, vs(to("late", ", match: [{uri: {prefix: /late}}]") + ONCE))
    assert await town.who("http://b:8000/late") == "v2"
    assert len({await town.who(x_user="ann") for _ in range(10)}) == 1


async def test_99_a_subsets_balancer_leaves_the_outlier_detection_above_it_alone(town: Town) -> None:
    one_is_dead(town)
    every = [{"name": "every", "labels": {"app": "b"}, "trafficPolicy": IN_TURN}]
    route = vs(ONCE.replace("b}", "b, subset: every}"))
    await town.follow({**BY_USER, "outlierDetection": EJECTING}, route, subsets=every)
    assert [await town.who(x_user="ann") for _ in range(30)].count(503) == 3


async def test_100_a_policy_for_a_port_inherits_nothing(town: Town) -> None:
    one_is_dead(town)
    at_port = [{"port": {"number": 8000}, **IN_TURN}]
    await town.follow({"outlierDetection": EJECTING, "portLevelSettings": at_port}, vs(ONCE))
    assert [await town.who() for _ in range(30)].count(503) == 15


async def test_101_a_rule_with_a_workload_selector_is_for_the_pods_it_selects(town: Town) -> None:
    subsets = [{"name": "v1", "labels": {"version": "v2"}}]
    selected = {"workloadSelector": {"matchLabels": {"app": "client"}}}
    await town.have(vs(to("v1")), rule("mine", subsets=subsets, **selected))
    assert {await town.who() for _ in range(8)} == {"v2"}
    assert {await town.who(source="c") for _ in range(8)} == {"v1"}
