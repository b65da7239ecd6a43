"""The demo's checks on objects and logs, and its diffs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from chain.scene import base, open_lane, release

from graylane.cli.apply import LAST_APPLIED
from graylane.cli.demo import checks
from graylane.cli.demo.answers import Answer
from graylane.cli.demo.diffs import diff
from graylane.cli.demo.narration import Row
from graylane.cli.demo.story import STEPS
from graylane.cli.examples import scenario

GOLDEN = Path(__file__).parents[2] / "golden" / "cli"


def answered(*versions: str) -> Answer:
    names = zip(("mocka", "mockb"), versions, strict=True)
    return Answer(0, 1, False, True, 200, "".join(f"-> {app}(version: {version}, ip: {app})" for app, version in names))


def test_all_answers_must_take_the_path() -> None:
    right = [answered("base", "base")] * 3
    assert checks.all_answer("x", right, "base→base").held
    mixed = checks.all_answer("x", [*right, answered("base", "canary")], "base→base")
    assert (mixed.held, mixed.seen) == (False, "3 × base→base, 1 × base→canary")
    assert not checks.all_answer("x", [], "base→base").held


def test_the_lane_stands_first_and_the_original_behind_it() -> None:
    original, live = base(), base()
    open_lane(live, "mocka")
    before, now = (scene.get("VirtualService", "vs-mocka") for scene in (original, live))
    assert checks.lane_route(now, before).held
    assert not checks.lane_route(before, before).held
    before, now = (scene.get("DestinationRule", "dr-mocka") for scene in (original, live))
    assert checks.lane_subset(now, before).held
    assert not checks.lane_subset(before, before).held


def test_restored_means_spec_and_annotations_alike() -> None:
    original, live = base().get("VirtualService", "vs-mocka"), base().get("VirtualService", "vs-mocka")
    assert checks.restored([live], [original]).held
    live["metadata"]["annotations"] = {"rollouts.kruise.io/original-spec-configuration": "{}"}
    assert checks.restored([live], [original]).seen == "differ: vs-mocka"


def test_a_deployment_is_rolled_out_when_every_replica_is_new_and_available() -> None:
    status = {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    deployment: dict[str, Any] = {"metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": status}
    assert checks.is_rolled_out(deployment)
    for field, value in [("observedGeneration", 1), ("replicas", 2), ("updatedReplicas", 0), ("availableReplicas", 0)]:
        assert not checks.is_rolled_out(deployment | {"status": status | {field: value}})
    assert not checks.is_rolled_out(deployment | {"spec": {"replicas": 1, "paused": True}})


def test_a_paused_release_must_say_what_it_waits_for() -> None:
    scene = base()
    release(scene, "mocka", "rollouts-a")
    release(scene, "mockb", "rollouts-b")
    rollouts = [scene.get("Rollout", name) for name in ("rollouts-a", "rollouts-b")]
    assert checks.awaiting_approval(rollouts).held
    rollouts[1]["status"]["message"] = ""
    assert not checks.awaiting_approval(rollouts).held


def test_moments_must_be_known_and_in_order() -> None:
    assert checks.in_order("x", [("a", 1.0), ("b", 1.5)]).seen == "a after 1.00 s, b after 1.50 s"
    assert not checks.in_order("x", [("a", 2.0), ("b", 1.5)]).held
    assert not checks.in_order("x", [("a", 1.0), ("b", None)]).held


def test_a_client_header_may_show_at_the_first_hop_and_not_at_the_second() -> None:
    dye = "GET / my-request-id: canary headers: {}"
    logs = {"mocka": f"{dye} x-demo: s3cret", "mockb": dye}
    assert all(check.held for check in checks.headers_logged(logs, ["s3cret"]))
    assert [check.held for check in checks.headers_logged(logs | {"mockb": logs["mocka"]}, ["s3cret"])] == [True, False]
    assert [check.held for check in checks.headers_logged(logs | {"mocka": dye}, ["s3cret"])] == [True, False]
    assert [check.held for check in checks.headers_logged(logs | {"mockb": ""}, ["s3cret"])] == [False, True]


def test_an_aborted_release_must_give_its_reason() -> None:
    rollout: dict[str, Any] = {
        "metadata": {"name": "x"},
        "status": {"conditions": [{"type": "Succeeded", "status": "False"}]},
    }
    assert not checks.succeeded([rollout], "False").held
    rollout["status"]["conditions"][0]["message"] = "aborted by request"
    assert checks.succeeded([rollout], "False").held
    assert not checks.succeeded([rollout], "True").held


def test_a_diff_shows_spec_and_annotations_and_nothing_else() -> None:
    before, after = base().get("VirtualService", "vs-mocka"), base()
    open_lane(after, "mocka")
    now = after.get("VirtualService", "vs-mocka")
    now["metadata"]["annotations"] = {"graylane.dev/x": "1", LAST_APPLIED: "{}"}
    assert "\n".join(diff(before, now)) + "\n" == (GOLDEN / "demo-diff.txt").read_text()
    now = before | {"status": {"observedGeneration": 9}, "metadata": before["metadata"] | {"resourceVersion": "9"}}
    assert diff(before, now) == []


def test_long_annotations_are_told_by_their_length() -> None:
    before, after = base().get("VirtualService", "vs-mocka"), base().get("VirtualService", "vs-mocka")
    after["metadata"]["annotations"] = {"note": "x" * 500}
    assert next(line for line in diff(before, after) if "note" in line).endswith("… (500 characters)")


@pytest.mark.parametrize("name", ["note", "rollouts.kruise.io/original-spec-configuration"])
def test_long_annotations_leave_the_diff_inside_eighty_columns(name: str) -> None:
    before, after = base().get("VirtualService", "vs-mocka"), base().get("VirtualService", "vs-mocka")
    after["metadata"]["annotations"] = {name: '{"a": "b"}' * 50}
    assert max(len("    " + line) for line in diff(before, after)) <= 80


def test_the_story_has_every_row_of_the_scenario_and_its_manifests() -> None:
    assert [step.number for step in STEPS] == list(range(1, 12))
    assert len(list(scenario().glob("0[1-7]-*.yaml"))) == 7
    assert all(list(yaml.safe_load_all(path.read_text())) for path in scenario().glob("*.yaml"))


def test_a_row_holds_only_when_it_was_reached_and_every_check_held() -> None:
    good, bad = checks.Check("x", True, ""), checks.Check("y", False, "")
    assert Row(1, "t", (good,)).held
    assert not Row(1, "t", (good, bad)).held
    assert not Row(1, "t", ()).held
