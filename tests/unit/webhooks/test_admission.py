"""Admission: a changed template is held back, a Rollout that cannot be carried out is refused."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.model.kinds import DEPLOYMENT, REPLICA_SET, ROLLOUT
from graylane.model.meta import dig, owner_reference
from graylane.model.patches import json_patch, merge_patch
from graylane.model.rollout import CANARY_DEPLOYMENT, IN_PROGRESSING, STABLE_REVISION
from graylane.testing.world import World
from graylane.webhooks.deployments import mutate_deployment
from graylane.webhooks.rollouts import validate_rollout

CLAIMED = {"metadata": {"annotations": {IN_PROGRESSING: '{"rolloutName":"web"}'}}}


def rollout(name: str = "web", workload: str = "web", **changes: Any) -> dict[str, Any]:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload}
    base = {
        "apiVersion": "rollouts.kruise.io/v1alpha1",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"objectRef": {"workloadRef": reference}, "strategy": {"canary": {"steps": [{"replicas": 1}]}}},
    }
    return merge_patch(base, changes)


def deployment(version: str, replicas: int = 1, **changes: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": version}]}}
    base = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"replicas": replicas, "template": template}}
    return merge_patch(base, changes)


@pytest.fixture
def world() -> World:
    """`web` runs v1 under the Rollout `web`."""
    world = World()
    add_set(world, world.put(DEPLOYMENT, deployment("v1")), "v1", 1)
    world.put(ROLLOUT, rollout())
    return world


def add_set(world: World, owner: dict[str, Any], version: str, replicas: int) -> None:
    labels = {"app": "web", "pod-template-hash": f"hash-{version}"}
    template = deployment(version)["spec"]["template"] | {"metadata": {"labels": labels}}
    metadata = {
        "name": f"web-{version}",
        "namespace": "shop",
        "labels": labels,
        "ownerReferences": [owner_reference(owner, DEPLOYMENT)],
    }
    world.put(REPLICA_SET, {"metadata": metadata, "spec": {"replicas": replicas, "template": template}})


def update(world: World, new: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, Any]:
    """The Deployment as it would be stored."""
    stored = world.get(DEPLOYMENT, "shop", "web") or {}
    request = {
        "uid": "r",
        "operation": "UPDATE",
        "namespace": "shop",
        "object": new,
        "oldObject": merge_patch(stored, old or {}),
    }
    response = mutate_deployment(request, world.view())
    assert response.allowed
    return json_patch(new, list(response.patch))


def is_held(obj: dict[str, Any]) -> bool:
    return dig(obj, "spec", "paused") is True and IN_PROGRESSING in dig(obj, "metadata", "annotations", default={})


def status(world: World, phase: str, reason: str = "", **canary: str) -> None:
    conditions = [{"type": "Progressing", "status": "True", "reason": reason, "message": ""}]
    world.patch(
        ROLLOUT,
        "shop",
        "web",
        {"status": {"phase": phase, "conditions": conditions, "canaryStatus": canary}},
        "status",
    )


def test_w1_a_claimed_deployment_stays_paused_whatever_the_update_says(world: World) -> None:
    new = deployment("v2", **CLAIMED) | {}
    assert is_held(update(world, merge_patch(new, {"spec": {"paused": False}})))


def test_w1_who_resumes_a_claimed_deployment_is_told_what_holds_it(world: World) -> None:
    held, resumed = ({"spec": {"paused": paused}} for paused in (True, False))
    new = deployment("v2", **CLAIMED)
    request = {"operation": "UPDATE", "namespace": "shop", "oldObject": merge_patch(new, held)}
    told = mutate_deployment(request | {"object": merge_patch(new, resumed)}, world.view()).warnings
    assert told == (
        "Rollout web keeps this Deployment paused until its release ends: "
        "graylane approve web -n shop, or graylane undo web -n shop",
    )
    assert not mutate_deployment(request | {"object": merge_patch(new, held)}, world.view()).warnings


def test_w1_recreate_is_put_back(world: World) -> None:
    rolling, recreate = {"spec": {"strategy": {"type": "RollingUpdate"}}}, {"spec": {"strategy": {"type": "Recreate"}}}
    stored = update(world, merge_patch(deployment("v2", **CLAIMED), recreate), rolling)
    assert stored["spec"]["strategy"] == {"type": "RollingUpdate"}


def test_w1_a_claim_without_a_rollout_holds_nothing(world: World) -> None:
    world.delete(ROLLOUT, "shop", "web")
    assert "paused" not in update(world, deployment("v2", **CLAIMED))["spec"]


def test_w1_replacing_the_object_does_not_shake_the_claim_off(world: World) -> None:
    status(world, "Progressing", "InRolling")
    held = {"metadata": {"annotations": CLAIMED["metadata"]["annotations"], "labels": {STABLE_REVISION: "hash-v1"}}}
    held |= {"spec": deployment("v2")["spec"] | {"paused": True}}
    stored = update(world, deployment("v2"), held)
    assert is_held(stored)
    assert stored["metadata"]["labels"][STABLE_REVISION] == "hash-v1"


def test_w1_the_controller_may_give_it_back(world: World) -> None:
    status(world, "Progressing", "Finalising")
    held = CLAIMED | {"spec": deployment("v2")["spec"] | {"paused": True}}
    assert not is_held(update(world, deployment("v2"), held))


def test_a_cancelled_promotion_may_restore_the_stable_template_while_both_versions_run(world: World) -> None:
    add_set(world, world.get(DEPLOYMENT, "shop", "web") or {}, "v2", 1)
    status(world, "Progressing", "Cancelling", stableRevision="hash-v1")
    assert not is_held(update(world, deployment("v1"), {"spec": deployment("v2")["spec"]}))
    status(world, "Healthy", "Completed")
    assert is_held(update(world, deployment("v1"), {"spec": deployment("v2")["spec"]}))


def test_w2_without_replicas_nothing_is_held(world: World) -> None:
    assert not is_held(update(world, deployment("v2", replicas=0)))


def test_w3_improve_an_unchanged_rollout_id_does_not_matter(world: World) -> None:
    marked = {"metadata": {"annotations": {"rollouts.kruise.io/rollout-id": "1"}}}
    assert is_held(update(world, merge_patch(deployment("v2"), marked), marked))


def test_w4_the_template_must_change_and_its_hash_label_does_not_count(world: World) -> None:
    assert not is_held(update(world, deployment("v1", replicas=3)))
    hashed = {"spec": {"template": {"metadata": {"labels": {"pod-template-hash": "x"}}}}}
    assert not is_held(update(world, merge_patch(deployment("v1"), hashed)))


@pytest.mark.parametrize("why", ["none", "deleting", "disabled", "Disabled", "other workload", "refused"])
def test_w5_without_a_rollout_that_is_able_to_nothing_is_held(world: World, why: str) -> None:
    if why == "none":
        world.delete(ROLLOUT, "shop", "web")
    elif why == "deleting":
        world.patch(ROLLOUT, "shop", "web", {"metadata": {"finalizers": ["x"]}})
        world.delete(ROLLOUT, "shop", "web")
    elif why == "disabled":
        world.put(ROLLOUT, rollout(spec={"disabled": True}))
    elif why == "Disabled":
        status(world, "Disabled")
    elif why == "other workload":
        world.put(ROLLOUT, rollout(workload="other"))
    else:
        world.put(ROLLOUT, rollout(spec={"strategy": {"canary": {"steps": []}}}))
    assert not is_held(update(world, deployment("v2")))


def test_row_85c_improve_an_object_without_uid_is_held_by_the_stored_ones(world: World) -> None:
    assert is_held(update(world, deployment("v2"))), "the submitted object has no uid; the stored one's counts"


def test_w6_when_no_other_version_runs_nothing_is_held(world: World) -> None:
    world.patch(REPLICA_SET, "shop", "web-v1", {"spec": {"replicas": 0}})
    assert not is_held(update(world, deployment("v2")))


def test_w8_a_changed_template_is_paused_claimed_and_labelled(world: World) -> None:
    stored = update(world, deployment("v2"))
    assert is_held(stored)
    assert stored["metadata"]["annotations"][IN_PROGRESSING] == '{"rolloutName":"web"}'
    assert stored["metadata"]["labels"] == {STABLE_REVISION: "hash-v1"}


def test_labels_and_annotations_of_the_user_stay(world: World) -> None:
    marked = {"metadata": {"labels": {"a": "b"}, "annotations": {"c/d": "e"}}}
    stored = update(world, merge_patch(deployment("v2"), marked))
    assert stored["metadata"]["labels"] == {"a": "b", STABLE_REVISION: "hash-v1"}
    assert stored["metadata"]["annotations"]["c/d"] == "e"


def test_canaries_and_status_updates_are_left_alone(world: World) -> None:
    assert not is_held(update(world, merge_patch(deployment("v2"), {"metadata": {"labels": {CANARY_DEPLOYMENT: "w"}}})))
    request = {"operation": "UPDATE", "subResource": "status", "object": deployment("v2"), "oldObject": {}}
    assert mutate_deployment(request, world.view()).patch == ()


def ask(world: World, obj: dict[str, Any], old: dict[str, Any] | None = None) -> str:
    """The refusal's message; "" when allowed."""
    operation = "UPDATE" if old else "CREATE"
    request = {"operation": operation, "namespace": "shop", "object": obj, "oldObject": old}
    response = validate_rollout(request, world.view())
    if response.error is not None:
        assert response.error.http_code == 422
    return response.error.message if response.error else ""


