"""Takes out routes whose TrafficRouting is gone: somebody removed its finalizer by hand.

Shell (runs scripts, where others' routes stay). In: a `View`, the key of what is gone. Out: the patches that restore.
"""

from __future__ import annotations

from datetime import datetime

from graylane.kit.cache import View
from graylane.kit.effects import Effect
from graylane.model.kinds import DESTINATION_RULE, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Key, name_of
from graylane.model.trafficrouting import NetworkRef, Recorded, TrafficRouting
from graylane.trafficrouting.compose import Composer
from graylane.trafficrouting.observe import observe
from graylane.trafficrouting.routes import author, recall
from graylane.trafficrouting.troubles import Surroundings

_ROUTES_BEFORE_DEFINITIONS = (VIRTUAL_SERVICE, DESTINATION_RULE)


async def forget(view: View, key: Key, composer: Composer, around: Surroundings, now: datetime) -> tuple[Effect, ...]:
    """Nobody waits for a confirmation any more; routes still go before what they point at."""
    refs = [ref for kind in _ROUTES_BEFORE_DEFINITIONS for ref in _left_in(view, kind, key)]
    if not refs:
        return ()
    gone = TrafficRouting(key, 0, True, (), (), recorded=tuple(map(Recorded, refs)))
    sight = observe(view, {}, gone, around, now)
    composed = [await composer.compose(target, wanted=False, known=False) for target in sight.targets]
    return tuple(item.change for item in composed if item.change is not None)


def _left_in(view: View, kind: Kind, key: Key) -> list[NetworkRef]:
    return [
        NetworkRef(kind.api_version, kind.kind, name_of(obj), "")
        for obj in view.list(kind, key.namespace)
        if (memory := recall(obj)) and any(author(wish) == key.name for wish in memory.wishes)
    ]
