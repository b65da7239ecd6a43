"""On whose behalf a pod called, and whether it passed the lane's header on: only what is certain is claimed."""

from __future__ import annotations

from graylane.chain.seen import By, Carried, Headers, Linked, SeenHop
from graylane.mesh.ledger.carried import carried
from graylane.mesh.ledger.links import below, linked

LANES = frozenset({"my-request-id"})
DYED: Headers = (("my-request-id", "canary"),)


def hop(
    number: int, caller: str, pod: str, at: float, seconds: float, *headers: tuple[str, str], id: str = ""
) -> SeenHop:
    service = pod.partition("/")[2].partition("-")[0]
    return SeenHop(
        number=number,
        at=at,
        seconds=seconds,
        id=id or f"id-{number}",
        client=f"127.0.0.1:{number}",
        listener="",
        caller=caller,
        gateway=caller == "gateway",
        method="GET",
        authority=service,
        path="/",
        virtual_host="",
        rule="",
        route="",
        cluster=f"outbound|8000||{service}.d.svc.cluster.local",
        upstream="",
        pod=pod,
        code=200,
        flags="",
        details="",
        headers=headers,
        passed=headers,
    )


def links(*hops: SeenHop) -> dict[int, Linked]:
    return {each.hop.number: each for each in linked(hops)}


def test_a_call_that_was_made_while_one_request_was_answered_was_made_for_it() -> None:
    found = links(hop(1, "d/a-1", "d/b-1", 10.1, 0.1), hop(2, "gateway", "d/a-1", 10.0, 0.5))
    assert (found[1].parents, found[1].by) == ((2,), By.TIME)
    assert (found[2].parents, found[2].by) == ((), By.NOTHING)


def test_a_call_outside_of_every_request_was_made_for_none() -> None:
    found = links(
        hop(1, "gateway", "d/a-1", 10.0, 0.5),
        hop(2, "d/a-1", "d/b-1", 10.4, 0.2),  # ended after the answer: not waited for
        hop(3, "d/a-1", "d/b-1", 9.9, 0.2),
        hop(4, "d/a-2", "d/b-1", 10.1, 0.2),  # another pod
    )
    assert [found[number].parents for number in (2, 3, 4)] == [(), (), ()]


def test_of_several_requests_in_flight_none_is_claimed_unless_the_id_was_passed_on() -> None:
    requests = (hop(1, "gateway", "d/a-1", 10.0, 0.5, id="x"), hop(2, "gateway", "d/a-1", 10.05, 0.5, id="y"))
    assert links(*requests, hop(3, "d/a-1", "d/b-1", 10.1, 0.1))[3].parents == (1, 2)
    told = links(*requests, hop(3, "d/a-1", "d/b-1", 10.1, 0.1, id="y"))[3]
    assert (told.parents, told.by) == ((2,), By.ID)


def test_a_chain_is_followed_from_its_root_downwards() -> None:
    found = list(
        linked(
            [
                hop(1, "gateway", "d/a-1", 10.0, 0.5),
                hop(2, "d/a-1", "d/b-1", 10.1, 0.3),
                hop(3, "d/b-1", "d/c-1", 10.2, 0.1),
                hop(4, "gateway", "d/a-1", 11.0, 0.5),
            ]
        )
    )
    assert [each.hop.number for each in below(found, [1])] == [1, 2, 3]


def test_a_service_that_drops_the_header_is_named_with_its_callee() -> None:
    found = linked(
        [
            hop(1, "gateway", "d/a-1", 10.0, 0.5, *DYED),
            hop(2, "d/a-1", "d/b-1", 10.1, 0.1),
            hop(3, "d/a-1", "d/c-1", 10.3, 0.1, *DYED),
        ]
    )
    a, b, c = (f"{name}.d.svc.cluster.local" for name in "abc")
    lost, kept = carried(found, LANES)
    assert lost == Carried(a, b, "my-request-id", "canary", kept=0, lost=1, example="id-1")
    assert kept == Carried(a, c, "my-request-id", "canary", kept=1, lost=0)
    assert str(lost) == "a receives my-request-id, its call to b lacks it"


def test_a_plain_request_in_flight_beside_a_dyed_one_accuses_nobody() -> None:
    mixed = [hop(1, "gateway", "d/a-1", 10.0, 0.5, *DYED), hop(2, "gateway", "d/a-1", 10.0, 0.5)]
    assert carried(linked([*mixed, hop(3, "d/a-1", "d/b-1", 10.1, 0.1)]), LANES) == ()
    both = [hop(1, "gateway", "d/a-1", 10.0, 0.5, *DYED), hop(2, "gateway", "d/a-1", 10.0, 0.5, *DYED)]
    (told,) = carried(linked([*both, hop(3, "d/a-1", "d/b-1", 10.1, 0.1)]), LANES)
    assert told.lost == 1


def test_a_header_that_a_rule_takes_away_is_not_the_services_to_pass_on() -> None:
    taken = hop(1, "gateway", "d/a-1", 10.0, 0.5, *DYED)
    stripped = SeenHop(**{name: getattr(taken, name) for name in taken.__slots__} | {"passed": ()})
    assert carried(linked([stripped, hop(2, "d/a-1", "d/b-1", 10.1, 0.1)]), LANES) == ()
