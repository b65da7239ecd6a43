"""The end of an object: at once, after a grace period, or when the last finalizer lets go.

Pure: `decide`. Shell: `delete`. In: the object, what the client asked, the kind's grace. Out: what to do, then
the entry.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from graylane.cluster.apiserver import failures
from graylane.cluster.apiserver.admission.chain import Admitted, Operation
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.schema.fielderror import FieldError, as_api_error, invalid, not_supported
from graylane.cluster.apiserver.store import Entry, Stale
from graylane.cluster.apiserver.strategy import crds, namespaces
from graylane.model.meta import Key, Obj, dig, finalizers_of, format_time, is_deleting, name_of, uid_of

_WRITES_TRIED = 50
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


class Propagation(StrEnum):
    """What happens to the objects that name this one as their owner; the garbage collector acts on the finalizers."""

    BACKGROUND = "Background"
    FOREGROUND = "Foreground"
    ORPHAN = "Orphan"


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """`metav1.DeleteOptions`; None and "" mean that the client left the choice to the kind.

    `cascades`: asked for in the old way, `orphanDependents: false`, which is answered with 202 while the object stays.
    """

    grace: int | None = None
    propagation: str = ""
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False
    cascades: bool = False

    @staticmethod
    def of(body: Obj) -> DeleteOptions:
        propagation = body.get("propagationPolicy") or ""
        if not propagation and body.get("orphanDependents") is not None:
            propagation = Propagation.ORPHAN if body["orphanDependents"] else Propagation.BACKGROUND
        errors: list[FieldError] = []
        if body.get("propagationPolicy") and body.get("orphanDependents") is not None:
            detail = "orphanDependents and deletionPropagation cannot be both set"
            errors.append(invalid("propagationPolicy", propagation, detail))
        elif propagation and propagation not in list(Propagation):
            errors.append(not_supported("propagationPolicy", propagation, ["Background", "Foreground", "Orphan"]))
        grace = body.get("gracePeriodSeconds")
        dry_run = body.get("dryRun") or []
        errors += [not_supported("dryRun", value, ["All"]) for value in dry_run if value != "All"]
        if errors:
            raise as_api_error("meta.k8s.io", "v1", "DeleteOptions", "", errors)
        wanted = body.get("preconditions") or {}
        return DeleteOptions(
            grace=None if grace is None else int(grace),
            propagation=propagation,
            uid=wanted.get("uid") or "",
            resource_version=wanted.get("resourceVersion") or "",
            dry_run=bool(dry_run),
            cascades=body.get("orphanDependents") is False,
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """`obj` is the object's next state; when `remove`, its last. `changed` is false when there is nothing to write."""

    obj: Obj
    remove: bool = False
    changed: bool = True


@dataclass(frozen=True, slots=True)
class Ending:
    """What `decide` needs to know besides the object: the client's wish, the kind's grace period, the time."""

    options: DeleteOptions
    grace: int
    now: datetime
    held: tuple[str, ...] = field(default=())  # finalizers the server itself adds, e.g. for a CRD with objects
    graceful: bool = False


def decide(obj: Obj, ending: Ending) -> Decision:
    """Removal when nothing holds the object; else the mark, or a shorter grace than was set before."""
    finalizers = _finalizers(obj, ending)
    marked = _with(obj, finalizers=finalizers)
    if is_deleting(obj):
        return _hasten(obj, marked, ending)
    content = _is_namespace(obj) and not namespaces.is_empty(_with(obj, deletionTimestamp="now"))
    if ending.grace == 0 and not finalizers and not content:
        return Decision(_marked(obj, 0, ending.now) if ending.graceful else obj, remove=True)
    return Decision(_marked(marked, ending.grace, ending.now))


def _hasten(obj: Obj, marked: Obj, ending: Ending) -> Decision:
    """A second DELETE may only shorten the wait. Finalizers it adds (propagation) are kept."""
    left = int(dig(obj, "metadata", "deletionGracePeriodSeconds", default=0))
    asked = ending.options.grace
    shorter = asked is not None and asked < left
    if shorter:
        assert asked is not None
        end = format_time(ending.now + timedelta(seconds=asked))
        marked = _with(marked, deletionTimestamp=end, deletionGracePeriodSeconds=asked)
        left = asked
    if left == 0 and not finalizers_of(marked) and not (_is_namespace(obj) and not namespaces.is_empty(obj)):
        return Decision(marked, remove=True)
    return Decision(marked, changed=marked != obj)


