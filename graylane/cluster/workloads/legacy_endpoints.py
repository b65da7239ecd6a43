"""Endpoints, the older form of EndpointSlices, for clients that still read it.

Pure. In: a Service, the pods it selects, its Endpoints. Out: the Endpoints object created, patched or deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from graylane.cluster.workloads.backends import Backend, backends, is_headless
from graylane.cluster.workloads.endpoints import HEADLESS, Ports, selects_pods
from graylane.cluster.workloads.namespaces import is_closing
from graylane.kit import Create, Delete, Outcome, Patch, View
from graylane.model.kinds import ENDPOINTS, POD, SERVICE
from graylane.model.meta import Key, Obj, dig, key_of, labels_of, name_of, namespace_of, uid_of
from graylane.model.patches import create_merge_patch
from graylane.model.selectors import LabelSelector

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"


def reconcile(view: View, key: Key, now: datetime) -> Outcome:
    """One Service. Endpoints have no owner reference: what we wrote for a Service that is gone, we delete."""
    service, old = view.get(SERVICE, *key), view.get(ENDPOINTS, *key)
    if service is None:
        ours = old is not None and labels_of(old).get(MANAGED_BY) == MANAGER
        return Outcome((Delete(ENDPOINTS, key, uid_of(old)),)) if old is not None and ours else Outcome()
    if not selects_pods(service) or is_closing(view, key.namespace):
        return Outcome()
    pods = view.list(POD, key.namespace, LabelSelector.of_map(service["spec"]["selector"]))
    wanted = _endpoints(service, backends(service, pods))
    if old is None:
        return Outcome((Create(ENDPOINTS, wanted),))
    return _update(old, wanted)


def _update(old: Obj, wanted: Obj) -> Outcome:
    patch: Obj = {}
    if (old.get("subsets") or []) != wanted["subsets"]:
        patch["subsets"] = wanted["subsets"]
    labels = create_merge_patch(labels_of(old), wanted["metadata"]["labels"])
    if labels:
        patch["metadata"] = {"labels": labels}
    return Outcome((Patch(ENDPOINTS, key_of(old), patch),)) if patch else Outcome()


def _endpoints(service: Obj, found: Iterable[Backend]) -> Obj:
    labels = labels_of(service) | {MANAGED_BY: MANAGER} | ({HEADLESS: ""} if is_headless(service) else {})
    return {
        "metadata": {"name": name_of(service), "namespace": namespace_of(service), "labels": labels},
        "subsets": _subsets(service, found),
    }


def _subsets(service: Obj, found: Iterable[Backend]) -> list[Obj]:
    """One subset per set of ports; a terminating pod is in none, unless even unready pods are to be published."""
    anyway = bool(dig(service, "spec", "publishNotReadyAddresses", default=False))
    by_ports: dict[Ports, list[Backend]] = {}
    for backend in found:
        if anyway or not backend.terminating:
            by_ports.setdefault(backend.ports, []).append(backend)
    return [_subset(ports, group) for ports, group in sorted(by_ports.items())]


def _subset(ports: Ports, group: Sequence[Backend]) -> Obj:
    ready = [_address(backend) for backend in group if backend.ready]
    waiting = [_address(backend) for backend in group if not backend.ready]
    written = [{name: value for name, value in port.written().items() if value != ""} for port in ports]
    subset: dict[str, Any] = {"addresses": ready, "notReadyAddresses": waiting, "ports": written}
    return {name: value for name, value in subset.items() if value}


def _address(backend: Backend) -> Obj:
    address: Obj = {"ip": backend.address, "targetRef": backend.target}
    optional = {"nodeName": backend.node, "hostname": backend.hostname}
    return address | {name: value for name, value in optional.items() if value}
