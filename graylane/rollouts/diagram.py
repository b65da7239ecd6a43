"""Prints the lifecycle tables as Mermaid state diagrams, so that the docs show what runs.

Pure. In: the tables. Out: text for a ```mermaid block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from graylane.rollouts.lifecycle import ANY_STATE, LIFECYCLE, STEPS, Row, StepRow

_APPROVAL = "    StepPaused --> StepReady: a user approves (writes it into the status)"


def stages() -> str:
    """The stages of a Rollout; a row that leaves from several stages is drawn from each."""
    return _diagram(LIFECYCLE, start="Initial")


def steps() -> str:
    """The states of one step. Rows that may fire in any state are drawn as a note, not as thirty arrows."""
    anywhere = [row for row in STEPS if row.here == ANY_STATE]
    notes = [f"    note right of {row.to}: from any state when {row.because}" for row in anywhere]
    drawn = _diagram([row for row in STEPS if row not in anywhere], start="StepUpgrade")
    return "\n".join([drawn, _APPROVAL, *notes])


def _diagram(rows: Iterable[Row | StepRow], *, start: str) -> str:
    return "\n".join(["stateDiagram-v2", f"    [*] --> {start}", *(line for row in rows for line in _arrows(row))])


def _arrows(row: Row | StepRow) -> Iterator[str]:
    here: Iterable[StrEnum] = sorted(row.here) if isinstance(row.here, frozenset) else [row.here]
    for state in here:
        yield f"    {state} --> {row.to}: {row.because}"
