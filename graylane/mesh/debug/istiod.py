"""The mesh as Kubernetes objects: Service `istiod` and a mirror pod behind it, as on a cluster with Istio.

Pure. In: where the mesh answers. Out: objects, with the names and the port that Istio gives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from graylane.mesh.read import MIRROR
from graylane.model.meta import Condition, Key, Obj, dig, format_time, set_condition

NAMESPACE, SERVICE = "istio-system", "istiod"
PORT, PORT_NAME = 15014, "http-monitoring"
LABELS = {"app": "istiod", "istio": "pilot"}
_CONTAINER = "discovery"


@dataclass(frozen=True, slots=True)
class Post:
    """Where the mesh runs. `port` is the one that it answers at, which others may have taken before us."""

    node_name: str
    node_ip: str
    port: int = 0

    @property
    def key(self) -> Key:
        return Key(NAMESPACE, f"{SERVICE}-{self.node_name}")


def service_object() -> Obj:
    port = {"name": PORT_NAME, "port": PORT, "targetPort": PORT_NAME, "protocol": "TCP"}
    return {
        "metadata": {"name": SERVICE, "namespace": NAMESPACE, "labels": LABELS},
        "spec": {"selector": LABELS, "ports": [port]},
    }


def pod_object(post: Post) -> Obj:
    """On the node's own network: it is no part of the mesh that it runs."""
    port = {"name": PORT_NAME, "containerPort": post.port, "hostPort": post.port, "protocol": "TCP"}
    return {
        "metadata": {
            "name": post.key.name,
            "namespace": NAMESPACE,
            "labels": LABELS,
            "annotations": {MIRROR: "mesh", "kubernetes.io/config.source": "graylane"},
        },
        "spec": {
            "nodeName": post.node_name,
            "hostNetwork": True,
            "containers": [{"name": _CONTAINER, "image": "graylane", "ports": [port]}],
            "restartPolicy": "Always",
        },
    }


def answers_at(pod: Obj, post: Post) -> bool:
    """Whether this is the pod of a mesh at `post`; a container's port cannot be changed."""
    return bool(dig(pod, "spec", "containers", 0, "ports", 0, "containerPort") == post.port)


def pod_status(pod: Obj, post: Post, now: datetime, *, ready: bool) -> Obj:
    truth = "True" if ready else "False"
    why = ("", "") if ready else ("ContainersNotReady", f"containers with unready status: [{_CONTAINER}]")
    conditions: list[Obj] = dig(pod, "status", "conditions", default=[])
    for said in (
        Condition("Initialized", "True"),
        Condition("Ready", truth, *why),
        Condition("ContainersReady", truth, *why),
        Condition("PodScheduled", "True"),
    ):
        conditions = set_condition(conditions, said, now)
    started = dig(pod, "status", "startTime") or format_time(now)
    container = {
        "name": _CONTAINER,
        "image": "graylane",
        "imageID": "graylane",
        "containerID": f"graylane://{post.key.name}/{_CONTAINER}/0",
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "state": {"running": {"startedAt": started}} if ready else {"waiting": {"reason": "Stopped"}},
    }
    return {
        "phase": "Running",
        "conditions": conditions,
        "hostIP": post.node_ip,
        "hostIPs": [{"ip": post.node_ip}],
        "podIP": post.node_ip,
        "podIPs": [{"ip": post.node_ip}],
        "startTime": started,
        "containerStatuses": [container],
    }
