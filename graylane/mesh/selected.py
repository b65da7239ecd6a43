"""The endpoints of ServiceEntries that select them: ready pods and WorkloadEntries of their namespace, by labels.

Pure. In: a ServiceEntry, pods, WorkloadEntries. Out: `Endpoint`s in a stable order, for each of its hosts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from graylane.chain import hosts
from graylane.mesh.inputs import Endpoint, Resolution, Service, ServiceEntry, WorkloadEntry, selects
from graylane.model.meta import Key, Obj, condition, dig, is_deleting, labels_of, name_of, namespace_of


def selecting(entries: Iterable[ServiceEntry]) -> Iterator[Service]:
    """The services whose endpoints are to be selected. A name to look up or a request's own host is none to select."""
    for entry in entries:
        for service in entry.services:
            if service.listed is None and service.resolution is Resolution.STATIC:
                yield service


def endpoints(service: Service, pods: Iterable[Obj], workloads: Iterable[WorkloadEntry]) -> tuple[Endpoint, ...]:
    """`pods` that are not ready are left out, as EndpointSlices would."""
    found = [
        _of_pod(service, pod) for pod in pods if _chosen(service, namespace_of(pod), labels_of(pod)) and ready(pod)
    ]
    found += [
        _of_workload(service, each)
        for each in workloads
        if _chosen(service, each.namespace, each.labels) and hosts.is_address(each.address)
    ]
    unique = {(each.address, each.ports): each for each in found}
    return tuple(unique[key] for key in sorted(unique))


def by_key(
    entries: Iterable[ServiceEntry], pods: Iterable[Obj], workloads: Iterable[WorkloadEntry]
) -> Mapping[Key, tuple[Endpoint, ...]]:
    every, written = tuple(pods), tuple(workloads)
    return {service.endpoints_key: endpoints(service, every, written) for service in selecting(entries)}


def _chosen(service: Service, namespace: str, labels: Mapping[str, str]) -> bool:
    return namespace == service.namespace and selects(service.selector, labels)


def ready(pod: Obj) -> bool:
    said = condition(pod, "Ready")
    return said is not None and said.get("status") == "True" and not is_deleting(pod)


def _of_pod(service: Service, pod: Obj) -> Endpoint:
    ports = tuple(sorted((port.name, int(port.target)) for port in service.ports))
    address = str(dig(pod, "status", "podIP", default=""))
    return Endpoint(address, ports, tuple(sorted(labels_of(pod).items())), name_of(pod))


def _of_workload(service: Service, entry: WorkloadEntry) -> Endpoint:
    ports = tuple(sorted((port.name, entry.ports.get(port.name, int(port.target))) for port in service.ports))
    return Endpoint(entry.address, ports, tuple(sorted(entry.labels.items())), "", entry.weight)
