"""`pods/log`: a container's output, fetched from the kubelet of the pod's node and passed on as it comes.

Shell (network, through `Nodes`). In: kubectl's options. Out: text, for as long as the kubelet sends it.
"""

from __future__ import annotations

from graylane.cluster.apiserver import failures
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Stream
from graylane.errors import BadRequest
from graylane.model.meta import Key, Obj, dig, name_of

_PASSED_ON = ("follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream")


async def get(call: Call) -> Stream:
    entry = call.api.store.get("pods", call.key)
    if entry is None:
        raise failures.not_found(call.resource, call.target.name)
    pod, query = entry.obj, call.request.query
    container = query.text("container") or _only_container(pod)
    _require_container(pod, container)
    path = f"/containerLogs/{call.key.namespace}/{call.key.name}/{container}"
    params = {name: query.text(name) for name in _PASSED_ON if query.text(name)}
    return Stream(await call.api.nodes.stream(_node_of(call, pod), path, params), "text/plain")


def _containers(pod: Obj) -> list[str]:
    return [c["name"] for c in dig(pod, "spec", "containers", default=[])]


def _init_containers(pod: Obj) -> list[str]:
    return [c["name"] for c in dig(pod, "spec", "initContainers", default=[])]


def _only_container(pod: Obj) -> str:
    names = _containers(pod)
    default = dig(pod, "metadata", "annotations", "kubectl.kubernetes.io/default-container")
    if default in names:
        return str(default)
    if len(names) == 1:
        return names[0]
    shown = f"choose one of: [{' '.join(names)}]"
    if init := _init_containers(pod):
        shown += f" or one of the init containers: [{' '.join(init)}]"
    raise BadRequest(f"a container name must be specified for pod {name_of(pod)}, {shown}")


def _require_container(pod: Obj, container: str) -> None:
    if container not in (*_containers(pod), *_init_containers(pod)):
        raise BadRequest(f"container {container} is not valid for pod {name_of(pod)}")


def _node_of(call: Call, pod: Obj) -> Obj:
    name = dig(pod, "spec", "nodeName", default="")
    if not name:
        raise BadRequest(f"pod {name_of(pod)} does not have a host assigned")
    node = call.api.store.get("nodes", Key("", name))
    if node is None:
        raise BadRequest(f"pod {name_of(pod)} is on node {name}, which does not exist")
    return node.obj
