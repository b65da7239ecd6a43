"""GET one object.

Shell (reads the store). In: a call with a name. Out: the object in the shape asked for, or 404.
"""

from __future__ import annotations

from graylane.cluster.apiserver import failures, render
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Reply
from graylane.cluster.apiserver.selection import view_of


async def get(call: Call) -> Reply:
    entry = call.api.store.get(call.resource.store, call.key)
    if entry is None:
        raise failures.not_found(call.resource, call.target.name)
    view = view_of(call)
    return render.reply(render.one(await call.api.converter.entry(call.resource, entry), view), view.wanted)
