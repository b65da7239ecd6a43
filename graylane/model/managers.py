"""Who wrote a field last, as `metadata.managedFields` tells it: a program, and where it said so, for whom.

Pure. In: an object, a path of fields. Out: a field manager's name; and our own verbs' managers, with the user in them.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.model.meta import Obj, dig

CONTROLLERS = "graylane"
APPLY = f"{CONTROLLERS}-apply"  # manifests that somebody gives us: his writes, not our controllers'
_VERBS = f"{CONTROLLERS}:"
_LONGEST = 128  # what an API server takes for a manager's name
UNKNOWN = "unknown"


def manager_of(obj: Obj, *path: str) -> str:
    """Who owns this field, the last to write it first; "" where nobody says so."""
    found = [entry for entry in _entries(obj) if dig(entry, "fieldsV1", *(f"f:{name}" for name in path)) is not None]
    last = max(found, key=lambda entry: str(entry.get("time", "")), default={})
    return str(last.get("manager", ""))


def verbs_of(user: str) -> str:
    """The manager under which our verbs write for `user`, as the API calls him; "" when it does not say."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in user)
    return (_VERBS + printable)[:_LONGEST] if user else CONTROLLERS


def person(manager: str) -> str:
    """The user in it, else `somebody with PROGRAM`; `unknown` where nobody but our controllers is known."""
    if manager.startswith(_VERBS):
        return manager.removeprefix(_VERBS)
    return UNKNOWN if manager in ("", CONTROLLERS) else f"somebody with {manager}"


def _entries(obj: Obj) -> Iterator[Obj]:
    yield from dig(obj, "metadata", "managedFields", default=None) or []
