"""DELETE every object that a selection names.

Shell (store, admission). In: a call without a name. Out: the list of objects as they were when their deletion began.
"""

from __future__ import annotations

from graylane.cluster.apiserver import deletion, render
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Reply
from graylane.cluster.apiserver.selection import Selection, view_of
from graylane.cluster.apiserver.store import Entry
from graylane.cluster.apiserver.verbs.delete import options_of
from graylane.errors import NotFound


async def deletecollection(call: Call) -> Reply:
    view, selection, options = view_of(call), Selection.of(call), options_of(call)
    deleted: list[Entry] = []
    for entry in call.api.store.entries(call.resource.store, selection.namespace):
        if not selection.includes(entry):
            continue
        try:
            deleted.append((await deletion.delete(call, entry.key, options)).entry)
        except NotFound:
            continue  # somebody else was faster; the wish is fulfilled
    page = render.Page(call.api.store.revision)
    return render.reply(render.many(deleted, view, page), view.wanted)
