"""`pods/eviction`: deletion that asks first. No disruption budget is acted on, so nothing speaks against it.

Shell (store). In: a policy/v1 Eviction. Out: a Status; the pod is deleted as by DELETE.
"""

from __future__ import annotations

from graylane.cluster.apiserver import bodies, deletion
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.deletion import DeleteOptions
from graylane.cluster.apiserver.exchange import Reply


async def create(call: Call) -> Reply:
    loaded = bodies.load(call.request.body, call.request.headers.get("content-type", ""))
    eviction = bodies.expect_kind(loaded, "policy/v1", "Eviction", lenient=True)
    bodies.decoded(eviction, "io.k8s.api.policy.v1.Eviction")
    await deletion.delete(call, call.key, DeleteOptions.of(eviction.get("deleteOptions") or {}))
    return Reply.json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)
