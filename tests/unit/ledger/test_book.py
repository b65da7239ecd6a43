"""What the ledger keeps: exact counts, within bounds of number and age."""

from __future__ import annotations

from dataclasses import replace

from graylane.chain.latency import percentile
from graylane.chain.seen import SeenHop, linked_from_json, linked_to_json, view_from_json, view_to_json
from graylane.mesh.encode.observe import FIELD
from graylane.mesh.ledger.book import Ledger, Limits, of_client
from graylane.mesh.ledger.entry import Kind, Note, count_of

from .test_links import DYED, LANES, hop

NOW = 1000.0


def noted(seen: SeenHop) -> Note:
    own = ("", "", seen.client, seen.id, seen.path)
    return Note(seen.at, seen.ended, Kind(seen, count_of(seen, LANES)), FIELD.join(own))


def test_equal_requests_are_one_count_and_lanes_are_kept_apart() -> None:
    ledger = Ledger()
    for number in range(1, 6):
        ledger.take([noted(hop(number, "gateway", "d/a-1", NOW, 0.1, *(DYED if number < 3 else ())))], NOW)
    view = ledger.view(60, LANES, NOW)
    assert [(each.host, each.port, each.headers, each.count) for each in view.counts] == [
        ("a.d.svc.cluster.local", 8000, (), 3),
        ("a.d.svc.cluster.local", 8000, DYED, 2),
    ]
    assert (view.requests, view.uncounted) == (5, 0)


def test_how_long_requests_took_is_counted_over_all_slices_of_time() -> None:
    ledger = Ledger()
    for number, (at, seconds) in enumerate([(940.0, 0.01)] * 98 + [(999.0, 0.5)] * 2, 1):
        ledger.take([noted(hop(number, "gateway", "d/a-1", at, seconds))], at)
    (count,) = ledger.view(90, LANES, NOW).counts
    assert count.count == 100
    half, most = percentile(count.took, 0.5), percentile(count.took, 0.99)
    assert half is not None
    assert most is not None
    assert 0.01 <= half < 0.0115
    assert 0.5 <= most < 0.575


def test_headers_that_mark_no_lane_do_not_multiply_the_counts() -> None:
    ledger = Ledger()
    for number in range(1, 101):
        ledger.take([noted(hop(number, "gateway", "d/a-1", NOW, 0.1, ("user", f"u{number}")))], NOW)
    assert [each.count for each in ledger.view(60, LANES, NOW).counts] == [100]


def test_a_view_holds_the_seconds_asked_for_and_the_ledger_no_more_than_its_own() -> None:
    ledger = Ledger(Limits(seconds=100))
    for number, at in enumerate((900.0, 940.0, 999.0), 1):
        ledger.take([noted(hop(number, "gateway", "d/a-1", at, 0.1))], at)
    assert ledger.view(10, LANES, NOW).requests == 1
    assert ledger.view(65, LANES, NOW).requests == 2
    assert ledger.view(1e6, LANES, 1050.0).requests == 1
    assert [each.hop.number for each in ledger.requests(lambda _: True, 1050.0)] == [3]


def test_more_than_it_may_keep_is_told_as_uncounted_and_the_oldest_goes() -> None:
    ledger = Ledger(Limits(hops=10, kinds=3))
    for number in range(1, 101):
        ledger.take([noted(hop(number, "gateway", f"d/a-{number}", NOW, 0.1))], NOW)
    view = ledger.view(60, LANES, NOW)
    assert (view.requests, len(view.counts), view.uncounted) == (100, 3, 97)
    assert [each.hop.number for each in ledger.requests(lambda _: True, NOW)] == list(range(91, 101))


def test_a_client_finds_its_own_requests_with_what_was_called_for_them() -> None:
    ledger = Ledger()
    for each in (
        hop(1, "gateway", "d/a-1", 10.0, 0.5),
        hop(2, "d/a-1", "d/b-1", 10.1, 0.1),
        hop(3, "gateway", "d/a-1", 11.0, 0.5),
    ):
        ledger.take([noted(each)], 12.0)
    found = ledger.requests(of_client(["127.0.0.1:1"]), 12.0)
    assert [each.hop.number for each in found] == [1, 2]


def test_what_is_told_over_http_is_what_is_read() -> None:
    ledger = Ledger()
    ledger.take([noted(replace(hop(1, "gateway", "d/a-1", 10.0, 0.5, *DYED), code=503, flags="UH"))], 12.0)
    ledger.take([noted(hop(2, "d/a-1", "d/b-1", 10.1, 0.1))], 12.0)
    view = ledger.view(60, LANES, 12.0)
    assert view_from_json(view_to_json(view)) == view
    assert view.counts[0].failed
    found = ledger.requests(lambda _: True, 12.0)
    assert linked_from_json(linked_to_json(found)) == found
