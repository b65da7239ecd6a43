"""The life of one write: typed, admitted, given what its kind gets, checked, and stored, in kube-apiserver's order.

Shell (store, admission). In: a `Call` and the object a client wants. Out: the `Entry` that is now stored, or an
`ApiError` and nothing changed.

Between reading the old object and storing the new one, admission may wait for a webhook. The store refuses the write
if the object moved meanwhile; `update` then starts again from the newer object, so a patch is never lost, and a client
that named a resourceVersion gets its 409.
"""

from __future__ import annotations

import random
import secrets
import uuid
from collections.abc import Callable, Sequence

from graylane.cluster.apiserver import bodies, failures
from graylane.cluster.apiserver.admission.chain import Admitted, Operation
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.patch import tracking
from graylane.cluster.apiserver.patch.tracking import Writer
from graylane.cluster.apiserver.schema import crd, shape
from graylane.cluster.apiserver.schema.fielderror import FieldError, as_api_error, invalid
from graylane.cluster.apiserver.store import Entry, Stale
from graylane.cluster.apiserver.strategy import metadata
from graylane.cluster.apiserver.strategy.namespaces import is_empty
from graylane.cluster.apiserver.strategy.owners import without_twins
from graylane.model.hashing import safe_encode
from graylane.model.meta import Key, Obj, dig, finalizers_of, is_deleting, name_of, uid_of

Change = Callable[[Obj], Obj]

_NAMES_TRIED = 8
_WRITES_TRIED = 50


async def create(call: Call, obj: Obj) -> Entry:
    """A new object. Raises `AlreadyExists`, `Invalid`, `NotFound` for its namespace, or what admission says."""
    for attempt in range(_NAMES_TRIED):
        born = _tracked(call, metadata.born(call.resource, _once(call, typed(call, obj)), _birth(call)), None)
        require_namespace(call, name_of(born))
        try:
            return await _shown(call, await _create_once(call, born))
        except Stale:
            generated = not obj["metadata"].get("name")
            if not generated or attempt == _NAMES_TRIED - 1:
                raise failures.already_exists(call.resource, name_of(born)) from None
    raise AssertionError("unreachable")


async def _shown(call: Call, entry: Entry) -> Entry:
    return await call.api.converter.entry(call.resource, entry)


async def _create_once(call: Call, obj: Obj) -> Entry:
    key = Key(call.key.namespace, name_of(obj))
    if key.name and call.api.store.head(call.resource.store, key) is not None:
        raise Stale
    obj = await _admit(call, Admitted(Operation.CREATE, obj, None))
    obj = call.strategy.create(_without_status(call, obj), call.api.clock())
    _check(call, obj, None)
    await call.api.admission.validate(call, Admitted(Operation.CREATE, obj, None))
    require_namespace(call, key.name)
    obj = call.strategy.allocate(obj, None, call.api.ledger())
    return await _store(call, key, obj, 0)


async def update(call: Call, key: Key, change: Change) -> Entry:
    """The object after `change`, which is called again with the newer object whenever somebody else was faster."""
    for _ in range(_WRITES_TRIED):
        old = call.api.store.head(call.resource.store, key)
        if old is None:
            raise failures.not_found(call.resource, key.name)
        try:
            return await _shown(call, await _update_once(call, old, change))
        except Stale:
            continue
    raise failures.conflict(call.resource, key.name)


async def _update_once(call: Call, entry: Entry, change: Change) -> Entry:
    old = await call.shown(entry)
    asked = change(old)
    require_current(call, asked, old)
    require_end(call, asked, old)
    asked = _once(call, typed(call, asked))
    admitted = await _admit(call, Admitted(Operation.UPDATE, asked, old))
    new = _settled(call, admitted, old)
    if admitted is not asked:
        new = _owned_as_asked(call, new, asked, old)
    if new == old:
        await call.api.store.settled()
        return entry
    _check(call, new, old)
    await call.api.admission.validate(call, Admitted(Operation.UPDATE, new, old))
    new = call.strategy.allocate(new, old, call.api.ledger())
    if may_go(new) and is_deleting(old):
        return await _remove(call, entry.key, new, entry.revision)
    return await _store(call, entry.key, new, entry.revision)


