"""PUT: replace an object, its status, or a namespace's finalizers.

Shell (store, admission). In: a whole object. Out: 200 and the object as stored; 201 for the few kinds that PUT creates.
"""

from __future__ import annotations

from dataclasses import replace

from graylane.cluster.apiserver import pipeline, render
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Reply
from graylane.cluster.apiserver.options import WriteOptions
from graylane.cluster.apiserver.selection import view_of
from graylane.cluster.apiserver.verbs.incoming import read
from graylane.errors import NotFound


async def update(call: Call) -> Reply:
    view = view_of(call)
    call = replace(call, options=WriteOptions.of(call.request.query, "UpdateOptions"))
    obj = read(call)
    status = 200
    try:
        entry = await pipeline.update(call, call.key, lambda _: obj)
    except NotFound:
        if not call.strategy.create_on_update or call.target.subresource or obj["metadata"].get("resourceVersion"):
            raise
        call.require("create")
        entry, status = await pipeline.create(call, obj), 201
    return render.reply(render.one(entry, view), view.wanted, status)
