"""Who was seen to serve the chain, beside who is asked to: the scenario under release."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.scene import Scene, base, release
from graylane.chain.latency import bucket_of
from graylane.chain.seen import Carried, Count, Headers, LedgerView
from graylane.chain.sightings import Sightings, document, sightings
from graylane.chain.view import chain_view

DYED: Headers = (("my-request-id", "canary"),)
BASE: Headers = (("my-request-id", "base"),)
MOCKA, MOCKB = "mocka.default.svc.cluster.local", "mockb.default.svc.cluster.local"


def both() -> Scene:
    scene = base()
    release(scene, "mocka", "rollouts-a")
    release(scene, "mockb", "rollouts-b")
    return scene


def at_gateway(pod: str, headers: Headers, count: int, code: int = 200) -> Count:
    name = "istio-system/istio-ingressgateway"
    took = {bucket_of(0.01): count}
    return Count(name, True, MOCKA, 8000, headers, "", f"default/{pod}" if pod else "", code, "", count, took)


def from_pod(caller: str, pod: str, headers: Headers, count: int, code: int = 200) -> Count:
    took = {bucket_of(0.01): count}
    return Count(f"default/{caller}", False, MOCKB, 8000, headers, "", f"default/{pod}", code, "", count, took)


def seen(*counts: Count, carried: tuple[Carried, ...] = (), scene: Scene | None = None) -> Sightings:
    view = chain_view((scene or both()).observed(), "default")
    return sightings(view, LedgerView(60, 0, 0, counts, carried))


LOSES = Carried(MOCKA, MOCKB, "my-request-id", "canary", kept=1, lost=3, example="x")
USUAL = (
    at_gateway("mocka-base-pod", BASE, 5),
    at_gateway("mocka-base-x7k2p-pod", DYED, 4),
    from_pod("mocka-base-pod", "mockb-base-pod", BASE, 5),
    from_pod("mocka-base-x7k2p-pod", "mockb-base-x7k2p-pod", DYED, 1),
    from_pod("mocka-base-x7k2p-pod", "mockb-base-pod", (), 3),
)


def test_each_hop_counts_its_own_calls_by_lane_and_version() -> None:
    ((_, (mocka, mockb)),) = seen(*USUAL).entries
    assert (mocka.plain.served, mocka.dyed[0].served) == ({"base": 5}, {"canary": 4})
    assert (mockb.plain.served, mockb.dyed[0].served) == ({"base": 8}, {"canary": 1})


def test_calls_of_others_and_pods_that_have_gone_are_told_apart() -> None:
    found = seen(
        at_gateway("mocka-old-pod", DYED, 2),
        from_pod("stranger", "mockb-base-pod", DYED, 7),
        at_gateway("mocka-base-pod", (("my-request-id", "canary,base"),), 1),
    )
    ((_, (mocka, mockb)),) = found.entries
    assert mocka.dyed[0].served == {"gone": 2, "base": 1}
    assert mockb.dyed[0].served == {}


def test_failures_are_counted_and_served_by_nobody() -> None:
    ((_, (mocka, _)),) = seen(at_gateway("", DYED, 2, 503), at_gateway("mocka-base-pod", BASE, 1, 0)).entries
    assert (mocka.dyed[0].served, mocka.dyed[0].failed, mocka.plain.failed, mocka.failed) == ({}, 2, 1, 3)


def test_a_header_of_no_lane_that_is_shown_is_not_missed() -> None:
    other = Carried(MOCKA, MOCKB, "x-tenant", "t", kept=0, lost=3)
    plain = Carried(MOCKA, MOCKB, "my-request-id", "base", kept=0, lost=3)
    fine = Carried(MOCKA, MOCKB, "my-request-id", "canary", kept=3, lost=0)
    assert seen(carried=(other, plain, fine, LOSES)).lost == (LOSES,)


def test_each_version_is_measured_by_its_own_answers() -> None:
    slow = replace(at_gateway("mocka-base-x7k2p-pod", DYED, 4), took={bucket_of(0.5): 4})
    broken = at_gateway("mocka-base-x7k2p-pod", DYED, 1, 503)
    ((_, (mocka, mockb)),) = seen(*USUAL[:1], slow, broken, at_gateway("", BASE, 9, 503)).entries
    assert (mocka.base.count, mocka.base.failed, mocka.canary.count, mocka.canary.failed) == (5, 0, 5, 1)
    assert mocka.base.p99 is not None
    assert mocka.canary.p99 is not None
    assert mocka.canary.p99 > mocka.base.p99 * 40
    assert (mockb.base.count, mockb.base.p99) == (0, None)


def test_a_dyed_request_on_base_is_a_stray_only_where_all_of_them_were_to_reach_the_canary() -> None:
    ((_, (mocka, _)),) = seen(
        at_gateway("mocka-base-pod", DYED, 3), at_gateway("mocka-base-x7k2p-pod", BASE, 2)
    ).entries
    assert (mocka.strays, mocka.exposed) == (3, 2)
    ((_, (mocka, _)),) = seen(at_gateway("mocka-base-pod", DYED, 3), scene=base()).entries
    assert (mocka.strays, mocka.exposed) == (0, 0)


def test_what_was_seen_is_told_as_a_document() -> None:
    told = document(seen(*USUAL, carried=(LOSES,)))
    assert told["seconds"] == 60
    assert [each["message"] for each in told["lost"]] == [str(LOSES)]  # type: ignore[attr-defined]
    mocka = told["entries"][0]["hops"][0]  # type: ignore[index]
    assert mocka["canary"] == {"requests": 4, "failed": 0, "p99Milliseconds": pytest.approx(10, rel=0.15)}
