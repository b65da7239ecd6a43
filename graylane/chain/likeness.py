"""What somebody meant who mistyped a name.

Pure. In: a name as typed, the names there are. Out: those like it, and half a sentence that offers them.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

_LIKE = 0.7
_MANY = 3


def nearest_first(name: str, known: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(known), key=lambda each: (-_likeness(name, each), each))


def like(name: str, known: Iterable[str]) -> list[str]:
    """At most three. A beginning counts as the whole, because nobody types a pod's hash."""
    names = nearest_first(name, known)
    begun = [each for each in names if each.startswith(name)]
    return (begun or [each for each in names if _likeness(name, each) >= _LIKE])[:_MANY]


def meant(name: str, known: Iterable[str]) -> str:
    """`; did you mean a or b?`, else `; there are a, b, c and 2 more`; "" where there is nothing."""
    names = list(dict.fromkeys(known))
    if found := like(name, names):
        return f"; did you mean {' or '.join(filter(None, (', '.join(found[:-1]), found[-1])))}?"
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    verb = "are" if len(names) > 1 else "is"
    return f"; there {verb} {', '.join(sorted(names)[:_MANY])}{more}" if names else ""


def _likeness(name: str, known: str) -> float:
    return max(SequenceMatcher(None, name, text).ratio() for text in (known, known[: len(name)]))
