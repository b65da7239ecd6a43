"""`pods/binding`: a scheduler's choice of node.

Shell (store, through the pipeline). In: a v1 Binding. Out: a Status; the pod has its node and the condition
PodScheduled.
"""

from __future__ import annotations

from graylane.cluster.apiserver import bodies, failures, pipeline
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Reply
from graylane.errors import BadRequest
from graylane.model.meta import Condition, Obj, dig, name_of, set_condition, uid_of


async def create(call: Call) -> Reply:
    loaded = bodies.load(call.request.body, call.request.headers.get("content-type", ""))
    binding = bodies.decoded(bodies.expect_kind(loaded, "v1", "Binding", lenient=True), "io.k8s.api.core.v1.Binding")
    node = dig(binding, "target", "name")
    if not node:
        raise BadRequest("target.name: a Binding names the node")
    uid = uid_of(binding)
    await pipeline.update(call, call.key, lambda pod: _bound(call, pod, node, uid))
    return Reply.json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)


def _bound(call: Call, pod: Obj, node: str, uid: str) -> Obj:
    if uid and uid != uid_of(pod):
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {uid_of(pod)}"
        raise failures.conflict(call.resource, name_of(pod), why)
    if found := dig(pod, "spec", "nodeName"):
        raise failures.conflict(call.resource, name_of(pod), f"pod {name_of(pod)} is already assigned to node {found}")
    status: Obj = pod.get("status") or {}
    conditions = set_condition(status.get("conditions") or [], Condition("PodScheduled", "True"), call.api.clock())
    return {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": {**status, "conditions": conditions}}
