"""What a reconciler wants done, as values that can be printed, compared and tested.

Pure. In: objects and patches. Out: the closed union `Effect`, and `Outcome`, a reconciler's whole answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from graylane.model.kinds import POD, Kind
from graylane.model.meta import Key, Obj
from graylane.model.patches import PatchType


@dataclass(frozen=True, slots=True)
class Create:
    """POST `obj`. If it exists already the loop re-reads it and asks the reconciler again.

    When the API refuses it, `refused` is recorded with the API's words at the end of its message, and `kept` makes of
    these words the patch that keeps the refusal in a status: what is in the API outlives us, a memory would not.
    """

    kind: Kind
    obj: Obj
    refused: Event | None = None
    kept: Callable[[str], Patch] | None = None

    def consequences(self, words: str) -> tuple[Effect, ...]:
        return _consequences(self, words)


@dataclass(frozen=True, slots=True)
class Patch:
    """PATCH one object. Set `metadata.resourceVersion` in `patch` to make it conditional on what was read.

    `refused` and `kept` are as for `Create`.
    """

    kind: Kind
    key: Key
    patch: Any
    type: PatchType = PatchType.MERGE
    subresource: str = ""
    reason: str = ""
    refused: Event | None = None
    kept: Callable[[str], Patch] | None = None

    def consequences(self, words: str) -> tuple[Effect, ...]:
        return _consequences(self, words)


@dataclass(frozen=True, slots=True)
class Replace:
    """PUT `obj`, conditional when it carries a resourceVersion."""

    kind: Kind
    obj: Obj
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE one object, only if its uid still is `uid` (None: whatever has the name). Absence is success."""

    kind: Kind
    key: Key
    uid: str | None = None
    propagation: str = "Background"
    grace_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Bind:
    """POST a Binding: the pod `key`, only if its uid still is `uid`, goes to `node`. A pod's node changes in no other
    way."""

    key: Key
    uid: str
    node: str

    @property
    def kind(self) -> Kind:
        return POD


@dataclass(frozen=True, slots=True)
class Event:
    """Tell users about `obj`. `type` is Normal or Warning. Best effort: losing one never fails a reconcile."""

    kind: Kind
    obj: Obj
    type: str
    reason: str
    message: str


def _consequences(effect: Create | Patch, words: str) -> tuple[Effect, ...]:
    """What to do about a refusal, before anybody tries again."""
    told = replace(effect.refused, message=f"{effect.refused.message}{words}") if effect.refused else None
    return tuple(each for each in (told, effect.kept and effect.kept(words)) if each is not None)


Effect = Create | Patch | Replace | Delete | Bind | Event


@dataclass(frozen=True, slots=True)
class Outcome:
    """Effects to perform in this order, and when to look again although nothing changed (absolute, UTC)."""

    effects: tuple[Effect, ...] = ()
    wake_at: datetime | None = None
