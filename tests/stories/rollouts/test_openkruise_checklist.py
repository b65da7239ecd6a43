"""What users of OpenKruise Rollouts rely on, row by row; `improve` marks rows where ours is deliberately better.

The numbers are those of the checklist kept with the project's notes on OpenKruise Rollouts 0.5 and 0.6.
"""

from __future__ import annotations

import pytest

from graylane.kit.effects import Effect
from graylane.model.kinds import BATCH_RELEASE, DEPLOYMENT, POD, ROLLOUT, TRAFFIC_ROUTING
from graylane.model.meta import Obj, dig, finalizers_of, is_deleting, is_true, labels_of, name_of, owner_refs
from graylane.model.rollout import (
    CANARY_DEPLOYMENT,
    CANARY_FINALIZER,
    CONTROL_INFO,
    HASH,
    IN_PROGRESSING,
    ROLLOUT_FINALIZER,
)
from graylane.rollouts.controller import controllers
from graylane.testing.release_stage import NAMESPACE, ONE_STEP, ReleaseStage, deployment_spec, image
from graylane.testing.releases import BROKEN, stand_ins
from tests.stories.rollouts.routed import RoutedStage

PROGRESSING_ON_TR = "progressing.rollouts.kruise.io/web"


def paused_at_v2(**changes: object) -> ReleaseStage:
    return ReleaseStage(**changes).begin().push("v2").settle()  # type: ignore[arg-type]


def finished() -> ReleaseStage:
    stage = paused_at_v2()
    stage.allowed.add("v2")
    return stage.approve().settle()


def batch(stage: ReleaseStage) -> Obj:
    """The BatchRelease; {} when there is none."""
    return stage.world.get(BATCH_RELEASE, NAMESPACE, "web") or {}


def controller(obj: Obj) -> tuple[object, ...]:
    (ref,) = owner_refs(obj)
    return ref["apiVersion"], ref["kind"], ref["name"], ref["uid"], ref["controller"], ref["blockOwnerDeletion"]


def annotations(stage: ReleaseStage) -> dict[str, str]:
    return dig(stage.deployment(), "metadata", "annotations", default={})


def test_row_1_a_new_rollout_marks_itself_and_its_workload_and_is_healthy() -> None:
    stage = ReleaseStage().begin()
    assert ROLLOUT_FINALIZER in finalizers_of(stage.rollout())
    assert dig(stage.rollout(), "metadata", "annotations", HASH)
    assert labels_of(stage.deployment())["rollouts.kruise.io/workload-type"] == "deployment"
    assert stage.status("phase") == "Healthy"


def test_row_2_at_rest_the_status_shows_the_last_step_completed() -> None:
    stage = ReleaseStage(4, ({"replicas": 1}, {"replicas": 2})).begin()
    assert stage.status("canaryStatus", "currentStepIndex") == 2
    assert stage.status("canaryStatus", "currentStepState") == "Completed"
    assert stage.status("message") == "workload deployment is completed"


def test_rows_3_and_4_without_a_deployment_it_says_so_until_there_is_one() -> None:
    stage = ReleaseStage()
    stage.world.put(ROLLOUT, stage.manifest())
    stage.settle()
    assert (stage.status("phase"), stage.status("message")) == ("Initial", "Workload Not Found")
    stage.begin()
    assert stage.status("phase") == "Healthy"


def test_row_5_improve_a_deployment_of_no_replicas_is_healthy_too() -> None:
    assert ReleaseStage(0).begin().status("phase") == "Healthy"


def test_row_24_a_template_change_pauses_and_claims_and_starts_no_pod_of_stable() -> None:
    stage = ReleaseStage().begin().push("v2")
    assert dig(stage.deployment(), "spec", "paused") is True
    assert annotations(stage)[IN_PROGRESSING] == '{"rolloutName":"web"}'
    stage.settle()
    assert stage.row().endswith("stable v1 paused")


def test_rows_25_and_26_replicas_and_labels_of_the_deployment_are_no_release() -> None:
    stage = ReleaseStage().begin()
    stage.edit_deployment({"spec": {"replicas": 3}}).settle()
    stage.edit_deployment({"metadata": {"labels": {"team": "a"}}}).settle()
    assert stage.row() == "Healthy 1 Completed | canary none | lane off | stable v1"


