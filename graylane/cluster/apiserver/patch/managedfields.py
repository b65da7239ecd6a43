"""`metadata.managedFields`: which manager owns which field.

Pure. In: an object. Out: its `Managers`, and the other way round; what two states of an object differ in, as managers
see it. `tracking.py` keeps it true through plain writes, `apply.py` through server-side apply.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from graylane.cluster.apiserver.patch.compare import Comparison, compare
from graylane.cluster.apiserver.patch.fieldset import EMPTY, FieldSet, decode, encode
from graylane.cluster.apiserver.schema.node import Node
from graylane.model.meta import Obj, dig

UPDATE, APPLY = "Update", "Apply"
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
_BOOKKEEPING = frozenset({("f:metadata", "f:managedFields")})


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
    return with_entries(obj, [_entry(who, owned) for who, owned in managers.items()])


def with_entries(obj: Obj, entries: list[Obj]) -> Obj:
    """The same with entries as they are written."""
    metadata = {name: value for name, value in (obj.get("metadata") or {}).items() if name != "managedFields"}
    if entries:
        metadata["managedFields"] = sorted(entries, key=_written_order)
    return {**obj, "metadata": metadata}


def _written_order(entry: Obj) -> tuple[str, ...]:
    names = ("operation", "time", "manager", "apiVersion", "subresource")
    return tuple(entry.get(name) or "" for name in names)


def _entry(who: Manager, owned: Owned) -> Obj:
    entry: Obj = {"manager": who.name, "operation": who.operation, "apiVersion": owned.api_version}
    if owned.time:
        entry["time"] = owned.time
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": encode(owned.fields)}
    return entry | ({"subresource": who.subresource} if who.subresource else {})


def without_managed(obj: Obj) -> Obj:
    return with_entries(obj, [])


def never_owned() -> FieldSet:
    """Fields that belong to the server, whoever wrote them."""
    return _NEVER_OWNED


def ownable(fields: FieldSet) -> FieldSet:
    """The fields that a manager can own."""
    return fields - _NEVER_OWNED


def changes(root: Node, old: Obj, new: Obj, ignored: FieldSet) -> Comparison:
    found = compare(root, old, new, ignored | _BOOKKEEPING)
    return Comparison(ownable(found.added), ownable(found.modified), found.removed)


def ignored_fields(subresource: str, obj: Obj, has_status: bool, fixed: tuple[str, ...] | None = None) -> FieldSet:
    """What a write cannot change and so cannot own: status through the main resource, the wish through status.

    `fixed` names the metadata that the status of a built-in kind leaves alone; None: all, as with custom kinds.
    """
    if subresource == "status":
        kept = () if fixed is None else ("metadata",)
        outside = frozenset((f"f:{name}",) for name in obj if name not in ("status", *kept))
        return outside | frozenset(("f:metadata", f"f:{name}") for name in fixed or ())
    return frozenset({("f:status",)}) if has_status else EMPTY


def disowned(managers: Managers, lost: FieldSet, except_for: Manager | None = None) -> Managers:
    """Everybody but one loses these fields; who owns nothing any more is gone."""
    kept = {
        who: owned if who == except_for else replace(owned, fields=owned.fields - lost)
        for who, owned in managers.items()
    }
    return {who: owned for who, owned in kept.items() if owned.fields}
