"""Mesh inputs from YAML, for tests: the manifests users write, and pods and endpoints in short.

Pure. In: Kubernetes and Istio manifests, pod descriptions. Out: `Inputs`. A pod is listed as an endpoint of every
Service whose selector takes it, as the EndpointSlice controller would do.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from graylane.mesh import exports, read, selected
from graylane.mesh.credentials import credential
from graylane.mesh.inputs import Endpoint, Endpoints, Inputs, MeshConfig, Service, selects
from graylane.mesh.memo import Table
from graylane.mesh.store import FIELDS, READERS
from graylane.model.meta import Key, Obj, key_of, labels_of

_AGES = itertools.count()


def manifests(*texts: str | Path, namespace: str = "default") -> list[Obj]:
    """Objects of YAML texts or files, in order, each given a namespace, an age and a generation."""
    found: list[Obj] = []
    for text in texts:
        content = text.read_text() if isinstance(text, Path) else text
        found.extend(created(obj, namespace) for obj in yaml.safe_load_all(content) if obj)
    return found


def created(obj: Obj, namespace: str) -> Obj:
    """`obj` with a namespace, an age and a generation, as an API server would give it."""
    age = next(_AGES)
    created = f"2024-01-01T{age // 3600 % 24:02}:{age // 60 % 60:02}:{age % 60:02}Z"
    defaults = {"namespace": namespace, "generation": 1, "creationTimestamp": created, "uid": str(age)}
    return {**obj, "metadata": defaults | obj["metadata"]}


def pod(
    name: str, ip: str, labels: dict[str, str], *, namespace: str = "default", host_ip: str = "", router: bool = False
) -> Obj:
    metadata: Obj = {"name": name, "namespace": namespace, "labels": labels}
    if router:
        metadata["annotations"] = {read.MIRROR: "envoy"}
    return {"metadata": metadata, "spec": {}, "status": {"podIP": ip, "hostIP": host_ip, "phase": "Running"}}


def gateway_pod(ip: str, host_ip: str) -> Obj:
    labels = {"app": "istio-ingressgateway", "istio": "ingressgateway"}
    return pod("istio-ingressgateway", ip, labels, namespace="istio-system", host_ip=host_ip, router=True)


def gateway_service(node_port: int, target: int = 8080) -> Obj:
    port = {"name": "http2", "port": 80, "targetPort": target, "nodePort": node_port}
    selector = {"app": "istio-ingressgateway", "istio": "ingressgateway"}
    return {
        "kind": "Service",
        "metadata": {"name": "istio-ingressgateway", "namespace": "istio-system"},
        "spec": {"type": "NodePort", "ports": [port], "selector": selector, "clusterIP": "10.96.0.2"},
    }


def entrance(node_port: int, namespace: str = "default") -> list[Obj]:
    """A Gateway of one HTTP port, for all hosts, and its Service; both called gw, for pods labelled `app: gw`."""
    selector = {"app": "gw"}
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    port = {"name": "http2", "port": 80, "targetPort": 8080, "nodePort": node_port}
    gateway = {"kind": "Gateway", "metadata": {"name": "gw"}, "spec": {"selector": selector, "servers": [server]}}
    spec = {"type": "NodePort", "ports": [port], "selector": selector}
    service = {"kind": "Service", "metadata": {"name": "gw"}, "spec": spec}
    return [created(gateway, namespace), created(service, namespace)]


@dataclass
class Cluster:
    """A few objects that may be changed between two calls of `inputs`. `ports` overrides a Service's target ports."""

    mesh: MeshConfig = field(default_factory=MeshConfig)
    objects: list[Obj] = field(default_factory=list)
    pods: list[Obj] = field(default_factory=list)
    not_ready: set[str] = field(default_factory=set)
    ports: dict[str, int] = field(default_factory=dict)

    def apply(self, *objects: Obj) -> None:
        """Add objects, or replace those of the same kind and name, which ages their generation by one."""
        for new in objects:
            old = next((each for each in self.objects if _same(each, new)), None)
            if old is None:
                self.objects.append(new)
            else:
                kept = {**new["metadata"], "generation": old["metadata"].get("generation", 1) + 1}
                kept["creationTimestamp"] = old["metadata"].get("creationTimestamp", "")
                self.objects[self.objects.index(old)] = {**new, "metadata": kept}

    def delete(self, kind: str, name: str) -> None:
        self.objects = [each for each in self.objects if (each["kind"], each["metadata"]["name"]) != (kind, name)]

    def get(self, kind: str, name: str) -> Obj:
        return next(each for each in self.objects if (each["kind"], each["metadata"]["name"]) == (kind, name))

    def of(self, kind: str) -> list[Obj]:
        return [each for each in self.objects if each["kind"] == kind]

    def inputs(self) -> Inputs:
        pods = {key_of(each): each for each in self.pods}
        services, configs = self.of("Service"), self._configs()
        nouns = tuple(self._service(each) for each in services)
        listed = {key_of(each): Endpoints(read.endpoints(self._slices(each), pods.get)) for each in services}
        return Inputs(
            mesh=self.mesh,
            services=nouns,
            endpoints=Table(listed | {key: Endpoints(each) for key, each in self._selected(configs, nouns, listed)}),
            proxies=tuple(filter(None, map(read.proxy, self.pods))),
            credentials=Table((found.key, found) for each in self.of("Secret") if (found := credential(each))),
            **configs,
        )

    def _selected(
        self, configs: dict[str, Any], services: tuple[Service, ...], listed: Mapping[Key, Endpoints]
    ) -> Iterable[tuple[Key, tuple[Endpoint, ...]]]:
        ready = [{"type": "Ready", "status": "True"}]
        pods = (each for each in self.pods if key_of(each).name not in self.not_ready)
        told = ({**each, "status": {**each["status"], "conditions": ready}} for each in pods)
        entries, workloads = configs["service_entries"], configs["workload_entries"]
        return selected.by_key(entries, services, told, workloads, listed).items()

    def _service(self, obj: Obj) -> Service:
        found = read.service(obj, self.mesh.domain)
        return exports.service(found, found.export_to, self.mesh)

    def _configs(self) -> dict[str, Any]:
        return {
            field: tuple(
                exports.exported(READERS[kind](each, self.mesh.domain), self.mesh) for each in self.of(kind.kind)
            )
            for kind, field in FIELDS.items()
        }

    def _slices(self, service: Obj) -> Sequence[Obj]:
        key = key_of(service)
        selector = service["spec"].get("selector") or {}
        backing = [
            each
            for each in self.pods
            if selector and key_of(each).namespace == key.namespace and selects(selector, labels_of(each))
        ]
        ports = [
            {"name": port.get("name", ""), "port": self.ports.get(key.name, port.get("targetPort", port["port"]))}
            for port in service["spec"].get("ports", [])
        ]
        return [{"metadata": service["metadata"], "ports": ports, "endpoints": list(self._entries(backing))}]

    def _entries(self, pods: Iterable[Obj]) -> Iterable[Obj]:
        for each in pods:
            key: Key = key_of(each)
            yield {
                "addresses": [each["status"]["podIP"]],
                "conditions": {"ready": key.name not in self.not_ready},
                "targetRef": {"kind": "Pod", "namespace": key.namespace, "name": key.name},
            }


def _same(left: Obj, right: Obj) -> bool:
    return left["kind"] == right["kind"] and key_of(left) == key_of(right)
