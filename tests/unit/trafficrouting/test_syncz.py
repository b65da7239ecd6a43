"""Istio's proxies have a change when istiod has sent them a later push and they have acknowledged it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from graylane.errors import Forbidden
from graylane.kit.istiod import Answer as Told
from graylane.model.kinds import DESTINATION_RULE, VIRTUAL_SERVICE, Kind
from graylane.trafficrouting.confirm import Answer, Verdict, verdict
from graylane.trafficrouting.proxies import Proxies
from graylane.trafficrouting.syncz import Silent, reading

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = timedelta(seconds=30)
UUID = "0b0f1c6e-1111-2222-3333-444455556666"
SECOND = timedelta(seconds=1)


def nonce(push: int) -> str:
    return f"2026-01-01T00:00:00Z/{push}{UUID}"


def proxy(name: str, sent: int, acked: int | None = None, *, type: str = "route", error: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"proxy": f"{name}.default", "proxy_type": "sidecar", "istio_version": "1.23.2"}
    for each in ("cluster", "listener", "route", "endpoint"):
        push = sent if each == type else 1
        found |= {f"{each}_sent": nonce(push), f"{each}_acked": nonce(push if acked is None or each != type else acked)}
    url = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
    return found | {"resources": {url: {"lastError": error}} if error else {}}


class Istiod:
    """Some replicas, which say what they are told to say."""

    def __init__(self, **replicas: Any) -> None:
        self.replicas: Mapping[str, Any] = replicas
        self.asked = 0

    async def ask(self) -> list[Told]:
        self.asked += 1
        return [
            Told(name, error=value) if isinstance(value, str) else Told(name, value)
            for name, value in self.replicas.items()
        ]


def silent(after: timedelta, kind: Kind = VIRTUAL_SERVICE, generation: int = 2) -> Silent:
    obj = {"metadata": {"name": "vs", "uid": "u", "generation": generation}}
    return Silent(kind, obj, verdict(obj, SINCE, GRACE, SINCE + after))


async def hear(proxies: Proxies, after: float, kind: Kind = VIRTUAL_SERVICE) -> Verdict | None:
    passed = timedelta(seconds=after)
    return (await proxies.verdicts([silent(passed, kind)], SINCE + passed)).get("u")


async def test_a_change_is_on_its_way_until_every_proxy_has_acknowledged_a_later_push() -> None:
    istiod = Istiod(a=[proxy("web", 7), proxy("shop", 7)], b=[proxy("db", 3)])
    proxies = Proxies(istiod.ask)
    first = await hear(proxies, 0)
    assert first is not None
    assert (first.answer, first.ask_at) == (Answer.WAITS, SINCE + SECOND / 4)
    istiod.replicas = {"a": [proxy("web", 8, 7), proxy("shop", 8)], "b": [proxy("db", 4)]}
    lags = await hear(proxies, 1)
    assert lags is not None
    assert (lags.answer, lags.words) == (Answer.LAGS, "is not on all proxies: web.default did not acknowledge yet")
    istiod.replicas = {"a": [proxy("web", 8), proxy("shop", 8)], "b": [proxy("db", 4)]}
    assert await hear(proxies, 2) == Verdict(Answer.YES)


async def test_what_was_confirmed_stays_so_and_is_not_asked_about_again() -> None:
    istiod = Istiod(a=[proxy("web", 7)])
    proxies = Proxies(istiod.ask)
    await hear(proxies, 0)
    istiod.replicas = {"a": [proxy("web", 8)]}
    await hear(proxies, 1)
    asked = istiod.asked
    istiod.replicas = {"a": [proxy("web", 9, 8)]}
    assert await hear(proxies, 100) == Verdict(Answer.YES)
    assert istiod.asked == asked


async def test_proxies_that_need_not_be_told_are_given_a_moment_to_be() -> None:
    istiod = Istiod(a=[proxy("web", 7), proxy("other", 7)])
    proxies = Proxies(istiod.ask)
    await hear(proxies, 0)
    istiod.replicas = {"a": [proxy("web", 8), proxy("other", 7)]}
    waits = await hear(proxies, 1)
    assert waits is not None
    assert waits.words == "is on 1 of 2 proxies; the others are given until 00:00:03 to be told"
    assert (await hear(proxies, 2.9) or waits).answer is Answer.LAGS
    assert await hear(proxies, 3) == Verdict(Answer.YES)


async def test_a_proxy_that_lags_is_waited_for_longer_than_any_grace() -> None:
    istiod = Istiod(a=[proxy("web", 7)])
    proxies = Proxies(istiod.ask)
    await hear(proxies, 0)
    istiod.replicas = {"a": [proxy("web", 8, 7)]}
    late = await hear(proxies, 3600)
    assert late is not None
    assert (late.answer, late.may_go_on) == (Answer.LAGS, False)


async def test_a_refusal_is_quoted_with_the_proxy() -> None:
    istiod = Istiod(a=[proxy("web", 7)])
    proxies = Proxies(istiod.ask)
    await hear(proxies, 0)
    istiod.replicas = {"a": [proxy("web", 8, 7, error="duplicate domain")]}
    found = await hear(proxies, 1)
    assert found is not None
    assert (found.answer, found.words) == (Answer.REFUSED, "is refused by proxy web.default: duplicate domain")


async def test_a_push_of_something_else_confirms_nothing() -> None:
    istiod = Istiod(a=[proxy("web", 7)])
    proxies = Proxies(istiod.ask)
    await hear(proxies, 0)
    istiod.replicas = {"a": [proxy("web", 8, type="endpoint")]}
    assert (await hear(proxies, 1) or Verdict(Answer.YES)).answer is Answer.WAITS
    rules = Proxies(istiod.ask)
    await hear(rules, 0, DESTINATION_RULE)
    istiod.replicas = {"a": [proxy("web", 9, type="cluster")]}
    assert await hear(rules, 1, DESTINATION_RULE) == Verdict(Answer.YES)


async def test_a_replica_that_began_later_has_the_change_from_its_first_push() -> None:
    istiod = Istiod(a=[proxy("web", 7)])
    proxies = Proxies(istiod.ask)
    await hear(proxies, 0)
    istiod.replicas = {"b": [proxy("web", 1)]}
    assert await hear(proxies, 1) == Verdict(Answer.YES)


async def test_a_replica_that_does_not_tell_leaves_it_to_time() -> None:
    istiod = Istiod(a=[proxy("web", 7)], b="401 Unauthorized")
    proxies = Proxies(istiod.ask)
    assert await hear(proxies, 0) is None
    istiod.replicas = {"a": [proxy("web", 7)]}
    assert (await hear(proxies, 1) or Verdict(Answer.YES)).answer is Answer.WAITS
    istiod.replicas = {"a": [proxy("web", 8)], "b": "401 Unauthorized"}
    assert (await hear(proxies, 2) or Verdict(Answer.YES)).answer is Answer.WAITS
    assert (await hear(proxies, 31) or Verdict(Answer.YES)).answer is Answer.ASSUMED


async def test_where_istiod_cannot_be_asked_or_is_none_time_decides() -> None:
    async def refuses() -> list[Told]:
        raise Forbidden("pods is forbidden")

    assert await hear(Proxies(refuses), 0) is None
    assert await hear(Proxies(Istiod().ask), 0) is None
    assert not reading([Told("a", {"not": "a list"})]).tells
    assert not reading([Told("a", ["nor", "this"])]).tells


async def test_changes_that_had_their_time_before_us_are_not_asked_about() -> None:
    istiod = Istiod(a=[proxy("web", 7)])
    assert await hear(Proxies(istiod.ask), 31) is None
    assert istiod.asked == 0
