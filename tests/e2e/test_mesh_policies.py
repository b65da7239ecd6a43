"""DestinationRules on live traffic: which one holds, what several add up to, and what their policies do."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import yaml

from graylane.model.meta import Obj
from graylane.testing import envoys, meshes
from graylane.testing.sampling import everyone
from graylane.testing.waiting import eventually

from .town import CALLERS, Town, to, vs

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
    answers = await at_once(town, 4, refused=2)
    assert sorted(answer.status for answer in answers) == [200, 200, 503, 503]
    assert any(answer.headers.get("x-envoy-overloaded") == "true" for answer in answers)


async def at_once(town: Town, count: int, *, refused: int) -> list[envoys.Answer]:
    """The answers to so many requests, none of which v1 answers before so many have been refused by Envoy."""
    asked = [asyncio.create_task(town.ask("http://b:8000/?held=1")) for _ in range(count)]
    await eventually(lambda: sum(each.done() for each in asked) == refused)
    town.seen["v1"].let_go(count - refused)
    return await asyncio.gather(*asked)


async def failures_before(town: Town, good: int, **headers: str) -> int:
    """How many requests fail before so many in a row do not. One may be on its way while an ejection takes effect."""
    failed = in_a_row = 0
    for _ in range(60):
        in_a_row = in_a_row + 1 if await town.who(**headers) != 503 else 0
        failed += in_a_row == 0
        if in_a_row == good:
            return failed
    raise AssertionError(f"{failed} of 60 requests failed, and it went on")


async def test_83_outliers_are_ejected_and_come_back(town: Town) -> None:
    one_is_dead(town)
    await town.follow({**IN_TURN, "outlierDetection": EJECTING}, vs(ONCE))
    assert await failures_before(town, 12) >= 3
    await town.follow({**IN_TURN, "outlierDetection": {**EJECTING, "baseEjectionTime": "1s"}})
    assert await failures_before(town, 3) >= 3

    async def tried_again() -> bool:
        return await town.who() == 503

    await eventually(tried_again, 30)


async def test_84_consistent_hashing_keeps_a_value_on_its_pod_when_pods_are_added(town: Town) -> None:
    await town.follow(BY_USER)
    users = [f"user-{number}" for number in range(100)]  # a third of them should move: all stay once in 10^17
    before = {user: {await town.who(x_user=user) for _ in range(2)} for user in users}
    assert all(len(pods) == 1 for pods in before.values())
    assert len(set.union(*before.values())) == 2
    town.cluster.pods.append(meshes.pod("b-3", town.address(6), {"app": "b"}, namespace="shop"))
    await town.push()
    moved = [user for user in users if {await town.who(x_user=user)} != before[user]]
    assert 0 < len(moved) < 75


@pytest.mark.parametrize(
    "algorithm", [{}, {"maglev": {"tableSize": 251}}, {"ringHash": {"minimumRingSize": 64}}, {"minimumRingSize": 64}]
)
@pytest.mark.parametrize(
    ("key", "request_of"),
    [
        ({"httpQueryParameterName": "user"}, lambda user: {"url": f"http://b:8000/?user={user}"}),
        ({"httpCookie": {"name": "user", "ttl": "0s"}}, lambda user: {"cookie": f"user={user}"}),
    ],
)
async def test_consistent_hashing_looks_at_queries_and_cookies(
    town: Town, key: Obj, request_of: Callable[[str], dict[str, str]], algorithm: Obj
) -> None:
    await town.follow({"loadBalancer": {"consistentHash": key | algorithm}})
    users = (f"user-{number}" for number in itertools.count())

    async def pod() -> str | int:
        user = request_of(next(users))
        (found,) = {await town.who(**user) for _ in range(3)}
        return found

    await everyone(pod, {"v1", "v2"})


async def test_consistent_hashing_makes_up_a_cookie_that_has_a_lifetime(town: Town) -> None:
    cookie = {"name": "sticky", "path": "/", "ttl": "60s"}
    await town.follow({"loadBalancer": {"consistentHash": {"httpCookie": cookie}}})
    given = (await town.ask("http://b:8000/")).headers["set-cookie"]
    assert given.startswith("sticky=")
    assert "Max-Age=60" in given
    held = given.partition(";")[0]
    assert len({await town.who(cookie=held) for _ in range(8)}) == 1


async def test_consistent_hashing_by_the_clients_address_is_the_same_for_all_of_its_requests(town: Town) -> None:
    await town.follow({"loadBalancer": {"consistentHash": {"useSourceIp": True}}})
    assert len({await town.who() for _ in range(8)}) == 1


async def test_a_connection_carries_no_more_requests_than_allowed(town: Town) -> None:
    await town.follow({"connectionPool": {"http": {"maxRequestsPerConnection": 1}}}, vs(to("v1")))
    assert {await town.who() for _ in range(4)} == {"v1"}
    assert len({request["peer"] for request in town.seen["v1"]}) == 4
    await town.follow({}, vs(to("v1")))
    town.seen["v1"].clear()
    assert {await town.who() for _ in range(4)} == {"v1"}
    assert len({request["peer"] for request in town.seen["v1"]}) == 1


async def test_requests_and_retries_at_one_time_are_limited(town: Town) -> None:
    await town.follow({"connectionPool": {"http": {"http2MaxRequests": 1}}}, vs(to("v1", ", retries: {attempts: 0}")))
    answers = await at_once(town, 3, refused=2)
    assert sorted(answer.status for answer in answers) == [200, 503, 503]
    again = ", retries: {attempts: 1, retryOn: 5xx}"
    await town.follow({"connectionPool": {"http": {"maxRetries": 1}}}, vs(to("v1", again)))
    received = town.seen["v1"]
    received.forget()
    asked = [asyncio.create_task(town.ask("http://b:8000/?status=500&held=1")) for _ in range(3)]
    await eventually(lambda: len(received) == 3)
    received.let_go(3)
    await eventually(lambda: len(received) == 4 and sum(each.done() for each in asked) == 2)
    received.let_go(1)
    assert [answer.status for answer in await asyncio.gather(*asked)] == [500] * 3
    assert len(received) == 4  # one of three was tried again


async def test_http2_is_spoken_where_it_is_asked_for(town: Town) -> None:
    """The services here speak HTTP/1.1 only, so whoever speaks HTTP/2 to them fails."""
    upgrade = {"connectionPool": {"http": {"h2UpgradePolicy": "UPGRADE"}}}
    await town.follow(upgrade, vs(to("v1", ", retries: {attempts: 0}")))
    assert await town.who() in (502, 503)
    await town.follow({"connectionPool": {"http": {"useClientProtocol": True}}}, vs(to("v1")))
    assert await town.who() == "v1"


async def test_a_connection_that_takes_too_long_to_make_is_given_up(town: Town) -> None:
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.bind((town.address(40), 8000))
        deaf.listen(0)
        for _ in range(4):  # more than it has room for: later ones are not answered at all
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex((town.address(40), 8000))
        town.cluster.pods[3]["status"]["podIP"] = town.address(40)
        once = ", retries: {attempts: 0}"
        await town.follow({"connectionPool": {"tcp": {"connectTimeout": "100ms"}}}, vs(to("v1", once)))
        answer = await town.ask("http://b:8000/")
        assert (answer.status, "timeout" in answer.text) == (503, True)


@pytest.mark.parametrize("balancer", ["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"])
async def test_a_pod_may_warm_up_and_connections_be_kept_alive(town: Town, balancer: str) -> None:
    alive = {"tcp": {"tcpKeepalive": {"time": "60s", "interval": "10s", "probes": 3}}}
    warm = {"simple": balancer, "warmupDurationSecs": "60s"}
    await town.follow({"connectionPool": alive, "loadBalancer": warm})
    assert not town.rig.refused
    await everyone(town.who, {"v1", "v2"})


async def test_gateway_errors_alone_may_eject(town: Town) -> None:
    eject = {"consecutiveGatewayErrors": 2, "consecutive5xxErrors": 0, "interval": "1s", "maxEjectionPercent": 100}
    await town.follow({"outlierDetection": eject}, vs(to("v1", ", retries: {attempts: 0}")))
    assert [await town.who("http://b:8000/?status=500") for _ in range(4)] == [500] * 4
    assert [await town.who("http://b:8000/?status=502") for _ in range(2)] == [502, 502]

    async def ejected() -> bool:
        return await town.who("http://b:8000/?status=502") == 503

    await eventually(ejected, 30)


# -- to where the client asked --------------------------------------------------------------------------------------

PASSTHROUGH = {"loadBalancer": {"simple": "PASSTHROUGH"}}


@pytest.mark.parametrize("subset", ["v1", "none"])
async def test_passed_through_a_request_goes_to_the_service_that_was_asked_for_whatever_the_subset(
    town: Town, subset: str
) -> None:
    await town.follow(PASSTHROUGH, vs(to(subset)))
    await everyone(town.who, {"v1", "v2"})


async def test_passed_through_a_request_does_not_go_to_another_host_that_a_rule_names(town: Town) -> None:
    await town.follow(PASSTHROUGH, vs(to("v1"), host="c"), vs(to("v2"), name="foreign", host=town.address(6)))
    assert {await town.who("http://c/") for _ in range(10)} == {"c"}
    await town.follow({}, vs(to("v1"), host="c"))
    assert {await town.who("http://c/") for _ in range(10)} == {"v1"}


async def test_a_subset_or_a_port_alone_may_be_passed_through(town: Town) -> None:
    every = [{"name": each, "labels": {"version": each}} for each in ("v1", "v2")]
    every[0]["trafficPolicy"] = PASSTHROUGH
    rules = to("v1", ", match: [{uri: {prefix: /1}}]") + to("v2")
    await town.follow({}, vs(rules), subsets=every)
    await everyone(lambda: town.who("http://b:8000/1"), {"v1", "v2"})
    assert {await town.who() for _ in range(10)} == {"v2"}
    at_port = {"portLevelSettings": [{"port": {"number": 9000}, **PASSTHROUGH}]}
    two = rule("two", host="two", subsets=[{"name": "v1", "labels": {"version": "v1"}}], trafficPolicy=at_port)
    await town.have(two, vs("- route: [{destination: {host: two, subset: v1}}]", host="two", name="two"))
    await everyone(lambda: town.who("http://two:9000/"), {"v1", "v2"})
    assert {await town.who("http://two:8000/") for _ in range(10)} == {"v1"}


async def test_connections_are_passed_through_like_requests(town: Town) -> None:
    tcp = [{"route": [{"destination": {"host": "b", "subset": "v1", "port": {"number": 8000}}}]}]
    service = town.cluster.get("Service", "c")
    service["spec"]["ports"] = [{"name": "tcp", "port": 80, "targetPort": 8000}]
    await town.follow(PASSTHROUGH, vs("[]", host="c", tcp=tcp))
    assert await tunnelled(town, "c:80") == "c"
    await town.follow({})
    assert await tunnelled(town, "c:80") == "v1"


async def tunnelled(town: Town, host: str, source: str = "client") -> str:
    reader, writer = await asyncio.open_connection(town.address(CALLERS[source]), 15001)
    writer.write(f"CONNECT {host} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"GET / HTTP/1.1\r\nhost: whatever\r\n\r\n")
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    answer = orjson.loads(await reader.readexactly(length))
    writer.close()
    return str(answer["by"])


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
    assert await failures_before(town, 12, x_user="ann") >= 3


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
