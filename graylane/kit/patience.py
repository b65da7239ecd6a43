"""Until when something may be left unsaid that will probably be over in a moment.

Pure but for its memory. In: each look's key, and whether it left something unsaid. Out: until when it may. Only a
process that stays alive is patient: after a crash the moment begins anew, and then it is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from graylane.model.meta import Key

MOMENT = timedelta(seconds=2)
EACH = timedelta(milliseconds=100)
"""A moment is so much longer for each that passes at the same time: a thousand are slow because they are a thousand."""
LONGEST = timedelta(seconds=30)


@dataclass(slots=True)
class Patience:
    """One controller's."""

    _since: dict[Key, datetime] = field(default_factory=dict)

    def until(self, key: Key, now: datetime) -> datetime:
        """When `key` has to tell what passes after all; not in the future: now."""
        others = len(self._since) - (key in self._since)
        return self._since.get(key, now) + min(MOMENT + others * EACH, LONGEST)

    def note(self, key: Key, now: datetime, *, unsaid: bool) -> None:
        if unsaid:
            self._since.setdefault(key, now)
        else:
            self._since.pop(key, None)
