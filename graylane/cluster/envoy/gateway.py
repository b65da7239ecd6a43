"""The ingress gateway as Kubernetes objects: its Service, and a mirror pod that stands for the Envoy process.

Pure. In: names, addresses, what is known of the process. Out: objects and patches, with the names Istio gives them,
so that commands written for Istio find the gateway here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from graylane.model.meta import Condition, Obj, annotations_of, dig, format_time, set_condition

NAMESPACE = "istio-system"
SERVICE = "istio-ingressgateway"
CONTAINER = "istio-proxy"
LABELS = {"app": "istio-ingressgateway", "istio": "ingressgateway"}
TARGET_PORT = 8080
TLS_TARGET_PORT = 8443
GIVEN_PORT = "graylane.dev/node-port"


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where the gateway is. `address` is its pod's, `node_port` the port on the node's."""

    node_name: str
    node_ip: str
    address: str
    node_port: int
    image: str

    @property
    def pod_name(self) -> str:
        """As a kubelet names static pods: after their node."""
        return f"{SERVICE}-{self.node_name}"


@dataclass(frozen=True, slots=True)
class Process:
    """What is known of Envoy: since when it runs (None: it does not), whether it is ready, how it last ended.

    `last_words` are what its log said of that end.
    """

    restarts: int = 0
    started_at: datetime | None = None
    ready: bool = False
    last_exit: int | None = None
    ended_at: datetime | None = None
    waits: str = ""
    last_words: str = ""

    @property
    def last(self) -> int:
        """The number of the one that ended last."""
        return self.restarts - (self.started_at is not None)


def service_object(gateway: Gateway) -> Obj:
    """The ports Istio's own gateway has. The API server chooses the node's port for TLS."""
    plain = {"name": "http2", "port": 80, "targetPort": TARGET_PORT, "nodePort": gateway.node_port, "protocol": "TCP"}
    tls = {"name": "https", "port": 443, "targetPort": TLS_TARGET_PORT, "protocol": "TCP"}
    return {
        "metadata": {
            "name": SERVICE,
            "namespace": NAMESPACE,
            "labels": LABELS,
            "annotations": {GIVEN_PORT: str(gateway.node_port)},
        },
        "spec": {"type": "NodePort", "selector": LABELS, "ports": [plain, tls]},
    }


def service_patch(live: Obj, gateway: Gateway) -> Obj | None:
    """Move the node port when we were asked for another than last time; what users changed meanwhile stays."""
    given = annotations_of(live).get(GIVEN_PORT)
    if given == str(gateway.node_port):
        return None
    ports = [
        port | {"nodePort": gateway.node_port} if port.get("name") == "http2" else port
        for port in dig(live, "spec", "ports", default=[])
    ]
    return {
        "metadata": {"annotations": {GIVEN_PORT: str(gateway.node_port)}},
        "spec": {"ports": ports},
    }


def pod_object(gateway: Gateway) -> Obj:
    """A mirror pod: the kubelet leaves it alone, and deleting it ends nothing."""
    container = {
        "name": CONTAINER,
        "image": gateway.image,
        "ports": [
            {"name": "http2", "containerPort": TARGET_PORT, "protocol": "TCP"},
            {"name": "https", "containerPort": TLS_TARGET_PORT, "protocol": "TCP"},
        ],
    }
    return {
        "metadata": {
            "name": gateway.pod_name,
            "namespace": NAMESPACE,
            "labels": LABELS,
            "annotations": {
                "kubernetes.io/config.mirror": "envoy",
                "kubernetes.io/config.source": "graylane",
            },
        },
        "spec": {"nodeName": gateway.node_name, "containers": [container], "restartPolicy": "Always"},
    }


def pod_status(pod: Obj, gateway: Gateway, process: Process, now: datetime) -> Obj:
    """The mirror pod's status; conditions of others are kept."""
    started = process.started_at is not None
    truth = "True" if process.ready else "False"
    why = ("", "") if process.ready else ("ContainersNotReady", f"containers with unready status: [{CONTAINER}]")
    conditions: list[Obj] = dig(pod, "status", "conditions", default=[])
    for condition in (
        Condition("PodReadyToStartContainers", "True"),
        Condition("Initialized", "True"),
        Condition("Ready", truth, *why),
        Condition("ContainersReady", truth, *why),
        Condition("PodScheduled", "True"),
    ):
        conditions = set_condition(conditions, condition, now)
    return {
        **dig(pod, "status", default={}),
        "phase": "Running" if started or process.last_exit is not None else "Pending",
        "conditions": conditions,
        "hostIP": gateway.node_ip,
        "hostIPs": [{"ip": gateway.node_ip}],
        "podIP": gateway.address,
        "podIPs": [{"ip": gateway.address}],
        "startTime": dig(pod, "status", "startTime") or format_time(now),
        "containerStatuses": [_container_status(gateway, process)],
    }


def restarts_of(pod: Obj) -> int:
    """How often Envoy ran before, as the pod's status says; −1 when it never did."""
    status = dig(pod, "status", "containerStatuses", 0, default={})
    return int(status.get("restartCount") or 0) if status.get("containerID") else -1


def _container_status(gateway: Gateway, process: Process) -> Obj:
    ended: Obj = {}
    if process.last_exit is not None and process.ended_at is not None:
        reason = "Error" if process.last_exit else "Completed"
        finished = format_time(process.ended_at)
        ended = {"terminated": {"exitCode": process.last_exit, "reason": reason, "finishedAt": finished}}
        ended["terminated"]["containerID"] = _instance(gateway, process.last)
        if process.last_words:
            ended["terminated"]["message"] = process.last_words
    if process.started_at is not None:
        state: Obj = {"running": {"startedAt": format_time(process.started_at)}}
    elif process.waits:
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": process.waits}}
    else:
        state = {"waiting": {"reason": "ContainerCreating"}}
    return {
        "name": CONTAINER,
        "image": gateway.image,
        "imageID": gateway.image,
        "containerID": _instance(gateway, process.restarts),
        "ready": process.ready,
        "started": process.started_at is not None,
        "restartCount": process.restarts,
        "state": state,
        "lastState": ended,
    }


def _instance(gateway: Gateway, number: int) -> str:
    return f"graylane://{gateway.pod_name}/{CONTAINER}/{number}"
