"""DELETE one object.

Shell (store, admission). In: a call with a name and perhaps DeleteOptions. Out: a Status when the object is gone, the
object when it lingers.
"""

from __future__ import annotations

from graylane.cluster.apiserver import bodies, deletion, render
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.deletion import Deleted, DeleteOptions
from graylane.cluster.apiserver.exchange import Query, Reply
from graylane.cluster.apiserver.selection import view_of
from graylane.errors import BadRequest
from graylane.model.meta import Obj, uid_of

OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"


async def delete(call: Call) -> Reply:
    view = view_of(call)
    options = options_of(call)
    deleted = await deletion.delete(call, call.key, options)
    if deleted.gone and not call.strategy.answers_deleted:
        return Reply.json(_success(call, deleted))
    status = 202 if options.cascades and not deleted.gone else 200
    return render.reply(render.one(deleted.entry, view), view.wanted, status)


def options_of(call: Call) -> DeleteOptions:
    """From the body, else from the query; an empty body means no options."""
    body: Obj = {}
    if call.request.body.strip():
        body = bodies.load(call.request.body, call.request.headers.get("content-type", ""))
        if body.get("kind", "DeleteOptions") != "DeleteOptions":
            raise BadRequest(f'no kind "{body["kind"]}" is registered for version "{body.get("apiVersion", "")}"')
        bodies.decoded(body, OPTIONS)
    return DeleteOptions.of({**_from_query(call.request.query), **body})


def _from_query(query: Query) -> Obj:
    found: Obj = {}
    if (grace := query.number("gracePeriodSeconds")) is not None:
        found["gracePeriodSeconds"] = grace
    if policy := query.text("propagationPolicy"):
        found["propagationPolicy"] = policy
    if query.text("orphanDependents"):
        found["orphanDependents"] = query.flag("orphanDependents")
    if dry_run := [value for value in query.all("dryRun") if value]:
        found["dryRun"] = dry_run
    return found


def _success(call: Call, deleted: Deleted) -> Obj:
    resource = call.resource
    details = {"name": deleted.entry.key.name, "group": resource.group, "kind": resource.plural}
    details["uid"] = uid_of(deleted.entry.obj)
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {name: value for name, value in details.items() if value},
    }
