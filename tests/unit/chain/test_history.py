"""What `graylane history` tells, from the events and objects that real releases leave behind."""

from __future__ import annotations

from graylane.chain.history import Entry, history
from graylane.kit.effects import Effect, Event
from graylane.kit.events import event_object
from graylane.model.kinds import DEPLOYMENT, REPLICA_SET, ROLLOUT
from graylane.model.meta import Obj, format_time, uid_of
from graylane.testing.joint_stage import JointStage

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
    assert diary.rows() == [(1, True, "", ""), (0, False, "", "step 1, StepPaused")]
    later(stage.approve())
    assert diary.rows() == [(1, False, "", ""), (2, True, "1 by approval", "completed")]


def test_steps_tell_whether_somebody_approved_them_or_their_time_was_over() -> None:
    stage, diary = staged(replicas=3, steps=TIMED)
    later(stage.push("v2"))
    later(stage.approve())
    assert diary.rows()[-1] == (2, True, "1 by its time, 2 by approval", "completed")


def test_every_end_of_a_release_is_told_in_its_order() -> None:
    stage, diary = staged()
    later(stage.push("v2"))
    later(stage.abort())
    later(stage.push("v3"))
    later(stage.push("v4"))
    later(stage.approve())
    later(stage.push("v1"))
    later(stage.approve())
    ends = [(number, outcome.split(" of ")[0]) for number, _, _, outcome in diary.rows()]
    assert ends == [
        (0, "the release"),
        (0, "superseded"),
        (2, "completed"),
        (3, "completed"),
    ]
    assert "was aborted" in diary.rows()[0][3]


def test_without_events_the_status_still_tells_the_last_release() -> None:
    stage, diary = staged()
    later(stage.push("v2"))
    diary.objects.clear()
    assert diary.rows()[-1] == (0, False, "", "step 1, StepPaused")
    later(stage.approve())
    diary.objects.clear()
    assert diary.rows() == [(1, False, "", ""), (2, True, "", "completed")]


def test_a_version_is_called_what_its_image_is_called() -> None:
    stage, diary = staged()
    later(stage.push("shop/web:2.1"))
    assert [entry.version for entry in diary.entries()] == ["latest", "2.1"]
    later(stage.approve())
    assert [entry.version for entry in diary.entries()] == ["latest", "2.1"]
