"""One TrafficRouting over two Services, a Rollout behind each: its routes open when both have somebody to lead to."""

from __future__ import annotations

from collections.abc import Iterator

from graylane.model.kinds import DEPLOYMENT, DESTINATION_RULE, ROLLOUT, SERVICE, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Obj, condition, labels_of
from graylane.model.rollout import CANARY_DEPLOYMENT
from graylane.testing.joint_stage import JointStage, named
from graylane.testing.release_stage import image

PARTS = ("web", "api")


class TwoServices(JointStage):
    """Service `web` selects only its own pods here, and Service `api` those of the other Deployment."""

    def route_manifests(self) -> Iterator[tuple[Kind, Obj]]:
        for part in PARTS:
            route = {"destination": {"host": part, "subset": "base"}}
            yield SERVICE, named(part, {"selector": {"part": part}, "ports": [{"port": 80}]})
            yield VIRTUAL_SERVICE, named(f"vs-{part}", {"hosts": [part], "http": [{"route": [route]}]})
            subsets = [{"name": "base", "labels": {"version": "base"}}]
            yield DESTINATION_RULE, named(f"dr-{part}", {"host": part, "subsets": subsets})

    def routing_manifest(self) -> Obj:
        manifest = super().routing_manifest()
        [entry] = manifest["spec"]["objectRef"]
        references = entry["customNetworkRefs"]
        api = [reference | {"name": reference["name"].replace("web", "api")} for reference in references]
        return named("lane", manifest["spec"] | {"objectRef": [entry, {"service": "api", "customNetworkRefs": api}]})


def stage() -> TwoServices:
    staged = TwoServices(names=PARTS)
    staged.begin()
    return staged


def lanes(staged: JointStage) -> list[int]:
    """How many rules each VirtualService has: two while the lane is open there."""
    return [len(staged.get(VIRTUAL_SERVICE, f"vs-{part}")["spec"]["http"]) for part in PARTS]


def canaries_of(staged: JointStage, part: str) -> list[Obj]:
    return [item for item in staged.canaries() if labels_of(item)[CANARY_DEPLOYMENT] == part]


def test_alone_it_waits_and_says_for_what() -> None:
    staged = stage().push("v2").settle(seconds=3)
    assert staged.state() == "Progressing StepUpgrade"
    assert lanes(staged) == [1, 1]
    waiting = condition(staged.get(ROLLOUT, "web"), "graylane.dev/Waiting") or {}
    told = "Service shop/api of TrafficRouting shop/lane lists 0 of 1 canary pods; it must select them, or list another"
    assert told in waiting["message"]


def test_with_both_canaries_there_the_routes_open_through_both_at_once() -> None:
    staged = stage().push("v2").settle().push("v2", "api").settle()
    assert [staged.state(part) for part in PARTS] == ["Progressing StepPaused"] * 2
    assert lanes(staged) == [2, 2]


def test_both_end_when_both_are_approved_and_no_request_met_nobody() -> None:
    staged = stage().push("v2").push("v2", "api").settle()
    staged.approve().settle().approve("api").settle()
    assert [staged.state(part) for part in PARTS] == ["Healthy Completed"] * 2
    assert lanes(staged) == [1, 1]
    assert staged.canaries() == []
    assert staged.harms == []


def test_one_taken_back_keeps_its_canary_until_no_route_leads_there() -> None:
    staged = stage().push("v2").push("v2", "api").settle()
    seen: list[tuple[int, int]] = []
    staged.world.after_write = lambda effect: seen.append((lanes(staged)[1], len(canaries_of(staged, "api"))))
    staged.abort("api").settle().approve().settle()
    assert [staged.state(part) for part in PARTS] == ["Healthy Completed"] * 2
    assert (1, 0) in seen
    assert (2, 0) not in seen, "a lane without a canary behind it"
    assert image(staged.get(DEPLOYMENT, "api")) == "v1"
