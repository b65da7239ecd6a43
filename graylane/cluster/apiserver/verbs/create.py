"""POST a new object.

Shell (store, admission). In: a body of the kind. Out: 201 and the object as stored.
"""

from __future__ import annotations

from dataclasses import replace

from graylane.cluster.apiserver import failures, pipeline, render
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Reply
from graylane.cluster.apiserver.options import WriteOptions
from graylane.cluster.apiserver.selection import view_of
from graylane.cluster.apiserver.verbs.incoming import read
from graylane.errors import Unclassified


async def create(call: Call) -> Reply:
    view = view_of(call)
    call = replace(call, options=WriteOptions.of(call.request.query, "CreateOptions"))
    if call.target.name:
        raise failures.not_allowed()
    obj = read(call)
    if obj["metadata"].get("resourceVersion"):
        raise Unclassified("resourceVersion should not be set on objects to be created")
    entry = await pipeline.create(call, obj)
    return render.reply(render.one(entry, view), view.wanted, 201)
