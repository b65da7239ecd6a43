"""Server-side apply: merge what a manager wants, remember that it wants it, refuse to overwrite others unasked.

Pure. In: the live object or None, the applied configuration, who applies, whether by force. Out: the new object with
its `managedFields`; `Conflict` naming each field and its owner; `BadRequest` for what cannot be applied.
Follows structured-merge-diff's Updater: what a manager applied last time, does not apply now, and nobody else owns, is
removed.
"""

from __future__ import annotations

from datetime import datetime

from graylane.cluster.apiserver.patch import lastapplied
from graylane.cluster.apiserver.patch.combine import merge, remove
from graylane.cluster.apiserver.patch.compare import Comparison
from graylane.cluster.apiserver.patch.fieldset import EMPTY, FieldSet, in_order, text
from graylane.cluster.apiserver.patch.managedfields import (
    APPLY,
    BEFORE_FIRST_APPLY,
    UPDATE,
    Manager,
    Managers,
    Owned,
    changes,
    disowned,
    ignored_fields,
    ownable,
    read,
    without_managed,
    write,
)
from graylane.cluster.apiserver.patch.places import duplicates, field_set, with_parents
from graylane.cluster.apiserver.schema.fielderror import TYPE_INVALID
from graylane.cluster.apiserver.schema.node import Node
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.errors import BadRequest, Conflict, Unclassified
from graylane.model.meta import Obj, dig, format_time


def server_side(
    live: Obj | None,
    config: Obj,
    manager: str,
    force: bool,
    structural: Structural,
    now: datetime,
    *,
    subresource: str = "",
    has_status: bool = True,
    fixed: tuple[str, ...] | None = None,
) -> Obj:
    """The object after applying. Equal to `live` when nothing changes, so that nothing needs to be written."""
    root, version = structural.root, config.get("apiVersion", "")
    _check(config, structural)
    managers = read(live) or _first_managers(root, live, now)
    before = without_managed(live) if live is not None else {}
    who = Manager.of(manager, APPLY, version, subresource)
    ignored = ignored_fields(subresource, {**before, **config}, has_status, fixed)
    last = managers.get(who, Owned(EMPTY, version))
    mine = frozenset(path for path in field_set(root, config) if path[:1] not in ignored)
    managers[who] = Owned(mine, version, last.time)
    after = _pruned(root, merge(root, before, config), last.fields, managers)
    managers[who] = Owned(ownable(mine), version, last.time)
    inherited = lastapplied.inherited(root, live, manager)
    managers = _settled(changes(root, before, after, ignored), managers, who, force, inherited)
    if after != before and who in managers:
        managers[who] = Owned(managers[who].fields, version, format_time(now))
    return write(lastapplied.renewed(after, config, manager), managers)


def _check(config: Obj, structural: Structural) -> None:
    if dig(config, "metadata", "managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    if mistake := structural.mistake(config) or _wrong_type(structural, config):
        raise Unclassified(f"failed to create typed patch object ({_named(config)}): {mistake}")
    unknown = structural.unknown(config)
    if unknown:
        problems = ", ".join(f".{path}: field not declared in schema" for path in unknown)
        raise Unclassified(f"failed to create typed patch object ({_named(config)}): {problems}")
    twice = list(duplicates(structural.root, config))
    if twice:
        problems = ", ".join(f"{text(path[:-1])}: duplicate entries for key {text(path[-1:])}" for path in twice)
        raise Unclassified(f"failed to create typed patch object ({_named(config)}): {problems}")


def _wrong_type(structural: Structural, config: Obj) -> str:
    """Of a custom kind; what else is wrong with it is judged when it has been merged."""
    wrong = (error for error in structural.check(config) if error.type == TYPE_INVALID) if structural.custom else ()
    return next(map(str, wrong), "")


def _named(obj: Obj) -> str:
    """`default/web; apps/v1, Kind=Deployment`, as Kubernetes names an object in such errors."""
    namespace, name = dig(obj, "metadata", "namespace", default=""), dig(obj, "metadata", "name", default="")
    return f"{namespace}/{name}; {obj.get('apiVersion', '')}, Kind={obj.get('kind', '')}"


def _first_managers(root: Node, live: Obj | None, now: datetime) -> Managers:
    """An object that nobody tracked belongs to whoever came before the first apply."""
    if live is None:
        return {}
    version = live.get("apiVersion", "")
    fields = ownable(changes(root, {}, live, EMPTY).added)
    return {Manager.of(BEFORE_FIRST_APPLY, UPDATE, version): Owned(fields, version, format_time(now))}


def _pruned(root: Node, merged: Obj, last: FieldSet, managers: Managers) -> Obj:
    """Without what this manager gave up and nobody else owns."""
    if not last:
        return merged
    given_up = with_parents(root, last)
    everything = with_parents(root, field_set(root, merged))
    owned = with_parents(root, frozenset().union(*(entry.fields for entry in managers.values())))
    left = with_parents(root, field_set(root, remove(root, merged, given_up)))
    left = with_parents(root, field_set(root, remove(root, merged, everything - (left | owned))))
    return remove(root, merged, (everything - left) & given_up)


def _settled(found: Comparison, managers: Managers, who: Manager, force: bool, inherited: FieldSet) -> Managers:
    """Ownership after the change; a changed field of another manager is a conflict, unless forced or inherited."""
    taken = found.added | found.modified
    owned = {other: entry.fields & taken for other, entry in managers.items() if other != who}
    conflicts = {other: fields - inherited for other, fields in owned.items() if fields - inherited}
    if conflicts and not force:
        raise _conflict(conflicts)
    lost = frozenset().union(*owned.values()) | found.removed
    return disowned(managers, lost, except_for=who)


def _conflict(conflicts: dict[Manager, FieldSet]) -> Conflict:
    found = [(other, path) for other in sorted(conflicts) for path in in_order(conflicts[other])]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {other}", "field": text(path)}
        for other, path in found
    ]
    if len(found) == 1:
        message = f"Apply failed with 1 conflict: conflict with {found[0][0]}: {text(found[0][1])}"
        return Conflict(message, details={"causes": causes})
    lines = []
    for other in sorted(conflicts):
        lines += [f"conflicts with {other}:", *(f"- {text(path)}" for path in in_order(conflicts[other]))]
    message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return Conflict(message, details={"causes": causes})
