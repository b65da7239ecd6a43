"""A cluster in which everything that manifests ask for is running, for judging what is not applied yet.

Pure. In: lists of objects by kind. Out: the same with what controllers would make of them: a ReplicaSet and ready pods
for each Deployment, endpoints for each Service, a router for each Gateway that selects none. What is already there is
kept: a Deployment whose pods are listed gets no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from graylane.chain.workloads import deployment_of
from graylane.kit.cache import View
from graylane.mesh import read
from graylane.mesh.explain.reading import Lists, as_router, view_of
from graylane.mesh.inputs import selects
from graylane.model.kinds import DEPLOYMENT, ENDPOINT_SLICE, GATEWAY, POD, REPLICA_SET, SERVICE, Kind
from graylane.model.meta import Key, Obj, annotations_of, dig, key_of, labels_of, name_of, namespace_of, owner_reference

_ROUTERS = "istio-system"
_NODE = "127.0.0.1"
_DEFAULT: Obj = {"spec": {"selector": {"app": "istio-ingressgateway", "istio": "ingressgateway"}}}


def imagined(lists: Lists, *, every_gateway: bool = True) -> dict[Kind, list[Obj]]:
    """Objects need no uid, status or version; those without a namespace are taken to be in `default`.

    `every_gateway` False gives only Istio's own ingress gateway, so that a selector of nothing else stays one.
    """
    found = {kind: [_placed(obj, kind) for obj in items] for kind, items in lists.items()}
    view = view_of(found)
    addresses = _addresses()
    taken = {key_of(owner) for pod in found.get(POD, ()) if (owner := deployment_of(view, pod)) is not None}
    pods, sets = [], []
    for deployment in found.get(DEPLOYMENT, ()):
        if key_of(deployment) not in taken and dig(deployment, "spec", "replicas", default=1):
            sets.append(_replica_set(deployment))
            pods.append(_pod(sets[-1], next(addresses)))
    known = [*found.get(POD, ()), *pods]
    wanted = found.get(GATEWAY, ()) if every_gateway else (_DEFAULT,)
    pods += [_router(gateway, next(addresses)) for gateway in _without_router(wanted, known)]
    found[POD] = [*found.get(POD, ()), *pods]
    found[REPLICA_SET] = [*found.get(REPLICA_SET, ()), *sets]
    found[ENDPOINT_SLICE] = list(_slices(found, view_of(found), pods))
    return found


def _placed(obj: Obj, kind: Kind) -> Obj:
    meta = dict(obj.get("metadata") or {})
    if kind.namespaced:
        meta.setdefault("namespace", "default")
    meta.setdefault("generation", 1)
    meta.setdefault("uid", f"{kind.kind}/{meta.get('namespace', '')}/{meta.get('name', '')}")
    return {**obj, "metadata": meta}


def _addresses() -> Iterator[str]:
    """From a network kept for documentation, which no cluster uses."""
    return (
        f"203.0.113.{number % 256}" if number < 256 else f"198.18.{number >> 8}.{number % 256}"
        for number in range(1, 1 << 16)
    )


def _replica_set(deployment: Obj) -> Obj:
    meta = {
        "name": f"{name_of(deployment)}-planned",
        "namespace": namespace_of(deployment),
        "uid": f"ReplicaSet/{key_of(deployment)}",
        "ownerReferences": [owner_reference(deployment, DEPLOYMENT)],
    }
    template = dig(deployment, "spec", "template", default={})
    return {"metadata": meta, "spec": {"template": template}, "status": {"replicas": 1}}


def _pod(replica_set: Obj, address: str) -> Obj:
    template = dig(replica_set, "spec", "template", default={})
    meta = {
        **(template.get("metadata") or {}),
        "name": name_of(replica_set),
        "namespace": namespace_of(replica_set),
        "uid": f"Pod/{key_of(replica_set)}",
        "ownerReferences": [owner_reference(replica_set, REPLICA_SET)],
    }
    status = {"phase": "Running", "podIP": address, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": meta, "spec": template.get("spec") or {}, "status": status}


def _without_router(gateways: Iterable[Obj], pods: list[Obj]) -> Iterator[Obj]:
    """Gateways whose selector meets nothing, each selector once."""
    labels = [labels_of(pod) for pod in pods if read.MIRROR in annotations_of(as_router(pod))]
    for gateway in gateways:
        selector = dig(gateway, "spec", "selector", default={})
        if not any(selects(selector, each) for each in labels):
            labels.append(dict(selector))
            yield gateway


def _router(gateway: Obj, address: str) -> Obj:
    selector = dict(dig(gateway, "spec", "selector", default={}))
    name = selector.get("istio") or selector.get("app") or name_of(gateway)
    meta = {"name": name, "namespace": _ROUTERS, "labels": selector, "annotations": {read.MIRROR: "planned"}}
    return {"metadata": meta, "spec": {}, "status": {"phase": "Running", "podIP": address, "hostIP": _NODE}}


def _slices(found: Lists, view: View, made: list[Obj]) -> Iterator[Obj]:
    """Slices as they are, and one for the pods that were made up behind each Service."""
    yield from found.get(ENDPOINT_SLICE, ())
    for service in found.get(SERVICE, ()):
        selector = dig(service, "spec", "selector", default={})
        behind = [pod for pod in made if selector and _serves(service, selector, pod)]
        if behind:
            name = f"{name_of(service)}-planned"
            meta = {"name": name, "namespace": namespace_of(service), "labels": {read.SERVICE_NAME: name_of(service)}}
            ports = [_port(port, behind[0]) for port in dig(service, "spec", "ports", default=[]) if port.get("port")]
            yield {"metadata": meta, "ports": ports, "endpoints": [_endpoint(pod) for pod in behind]}


def _serves(service: Obj, selector: dict[str, str], pod: Obj) -> bool:
    return namespace_of(pod) == namespace_of(service) and selects(selector, labels_of(pod))


def _port(port: Obj, pod: Obj) -> Obj:
    target: Any = port.get("targetPort") or port["port"]
    if not isinstance(target, int):
        declared = (each for one in dig(pod, "spec", "containers", default=[]) for each in one.get("ports") or [])
        target = next((each["containerPort"] for each in declared if each.get("name") == target), port["port"])
    return {"name": port.get("name", ""), "port": target}


def _endpoint(pod: Obj) -> Obj:
    key: Key = key_of(pod)
    target = {"kind": "Pod", "namespace": key.namespace, "name": key.name}
    return {"addresses": [pod["status"]["podIP"]], "conditions": {"ready": True}, "targetRef": target}
