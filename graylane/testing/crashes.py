"""Kills the controllers at every write of a flow, and lets each of those worlds go on with new ones.

Pure but for its worlds. In: a `Flow`: a stage and user actions. Out: the calm end, and for each point of death (before
and after each write) the stage as it ended from there. Points that leave the same world behind are gone on from once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from graylane.kit.effects import Effect, Event
from graylane.testing.joint_stage import JointStage

Act = Callable[[JointStage], object]
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Flow:
    """User actions, each taken when the world has settled after the one before.

    `hurts`: users take away or put back what requests go through, so that not every failed request is ours to prevent.
    """

    name: str
    acts: tuple[Act, ...]
    stage: Callable[[], JointStage] = JointStage
    hurts: bool = False

    def __str__(self) -> str:
        return self.name.replace(" ", "-")

    def harms(self, stage: JointStage) -> list[str]:
        """The harms that are ours."""
        return [] if self.hurts else stage.harms

    def play(self) -> JointStage:
        """The flow with nothing going wrong."""
        stage = self.stage().begin()
        return go_on(stage, self.acts)


def go_on(stage: JointStage, acts: tuple[Act, ...]) -> JointStage:
    """Take the remaining actions, each in a settled world."""
    for act in acts:
        act(stage)
        settle(stage)
    return stage


def settle(stage: JointStage) -> None:
    stage.settle(seconds=PATIENCE_SECONDS)


@dataclass
class Points:
    """`count` points of death; `worlds` are the different ones, each with the actions that are still to come.

    `ends`: what was left after each action of the calm run.
    """

    count: int = 0
    ends: list[dict[str, Any]] = field(default_factory=list)
    worlds: list[tuple[str, JointStage, tuple[Act, ...]]] = field(default_factory=list)
    _known: set[tuple[object, ...]] = field(default_factory=set)

    def add(self, where: str, stage: JointStage, left: tuple[Act, ...]) -> None:
        self.count += 1
        identity = (len(stage.world.log), stage.world.now(), len(left))
        if identity not in self._known:
            self._known.add(identity)
            self.worlds.append((where, stage.fork(), left))


def points_of(flow: Flow) -> tuple[JointStage, Points]:
    """The calm end, and every point on the way at which the controllers may die."""
    stage, points = flow.stage().begin(), Points()
    for index, act in enumerate(flow.acts):
        act(stage)
        left = flow.acts[index + 1 :]
        judge = stage.world.after_write
        stage.world.before_write = _noting(points, "before", stage, left)
        after = _noting(points, "after", stage, left)
        stage.world.after_write = _both(judge, after) if judge else after
        settle(stage)
        stage.world.before_write, stage.world.after_write = None, judge
        points.ends.append(stage.rest())
    return stage, points


def deaths(points: Points) -> Iterator[tuple[str, JointStage, bool]]:
    """Each world gone on with restarted controllers, and whether it ended as the calm one.

    One that has caught up with the calm run when the action is over will not leave it any more: nothing is remembered
    but what the API holds. So only the others go on to the end.
    """
    for where, stage, left in points.worlds:
        settle(stage)
        if stage.rest() == points.ends[-1 - len(left)]:
            yield where, stage, True
        else:
            go_on(stage, left)
            yield where, stage, stage.rest() == points.ends[-1]


def _noting(points: Points, when: str, stage: JointStage, left: tuple[Act, ...]) -> Callable[[Effect], None]:
    def note(effect: Effect) -> None:
        if not isinstance(effect, Event):
            points.add(f"{when} write {stage.world.writes}: {describe(effect)}", stage, left)

    return note


def _both(first: Callable[[Effect], None], second: Callable[[Effect], None]) -> Callable[[Effect], None]:
    def both(effect: Effect) -> None:
        first(effect)
        second(effect)

    return both


def describe(effect: Effect) -> str:
    """`Patch Deployment shop/web`."""
    key = getattr(effect, "key", None) or getattr(effect, "obj", {}).get("metadata", {}).get("name")
    return f"{type(effect).__name__} {effect.kind.kind} {key}"
