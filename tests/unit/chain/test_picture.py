"""One look at the chain: which time it judges, who has the routes, and what it is as a document."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chain.scene import base, release
from chain.test_sightings import DYED, LOSES, USUAL, at_gateway, both
from graylane.chain.picture import Proxies, Window, document, picture, proxies_of, window
from graylane.chain.seen import LedgerView
from graylane.chain.view import chain_view

PAUSED = datetime(2030, 1, 1, tzinfo=UTC)  # when the scene's releases came to where they are


@pytest.mark.parametrize(
    ("later", "wanted"),
    [
        (2, Window(5, settled=False)),
        (10, Window(5, settled=False)),
        (11, Window(5, settled=True)),
        (40.5, Window(34, settled=True)),
        (3600, Window(60, settled=True)),
    ],
)
def test_what_was_seen_before_a_release_last_moved_is_not_judged(later: float, wanted: Window) -> None:
    scene = base()
    release(scene, "mocka", "rollouts-a")
    view = chain_view(scene.observed(), "default")
    assert window(view, PAUSED + timedelta(seconds=later)) == wanted


def test_a_chain_in_which_nothing_ever_moved_is_judged_by_its_last_minute() -> None:
    assert window(chain_view(base().observed(), "default"), PAUSED) == Window(60, settled=True)


def test_the_end_of_a_release_moves_it_too() -> None:
    scene = base()
    ended = {"type": "Succeeded", "status": "True", "reason": "Completed", "lastTransitionTime": "2030-01-01T00:00:00Z"}
    scene.get("Rollout", "rollouts-a")["status"]["conditions"] = [ended]
    view = chain_view(scene.observed(), "default")
    assert not window(view, PAUSED + timedelta(seconds=8)).settled


def test_a_proxy_is_live_once_it_has_acknowledged_everything() -> None:
    fine = {
        f"{type}_{word}": "n1" for type in ("cluster", "listener", "route", "endpoint") for word in ("sent", "acked")
    }
    lags = fine | {"route_sent": "n2"}
    assert proxies_of([fine, lags, {"proxy": "knows nothing yet"}]) == Proxies(2, 3)


def test_the_document_has_asked_and_seen_in_one_place() -> None:
    view = chain_view(both().observed(), "default")
    ledger = LedgerView(60, 0, 0, (*USUAL, at_gateway("mocka-base-pod", DYED, 1)), (LOSES,))
    told = document(picture(view, ledger, Proxies(4, 5)))
    (entry,) = told["entries"]
    assert [hop["state"] for hop in entry["hops"]] == ["dyed on base", "ok"]
    assert entry["requestsPerSecond"] == {
        "plain": pytest.approx(5 / 60, abs=1e-3),
        "dyed": pytest.approx(5 / 60, abs=1e-3),
    }
    assert entry["leaks"] == {"count": 1 + 3, "dyed": 5 + 1 + 3}
    assert told["proxies"] == {"live": 4, "total": 5}
    assert told["observed"]["entries"][0]["hops"][0]["canary"]["requests"] == 4
    release = told["releases"][0]
    assert (release["lane"], release["traffic"], release["ended"]) == (["my-request-id:canary"], "header", None)


def test_without_a_ledger_the_document_says_so() -> None:
    told = document(picture(chain_view(both().observed(), "default"), None, None))
    assert (told["observed"], told["proxies"]) == (None, None)
    assert "leaks" not in told["entries"][0]
