"""PATCH with `application/apply-patch+yaml`: server-side apply.

Shell (store, admission). In: what one manager wants of an object. Out: 200 and the object as stored, 201 when it is
new; 409 with a cause per field that belongs to another manager.
"""

from __future__ import annotations

from dataclasses import replace

from graylane.cluster.apiserver import bodies, failures, pipeline, render
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Reply
from graylane.cluster.apiserver.options import WriteOptions
from graylane.cluster.apiserver.patch.apply import server_side
from graylane.cluster.apiserver.selection import view_of
from graylane.cluster.apiserver.store import Entry
from graylane.cluster.apiserver.verbs.incoming import placed, warn_of_limits
from graylane.errors import AlreadyExists, NotFound
from graylane.model.meta import Obj

_TRIES = 5


async def apply(call: Call) -> Reply:
    view = view_of(call)
    call = replace(call, options=WriteOptions.of_apply(call.request.query))
    config = _config(call)
    warn_of_limits(call)
    entry, status = await _upsert(call, config)
    return render.reply(render.one(entry, view), view.wanted, status)


def _config(call: Call) -> Obj:
    loaded = bodies.mapping(bodies.load_yaml(call.request.body))
    return placed(call, bodies.expect_kind(loaded, call.resource.api_version, call.resource.kind, lenient=False))


async def _upsert(call: Call, config: Obj) -> tuple[Entry, int]:
    """The object may come and go between our attempts to change it and to create it."""
    for _ in range(_TRIES):
        try:
            return await pipeline.update(call, call.key, lambda old: _again(call, old, config)), 200
        except NotFound:
            if call.target.subresource:
                raise
        if uid := config["metadata"].get("uid"):
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise failures.conflict(call.resource, call.target.name, why)
        call.require("create")
        try:
            return await pipeline.create(call, _applied(call, None, _unversioned(config))), 201
        except AlreadyExists:
            continue
    raise failures.conflict(call.resource, call.target.name)


def _again(call: Call, live: Obj, config: Obj) -> Obj:
    pipeline.require_same(call, config["metadata"], live["metadata"])
    return _applied(call, live, config)


def _unversioned(config: Obj) -> Obj:
    """A version says which object is meant to be changed; there is none."""
    return {**config, "metadata": {name: v for name, v in config["metadata"].items() if name != "resourceVersion"}}


def _applied(call: Call, live: Obj | None, config: Obj) -> Obj:
    return server_side(
        live,
        config,
        call.options.field_manager,
        call.options.force,
        call.structural,
        call.api.clock(),
        subresource=call.target.subresource,
        has_status=call.resource.has("status"),
        fixed=call.status_fixes,
    )
