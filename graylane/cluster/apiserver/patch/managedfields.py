"""`metadata.managedFields`: which manager set which field, kept true through every write.

Pure. In: the object before and after a write, who wrote, and when. Out: the object with its `managedFields`. Follows
apimachinery's managedfields: an entry per manager, operation and subresource, newest ten updaters kept apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from graylane.cluster.apiserver.patch.compare import Comparison, compare
from graylane.cluster.apiserver.patch.fieldset import EMPTY, FieldSet, decode, encode
from graylane.cluster.apiserver.schema.node import Node
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.model.meta import Obj, dig, format_time, uid_of

UPDATE, APPLY = "Update", "Apply"
MAX_UPDATERS = 10
ANCIENT = "ancient-changes"  # where the oldest updaters' fields go when there are too many of them
BEFORE_FIRST_APPLY = "before-first-apply"

# Identity and bookkeeping belong to the server, whoever wrote them.
_NEVER_OWNED = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    }
)


@dataclass(frozen=True, slots=True, order=True)
class Manager:
    """Who. An applier is the same one whatever version it applies; an updater is not."""

    name: str
    operation: str
    api_version: str = ""
    subresource: str = ""

    @staticmethod
    def of(name: str, operation: str, api_version: str, subresource: str = "") -> Manager:
        return Manager(name, operation, "" if operation == APPLY else api_version, subresource)

    def __str__(self) -> str:
        """As conflicts name it."""
        text = f'"{self.name}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


@dataclass(frozen=True, slots=True)
class Owned:
    """What one manager owns, in which version it last said so, and when."""

    fields: FieldSet
    api_version: str
    time: str = ""


Managers = dict[Manager, Owned]


def read(obj: Obj | None) -> Managers:
    """The managers of an object; entries that make no sense are dropped, as Kubernetes drops them."""
    found: Managers = {}
    for entry in dig(obj, "metadata", "managedFields", default=[]):
        operation, version = entry.get("operation", ""), entry.get("apiVersion", "")
        if operation not in (UPDATE, APPLY) or entry.get("fieldsType") != "FieldsV1":
            continue
        who = Manager.of(entry.get("manager", ""), operation, version, entry.get("subresource", ""))
        found[who] = Owned(decode(entry.get("fieldsV1")), version, entry.get("time") or "")
    return found


def write(obj: Obj, managers: Managers) -> Obj:
    """`obj` with these managers, appliers first, then by time."""
    entries = [_entry(who, owned) for who, owned in sorted(managers.items(), key=_written_order)]
    metadata = {name: value for name, value in (obj.get("metadata") or {}).items() if name != "managedFields"}
    return {**obj, "metadata": {**metadata, "managedFields": entries} if entries else metadata}


def _written_order(item: tuple[Manager, Owned]) -> tuple[str, ...]:
    who, owned = item
    return (who.operation, owned.time, who.name, owned.api_version, who.subresource)


def _entry(who: Manager, owned: Owned) -> Obj:
    entry: Obj = {"manager": who.name, "operation": who.operation, "apiVersion": owned.api_version}
    if owned.time:
        entry["time"] = owned.time
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": encode(owned.fields)}
    return entry | ({"subresource": who.subresource} if who.subresource else {})


def without_managed(obj: Obj) -> Obj:
    return write(obj, {})


def ownable(fields: FieldSet) -> FieldSet:
    """The fields that a manager can own."""
    return fields - _NEVER_OWNED


def changes(root: Node, old: Obj, new: Obj, ignored: FieldSet) -> Comparison:
    found = compare(root, without_managed(old), without_managed(new)).without(ignored)
    return Comparison(ownable(found.added), ownable(found.modified), found.removed)


def ignored_fields(subresource: str, obj: Obj, has_status: bool) -> FieldSet:
    """What a write cannot change and so cannot own: status through the main resource, all else through status."""
    if subresource == "status":
        return frozenset((f"f:{name}",) for name in obj if name != "status")
    return frozenset({("f:status",)}) if has_status else EMPTY


def disowned(managers: Managers, lost: FieldSet, except_for: Manager | None = None) -> Managers:
    """Everybody but one loses these fields; who owns nothing any more is gone."""
    kept = {
        who: owned if who == except_for else replace(owned, fields=owned.fields - lost)
        for who, owned in managers.items()
    }
    return {who: owned for who, owned in kept.items() if owned.fields}


def update(
    old: Obj | None,
    new: Obj,
    manager: str,
    api_version: str,
    now: datetime,
    structural: Structural,
    *,
    subresource: str = "",
    has_status: bool = True,
) -> Obj:
    """`new` with the fields it changed owned by `manager`.

    A client may hand in `managedFields` of its own (`[{}]` clears them); an object nobody ever tracked stays untracked.
    """
    managers = _starting_point(old, new, subresource)
    if not managers and uid_of(old or {}):
        return without_managed(new)
    found = changes(structural.root, old or {}, new, ignored_fields(subresource, new, has_status))
    taken = found.added | found.modified
    managers = disowned(managers, found.removed | taken)
    if taken:
        who = Manager.of(manager, UPDATE, api_version, subresource)
        before = managers.get(who, Owned(EMPTY, api_version)).fields
        managers[who] = Owned(before | taken, api_version, format_time(now))
    return write(new, _capped(managers))


def _starting_point(old: Obj | None, new: Obj, subresource: str) -> Managers:
    asked = dig(new, "metadata", "managedFields")
    if asked == [{}] and not subresource:
        return {}
    return (read(new) if asked and not subresource else {}) or read(old)


def _capped(managers: Managers) -> Managers:
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
