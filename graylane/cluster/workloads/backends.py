"""What a Service sees of a pod: its address, its ports, whether it may be sent requests.

Pure. In: a Service and the pods it selects. Out: `Backend`s, from which both EndpointSlices and Endpoints are written.
The rules are those of Kubernetes' `endpointslice/utils.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graylane.cluster.workloads.pods import is_finished, is_ready
from graylane.model.meta import Obj, dig, is_deleting, name_of, namespace_of, uid_of


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A Service port as one pod answers it. `number` is the pod's port; "" is a single port without a name."""

    name: str
    protocol: str
    number: int
    app_protocol: str = ""

    def written(self) -> Obj:
        """As EndpointSlices and Endpoints spell it."""
        written: Obj = {"name": self.name, "port": self.number, "protocol": self.protocol}
        return written | ({"appProtocol": self.app_protocol} if self.app_protocol else {})


def read_ports(written: Sequence[Mapping[str, Any]] | None) -> tuple[Port, ...]:
    """Ports as a slice holds them, whether empty names are spelled out or not."""
    return tuple(
        Port(port.get("name") or "", port.get("protocol") or "TCP", port["port"], port.get("appProtocol") or "")
        for port in written or ()
    )


@dataclass(frozen=True, slots=True)
class Backend:
    """One pod behind a Service."""

    address: str
    ports: tuple[Port, ...]
    ready: bool
    serving: bool
    terminating: bool
    node: str
    hostname: str
    name: str
    namespace: str
    uid: str

    @property
    def target(self) -> Obj:
        return {"kind": "Pod", "namespace": self.namespace, "name": self.name, "uid": self.uid}


def backends(service: Obj, pods: Iterable[Obj]) -> list[Backend]:
    """Pods that have an address and still run, in order of name."""
    reachable = (pod for pod in pods if not is_finished(pod) and dig(pod, "status", "podIP"))
    return sorted((_backend(service, pod) for pod in reachable), key=lambda backend: backend.name)


def _backend(service: Obj, pod: Obj) -> Backend:
    serving, terminating = is_ready(pod), is_deleting(pod)
    anyway = bool(dig(service, "spec", "publishNotReadyAddresses", default=False))
    return Backend(
        address=str(pod["status"]["podIP"]),
        ports=ports(service, pod),
        ready=anyway or (serving and not terminating),
        serving=serving,
        terminating=terminating,
        node=str(dig(pod, "spec", "nodeName", default="")),
        hostname=_hostname(service, pod),
        name=name_of(pod),
        namespace=namespace_of(pod),
        uid=uid_of(pod),
    )


def _hostname(service: Obj, pod: Obj) -> str:
    """A pod has a name of its own below its governing Service only."""
    governed = dig(pod, "spec", "subdomain", default="") == name_of(service)
    return str(dig(pod, "spec", "hostname", default="")) if governed else ""


def ports(service: Obj, pod: Obj) -> tuple[Port, ...]:
    """The Service's ports as this pod answers them; a named target that the pod does not have is left out."""
    found = (_port(declared, pod) for declared in dig(service, "spec", "ports", default=[]))
    return tuple(sorted(port for port in found if port is not None))


def _port(declared: Mapping[str, Any], pod: Obj) -> Port | None:
    protocol = str(declared.get("protocol") or "TCP")
    target = declared.get("targetPort") or declared["port"]
    number = _named_port(pod, str(target), protocol) if isinstance(target, str) else int(target)
    if number is None:
        return None
    return Port(str(declared.get("name") or ""), protocol, number, str(declared.get("appProtocol") or ""))


def _named_port(pod: Obj, name: str, protocol: str) -> int | None:
    for container in dig(pod, "spec", "containers", default=[]):
        for port in container.get("ports") or []:
            if port.get("name") == name and (port.get("protocol") or "TCP") == protocol:
                return int(port["containerPort"])
    return None


def is_headless(service: Obj) -> bool:
    return bool(dig(service, "spec", "clusterIP") == "None")
