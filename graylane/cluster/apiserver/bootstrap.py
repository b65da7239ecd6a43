"""What exists in every cluster from the first second: system namespaces, the API's own Service, roles, the authority.

Shell (store, through the API's own front). In: a started API. Out: nothing; what is there already is left alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from graylane.cluster.apiserver import pipeline
from graylane.cluster.apiserver.authorization import defaults
from graylane.cluster.apiserver.context import Api, Call
from graylane.cluster.apiserver.exchange import Request, User
from graylane.cluster.apiserver.paths import Target
from graylane.cluster.apiserver.resources import MEASURED, SYSTEM_NAMESPACES
from graylane.errors import AlreadyExists
from graylane.model.meta import Condition, Key, Obj, is_true, key_of, name_of, set_condition

SYSTEM = User("system:apiserver", ("system:masters",))
_AVAILABLE = Condition("Available", "True", "Local", "Local APIServices are always available")
_PROVIDER = {"component": "apiserver", "provider": "kubernetes"}


async def bootstrap(api: Api, port: int) -> None:
    """Idempotent. The Service must come after the namespaces; the namespaces share one transaction."""
    await asyncio.gather(*(_ensure(api, "namespaces", "", _namespace(name)) for name in SYSTEM_NAMESPACES))
    wanted = [("services", "default", _service(port))]
    wanted += [("clusterroles", "", role) for role in defaults.cluster_roles()]
    wanted += [("clusterrolebindings", "", binding) for binding in defaults.cluster_role_bindings()]
    await asyncio.gather(*(_ensure(api, *what) for what in wanted))
    await _announce(api, MEASURED[0].group, MEASURED[0].version)
    if bundle := api.config.bundle():
        await _publish(api, _authority(bundle))


async def _ensure(api: Api, plural: str, namespace: str, obj: Obj) -> None:
    call = _call(api, plural, namespace, obj)
    if api.store.head(call.resource.store, Key(namespace, name_of(obj))) is not None:
        return
    try:
        await pipeline.create(call, obj)
    except AlreadyExists:
        return


async def _announce(api: Api, group: str, version: str) -> None:
    """Where clients and tools look for what is served beside Kubernetes' own groups, elsewhere by another server."""
    obj = _api_service(group, version)
    await _ensure(api, "apiservices", "", obj)
    call = _call(api, "apiservices", "", obj)
    call = replace(call, target=replace(call.target, name=name_of(obj), subresource="status"))

    def available(old: Obj) -> Obj:
        if is_true(old, _AVAILABLE.type):
            return old
        return {**old, "status": {"conditions": set_condition([], _AVAILABLE, api.clock())}}

    await pipeline.update(call, key_of(obj), available)


async def _publish(api: Api, obj: Obj) -> None:
    """A ConfigMap that says today's truth: the authority is another one when its directory was deleted."""
    key = key_of(obj)
    await _ensure(api, "configmaps", key.namespace, obj)
    call = _call(api, "configmaps", key.namespace, obj)
    await pipeline.update(call, key, lambda old: {**old, "data": obj["data"]})


def _call(api: Api, plural: str, namespace: str, obj: Obj) -> Call:
    resource = api.registry.by_kind(obj["apiVersion"], obj["kind"])
    assert resource is not None
    target = Target(resource.group, resource.version, plural, namespace)
    return Call(api, Request("POST", ""), target, resource, SYSTEM)


def _namespace(name: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _authority(bundle: str) -> Obj:
    """Whom to trust, where the workload controllers find it: they give a copy to every namespace."""
    metadata = {"name": "kube-root-ca.crt", "namespace": "kube-system"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": bundle}}


def _api_service(group: str, version: str) -> Obj:
    spec = {"group": group, "version": version, "groupPriorityMinimum": 100, "versionPriority": 100}
    metadata = {"name": f"{version}.{group}", "labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"}}
    return {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": metadata, "spec": spec}


def _service(port: int) -> Obj:
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": _PROVIDER},
        "spec": {"ports": ports, "type": "ClusterIP"},
    }
