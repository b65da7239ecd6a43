"""Chains of sample services of any length, each hop with its routes and its Rollout.

Pure. In: a chain's name and length. Out: manifests. Every service calls the next; the first is behind a gateway host.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graylane.model.meta import Obj

IMAGE = "registry.example.com/aliacs-app-catalog/go-http-sample:1.0"
GATEWAY = "walks"
_ISTIO, _KRUISE = "networking.istio.io/v1beta1", "rollouts.kruise.io/v1alpha1"


@dataclass(frozen=True, slots=True)
class Chain:
    """`name` is the gateway host and the beginning of each service's name."""

    name: str
    length: int

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(f"{self.name}{number}" for number in range(1, self.length + 1))

    @property
    def host(self) -> str:
        return f"{self.name}.example.com"

    def manifests(self) -> Iterator[Obj]:
        callers = ("", *self.services)
        for caller, service, called in zip(callers, self.services, (*self.services[1:], ""), strict=False):
            yield from _hop(service, called, host=self.host if not caller else service, entry=not caller)


def gateway() -> Obj:
    server = {"hosts": ["*"], "port": {"name": "http", "number": 80, "protocol": "HTTP"}}
    spec = {"selector": {"istio": "ingressgateway"}, "servers": [server]}
    return _object(_ISTIO, "Gateway", GATEWAY, spec)


def _hop(service: str, called: str, *, host: str, entry: bool) -> Iterator[Obj]:
    ports = [{"port": 8000, "name": "http"}]
    yield _object("v1", "Service", service, {"ports": ports, "selector": {"app": service}})
    yield _object("apps/v1", "Deployment", service, _deployment(service, called))
    bound = {"gateways": [GATEWAY]} if entry else {}
    base = {"destination": {"host": service, "subset": "base"}}
    yield _object(_ISTIO, "VirtualService", service, bound | {"hosts": [host], "http": [{"route": [base]}]})
    subsets = [{"name": "base", "labels": {"version": "base"}}]
    yield _object(_ISTIO, "DestinationRule", service, {"host": service, "subsets": subsets})
    yield routing(service)
    yield rollout(service)


def _deployment(service: str, called: str) -> Obj:
    env = {"app": service, "version": "v0", "upstream_url": f"http://{called}:8000/" if called else ""}
    container = {
        "name": "default",
        "image": IMAGE,
        "env": [{"name": name, "value": text} for name, text in env.items() if text],
        "ports": [{"containerPort": 8000}],
    }
    labels = {"app": service, "version": "base"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {"replicas": 1, "selector": {"matchLabels": {"app": service}}, "template": template}


def routing(service: str) -> Obj:
    references = [
        {"apiVersion": _ISTIO, "kind": kind, "name": service} for kind in ("VirtualService", "DestinationRule")
    ]
    dye = {"headers": [{"type": "Exact", "name": "my-request-id", "value": "canary"}]}
    spec = {"strategy": {"matches": [dye]}, "objectRef": [{"service": service, "customNetworkRefs": references}]}
    return _object(_KRUISE, "TrafficRouting", service, spec)


def rollout(service: str) -> Obj:
    overlay = {"labels": {"istio.service.tag": "gray", "version": "canary"}}
    canary = {"steps": [{"replicas": 1, "pause": {}}], "patchPodTemplateMetadata": overlay}
    workload = {"apiVersion": "apps/v1", "kind": "Deployment", "name": service}
    spec = {"objectRef": {"workloadRef": workload}, "strategy": {"canary": canary}}
    obj = _object(_KRUISE, "Rollout", service, spec)
    return obj | {"metadata": obj["metadata"] | {"annotations": {"rollouts.kruise.io/trafficrouting": service}}}


def _object(api_version: str, kind: str, name: str, spec: Obj) -> Obj:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}