def test_row_27_a_disabled_rollout_lets_updates_roll_natively() -> None:
    stage = ReleaseStage().begin().edit({"disabled": True}).settle()
    stage.allowed.add("v2")
    assert stage.push("v2").settle().row() == "Disabled 1 Completed | canary none | lane off | stable v2"


def test_row_28_a_deployment_of_no_replicas_is_updated_natively() -> None:
    stage = ReleaseStage(0).begin().push("v2").settle()
    stage.allowed.add("v2")
    stage.edit_deployment({"spec": {"replicas": 1}}).settle()
    assert stage.row() == "Healthy 1 Completed | canary none | lane off | stable v2"


def test_rows_29_and_30_unpausing_and_recreate_are_refused_during_a_release() -> None:
    stage = paused_at_v2()
    stage.edit_deployment({"spec": {"paused": False, "strategy": {"type": "Recreate"}}})
    assert dig(stage.deployment(), "spec", "paused") is True
    assert dig(stage.deployment(), "spec", "strategy", "type") == "RollingUpdate"


def test_row_31_a_release_that_starts_has_the_reason_initializing_and_no_verdict() -> None:
    stage = finished()
    assert stage.condition("Succeeded")["status"] == "True"
    stage.admission = False  # so that the moment before the Deployment is held can be seen
    stage.push("v3").settle(until=lambda world: stage.status("phase") == "Progressing")
    assert stage.condition("Progressing")["reason"] == "Initializing"
    assert stage.condition("Succeeded") == {}


def test_row_32_the_traffic_routing_carries_our_finalizer_once_the_canary_serves() -> None:
    stage = paused_at_v2()
    routing = stage.world.get(TRAFFIC_ROUTING, NAMESPACE, "web")
    assert routing is not None
    assert PROGRESSING_ON_TR in finalizers_of(routing)
    assert dig(routing, "status", "phase") == "Progressing"


def test_row_33_improve_a_missing_traffic_routing_is_said_in_the_status() -> None:
    stage = ReleaseStage().begin()
    stage.world.delete(TRAFFIC_ROUTING, NAMESPACE, "web")
    stage.settle().push("v2").settle()
    assert "TrafficRouting shop/web not found" in stage.status("message")
    stage.add_routing(route=False)
    assert stage.settle().status("canaryStatus", "currentStepState") == "StepPaused"


