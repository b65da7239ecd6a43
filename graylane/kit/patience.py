"""Since when something has been left unsaid that will probably be over in a moment.

Pure but for its memory. In: each look's key, and whether it left something unsaid. Out: since when. Only a process that
stays alive is patient: after a crash the moment begins anew, and then it is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from graylane.model.meta import Key

MOMENT = timedelta(seconds=2)


@dataclass(slots=True)
class Patience:
    """One controller's."""

    _since: dict[Key, datetime] = field(default_factory=dict)

    def since(self, key: Key) -> datetime | None:
        return self._since.get(key)

    def note(self, key: Key, now: datetime, *, unsaid: bool) -> None:
        if unsaid:
            self._since.setdefault(key, now)
        else:
            self._since.pop(key, None)


def patient_until(since: datetime | None, now: datetime) -> datetime | None:
    """When what passes has to be told after all; None: now."""
    due = (since or now) + MOMENT
    return due if now < due else None
