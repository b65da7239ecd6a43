"""EndpointSlices: the addresses behind every Service that selects pods.

Pure. In: a Service, the pods it selects, its slices. Out: slices to create, patch or delete. A pod that loses readiness
or starts to terminate is told at once: that is what takes it out of the proxies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from graylane.cluster.workloads.backends import Backend, Port, backends, is_headless, read_ports
from graylane.cluster.workloads.namespaces import is_closing
from graylane.cluster.workloads.pods import new_names
from graylane.kit import Create, Delete, Effect, Outcome, Patch, View
from graylane.model.kinds import ENDPOINT_SLICE, POD, SERVICE
from graylane.model.meta import Key, Obj, dig, key_of, labels_of, name_of, namespace_of, owner_reference, uid_of
from graylane.model.patches import create_merge_patch
from graylane.model.selectors import LabelSelector

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"
CAPACITY = 100  # endpoints in one slice, Kubernetes' default

Ports = tuple[Port, ...]


@dataclass(slots=True)
class Page:
    """The content of one slice; `name` is None for a slice still to be created."""

    ports: Ports
    name: str | None = None
    backends: list[Backend] = field(default_factory=list)


def reconcile(view: View, key: Key, now: datetime) -> Outcome:
    """One Service. Without a selector its endpoints are somebody else's; a deleted one takes its slices along."""
    service = view.get(SERVICE, *key)
    if service is None or not selects_pods(service) or is_closing(view, key.namespace):
        return Outcome()
    found = backends(service, view.list(POD, key.namespace, LabelSelector.of_map(service["spec"]["selector"])))
    slices = [s for s in view.owned_by(ENDPOINT_SLICE, uid_of(service)) if labels_of(s).get(MANAGED_BY) == MANAGER]
    pages = paginate(found, slices)
    new = new_names(service, len(pages), lambda name: view.get(ENDPOINT_SLICE, key.namespace, name) is not None)
    return Outcome(tuple(_write(service, slices, pages, new)))


def selects_pods(service: Obj) -> bool:
    return bool(dig(service, "spec", "selector")) and dig(service, "spec", "type") != "ExternalName"


def paginate(found: Iterable[Backend], slices: Sequence[Obj]) -> list[Page]:
    """Backends stay in the slice they are in, so that a change touches one slice; slices differ by their ports."""
    by_ports: dict[Ports, list[Backend]] = {}
    for backend in found:
        by_ports.setdefault(backend.ports, []).append(backend)
    pages = [page for ports, group in by_ports.items() for page in _pages_of(ports, group, slices)]
    if not pages:
        pages = [Page(())]  # an empty slice says: this Service is known, and has nobody
    spare = [name_of(s) for s in slices if name_of(s) not in {page.name for page in pages}]
    for page in pages:
        if page.name is None and spare:
            page.name = spare.pop(0)
    return pages


def _pages_of(ports: Ports, group: Sequence[Backend], slices: Sequence[Obj]) -> list[Page]:
    pages = [Page(ports, name_of(s)) for s in slices if read_ports(s.get("ports")) == ports]
    homes = {_uid(endpoint): page for page in pages for endpoint in _endpoints(slices, page.name)}
    newcomers = [backend for backend in group if backend.uid not in homes]
    for backend in group:
        if backend.uid in homes:
            homes[backend.uid].backends.append(backend)
    for backend in newcomers:
        page = next((page for page in pages if len(page.backends) < CAPACITY), None)
        if page is None:
            page = Page(ports)
            pages.append(page)
        page.backends.append(backend)
    return [page for page in pages if page.backends]


def _endpoints(slices: Sequence[Obj], name: str | None) -> list[Obj]:
    return next((s.get("endpoints") or [] for s in slices if name_of(s) == name), [])


def _uid(endpoint: Obj) -> str:
    return str(dig(endpoint, "targetRef", "uid", default=""))


def _write(service: Obj, slices: Sequence[Obj], pages: Sequence[Page], new: Sequence[str]) -> Iterable[Effect]:
    names = iter(new)
    existing = {name_of(s): s for s in slices}
    for page in pages:
        if page.name is None:
            yield Create(ENDPOINT_SLICE, _slice(service, page, next(names)))
        else:
            yield from _update(service, page, existing.pop(page.name))
    for surplus in existing.values():
        yield Delete(ENDPOINT_SLICE, key_of(surplus), uid_of(surplus))


def _slice(service: Obj, page: Page, name: str) -> Obj:
    return {
        "metadata": {
            "name": name,
            "generateName": f"{name_of(service)}-",
            "namespace": namespace_of(service),
            "labels": _labels(service),
            "ownerReferences": [owner_reference(service, SERVICE)],
        },
        "addressType": "IPv4",
        "ports": [port.written() for port in page.ports],
        "endpoints": [_endpoint(backend) for backend in page.backends],
    }


def _update(service: Obj, page: Page, old: Obj) -> Iterable[Effect]:
    wanted = _slice(service, page, name_of(old))
    patch: Obj = {} if read_ports(old.get("ports")) == page.ports else {"ports": wanted["ports"]}
    if (old.get("endpoints") or []) != wanted["endpoints"]:
        patch["endpoints"] = wanted["endpoints"]
    labels = create_merge_patch(labels_of(old), wanted["metadata"]["labels"])
    if labels:
        patch["metadata"] = {"labels": labels}
    if patch:
        yield Patch(ENDPOINT_SLICE, key_of(old), patch)


def _labels(service: Obj) -> dict[str, str]:
    """The Service's own labels, then those by which proxies find the slice."""
    labels = labels_of(service) | {SERVICE_NAME: name_of(service), MANAGED_BY: MANAGER}
    return labels | ({HEADLESS: ""} if is_headless(service) else {})


def _endpoint(backend: Backend) -> Obj:
    endpoint: Obj = {
        "addresses": [backend.address],
        "conditions": {
            "ready": backend.ready,
            "serving": backend.serving,
            "terminating": backend.terminating,
        },
        "targetRef": backend.target,
    }
    optional = {"nodeName": backend.node, "hostname": backend.hostname}
    return endpoint | {name: value for name, value in optional.items() if value}