def test_row_34_a_batch_release_of_the_rollouts_name_records_the_release() -> None:
    stage = paused_at_v2(replicas=3, steps=({"replicas": 1}, {"replicas": "50%"}))
    kind, uid = "rollouts.kruise.io/v1alpha1", stage.rollout()["metadata"]["uid"]
    assert controller(batch(stage)) == (kind, "Rollout", "web", uid, True, True)
    assert batch(stage)["spec"] == {
        "targetReference": {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
        "releasePlan": {
            "batches": [{"canaryReplicas": 1}, {"canaryReplicas": "50%"}],
            "batchPartition": 0,
            "enableExtraWorkloadForCanary": True,
            "patchPodTemplateMetadata": {"labels": {"lane": "gray"}},
        },
    }
    status = batch(stage)["status"]
    assert (status["phase"], status["observedGeneration"]) == ("Progressing", batch(stage)["metadata"]["generation"])
    counts = {"updatedReplicas": 1, "updatedReadyReplicas": 1}
    since = stage.status("canaryStatus", "lastUpdateTime")
    assert status["canaryStatus"] == {"currentBatch": 0, "batchState": "Ready", "batchReadyTime": since} | counts
    stage.approve().settle()
    assert batch(stage)["spec"]["releasePlan"]["batchPartition"] == 1
    assert batch(stage)["status"]["canaryStatus"]["currentBatch"] == 1
    assert batch(stage)["status"]["canaryStatus"]["updatedReadyReplicas"] == 2


def test_row_35_the_canary_deployment_is_named_labelled_guarded_and_owned() -> None:
    stage = paused_at_v2()
    canary = stage.canaries()[0]
    stem, _, suffix = name_of(canary).rpartition("-")
    assert (stem, len(suffix)) == ("web", 5)
    assert labels_of(canary) == {CANARY_DEPLOYMENT: "web"}
    assert finalizers_of(canary) == [CANARY_FINALIZER]
    uid = batch(stage)["metadata"]["uid"]
    assert controller(canary) == ("rollouts.kruise.io/v1alpha1", "BatchRelease", "web", uid, True, True)
    assert dig(canary, "spec", "replicas") == 1


def test_row_36_canary_pods_carry_the_patch_over_all_stable_labels() -> None:
    canary = paused_at_v2().canaries()[0]
    assert dig(canary, "spec", "template", "metadata", "labels") == {"app": "web", "lane": "gray"}


def test_row_37_stable_pods_are_untouched() -> None:
    stage = ReleaseStage(3).begin()
    before = [pod["metadata"]["uid"] for pod in stage._stable_pods()]
    stage.push("v2").settle()
    assert [pod["metadata"]["uid"] for pod in stage._stable_pods()] == before


def test_row_38_improve_a_patched_selector_label_is_named_as_the_reason() -> None:
    stage = ReleaseStage().begin()
    stage.edit({"strategy": {"canary": {"patchPodTemplateMetadata": {"labels": {"app": "other"}}}}})
    stage.push("v2").settle()
    assert stage.canaries() == []
    assert "contradicts the selector app=web of Deployment shop/web" in stage.status("message")


def test_rows_39_and_40_replicas_round_up_and_stop_at_the_workloads_own() -> None:
    assert dig(paused_at_v2(replicas=3, steps=({"replicas": "10%"},)).canaries()[0], "spec", "replicas") == 1
    assert dig(paused_at_v2(replicas=3, steps=({"replicas": 50},)).canaries()[0], "spec", "replicas") == 3


def test_row_41_a_ready_canary_pauses_and_says_what_to_do() -> None:
    stage = paused_at_v2()
    assert stage.status("canaryStatus", "currentStepState") == "StepPaused"
    wanted = "Rollout is in step(1/1), and you need manually confirm to enter the next step"
    assert stage.status("message").startswith(wanted)
    assert "graylane approve web" in stage.status("message")
    assert "upgrade step(1) canary pods with new versions done" in [event.message for event in stage.world.events]


def test_row_42_improve_a_crash_loop_is_named() -> None:
    assert "CrashLoopBackOff" in ReleaseStage().begin().push(BROKEN).settle().status("message")


def test_row_43_a_tolerated_unready_pod_does_not_hold_the_step() -> None:
    stage = ReleaseStage(4, ({"replicas": 2},)).begin()
    stage.edit({"strategy": {"canary": {"failureThreshold": "50%"}}})
    stage.push(BROKEN).settle()
    assert stage.status("canaryStatus", "currentStepState") == "StepUpgrade", "at least one must be ready"
    pod = next(pod for pod in stage.world.list(POD, NAMESPACE) if not is_true(pod, "Ready"))
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    stage.world.patch(POD, NAMESPACE, name_of(pod), {"status": status}, "status")
    assert stage.settle().status("canaryStatus", "currentStepState") == "StepPaused"
    assert stage.status("canaryStatus", "canaryReadyReplicas") == 1


def test_rows_44_and_45_only_the_status_subresource_approves() -> None:
    stage = paused_at_v2()
    ready = {"status": {"canaryStatus": {"currentStepState": "StepReady"}}}
    stage.world.patch(ROLLOUT, NAMESPACE, "web", ready)
    assert stage.settle().status("canaryStatus", "currentStepState") == "StepPaused"
    stage.allowed.add("v2")
    assert stage.approve().settle().status("phase") == "Healthy"


def test_row_47_a_duration_is_never_cut_short() -> None:
    stage = ReleaseStage(2, ({"replicas": 1, "pause": {"duration": 10}}, {"replicas": 2})).begin()
    stage.world.clock.advance(0.7)
    stage.push("v2").settle()
    assert stage.status("message").startswith("Rollout is in step(1/2), and wait duration(10 seconds) to enter")
    stage.world.clock.advance(9.9)
    assert stage.settle().status("canaryStatus", "currentStepIndex") == 1
    assert stage.settle(seconds=2).status("canaryStatus", "currentStepIndex") == 2


def test_rows_48_and_49_only_the_text_100_percent_skips_the_last_pause() -> None:
    stage = ReleaseStage(2, ({"replicas": "100%", "pause": {}},)).begin()
    stage.allowed.add("v2")
    assert stage.push("v2").settle().status("phase") == "Healthy"
    assert paused_at_v2(replicas=2, steps=({"replicas": 2, "pause": {}},)).status("phase") == "Progressing"


def test_rows_50_and_51_a_paused_release_keeps_an_approval_for_its_resumption() -> None:
    stage = paused_at_v2().edit({"strategy": {"paused": True}}).settle()
    assert stage.condition("Progressing")["reason"] == "Paused"
    stage.approve().settle()
    assert stage.status("canaryStatus", "currentStepState") == "StepReady"
    stage.allowed.add("v2")
    stage.edit({"strategy": {"paused": False}}).settle()
    assert stage.status("phase") == "Healthy"


def test_row_52_improve_a_paused_release_can_be_rolled_back() -> None:
    stage = paused_at_v2().edit({"strategy": {"paused": True}}).settle().push("v1").settle()
    assert stage.row() == "Healthy 1 Completed | canary none | lane off | stable v1"


def test_row_53_reverting_the_template_rolls_back() -> None:
    stage = paused_at_v2().push("v1").settle()
    assert stage.condition("Succeeded")["status"] == "False"
    assert stage.condition("Progressing")["message"] == "Rollout progressing has been cancelled"
    assert "workload has been rollback, then rollout is canceled" in [event.message for event in stage.world.events]
    assert IN_PROGRESSING not in annotations(stage)
    assert stage.row() == "Healthy 1 Completed | canary none | lane off | stable v1"


def test_rows_54_and_55_improve_a_newer_version_starts_over_and_the_lane_never_points_at_nothing() -> None:
    stage = paused_at_v2().push("v3")
    stage.settle(until=lambda world: stage.status("canaryStatus", "currentStepState") == "StepUpgrade")
    assert stage.condition("Progressing")["message"] == "Workload is continuous release"
    stage.settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v3 | lane on | stable v1 paused"
    assert stage.harms == []
    assert [item.message for item in stage.world.events].count(
        "workload continuous publishing canaryRevision, then restart publishing"
    ) == 1


def test_row_56_a_changed_pause_is_not_a_changed_plan() -> None:
    stage = paused_at_v2()
    before = stage.status("canaryStatus", "rolloutHash")
    stage.edit({"strategy": {"canary": {"steps": [{"replicas": 1, "pause": {"duration": 3600}}]}}}).settle()
    assert stage.status("canaryStatus", "rolloutHash") == before
    assert stage.status("canaryStatus", "currentStepState") == "StepPaused"


def test_rows_56a_and_56b_improve_new_and_changed_patch_labels_reach_the_pods() -> None:
    stage = paused_at_v2()
    labels = {"lane": "blue", "extra": "yes"}
    stage.edit({"strategy": {"canary": {"patchPodTemplateMetadata": {"labels": labels}}}}).settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"
    assert dig(stage.canaries()[0], "spec", "template", "metadata", "labels") == {"app": "web", **labels}


def test_row_57_a_changed_plan_goes_on_at_the_step_that_fits_the_canary() -> None:
    stage = paused_at_v2(replicas=4, steps=({"replicas": 1}, {"replicas": 2}))
    stage.edit({"strategy": {"canary": {"steps": [{"replicas": 2}, {"replicas": 3}]}}}).settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 2×v2 | lane on | stable v1 paused"


def test_row_58_the_canary_grows_with_its_workload_and_does_not_shrink() -> None:
    stage = paused_at_v2(replicas=3, steps=({"replicas": "50%"},))
    stage.edit_deployment({"spec": {"replicas": 6}}).settle()
    assert dig(stage.canaries()[0], "spec", "replicas") == 3
    stage.edit_deployment({"spec": {"replicas": 2}}).settle()
    assert dig(stage.canaries()[0], "spec", "replicas") == 3


def test_rows_59_to_61_after_the_last_approval_everything_of_ours_is_gone() -> None:
    stage = finished()
    routing = stage.world.get(TRAFFIC_ROUTING, NAMESPACE, "web")
    assert PROGRESSING_ON_TR not in finalizers_of(routing or {})
    assert IN_PROGRESSING not in annotations(stage)
    assert "paused" not in stage.deployment()["spec"]
    assert stage.condition("Progressing")["message"] == "Rollout progressing has been completed"
    assert (stage.condition("Progressing")["status"], stage.condition("Progressing")["reason"]) == (
        "False",
        "Completed",
    )
    assert stage.condition("Succeeded")["status"] == "True"
    assert stage.row() == "Healthy 1 Completed | canary none | lane off | stable v2"
    assert batch(stage) == {}
    assert CONTROL_INFO not in annotations(stage)


def test_row_42_improve_a_batch_that_does_not_get_ready_is_told_when_it_has_lasted() -> None:
    stage = ReleaseStage().begin().push(BROKEN).settle()
    assert "status" not in batch(stage)
    stage.settle(seconds=31)
    assert batch(stage)["status"]["phase"] == "Progressing"
    assert batch(stage)["status"]["canaryStatus"]["batchState"] == "Verifying"


@pytest.mark.parametrize("way", ["abort", "rollback", "delete", "disable"])
def test_row_61_the_batch_release_is_gone_however_the_release_ends(way: str) -> None:
    stage = paused_at_v2()
    match way:
        case "abort":
            stage.abort()
        case "rollback":
            stage.push("v1")
        case "delete":
            stage.delete_rollout()
        case _:
            stage.edit({"disabled": True})
    stage.settle()
    assert (batch(stage), stage.canaries(), stage.harms) == ({}, [], [])


def test_row_54_the_batch_release_stays_when_a_newer_version_comes() -> None:
    stage = paused_at_v2()
    before = batch(stage)
    stage.push("v3").settle()
    assert batch(stage)["metadata"]["uid"] == before["metadata"]["uid"]
    assert batch(stage)["status"]["updateRevision"] != before["status"]["updateRevision"]


def test_row_62_the_labels_for_tools_remain() -> None:
    labels = labels_of(finished().deployment())
    assert {"rollouts.kruise.io/workload-type", "rollouts.kruise.io/stable-revision"} <= set(labels)


def test_row_74_a_shared_traffic_routing_keeps_its_routes_until_the_last_is_done() -> None:
    stage = paused_at_v2()
    routing = stage.world.get(TRAFFIC_ROUTING, NAMESPACE, "web")
    other = "progressing.rollouts.kruise.io/other"
    held = {"metadata": {"finalizers": [*finalizers_of(routing or {}), other]}}
    stage.world.patch(TRAFFIC_ROUTING, NAMESPACE, "web", held)
    stage.allowed.add("v2")
    stage.settle().approve().settle()
    assert stage.row() == "Progressing 1 Completed | canary 1×v2 | lane on | stable v2"
    assert "keeps its routes for Rollout other; until that ends, dyed requests go on to" in stage.status("message")
    left = [item for item in finalizers_of(stage.world.get(TRAFFIC_ROUTING, NAMESPACE, "web") or {}) if item != other]
    stage.world.patch(TRAFFIC_ROUTING, NAMESPACE, "web", {"metadata": {"finalizers": left}})
    assert stage.settle().row() == "Healthy 1 Completed | canary none | lane off | stable v2"


def test_row_79_improve_deleting_mid_release_leaves_stable_at_its_version() -> None:
    stage = paused_at_v2().delete_rollout().settle()
    assert stage.row() == "gone | canary none | lane off | stable v1 paused"
    assert IN_PROGRESSING not in annotations(stage)
    assert "LeftPaused" in [event.reason for event in stage.world.events]
    assert batch(stage) == {}


def test_row_80_deleting_at_rest_is_immediate() -> None:
    stage = ReleaseStage().begin().delete_rollout().settle()
    assert stage.row() == "gone | canary none | lane off | stable v1"


def test_row_81_improve_deleting_the_traffic_routing_takes_its_routes_and_says_so() -> None:
    stage = paused_at_v2()
    stage.world.delete(TRAFFIC_ROUTING, NAMESPACE, "web")
    stage.settle()
    assert stage.world.get(TRAFFIC_ROUTING, NAMESPACE, "web") is None
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane off | stable v1 paused"
    assert "TrafficRouting shop/web not found" in stage.status("message")


def test_rows_82_and_83_improve_disabling_mid_release_holds_and_enabling_goes_on() -> None:
    stage = paused_at_v2().edit({"disabled": True}).settle()
    assert (stage.status("phase"), stage.status("message")) == ("Disabled", "Rollout is disabled")
    assert stage.row().endswith("stable v1 paused")
    assert ReleaseStage().begin().edit({"disabled": True}).settle().edit({"disabled": False}).settle().status(
        "phase"
    ) == ("Healthy")


def test_row_84_improve_a_lost_workload_leaves_neither_canary_nor_finalizer() -> None:
    stage = paused_at_v2()
    stage.world.delete(DEPLOYMENT, NAMESPACE, "web")
    stage.settle()
    assert stage.row() == "Initial - - | canary none | lane off | stable none"
    assert stage.status("message") == "Workload Not Found"
    stage.world.put(DEPLOYMENT, {"metadata": {"name": "web", "namespace": NAMESPACE}, "spec": deployment_spec("v1", 1)})
    assert stage.settle().row() == "Healthy 1 Completed | canary none | lane off | stable v1"


def test_row_85_improve_a_batch_release_deleted_at_the_pause_is_made_again_and_its_canary_serves_on() -> None:
    stage = paused_at_v2()
    before, canary = batch(stage), name_of(stage.canaries()[0])
    stage.world.delete(BATCH_RELEASE, NAMESPACE, "web")
    stage.settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"
    assert [name_of(item) for item in stage.canaries()] == [canary]
    assert batch(stage)["metadata"]["uid"] != before["metadata"]["uid"]
    assert controller(stage.canaries()[0])[3] == batch(stage)["metadata"]["uid"]
    assert batch(stage)["status"]["canaryStatus"]["batchState"] == "Ready"
    stage.allowed.add("v2")
    assert stage.approve().settle().row() == "Healthy 1 Completed | canary none | lane off | stable v2"
    assert (batch(stage), stage.harms) == ({}, [])


def test_row_85_improve_a_canary_that_was_collected_with_it_is_replaced_before_it_goes() -> None:
    stage = paused_at_v2()
    stage.world.delete(BATCH_RELEASE, NAMESPACE, "web")
    stage.world.collect_garbage()
    assert is_deleting(stage.canaries()[0])
    stage.settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"
    assert (is_deleting(stage.canaries()[0]), stage.harms) == (False, [])


def test_a_batch_release_that_awaits_its_canaries_in_the_foreground_is_made_again_without_a_gap() -> None:
    """`kubectl delete --cascade=foreground`: its name is taken until the last canary is gone, so the Rollout owns the
    next one meanwhile."""
    stage = paused_at_v2()
    stage.world.patch(BATCH_RELEASE, NAMESPACE, "web", {"metadata": {"finalizers": ["foregroundDeletion"]}})
    stage.world.delete(BATCH_RELEASE, NAMESPACE, "web")
    stage.world.delete(DEPLOYMENT, NAMESPACE, name_of(stage.canaries()[0]))
    stage.settle()
    assert [controller(item)[1] for item in stage.canaries()] == ["Rollout"]
    stage.world.patch(BATCH_RELEASE, NAMESPACE, "web", {"metadata": {"finalizers": []}})
    stage.settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"
    assert controller(stage.canaries()[0])[1] == "BatchRelease"
    assert stage.harms == []


def test_a_batch_release_edited_by_hand_is_put_back_and_decides_nothing() -> None:
    stage = paused_at_v2()
    before = batch(stage)
    edit = {"spec": {"releasePlan": {"batchPartition": None, "finalizingPolicy": "Immediate", "batches": []}}}
    stage.world.patch(BATCH_RELEASE, NAMESPACE, "web", edit | {"metadata": {"ownerReferences": []}})
    stage.settle()
    assert batch(stage)["spec"] == before["spec"]
    assert owner_refs(batch(stage)) == owner_refs(before)
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"


def test_a_strangers_batch_release_is_left_alone_and_the_rollout_owns_the_canary() -> None:
    stage = ReleaseStage().begin()
    strange = {"metadata": {"name": "web", "namespace": NAMESPACE}, "spec": {"releasePlan": {"rolloutID": "mine"}}}
    stage.world.put(BATCH_RELEASE, strange)
    stage.push("v2").settle()
    assert controller(stage.canaries()[0])[1] == "Rollout"
    stage.allowed.add("v2")
    assert stage.approve().settle().row() == "Healthy 1 Completed | canary none | lane off | stable v2"
    assert batch(stage)["spec"] == strange["spec"]


def test_row_85a_improve_after_a_rollback_the_state_is_completed() -> None:
    assert paused_at_v2().push("v1").settle().status("canaryStatus", "currentStepState") == "Completed"


def test_row_85b_improve_deleted_before_it_began_the_deployment_is_unclaimed_and_said_to_be_paused() -> None:
    stage = ReleaseStage().begin().push("v2").delete_rollout().settle()
    assert stage.row() == "gone | canary none | lane off | stable v1 paused"
    assert "LeftPaused" in [event.reason for event in stage.world.events]


def test_row_86_a_restarted_controller_changes_nothing_and_takes_the_approval() -> None:
    stage = paused_at_v2()
    writes = stage.world.writes
    stage.actors = (*controllers(), *stand_ins())
    assert stage.settle().world.writes == writes
    stage.allowed.add("v2")
    assert stage.approve().settle().status("phase") == "Healthy"


def test_row_87_improve_an_update_made_while_admission_was_down_is_still_released() -> None:
    stage = ReleaseStage(admission=False).begin().push("v2").settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"


def test_row_92_improve_an_unchanged_rollout_id_does_not_let_a_new_image_out() -> None:
    stage = ReleaseStage().begin()
    stage.edit_deployment({"metadata": {"annotations": {"rollouts.kruise.io/rollout-id": "7"}}}).settle()
    assert stage.push("v2").settle().row().endswith("stable v1 paused")


def test_row_93_writing_next_step_index_jumps() -> None:
    stage = paused_at_v2(replicas=4, steps=({"replicas": 1}, {"replicas": 2}, {"replicas": 3}))
    assert stage.status("canaryStatus", "nextStepIndex") == 2
    stage.approve().settle()
    stage.status_patch({"nextStepIndex": 1}).settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 2×v2 | lane on | stable v1 paused"
    stage.status_patch({"nextStepIndex": 3}).settle()
    assert stage.row() == "Progressing 3 StepPaused | canary 3×v2 | lane on | stable v1 paused"
    stage.status_patch({"nextStepIndex": 9}).settle()
    assert stage.status("canaryStatus", "nextStepIndex") == -1


def test_row_101_improve_approved_before_its_neighbours_a_service_never_falls_back_to_its_old_version() -> None:
    """OpenKruise gives the routes back before it promotes: dyed requests meet the old version, and the chain breaks."""
    stage = RoutedStage(2, ONE_STEP, embedded=None).begin().push("v2")
    stage.settle()
    stage.allowed.add("v2")
    old: list[str] = []

    def watch(effect: Effect) -> None:
        if not stage.lane():
            old.extend(image(pod) for pod in stage._stable_pods() if image(pod) == "v1")

    stage.world.after_write = watch
    stage.approve().settle()
    assert stage.row() == "Healthy 1 Completed | canary none | lane off | stable v2"
    assert old == []


def test_a_rollout_created_together_with_the_new_image_still_releases_it() -> None:
    stage = ReleaseStage(4).begin()
    stage.world.patch(ROLLOUT, NAMESPACE, "web", {"metadata": {"finalizers": []}})
    stage.world.delete(ROLLOUT, NAMESPACE, "web")
    stage.allowed.add("v2")
    stage.push("v2")  # nobody holds it
    stage.world.put(ROLLOUT, stage.manifest())
    stage.settle()
    assert stage.row() == "Progressing 1 StepPaused | canary 1×v2 | lane on | stable v1 paused"
    assert {image(pod) for pod in stage._stable_pods()} == {"v1"}
