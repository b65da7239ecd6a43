"""The Node and its Lease as this kubelet reports them.

Pure. In: names, addresses, the machine's capacity, `now`. Out: the objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from graylane import __version__
from graylane.model.meta import Condition, Obj, dig, format_micro_time, format_time, set_condition

LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
RENEW_EVERY = 10.0
KUBELET_VERSION = f"v1.33.0-graylane.{__version__}"


@dataclass(frozen=True, slots=True)
class Machine:
    """What the node is made of."""

    cpus: int
    memory_bytes: int
    pods: int
    operating_system: str
    architecture: str
    kernel: str
    os_image: str
    machine_id: str
    boot_id: str


@dataclass(frozen=True, slots=True)
class NodeFacts:
    name: str
    ip: str
    port: int
    pod_cidr: str
    machine: Machine


def node_object(facts: NodeFacts) -> Obj:
    """The Node without status, as created at first registration."""
    labels = {
        "kubernetes.io/hostname": facts.name,
        "kubernetes.io/os": facts.machine.operating_system,
        "kubernetes.io/arch": facts.machine.architecture,
        "node-role.kubernetes.io/control-plane": "",
    }
    return {
        "metadata": {"name": facts.name, "labels": labels},
        "spec": {"podCIDR": facts.pod_cidr, "podCIDRs": [facts.pod_cidr]},
    }


def node_status(node: Obj, facts: NodeFacts, now: datetime, *, ready: bool = True) -> Obj:
    """The status to write, conditions of others kept."""
    machine = facts.machine
    resources = {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory_bytes // 1024}Ki",
        "pods": str(machine.pods),
    }
    return {
        "capacity": resources,
        "allocatable": resources,
        "addresses": [
            {"type": "InternalIP", "address": facts.ip},
            {"type": "Hostname", "address": facts.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": facts.port}},
        "conditions": _conditions(dig(node, "status", "conditions", default=[]), now, ready),
        "nodeInfo": {
            "machineID": machine.machine_id,
            "systemUUID": machine.machine_id,
            "bootID": machine.boot_id,
            "kernelVersion": machine.kernel,
            "osImage": machine.os_image,
            "containerRuntimeVersion": f"graylane://{__version__}",
            "kubeletVersion": KUBELET_VERSION,
            "kubeProxyVersion": KUBELET_VERSION,
            "operatingSystem": machine.operating_system,
            "architecture": machine.architecture,
        },
    }


def _conditions(conditions: list[Obj], now: datetime, ready: bool) -> list[Obj]:
    wanted = [
        Condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        Condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        Condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        Condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")
        if ready
        else Condition("Ready", "False", "KubeletStopped", "kubelet was stopped in an orderly way"),
    ]
    for condition in wanted:
        conditions = set_condition(conditions, condition, now)
    return [entry | {"lastHeartbeatTime": format_time(now)} for entry in conditions]


def lease_object(node: Obj, facts: NodeFacts, now: datetime) -> Obj:
    """The node's heartbeat; owned by the Node, so that it goes with it."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": facts.name, "uid": dig(node, "metadata", "uid", default="")}
    return {
        "metadata": {"name": facts.name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]},
        "spec": {
            "holderIdentity": facts.name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": format_micro_time(now),
        },
    }