def typed(call: Call, obj: Obj) -> Obj:
    """`obj` as its kind: right types, no unknown fields, defaults filled in. Raises for wrong types."""
    resource, structural = call.resource, call.structural
    if not structural.fits(obj):
        obj = structural.default(obj)  # of custom kinds, before they are checked: a null counts as absent
        bodies.check_types(structural, _wish(call, obj), resource.group, resource.version, resource.kind)
        obj = structural.prune(obj)
        if resource.custom:  # the metadata of every kind is decoded as Kubernetes' own type
            obj = shape.prune(crd.head(), obj, drop_nulls=True)
    return call.api.types.complete(resource, obj)


def _wish(call: Call, obj: Obj) -> Obj:
    """What of `obj` will be written: typed clients send the status along where it has an endpoint of its own."""
    dropped = call.resource.custom and call.resource.has("status") and call.target.subresource == ""
    return _less(obj, "status") if dropped else obj


def _once(call: Call, obj: Obj) -> Obj:
    """`obj` with every owner named once."""
    if len(obj["metadata"].get("ownerReferences") or ()) < 2:
        return obj
    kept, warning = without_twins(obj)
    if warning:
        call.warn(warning)
    return kept


async def _admit(call: Call, admitted: Admitted) -> Obj:
    """Mutating admission; what it changed is typed again, as if the client had sent it."""
    assert admitted.obj is not None
    changed = await call.api.admission.mutate(call, admitted)
    return admitted.obj if changed is admitted.obj else typed(call, changed)


def _settled(call: Call, new: Obj, old: Obj) -> Obj:
    """`new` with everything this endpoint may not change put back, and the next generation if the wish changed."""
    new = metadata.carried(new, old)
    sub = call.target.subresource
    if sub in ("status", "approval"):
        new = {**old, "metadata": _beside_status(call, new["metadata"], old["metadata"]), **_only(new, "status")}
    elif sub == "finalize":
        new = {**old, **_only(new, "spec")}
    elif sub != "binding":  # which sets spec and status in one go
        if call.resource.has("status"):
            new = {**_less(new, "status"), **_only(old, "status")}
        new = call.strategy.update(new, old)
    wishes = () if sub else call.strategy.wishes
    return _tracked(call, metadata.bumped(call.resource, new, old, wishes), old)


def _beside_status(call: Call, new: Obj, old: Obj) -> Obj:
    """The metadata after a write of the status: a custom kind's stays, a built-in kind's may change but for a few."""
    fixed = call.status_fixes
    if fixed is None:
        return {**_less(old, "managedFields"), **_only(new, "managedFields")}
    return {**{name: value for name, value in new.items() if name not in fixed}, **_each(old, fixed)}


def _each(obj: Obj, names: tuple[str, ...]) -> Obj:
    return {name: obj[name] for name in names if name in obj}


def _tracked(call: Call, new: Obj, old: Obj | None) -> Obj:
    """Who owns which field. Server-side apply says it itself."""
    if call.options.applying:
        return new
    writer = Writer(call.manager, call.resource.api_version, call.api.clock(), call.target.subresource)
    has_status = call.resource.has("status")
    return tracking.update(old, new, writer, call.structural, has_status=has_status, fixed=call.status_fixes)


def _owned_as_asked(call: Call, new: Obj, asked: Obj, old: Obj) -> Obj:
    """Whose fields are whose is settled before webhooks see the object: what they change is nobody's.

    A writer whose every change a webhook puts back has changed nothing, whatever the time; so nothing is written.
    """
    if call.options.applying:
        owned = new
    else:
        said = _settled(call, asked, old)["metadata"]
        owned = {**new, "metadata": {**_less(new["metadata"], "managedFields"), **_only(said, "managedFields")}}
    return old if tracking.timeless(owned) == tracking.timeless(old) else owned


def _only(obj: Obj, name: str) -> Obj:
    return {name: obj[name]} if name in obj else {}


def _less(obj: Obj, name: str) -> Obj:
    return {key: value for key, value in obj.items() if key != name}


