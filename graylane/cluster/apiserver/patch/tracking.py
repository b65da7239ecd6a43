"""Who set which field, kept through every write that is not itself an apply.

Pure. In: the object before and after a write, who wrote, and when. Out: the object with its `managedFields`. Follows
apimachinery's managedfields: every object is tracked from its creation on, an entry per manager, version and
subresource, the newest ten updaters kept apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from graylane.cluster.apiserver.patch import fieldtree
from graylane.cluster.apiserver.patch.fieldset import encode
from graylane.cluster.apiserver.patch.fieldtree import Tree
from graylane.cluster.apiserver.patch.managedfields import (
    UPDATE,
    Manager,
    Managers,
    changes,
    ignored_fields,
    never_owned,
    read,
    with_entries,
    without_managed,
    write,
)
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.model.meta import Obj, dig, format_time

MAX_UPDATERS = 10
ANCIENT = "ancient-changes"  # where the oldest updaters' fields go when there are too many of them
_NEVER_OWNED: Tree = encode(never_owned())


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, through which door, in which version, when."""

    manager: str
    api_version: str
    now: datetime
    subresource: str = ""

    def entry(self, fields: Tree) -> Obj:
        entry: Obj = {
            "manager": self.manager,
            "operation": UPDATE,
            "apiVersion": self.api_version,
            "time": format_time(self.now),
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
        return entry | ({"subresource": self.subresource} if self.subresource else {})

    def wrote(self, entry: Obj) -> bool:
        """Whether the entry is this writer's."""
        found = (entry["operation"], entry["manager"], entry.get("apiVersion", ""), entry.get("subresource", ""))
        return found == (UPDATE, self.manager, self.api_version, self.subresource)


def update(
    old: Obj | None,
    new: Obj,
    writer: Writer,
    structural: Structural,
    *,
    has_status: bool = True,
    fixed: tuple[str, ...] | None = None,
) -> Obj:
    """`new` with the fields it changed owned by the writer.

    A client may hand in `managedFields` of its own (`[{}]` clears them); an object nobody tracks stays untracked.
    """
    entries = _starting_point(old, new, writer.subresource)
    if old is None:
        taken, lost = _everything(new, structural, has_status), {}
    elif entries:
        ignored = ignored_fields(writer.subresource, new, has_status, fixed)
        found = changes(structural.root, old, new, ignored)
        taken = encode(found.added | found.modified)
        lost = fieldtree.union(taken, encode(found.removed))
    else:
        return without_managed(new)
    return with_entries(new, _settled(entries, taken, lost, writer))


def timeless(obj: Obj) -> Obj:
    """`obj` without the times at which managers wrote: two that are equal so differ in nothing worth a write."""
    entries = dig(obj, "metadata", "managedFields", default=[])
    bare = [{name: value for name, value in entry.items() if name != "time"} for entry in entries]
    return {**obj, "metadata": {**obj["metadata"], "managedFields": bare}}


def _starting_point(old: Obj | None, new: Obj, subresource: str) -> list[Obj]:
    """The entries before this write: what the client says they are when it may say so, else the object's own."""
    before: list[Obj] = dig(old or {}, "metadata", "managedFields", default=[])
    asked = dig(new, "metadata", "managedFields")
    if asked is None or subresource or asked == before:
        return before
    if asked in ([], [{}]):
        return []
    understood: list[Obj] = dig(write({}, read(new)), "metadata", "managedFields", default=[])
    return understood or before


def _everything(new: Obj, structural: Structural, has_status: bool) -> Tree:
    """A new object belongs to its creator, but for what the server gives to every object."""
    skipped = {"apiVersion", "kind", *({"status"} if has_status else ())}
    of_new = fieldtree.whole if structural.custom else fieldtree.born
    fields = of_new(structural.root, without_managed(new), frozenset(skipped))
    return fieldtree.difference(fields, _NEVER_OWNED)


def _settled(entries: list[Obj], taken: Tree, lost: Tree, writer: Writer) -> list[Obj]:
    """Everybody loses what changed; the writer gets what it set."""
    if not lost and not taken:
        return entries
    kept = []
    for entry in entries:
        left = fieldtree.difference(entry["fieldsV1"], lost)
        if taken and writer.wrote(entry):
            taken = fieldtree.union(left, taken)
        elif left:
            kept.append(entry if left is entry["fieldsV1"] else {**entry, "fieldsV1": left})
    return _capped([*kept, writer.entry(taken)] if taken else kept)


def _capped(entries: list[Obj]) -> list[Obj]:
    if sum(entry["operation"] == UPDATE for entry in entries) <= MAX_UPDATERS:
        return entries
    managers = _joined(read({"metadata": {"managedFields": entries}}))
    found: list[Obj] = write({}, managers)["metadata"]["managedFields"]
    return found


def _joined(managers: Managers) -> Managers:
    """At most ten updaters: the oldest of each version are merged into one entry, which keeps the newest time."""
    kept, firsts = dict(managers), dict[str, Manager]()
    updaters = sorted((owned.time, who) for who, owned in managers.items() if who.operation == UPDATE)
    surplus = len(updaters) - MAX_UPDATERS
    for _, who in updaters:
        version = managers[who].api_version
        if surplus <= 0:
            break
        if version not in firsts:
            firsts[version] = who
            continue
        bucket = Manager(ANCIENT, UPDATE, version)
        if bucket not in kept:
            kept[bucket] = kept.pop(firsts[version])
        newest = kept.pop(who)
        kept[bucket] = replace(newest, fields=newest.fields | kept[bucket].fields)
        surplus -= 1
    return kept
