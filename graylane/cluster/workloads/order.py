"""In which order effects are best performed.

Pure. In: effects. Out: the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable

from graylane.kit import Effect, Event


def told_last(effects: Iterable[Effect]) -> tuple[Effect, ...]:
    """What is done before what is told: a rollout's pods do not wait for events about them to be written."""
    return tuple(sorted(effects, key=lambda effect: isinstance(effect, Event)))