def _finalizers(obj: Obj, ending: Ending) -> list[str]:
    kept = finalizers_of(obj)
    policy = ending.options.propagation
    if policy:
        kept = [name for name in kept if name not in (FOREGROUND, ORPHAN)]
        kept += {Propagation.FOREGROUND: [FOREGROUND], Propagation.ORPHAN: [ORPHAN]}.get(Propagation(policy), [])
    return kept + [name for name in ending.held if name not in kept]


def _marked(obj: Obj, grace: int, now: datetime) -> Obj:
    end = format_time(now + timedelta(seconds=grace))
    marked = _with(obj, deletionTimestamp=end, deletionGracePeriodSeconds=grace)
    if generation := dig(obj, "metadata", "generation"):
        marked = _with(marked, generation=generation + 1)
    if _is_namespace(obj):  # ends when it is empty, whenever that is
        marked = _with(marked, deletionGracePeriodSeconds=None)
        marked = {**marked, "status": {**(obj.get("status") or {}), "phase": "Terminating"}}
    return marked


def _with(obj: Obj, **metadata: object) -> Obj:
    changed = {**obj["metadata"], **metadata}
    return {**obj, "metadata": {name: value for name, value in changed.items() if value not in ([], None)}}


def _is_namespace(obj: Obj) -> bool:
    return bool(obj["kind"] == "Namespace" and obj["apiVersion"] == "v1")


@dataclass(frozen=True, slots=True)
class Deleted:
    """The object after the call; `gone` when it is no more."""

    entry: Entry
    gone: bool


async def delete(call: Call, key: Key, options: DeleteOptions) -> Deleted:
    """Raises `NotFound`, `Conflict` for preconditions, or what admission says."""
    for _ in range(_WRITES_TRIED):
        entry = call.api.store.head(call.resource.store, key)
        if entry is None:
            raise failures.not_found(call.resource, key.name)
        _require(call, entry, options)
        try:
            deleted = await _delete_once(call, entry, options)
            return Deleted(await call.api.converter.entry(call.resource, deleted.entry), deleted.gone)
        except Stale:
            continue
    raise failures.conflict(call.resource, key.name)


async def _delete_once(call: Call, entry: Entry, options: DeleteOptions) -> Deleted:
    admitted = Admitted(Operation.DELETE, None, await call.shown(entry))
    await call.api.admission.mutate(call, admitted)
    await call.api.admission.validate(call, admitted)
    stored = await call.stored(entry.obj)
    grace = call.strategy.grace(stored, options.grace)
    options = options if options.propagation else replace(options, propagation=call.strategy.propagation)
    ending = Ending(options, grace, call.api.clock(), _held(call, stored), call.strategy.graceful)
    decision = decide(stored, ending)
    if options.dry_run or call.options.dry_run or not decision.changed:
        await call.api.store.settled()
        return Deleted(Entry.of(entry.key, decision.obj), decision.remove)
    act = call.api.store.remove if decision.remove else call.api.store.put
    return Deleted(await act(call.resource.store, entry.key, decision.obj, entry.revision), decision.remove)


def _require(call: Call, entry: Entry, options: DeleteOptions) -> None:
    resource, name = call.resource, name_of(entry.obj)
    if resource.store == "namespaces" and name in namespaces.PROTECTED:
        raise failures.forbidden(resource, name, "this namespace may not be deleted")
    for what, wanted, found in (
        ("UID", options.uid, uid_of(entry.obj)),
        ("ResourceVersion", options.resource_version, entry.obj["metadata"]["resourceVersion"]),
    ):
        if wanted and wanted != found:
            why = f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
            raise failures.broken_precondition(resource, name, why)


def _held(call: Call, obj: Obj) -> tuple[str, ...]:
    """A definition waits until its objects are gone; `cleanup.py` sees to that."""
    if call.resource.store != crds.STORE:
        return ()
    instances = f"{obj['spec']['names']['plural']}.{obj['spec']['group']}"
    return (crds.CLEANUP,) if any(True for _ in call.api.store.heads(instances)) else ()
