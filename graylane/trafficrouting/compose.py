"""Runs the scripts that make one object as wanted, all wishes for it one after the other.

Shell (runs scripts). In: a `Target` and whether this TrafficRouting's routes are wanted in it. Out: `Composed`: the
write still missing, if any, or the script's error.
"""

from __future__ import annotations

from dataclasses import dataclass

from graylane.kit.effects import Create, Delete, Event, Patch
from graylane.model.kinds import TRAFFIC_ROUTING
from graylane.model.meta import Obj, annotations_of, key_of, uid_of
from graylane.model.patches import guarded
from graylane.trafficrouting import routes
from graylane.trafficrouting.lua.script import LuaError, Runner, Script
from graylane.trafficrouting.observe import Target
from graylane.trafficrouting.providers import ingress
from graylane.trafficrouting.providers.custom import require_texts, script_input, script_output
from graylane.trafficrouting.providers.ingress import Derived
from graylane.trafficrouting.routes import Data, Wishes


@dataclass(frozen=True, slots=True)
class Composed:
    """`change`: the write still missing, None when the object is as wanted or nobody can tell (`error`)."""

    target: Target
    adds: bool
    change: Create | Patch | Delete | None = None
    error: str = ""

    @property
    def goes_first(self) -> bool:
        """Definitions when routes go in, routes when they go out: the others wait for these."""
        return self.adds == self.target.defines

    @property
    def is_settled(self) -> bool:
        """As wanted, and taken by the proxies as far as anybody can tell."""
        return self.change is None and not self.error and self.target.verdict.may_go_on


async def fold(runner: Runner, script: Script | None, original: Data, wishes: Wishes, where: str) -> Data:
    """What the script makes of `original`, an object called `where`, for one wish after the other. Raises `LuaError`.

    Sorted by key, so that the result does not depend on who came first.
    """
    data = original
    for key in sorted(wishes):
        if script is None:
            raise LuaError(where, 0, "its script is gone")
        result = await runner.run(script, script_input(data, wishes[key]))
        data = script_output(script, data, result)
    return data


class Composer:
    """One TrafficRouting's targets, one at a time."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def compose(self, target: Target, *, wanted: bool, known: bool) -> Composed:
        """`known`: our routes have been in it before, so an absent memory was removed by somebody."""
        adds = wanted and bool(target.own)
        if target.derived is not None:
            return await self._derive(target, target.derived, adds=adds)
        wishes = target.others | (target.own if adds else {})
        try:
            original = routes.original_of(target.live, target.memory)
            if adds and known and target.memory is None:
                original = routes.recovered(original, await self._fold(target, original, wishes))
            desired = await self._fold(target, original, wishes)
        except LuaError as error:
            return Composed(target, adds, error=str(error))
        patch = routes.change(target.live, target.memory, original, wishes, desired)
        return Composed(target, adds, _conditional(target, patch, adds=adds) if patch is not None else None)

    async def rehearse(self, target: Target) -> str:
        """What would go wrong if a release began now; "" when nothing would."""
        try:
            if target.derived is not None:
                await self._dressed(target, target.derived)
                return ""
            await self._fold(target, routes.original_of(target.live, target.memory), target.others | target.own)
        except LuaError as error:
            return str(error)
        return ""

    async def _derive(self, target: Target, derived: Derived, *, adds: bool) -> Composed:
        """An object of our own making comes with the routes and goes with them."""
        live = target.live
        if not adds:
            gone = Delete(target.kind, key_of(live), uid=uid_of(live)) if live else None
            return Composed(target, adds, gone)
        try:
            desired = await self._dressed(target, derived)
        except LuaError as error:
            return Composed(target, adds, error=str(error))
        if desired is None:
            return Composed(target, adds)
        if not live:
            words = f"{target.ref} was refused: "
            refused = Event(TRAFFIC_ROUTING, derived.routing, "Warning", "IngressRefused", words)
            return Composed(target, adds, Create(target.kind, desired, refused))
        patch = ingress.change(live, desired)
        return Composed(target, adds, _conditional(target, patch, adds=adds) if patch else None)

    async def _dressed(self, target: Target, derived: Derived) -> Obj | None:
        """The object with the annotations its script gives; None while there is nothing to make it from."""
        if derived.bare is None or target.script is None:
            return None
        wish = target.own[min(target.own)]
        annotations = await self._runner.run(target.script, ingress.script_input(annotations_of(derived.bare), wish))
        require_texts(target.script, "annotations", annotations)
        return ingress.dressed(derived.bare, annotations, target.own)

    async def _fold(self, target: Target, original: Data, wishes: Wishes) -> Data:
        return await fold(self._runner, target.script, original, wishes, str(target.ref))


def _conditional(target: Target, patch: Obj, *, adds: bool) -> Patch:
    """Conditional on what was read: an edit made meanwhile is looked at before anything is written."""
    reason = "put the routes in" if adds else "take the routes out"
    return Patch(target.kind, key_of(target.live), guarded(target.live, patch), reason=reason)
