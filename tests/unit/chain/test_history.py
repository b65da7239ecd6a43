"""What `graylane history` tells, from the events and objects that real releases leave behind."""

from __future__ import annotations

from datetime import timedelta

from graylane.chain.history import Entry, history, of_deleted
from graylane.cli.history_text import Shown, document, lines
from graylane.kit.effects import Effect, Event
from graylane.kit.events import event_object
from graylane.model.kinds import DEPLOYMENT, REPLICA_SET, ROLLOUT
from graylane.model.managers import verbs_of
from graylane.model.meta import Obj, format_time, uid_of
from graylane.model.rollout import ABORT, ON_FAILURE
from graylane.testing.joint_stage import JointStage
from graylane.testing.releases import BROKEN

TIMED = ({"replicas": 1, "pause": {"duration": 10}}, {"replicas": 2, "pause": {}})


class Diary:
    """Keeps the events of a stage as an API server would: equal ones counted up on one object."""

    def __init__(self, stage: JointStage) -> None:
        self.stage = stage
        self.objects: dict[tuple[str, ...], Obj] = {}
        judge = stage.world.after_write

        def listen(effect: Effect) -> None:
            if judge:
                judge(effect)
            if isinstance(effect, Event):
                self._keep(effect)

        stage.world.after_write = listen

    def _keep(self, event: Event) -> None:
        identity, now = (uid_of(event.obj), event.reason, event.message), format_time(self.stage.world.now())
        if identity in self.objects:
            self.objects[identity]["lastTimestamp"] = now
        else:
            self.objects[identity] = event_object(event, "rollout", now, len(self.objects))

    def entries(self) -> list[Entry]:
        world = self.stage.world
        sets = world.list(REPLICA_SET, "shop")
        return history(
            self.stage.get(ROLLOUT, "web"), world.get(DEPLOYMENT, "shop", "web"), sets, self.objects.values()
        )

    def rows(self) -> list[tuple[int, bool, str, str]]:
        return [
            (
                entry.number,
                entry.running,
                ", ".join(f"{passed.step} by {passed.by}" for passed in entry.passed),
                entry.outcome,
            )
            for entry in self.entries()
        ]


def staged(**options: object) -> tuple[JointStage, Diary]:
    stage = JointStage(real=True, **options).begin()  # type: ignore[arg-type]
    stage.settle(seconds=5)
    return stage, Diary(stage)


def later(stage: JointStage) -> JointStage:
    stage.world.clock.advance(60)
    return stage.settle(seconds=60)


def test_a_first_version_has_no_release() -> None:
    _, diary = staged()
    assert diary.rows() == [(1, True, "", "")]


def test_a_release_is_told_while_it_waits_and_when_it_is_over() -> None:
    stage, diary = staged()
    later(stage.push("v2"))
    assert diary.rows() == [(1, True, "", ""), (0, False, "", "in step 1, StepPaused")]
    later(stage.approve())
    assert diary.rows() == [(1, False, "", ""), (2, True, "1 by unknown", "promoted")]


def test_steps_tell_whether_somebody_approved_them_or_their_time_was_over() -> None:
    stage, diary = staged(replicas=3, steps=TIMED)
    later(stage.push("v2"))
    later(stage.approve())
    assert diary.rows()[-1] == (2, True, "1 by its time, 2 by unknown", "promoted")


def test_every_end_of_a_release_is_told_in_its_order() -> None:
    stage, diary = staged()
    later(stage.push("v2"))
    later(stage.abort())
    later(stage.push("v3"))
    later(stage.push("v4"))
    later(stage.approve())
    later(stage.push("v1"))
    later(stage.approve())
    ends = [(number, outcome) for number, _, _, outcome in diary.rows()]
    assert ends == [
        (0, "aborted"),
        (0, "superseded by a newer version"),
        (2, "promoted"),
        (3, "promoted"),
    ]


def test_a_release_that_was_set_back_is_told_to_be_rolled_back() -> None:
    stage, diary = staged()
    later(stage.push("v2"))
    later(stage.push("v1"))
    assert [entry.outcome for entry in diary.entries()] == ["", "rolled back: the template was set back"]


