"""The life of a TrafficRouting: two tables, how it moves and what each phase means for the routes.

Pure. In: `Facts`. Out: the next phase and why, and the `World` wanted in it. The world depends on the phase, never on
the way there, so a write that was lost is found missing and repeated.

Safe order is a cap, not a sequence. Routes are put into VirtualServices only while every subset definition stands
confirmed; definitions are taken out only while no route is left and proxies have confirmed that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graylane.model.trafficrouting import Phase


@dataclass(frozen=True, slots=True)
class Facts:
    """What the tables ask about one TrafficRouting."""

    deleting: bool
    held: bool  # by the progressing finalizer of at least one Rollout
    accepted: bool  # everything it names exists
    routed: bool  # routes of ours are in some object, or gone from it but not yet from the proxies

    @property
    def wanted(self) -> bool:
        return self.held and not self.deleting

    @property
    def released(self) -> bool:
        return not self.wanted

    @property
    def restored(self) -> bool:
        return not self.wanted and not self.routed

    @property
    def idle(self) -> bool:
        return not self.wanted and not self.routed and self.accepted

    @property
    def left_over(self) -> bool:
        return not self.wanted and self.routed


@dataclass(frozen=True, slots=True)
class Row:
    """While in one of `phases`, when `when` holds, go to `go`."""

    phases: frozenset[Phase]
    when: Callable[[Facts], bool]
    go: Phase
    because: str


_INITIAL, _HEALTHY, _PROGRESSING = (
    frozenset({Phase.INITIAL}),
    frozenset({Phase.HEALTHY}),
    frozenset({Phase.PROGRESSING}),
)
_FINALIZING = frozenset({Phase.FINALIZING})
_RESTING = _INITIAL | _HEALTHY
_LIVING = _RESTING | _PROGRESSING | _FINALIZING

LIFECYCLE = (  # first row that applies wins
    Row(_LIVING, lambda f: f.deleting, Phase.TERMINATING, "it is being deleted; its routes go first"),
    Row(_RESTING | _FINALIZING, lambda f: f.wanted, Phase.PROGRESSING, "a Rollout asks for its routes"),
    Row(_PROGRESSING, lambda f: f.released, Phase.FINALIZING, "no Rollout asks for its routes any more"),
    Row(_FINALIZING, lambda f: f.restored, Phase.HEALTHY, "its routes are gone from all proxies"),
    # Left by a controller that died, by one that was not ours, or by a mesh that was slow when we last looked.
    Row(_RESTING, lambda f: f.left_over, Phase.FINALIZING, "routes of an ended release are still in place"),
    Row(_INITIAL, lambda f: f.idle, Phase.HEALTHY, "everything it names exists"),
)


@dataclass(frozen=True, slots=True)
class World:
    """What should exist while in a phase."""

    routes: bool  # in the routed objects
    protected: bool = True  # by our finalizer, so that it cannot vanish before its routes


def _terminating(facts: Facts) -> World:
    return World(routes=False, protected=facts.routed)


WORLD: dict[Phase, Callable[[Facts], World]] = {
    Phase.INITIAL: lambda _: World(routes=False),
    Phase.HEALTHY: lambda _: World(routes=False),
    Phase.PROGRESSING: lambda _: World(routes=True),
    Phase.FINALIZING: lambda _: World(routes=False),
    Phase.TERMINATING: _terminating,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """The phase, the world it wants, and the reason of the last row that fired ("" when none did)."""

    phase: Phase
    world: World
    because: str = ""


def decide(phase: Phase | None, facts: Facts) -> Decision:
    """Follow the rows until none applies; a new object begins as Initial."""
    here, because = phase or Phase.INITIAL, ""
    for _ in LIFECYCLE:
        row = next((row for row in LIFECYCLE if here in row.phases and row.when(facts)), None)
        if row is None:
            break
        here, because = row.go, row.because
    return Decision(here, WORLD[here](facts), because)
