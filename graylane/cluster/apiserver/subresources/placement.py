"""Where what a call asks for runs: the pod, which of its containers, on which node.

Pure, over the store's present state. In: a call on a pod's subresource. Out: objects, or the error that kube-apiserver
gives.
"""

from __future__ import annotations

from graylane.cluster.apiserver import failures
from graylane.cluster.apiserver.context import Call
from graylane.errors import BadRequest
from graylane.model.meta import Key, Obj, dig, name_of


def pod_of(call: Call) -> Obj:
    entry = call.api.store.get("pods", call.key)
    if entry is None:
        raise failures.not_found(call.resource, call.target.name)
    return entry.obj


def container_of(call: Call, pod: Obj) -> str:
    """The one asked for, or the only one."""
    container = call.request.query.text("container") or _only_container(pod)
    if container not in (*_containers(pod), *_init_containers(pod)):
        raise BadRequest(f"container {container} is not valid for pod {name_of(pod)}")
    return container


def node_of(call: Call, pod: Obj) -> Obj:
    name = dig(pod, "spec", "nodeName", default="")
    if not name:
        raise BadRequest(f"pod {name_of(pod)} does not have a host assigned")
    node = call.api.store.get("nodes", Key("", name))
    if node is None:
        raise BadRequest(f"pod {name_of(pod)} is on node {name}, which does not exist")
    return node.obj


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
