"""What exists in every cluster from the first second: the system namespaces and the API's own Service.

Shell (store, through the API's own front). In: a started API. Out: nothing; what is there already is left alone.
"""

from __future__ import annotations

import asyncio

from graylane.cluster.apiserver import pipeline
from graylane.cluster.apiserver.context import Api, Call
from graylane.cluster.apiserver.exchange import Request, User
from graylane.cluster.apiserver.paths import Target
from graylane.cluster.apiserver.resources import SYSTEM_NAMESPACES
from graylane.errors import AlreadyExists
from graylane.model.meta import Obj

SYSTEM = User("system:apiserver", ("system:masters",))
_PROVIDER = {"component": "apiserver", "provider": "kubernetes"}


async def bootstrap(api: Api, port: int) -> None:
    """Idempotent. The Service must come after the namespaces; the namespaces share one transaction."""
    await asyncio.gather(*(_ensure(api, "namespaces", "", _namespace(name)) for name in SYSTEM_NAMESPACES))
    await _ensure(api, "services", "default", _service(port))


async def _ensure(api: Api, plural: str, namespace: str, obj: Obj) -> None:
    resource = api.registry.find("", "v1", plural)
    assert resource is not None
    call = Call(api, Request("POST", ""), Target("", "v1", plural, namespace), resource, SYSTEM)
    try:
        await pipeline.create(call, obj)
    except AlreadyExists:
        return


def _namespace(name: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _service(port: int) -> Obj:
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": _PROVIDER},
        "spec": {"ports": ports, "type": "ClusterIP"},
    }
