"""What `graylane status --until` waits for, of every release shown.

Pure. In: the option's text, a `ChainView`. Out: `Goal`, and whether it is reached; `ReleaseEnded` when it cannot be any
more, because a release ended badly or has failed and stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from graylane.chain.releases import Ending, Release
from graylane.chain.view import ChainView
from graylane.cli.exits import Exit, ReleaseEnded
from graylane.errors import UserError

PAUSED, DONE = "paused", "done"
_STEP = re.compile(r"step=([1-9]\d*)")
_CODES = {  # the first that fits speaks for several releases
    Ending.FAILED: Exit.RELEASE_FAILED,
    Ending.ABORTED: Exit.RELEASE_ABORTED,
    Ending.ROLLED_BACK: Exit.RELEASE_ROLLED_BACK,
    Ending.DISABLED: Exit.RELEASE_DROPPED,
    Ending.DELETED: Exit.RELEASE_DROPPED,
    Ending.OTHER: Exit.FAILED,
}
_RESTS = ("Healthy", "Disabled")


@dataclass(frozen=True, slots=True)
class Goal:
    """`step` 0: the next pause, or with `done` the end; else that step's pause, or anything beyond it."""

    done: bool = False
    step: int = 0

    def reached(self, view: ChainView, before: ChainView | None = None) -> bool:
        """`before`: what was seen first; a release that was over by then is told to be so."""
        if not view.releases:
            return False
        check_standing(view)
        if (self.done or self.step) and all(map(_is_over, view.releases)):
            check_endings(view, before)
            return True
        if self.done:
            return False
        if not self.step and before:
            check_lost(view, before)
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


def check_standing(view: ChainView) -> None:
    """Raises `ReleaseEnded` when a release has failed and stands."""
    if stands := [release for release in view.releases if release.failed]:
        text = "; ".join(f"rollout {release.name} waits for {release.waits_for}" for release in stands)
        raise ReleaseEnded(text, Exit.RELEASE_FAILED)


def check_endings(view: ChainView, before: ChainView | None = None) -> None:
    """Raises `ReleaseEnded` when the last release of a Rollout at rest did not succeed."""
    bad = [release for release in view.releases if release.ended in _CODES]
    if not bad:
        return
    rested = _rested(before) if before else set()
    told = [_told(release, already=_ending(release) in rested) for release in bad]
    code = next(code for ending, code in _CODES.items() if any(release.ended is ending for release in bad))
    raise ReleaseEnded("; ".join(told), code)


def check_lost(view: ChainView, before: ChainView) -> None:
    """Raises `ReleaseEnded` when a release has ended badly since `before`: it comes to no pause any more."""
    rested = _rested(before)
    lost = [release for release in view.releases if _is_over(release) and _ending(release) not in rested]
    check_endings(replace(view, releases=tuple(lost)))


def _rested(view: ChainView) -> set[tuple[object, ...]]:
    return {_ending(release) for release in view.releases if _is_over(release)}


def _ending(release: Release) -> tuple[object, ...]:
    return release.name, release.changed, release.outcome


def missing(view: ChainView) -> str:
    """What each release waits for instead."""
    return "; ".join(map(_missing, view.releases)) or "there is no Rollout"


def _told(release: Release, *, already: bool) -> str:
    if not already:
        return f"rollout {release.name}: {release.outcome}"
    return f"rollout {release.name} is at rest, nothing is being released; its {release.outcome}"


def _missing(release: Release) -> str:
    if release.waits_for:
        return f"{release.name} waits for {release.waits_for}"
    if _is_over(release):
        return f"{release.name} is at rest, and no release has begun" + (
            f"; its {release.outcome}" if release.outcome else ""
        )
    return f"{release.name} is {release.phase}"


def _is_over(release: Release) -> bool:
    return release.phase in _RESTS