def test_a_release_that_failed_and_was_taken_back_tells_why() -> None:
    stage = JointStage().begin()
    diary = Diary(stage)
    stage.world.patch(ROLLOUT, "shop", "web", {"metadata": {"annotations": {ON_FAILURE: "abort"}}})
    stage.settle()
    later(stage.push(BROKEN))
    stage.world.clock.advance(700)
    stage.settle(seconds=60)
    outcome = diary.entries()[-1].outcome
    assert outcome.startswith("failed: no progress in 600 s: canary Deployment shop/web-")
    assert "0 of 1 pods ready" in outcome


def test_a_release_that_left_nothing_behind_is_called_what_people_called_it() -> None:
    stage, diary = staged()
    later(stage.push("shop/web:2.1"))
    later(stage.abort())
    later(stage.edit_deployment({"spec": {"template": {"metadata": {"annotations": {"team": "blue"}}}}}))
    later(stage.abort())
    assert [entry.version for entry in diary.entries()] == ["latest", "2.1", "team=blue"]
    assert all(entry.number == 0 for entry in diary.entries()[1:])


def test_who_approved_and_who_aborted_is_told_by_the_fields_managers_and_how_long_a_step_waited() -> None:
    stage, diary = staged()
    later(stage.push("v2"))
    written(stage, verbs_of("alice"), "status", "canaryStatus", "currentStepState")
    later(stage.approve())
    later(stage.push("v3"))
    written(stage, "kubectl-annotate", "metadata", "annotations", ABORT)
    later(stage.abort())
    promoted, aborted = diary.entries()[-2:]
    (step,) = promoted.passed
    assert (step.by, aborted.outcome) == ("alice", "aborted by somebody with kubectl-annotate")
    assert step.waited is not None
    assert step.waited >= timedelta(seconds=60)
    assert "\n".join(lines(Shown("web", "web", diary.entries()))).count("approved by alice") == 1
    steps = document(Shown("web", "web", diary.entries()))["versions"][-2]["steps"]
    assert steps == [
        {"step": 1, "at": format_time(step.at), "by": "alice", "waitedSeconds": int(step.waited.total_seconds())}
    ]


def written(stage: JointStage, manager: str, *path: str) -> None:
    """What an API server keeps of who wrote a field; the next write of it in these stories is his."""
    owned: Obj = {}
    for name in reversed(path):
        owned = {f"f:{name}": owned}
    entry = {"manager": manager, "operation": "Update", "time": "2040-01-01T00:00:00Z", "fieldsV1": owned}
    stage.world.patch(ROLLOUT, "shop", "web", {"metadata": {"managedFields": [entry]}})


def test_without_events_the_status_still_tells_the_last_release() -> None:
    stage, diary = staged()
    later(stage.push("v2"))
    diary.objects.clear()
    assert diary.rows()[-1] == (0, False, "", "in step 1, StepPaused")
    later(stage.approve())
    diary.objects.clear()
    assert diary.rows() == [(1, False, "", ""), (2, True, "", "promoted")]


def test_a_version_is_called_what_its_image_is_called() -> None:
    stage, diary = staged()
    later(stage.push("shop/web:2.1"))
    assert [entry.version for entry in diary.entries()] == ["latest", "2.1"]
    later(stage.approve())
    assert [entry.version for entry in diary.entries()] == ["latest", "2.1"]


def test_of_a_deleted_rollout_what_is_left_is_told() -> None:
    stage, diary = staged()
    later(stage.push("v2"))
    later(stage.approve())
    later(stage.push("v3"))
    world = stage.world
    world.delete(ROLLOUT, "shop", "web")
    later(stage)
    rest = world.list(DEPLOYMENT, "shop"), world.list(REPLICA_SET, "shop"), list(diary.objects.values())
    found = of_deleted("web", *rest)
    assert found is not None
    workload, entries = found
    assert workload == "web"
    assert [(each.number, each.outcome) for each in entries] == [
        (1, ""),
        (2, "promoted"),
        (0, "its Rollout was deleted"),
    ]
    shown = Shown("web", *found, deleted=True)
    assert lines(shown)[0] == "rollout web of deployment/web (Rollout deleted)"
    assert document(shown)["deleted"] is True
    assert of_deleted("other", *rest) is None
    assert (of_deleted("web", [], [], rest[2]) or ("?",))[0] == "", "of which Deployment, nothing tells any more"