def _without_status(call: Call, obj: Obj) -> Obj:
    """A new object has the status of its type, whatever the client says."""
    if not call.resource.has("status") or call.strategy.keeps_first_status:
        return obj
    return {**_less(obj, "status"), **_only(call.structural.newborn, "status")}


def _check(call: Call, new: Obj, old: Obj | None) -> None:
    resource = call.resource
    errors = metadata.check_new(resource, new) if old is None else metadata.check_changed(new, old)
    errors += call.api.types.problems(resource, new, old)
    if not errors and call.target.subresource == "":  # the strategy may rely on the fields that must be there
        errors += call.strategy.check(new, old)
    _refuse(call, name_of(new), errors)
    if call.target.subresource == "":
        for warning in call.strategy.warnings(new):
            call.warn(warning)


def require_current(call: Call, asked: Obj, old: Obj) -> None:
    """409 when the client speaks of another version or another object of that name."""
    resource, name = call.resource, name_of(old)
    version = asked["metadata"].get("resourceVersion")
    if not version and resource.custom:
        _refuse(call, name, [invalid("metadata.resourceVersion", 0, "must be specified for an update")])
    if version and version != old["metadata"]["resourceVersion"]:
        raise failures.conflict(resource, name)
    uid = uid_of(asked)
    if uid and uid != uid_of(old):
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {uid_of(old)}"
        raise failures.conflict(resource, name, why)


def require_same(call: Call, new: Obj, old: Obj) -> None:
    """A PUT of another object is a conflict, which may pass; a patch that makes it another one never will."""
    if new.get("uid") and new["uid"] != old["uid"]:
        _refuse(call, old["name"], [invalid("metadata.uid", new["uid"], "field is immutable")])


def require_end(call: Call, asked: Obj, old: Obj) -> None:
    _refuse(call, name_of(old), metadata.check_end(asked, old))


def _refuse(call: Call, name: str, errors: Sequence[FieldError]) -> None:
    """422 that names the object and its fields, unless nothing is wrong with them."""
    if errors:
        resource = call.resource
        raise as_api_error(resource.group, resource.version, resource.kind, name, errors)


def require_namespace(call: Call, name: str) -> None:
    """New objects need a namespace that exists and is not on its way out."""
    if not call.resource.namespaced:
        return
    namespace = call.api.store.head("namespaces", Key("", call.key.namespace))
    if namespace is None:
        home = call.api.registry.find("", "v1", "namespaces")
        assert home is not None
        raise failures.not_found(home, call.key.namespace)
    if is_deleting(namespace.obj):
        raise failures.namespace_ending(call.resource, name, namespace.obj)


def may_go(obj: Obj) -> bool:
    """A marked object that nobody holds any more: no finalizer, no grace left, and for a namespace, no content."""
    if not is_deleting(obj) or finalizers_of(obj):
        return False
    if obj["kind"] == "Namespace" and obj["apiVersion"] == "v1":
        return is_empty(obj)
    return int(dig(obj, "metadata", "deletionGracePeriodSeconds", default=0)) == 0


async def _store(call: Call, key: Key, obj: Obj, expected: int) -> Entry:
    stored = await call.stored(obj)
    if call.options.dry_run:
        return Entry.of(key, stored)  # a new object has no resourceVersion yet, as in Kubernetes
    return await call.api.store.put(call.resource.store, key, stored, expected)


async def _remove(call: Call, key: Key, obj: Obj, expected: int) -> Entry:
    stored = await call.stored(obj)
    if call.options.dry_run:
        return Entry.of(key, stored)  # a new object has no resourceVersion yet, as in Kubernetes
    return await call.api.store.remove(call.resource.store, key, stored, expected)


# Identities must differ, they need not be secret; asking the kernel for each would cost more than all else here.
_DICE = random.Random(secrets.randbits(256))


def _birth(call: Call) -> metadata.Birth:
    uid = uuid.UUID(int=_DICE.getrandbits(128), version=4)
    return metadata.Birth(str(uid), safe_encode(_DICE.getrandbits(40), 5), call.api.clock())