def test_a_sound_rollout_is_admitted(world: World) -> None:
    assert ask(world, rollout("other", "other")) == ""


def test_v15_two_rollouts_cannot_release_one_workload_however_its_group_is_spelled(world: World) -> None:
    second = rollout("second")
    wanted = "This rollout conflict with Rollout(shop/web), one workload only have less than one Rollout"
    assert wanted in ask(world, second)


def progressing(obj: dict[str, Any]) -> dict[str, Any]:
    return obj | {"status": {"phase": "Progressing"}}


SHRINKING = {
    "steps": [{"replicas": 1, "weight": 20}, {"replicas": 2, "weight": 10}],
    "trafficRoutings": [{"service": "x", "ingress": {"name": "x"}}],
}


def test_v8_weights_that_shrink_are_refused_in_v1alpha1(world: World) -> None:
    shrinking = rollout(spec={"strategy": {"canary": SHRINKING}})
    assert "Steps.Weight must be a non decreasing sequence" in ask(world, shrinking)


def test_a_rollout_whose_traffic_shrinks_in_v1beta1_can_be_edited_in_v1alpha1(world: World) -> None:
    old = rollout(spec={"strategy": {"canary": SHRINKING}})
    assert ask(world, merge_patch(old, {"spec": {"strategy": {"paused": True}}}), old) == ""


