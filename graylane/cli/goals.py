"""What `graylane status --until` waits for, of every release shown.

Pure. In: the option's text, a `ChainView`. Out: `Goal`, and whether it is reached; `CheckFailed` when it cannot be any
more, because a release ended badly or has failed and stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from graylane.chain.releases import Release
from graylane.chain.view import ChainView
from graylane.cli.exits import CheckFailed
from graylane.errors import UserError

PAUSED, DONE = "paused", "done"
_STEP = re.compile(r"step=([1-9]\d*)")


@dataclass(frozen=True, slots=True)
class Goal:
    """`step` 0: the next pause, or with `done` the end; else that step's pause, or anything beyond it."""

    done: bool = False
    step: int = 0

    def reached(self, view: ChainView) -> bool:
        if not view.releases:
            return False
        if stands := [release for release in view.releases if release.failed]:
            raise CheckFailed("; ".join(f"rollout {release.name} waits for {release.waits_for}" for release in stands))
        if (self.done or self.step) and all(map(_is_over, view.releases)):
            return _all_succeeded(view)
        if self.done:
            return False
        return all(self._is_there(release) for release in view.releases)

    def _is_there(self, release: Release) -> bool:
        if self.step and _is_over(release):
            return True
        index = release.step.partition("/")[0]
        number = int(index) if index.isdigit() else 0
        paused = release.state == "StepPaused" and release.phase == "Progressing"
        return number > self.step if self.step and number != self.step else paused


def parse(text: str) -> Goal:
    """Raises `UserError` for anything but `paused`, `done` and `step=N`."""
    if text in (PAUSED, DONE):
        return Goal(done=text == DONE)
    if found := _STEP.fullmatch(text):
        return Goal(step=int(found[1]))
    raise UserError(f"--until {text}: not one of paused, done, step=N")


def _is_over(release: Release) -> bool:
    return release.phase == "Healthy"


def _all_succeeded(view: ChainView) -> bool:
    failed = [release for release in view.releases if "did not succeed" in release.outcome]
    if failed:
        raise CheckFailed("; ".join(f"rollout {release.name}: {release.outcome}" for release in failed))
    return True
