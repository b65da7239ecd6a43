"""Keeps our routes in an object that somebody else writes: their edit and ours are one write.

Shell (runs scripts). In: the object as it is stored and as somebody wants it, a `View` of scripts. Out: the object with
their edit in it and ours on top, and what to tell them.

Everything is decided from the stored object, which the API server compares and swaps: whose routes are in it stands in
its own annotations. So nothing is put in that the version being replaced did not have. An object whose release is over
has no annotations of ours, and one whose release is ending keeps its routes until the controller takes them out: no
cache can be too old to know that.
"""

from __future__ import annotations

from graylane.kit.cache import View
from graylane.model.kinds import CONFIG_MAP, Kind
from graylane.model.meta import Obj, is_deleting, name_of
from graylane.trafficrouting import scripts
from graylane.trafficrouting.compose import fold
from graylane.trafficrouting.lua.script import LuaError, Runner, Script
from graylane.trafficrouting.routes import Data, Memory, author, data_of, kept, original_of, recall

WATCHED: tuple[Kind, ...] = (CONFIG_MAP,)


async def keep(runner: Runner, old: Obj, new: Obj, view: View) -> tuple[Obj | None, tuple[str, ...]]:
    """What to store in place of `new`, None for `new` itself; and warnings for whoever wrote it.

    Without an answer, or with an old one, nothing is lost: the controller looks as well.
    """
    memory = recall(old)
    if memory is None or not memory.wishes or is_deleting(new):
        return None, ()
    original = original_of(new, memory)
    try:
        desired = await _desired(runner, new, view, memory, original)
    except LuaError as error:
        return None, (f"{_owners(memory)} cannot keep its routes in {_named(new)}: {error}",)
    data = kept(old, new, memory, original, desired)
    if data is None:
        return None, ()
    return _with(new, data), () if data_of(new) == desired else (_told(memory, new),)


async def _desired(runner: Runner, new: Obj, view: View, memory: Memory, original: Data) -> Data:
    """Whoever writes what he wrote before gets what came of it, also of a script that fails or hangs by now."""
    if original == memory.original:
        return memory.written
    return await fold(runner, _script(new, view), original, memory.wishes, _named(new))


def _script(obj: Obj, view: View) -> Script | None:
    group, _, _ = str(obj.get("apiVersion", "")).rpartition("/")
    return scripts.find(view.get(CONFIG_MAP, *scripts.config_map_key()), str(obj.get("kind", "")), group)


def late(old: Obj, new: Obj) -> str:
    """What to say when scripts do not answer in time."""
    memory = recall(old)
    return f"{_owners(memory)} puts its routes into {_named(new)} again in a moment" if memory else ""


def _told(memory: Memory, new: Obj) -> str:
    return (
        f"{_owners(memory)} keeps its routes in {_named(new)} until its release ends; "
        "everything else is stored as you wrote it"
    )


def _owners(memory: Memory) -> str:
    return "TrafficRouting " + ", ".join(sorted({author(key) for key in memory.wishes}))


def _named(obj: Obj) -> str:
    return f"{obj.get('kind', 'the object')} {name_of(obj)}"


def _with(obj: Obj, data: Data) -> Obj:
    sections = {name: data.get(name) for name in ("labels", "annotations")}
    left = {name: value for name, value in obj["metadata"].items() if name not in sections}
    metadata = left | {name: value for name, value in sections.items() if value}
    return obj | {"metadata": metadata} | ({"spec": data["spec"]} if "spec" in data else {})
