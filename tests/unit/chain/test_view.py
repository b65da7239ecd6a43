"""The chain view: hops in order, roles, versions, what each release waits for."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import pytest

from chain.scene import Scene, base, open_lane, release, start_canary
from graylane.chain.problems import Confirmation
from graylane.chain.view import ChainView, Served, chain_view
from graylane.kit.cache import View


def shown(scene, only=frozenset()) -> ChainView:  # type: ignore[no-untyped-def]
    return chain_view(scene.observed(), "default", only)


def test_hops_follow_the_request_from_the_gateway() -> None:
    (entry,) = shown(base()).entries
    assert (entry.gateway, entry.host) == ("sample-gateway", "*")
    assert [(hop.service, hop.depth) for hop in entry.hops] == [("mocka", 0), ("mockb", 1)]


def test_a_hop_without_a_canary_serves_dyed_requests_from_base() -> None:
    scene = base()
    release(scene, "mockb", "rollouts-b")
    mocka, mockb = shown(scene).entries[0].hops
    assert (str(mocka.plain), str(mocka.served[0])) == ("base", "base")
    assert (str(mockb.plain), str(mockb.served[0])) == ("base", "canary")


@pytest.mark.parametrize(
    ("served", "shown"),
    [
        (Served(100, 0, ""), "base"),
        (Served(0, 100, ""), "canary"),
        (Served(80, 20, ""), "canary 20%"),
        (Served(60, 20, "", "503: subset nosuch of mocka is not defined"), "base 60% canary 20%"),
        (Served(0, 0, "", "404: no rule matches"), "404"),
    ],
)
def test_a_split_is_told_in_few_words_and_errors_are_not_hidden_in_it(served: Served, shown: str) -> None:
    assert str(served) == shown


def test_a_version_is_named_by_what_tells_the_two_templates_apart() -> None:
    scene = base()
    assert [hop.version for hop in shown(scene).entries[0].hops] == ["base", "base"]
    start_canary(scene, "mocka", "rollouts-a")
    assert [hop.version for hop in shown(scene).entries[0].hops] == ["base → canary", "base"]


def test_routes_are_asked_until_every_object_is_confirmed() -> None:
    scene = base()
    release(scene, "mocka", "rollouts-a")
    scene.get("VirtualService", "vs-mocka")["metadata"]["generation"] = 3
    mocka, mockb = shown(scene).entries[0].hops
    assert (mocka.routes, mockb.routes) == (Confirmation.ASKED, Confirmation.CONFIRMED)


def test_a_mesh_that_reports_nothing_leaves_us_unable_to_tell() -> None:
    scene = base()
    del scene.get("VirtualService", "vs-mocka")["status"]
    assert shown(scene).entries[0].hops[0].routes is Confirmation.CANNOT_TELL


def test_a_service_without_any_istio_object_needs_no_confirmation() -> None:
    scene = base()
    for name in ("vs-mockb", "dr-mockb"):
        del scene.objects["VirtualService" if name.startswith("vs") else "DestinationRule", name]
    assert shown(scene).entries[0].hops[1].direct


def test_services_that_no_gateway_reaches_are_shown_inside_the_mesh() -> None:
    scene = base()
    del scene.objects["VirtualService", "vs-mocka"]
    (entry,) = shown(scene).entries
    assert entry.gateway == ""
    assert [(hop.service, hop.depth) for hop in entry.hops] == [("mocka", 0), ("mockb", 1)]


def test_a_canary_s_service_that_a_rollout_made_is_no_way_in() -> None:
    scene = base()
    made = {"kind": "Rollout", "name": "rollouts-b", "controller": True}
    spec = scene.get("Service", "mockb")["spec"]
    service = scene.put(
        {"kind": "Service", "metadata": {"name": "mockb-canary", "ownerReferences": [made]}, "spec": spec}
    )
    assert [entry.gateway for entry in shown(scene).entries] == ["sample-gateway"]
    del service["metadata"]["ownerReferences"]
    assert [entry.gateway for entry in shown(scene).entries] == ["sample-gateway", ""]


def test_services_that_call_each_other_do_not_loop() -> None:
    scene = base()
    env = scene.get("Deployment", "mockb-base")["spec"]["template"]["spec"]["containers"][0]["env"]
    env.append({"name": "callback", "value": "http://mocka:8000/done"})
    assert [hop.service for hop in shown(scene).entries[0].hops] == ["mocka", "mockb"]


def test_a_source_label_of_the_canary_routes_its_calls() -> None:
    scene = base()
    release(scene, "mocka", "rollouts-a")
    start_canary(scene, "mockb", "rollouts-b")
    open_lane(scene, "mockb")
    rule = scene.get("VirtualService", "vs-mockb")["spec"]["http"][0]
    rule["match"] = [{"sourceLabels": {"istio.service.tag": "gray"}}]
    mockb = shown(scene).entries[0].hops[1]
    assert (str(mockb.plain), str(mockb.served[0])) == ("base", "canary")


def test_a_paused_release_waits_for_approval_and_says_what_to_type() -> None:
    scene = base()
    release(scene, "mocka", "rollouts-a")
    waiting, resting = shown(scene).releases
    assert waiting.waits_for.startswith("approval: ")
    assert waiting.next == ("graylane approve rollouts-a", "graylane abort rollouts-a")
    assert waiting.since == datetime(2030, 1, 1, tzinfo=UTC)
    assert (resting.waits_for, resting.next) == ("", ())


def test_the_commands_that_a_controller_puts_into_its_message_are_not_said_twice() -> None:
    scene = base()
    release(scene, "mocka", "rollouts-a")
    scene.get("Rollout", "rollouts-a")["status"]["message"] += ": graylane approve rollouts-a, or graylane abort"
    assert "graylane" not in shown(scene).releases[0].waits_for


def test_a_release_whose_pods_do_not_start_says_why() -> None:
    scene = base()
    pod = start_canary(scene, "mocka", "rollouts-a", ready=False)
    scene.get("Rollout", "rollouts-a")["status"]["canaryStatus"]["currentStepState"] = "StepUpgrade"
    waiting = {"reason": "ErrImagePull", "message": "image x is not in the catalogue"}
    pod["status"]["containerStatuses"] = [{"state": {"waiting": waiting}}]
    assert shown(scene).releases[0].waits_for == (
        "canary pods: 0 of 1 ready; ErrImagePull: image x is not in the catalogue"
    )


def test_a_release_past_its_deadline_waits_for_somebody_and_is_marked_as_failed() -> None:
    scene = base()
    start_canary(scene, "mocka", "rollouts-a", ready=False)
    status = scene.get("Rollout", "rollouts-a")["status"]
    status["canaryStatus"]["currentStepState"] = "StepUpgrade"
    failed = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": ""}
    status["conditions"] = [failed]
    status["message"] = "Rollout failed in step(1/1): 0 of 1 pods ready; mend it, or graylane abort rollouts-a"
    found = shown(scene).releases[0]
    assert found.failed
    assert found.waits_for == "somebody to mend or abort it: Rollout failed in step(1/1): 0 of 1 pods ready"
    assert found.next == ("graylane abort rollouts-a",)


def test_a_release_whose_routes_are_refused_repeats_the_routing_s_reason() -> None:
    scene = base()
    start_canary(scene, "mocka", "rollouts-a")
    scene.get("Rollout", "rollouts-a")["status"]["canaryStatus"]["currentStepState"] = "StepTrafficRouting"
    refused = {"type": "Accepted", "status": "False", "message": "VirtualService vs-mocka not found"}
    scene.get("TrafficRouting", "mocka-tr")["status"] = {"conditions": [refused]}
    found = shown(scene)
    assert found.releases[0].waits_for == "routes: VirtualService vs-mocka not found"
    assert [str(problem) for problem in found.problems] == [
        "TrafficRouting default/mocka-tr: VirtualService vs-mocka not found"
    ]


def test_one_refusal_in_two_conditions_is_one_problem_that_names_its_object_once() -> None:
    scene = base()
    reason = "TrafficRouting default/mocka-tr: VirtualService vs-mocka not found; create it"
    conditions = [{"type": kind, "status": "False", "message": reason} for kind in ("Accepted", "RoutesConfirmed")]
    scene.get("TrafficRouting", "mocka-tr")["status"] = {"conditions": conditions}
    assert [str(problem) for problem in shown(scene).problems] == [reason]


def test_pause_resume_timed_and_aborting_releases_each_say_their_wait() -> None:
    scene = base()
    release(scene, "mocka", "rollouts-a")
    rollout = scene.get("Rollout", "rollouts-a")
    rollout["spec"]["strategy"]["canary"]["steps"][0]["pause"] = {"duration": 60}
    assert shown(scene).releases[0].waits_for == "its pause of 60 s to pass, until 2030-01-01T00:01:00Z"
    rollout["spec"]["strategy"]["paused"] = True
    assert shown(scene).releases[0].next == ("graylane resume rollouts-a",)
    rollout["metadata"]["annotations"]["graylane.dev/abort"] = "c4n"
    assert shown(scene).releases[0].waits_for.startswith("the abort to finish")


def test_validation_messages_are_told_with_their_object_and_code() -> None:
    scene = base()
    entry = {"type": {"code": "IST0101"}, "level": "ERROR", "message": "Referenced host not found: nosuch"}
    scene.get("VirtualService", "vs-mockb")["status"] = {"validationMessages": [entry]}
    assert [str(problem) for problem in shown(scene).problems] == [
        "VirtualService default/vs-mockb: IST0101 Referenced host not found: nosuch"
    ]


def test_naming_rollouts_narrows_the_releases_and_keeps_the_chain() -> None:
    scene = base()
    found = shown(scene, frozenset(["rollouts-b"]))
    assert [item.name for item in found.releases] == ["rollouts-b"]
    assert len(found.entries[0].hops) == 2


def test_a_chain_four_times_as_large_is_not_much_more_than_four_times_the_work() -> None:
    """In calls of functions, which no busy machine changes."""
    assert calls(many(80)) < 5 * calls(many(20))


def many(services: int) -> View:
    scene, one = Scene(), base()
    scene.put(one.get("Gateway", "sample-gateway"))
    for number in range(services):
        for (kind, name), obj in one.objects.items():
            if "mocka" in name or name == "rollouts-a":
                text = json.dumps(obj).replace("mocka", f"s{number}").replace("rollouts-a", f"r{number}")
                copy = scene.put(json.loads(text.replace('"hosts": ["*"]', f'"hosts": ["s{number}.example"]')))
                assert kind != "VirtualService" or copy["spec"]["hosts"] == [f"s{number}.example"]
    return scene.observed()


def calls(view: View) -> int:
    counted = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    sys.setprofile(count)
    try:
        found = chain_view(view, "default")
    finally:
        sys.setprofile(None)
    assert len(found.releases) == len(found.entries)
    return counted
