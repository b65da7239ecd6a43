"""Who was seen to serve the chain, beside who is asked to: the scenario under release."""

from __future__ import annotations

from chain.scene import Scene, base, release
from graylane.chain.seen import Carried, Count, Headers, LedgerView
from graylane.chain.sightings import Sightings, document, sightings
from graylane.chain.view import chain_view
from graylane.cli.seen_text import seen_lines
from graylane.cli.status_text import WIDTH

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
    return Count(name, True, MOCKA, 8000, headers, "", f"default/{pod}" if pod else "", code, "", count)


def from_pod(caller: str, pod: str, headers: Headers, count: int, code: int = 200) -> Count:
    return Count(f"default/{caller}", False, MOCKB, 8000, headers, "", f"default/{pod}", code, "", count)


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


def test_the_table_has_what_is_asked_beside_what_was_seen() -> None:
    view = chain_view(both().observed(), "default")
    found = seen(*USUAL, carried=(LOSES,))
    text = seen_lines(view, found)
    assert text == [
        "seen, 60 s  plain: asked  seen    dyed: asked  seen      failed",
        "mocka       base          base 5  canary       canary 4  0",
        "└ mockb     base          base 8  canary       canary 1  0",
        "! mocka receives my-request-id, its call to mockb lacks it (3 of 4 requests)",
    ]
    assert max(map(len, text)) <= WIDTH
    assert seen_lines(view, seen()) == []
    told = document(found)
    assert told["seconds"] == 60
    assert [each["message"] for each in told["lost"]] == [str(LOSES)]  # type: ignore[attr-defined]
