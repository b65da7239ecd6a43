"""Endpoints selected by labels: ServiceEntries' ready pods, and WorkloadEntries of ServiceEntries and Services.

Pure. In: who selects, pods, WorkloadEntries. Out: `Endpoint`s in a stable order. What a Service's EndpointSlices list
comes from elsewhere and is only added to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from graylane.chain import hosts
from graylane.mesh.inputs import (
    NO_ENDPOINTS,
    Endpoint,
    Endpoints,
    Resolution,
    Service,
    ServiceEntry,
    ServicePort,
    WorkloadEntry,
    selects,
)
from graylane.model.meta import Key, Obj, condition, dig, is_deleting, labels_of, name_of, namespace_of


def selecting(entries: Iterable[ServiceEntry]) -> Iterator[Service]:
    """The services whose endpoints are to be selected. A name to look up or a request's own host is none to select."""
    for entry in entries:
        for service in entry.services:
            if service.listed is None and service.resolution is Resolution.STATIC:
                yield service


def by_key(
    entries: Iterable[ServiceEntry],
    services: Iterable[Service],
    pods: Iterable[Obj],
    workloads: Iterable[WorkloadEntry],
    listed: Mapping[Key, Endpoints],
) -> Mapping[Key, tuple[Endpoint, ...]]:
    """`listed` are those of Services' EndpointSlices. A Service that selects no WorkloadEntry is not in the result."""
    every, written = tuple(pods), tuple(each for each in workloads if hosts.is_address(each.address))
    found = {}
    for service in selecting(entries):
        own = (pod for pod in every if chooses(service, namespace_of(pod), labels_of(pod)) and ready(pod))
        found[service.endpoints_key] = _ordered([*map(partial(_of_pod, service), own), *_others(service, written)])
    for service in services if written else ():
        if more := _others(service, written):
            found[service.key] = _ordered([*listed.get(service.key, NO_ENDPOINTS).each, *more])
    return found


def _ordered(found: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    unique = {(each.address, each.ports): each for each in found}
    return tuple(unique[key] for key in sorted(unique))


def _others(service: Service, workloads: Iterable[WorkloadEntry]) -> list[Endpoint]:
    return [_of_workload(service, each) for each in workloads if chooses(service, each.namespace, each.labels)]


def chooses(service: Service, namespace: str, labels: Mapping[str, str]) -> bool:
    near = namespace == service.namespace and bool(service.selector)
    return near and selects(service.selector, labels)


def ready(pod: Obj) -> bool:
    said = condition(pod, "Ready")
    return said is not None and said.get("status") == "True" and not is_deleting(pod)


def _of_pod(service: Service, pod: Obj) -> Endpoint:
    ports = tuple(sorted((port.name, int(port.target)) for port in service.ports))
    address = str(dig(pod, "status", "podIP", default=""))
    return Endpoint(address, ports, tuple(sorted(labels_of(pod).items())), name_of(pod))


def _of_workload(service: Service, entry: WorkloadEntry) -> Endpoint:
    """A port that a Service names by its pods' is one of those the entry names, or none of it."""
    numbers = ((port.name, entry.ports.get(port.name) or _target(port, entry)) for port in service.ports)
    ports = tuple(sorted((name, number) for name, number in numbers if number))
    return Endpoint(entry.address, ports, tuple(sorted(entry.labels.items())), "", entry.weight)


def _target(port: ServicePort, entry: WorkloadEntry) -> int:
    return port.target if isinstance(port.target, int) else entry.ports.get(port.target, 0)