def test_u1_to_u3_what_a_release_stands_on_is_immutable(world: World) -> None:
    old = progressing(rollout())
    style = {"metadata": {"annotations": {"rollouts.kruise.io/rolling-style": "partition"}}}
    routings = {"spec": {"strategy": {"canary": {"trafficRoutings": [{"service": "x", "ingress": {"name": "x"}}]}}}}
    assert "Rollout 'ObjectRef' field is immutable" in ask(world, rollout(workload="other"), old)
    assert "Rollout 'Strategy.Canary.TrafficRoutings' field is immutable" in ask(
        world, merge_patch(rollout(), routings), old
    )
    assert "Rollout 'Rolling-Style' annotation is immutable" in ask(world, merge_patch(rollout(), style), old)


def test_steps_patch_and_switches_may_change_during_a_release(world: World) -> None:
    change = {"steps": [{"replicas": 2}], "patchPodTemplateMetadata": {"labels": {"a": "b"}}}
    new = merge_patch(rollout(), {"spec": {"disabled": True, "strategy": {"paused": True, "canary": change}}})
    assert ask(world, new, progressing(rollout())) == ""


def test_the_workload_may_change_at_rest(world: World) -> None:
    assert ask(world, rollout(workload="other"), rollout() | {"status": {"phase": "Healthy"}}) == ""


def test_an_old_rollout_that_we_would_refuse_can_still_lose_its_finalizer(world: World) -> None:
    bad = rollout(spec={"strategy": {"canary": {"steps": []}}})
    finalized = merge_patch(bad, {"metadata": {"finalizers": ["rollouts.kruise.io/rollout"]}})
    assert ask(world, bad, finalized) == ""
