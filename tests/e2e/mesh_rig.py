"""The mesh with everything real around it: API server, manager, xDS, Envoy. Only the pods are stand-ins.

Shell. In: manifests. Out: a running mesh and the means to look at it from outside: requests, statuses.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from graylane.client import ApiClient, ApiConfig
from graylane.cluster.apiserver.server import ApiServer, ApiServerConfig, User
from graylane.cluster.envoy.trial import Trial
from graylane.errors import NotFound
from graylane.install import install_crds
from graylane.kit import Manager, running
from graylane.mesh import meshconfig
from graylane.mesh.controller import Mesh
from graylane.mesh.inputs import MeshConfig
from graylane.model.kinds import (
    DESTINATION_RULE,
    ENDPOINT_SLICE,
    ENVOY_FILTER,
    GATEWAY,
    POD,
    SERVICE,
    SERVICE_ENTRY,
    SIDECAR,
    VIRTUAL_SERVICE,
    WORKLOAD_ENTRY,
    Kind,
)
from graylane.model.meta import Obj, condition, dig, generation_of
from graylane.testing import envoys, places
from graylane.testing.meshes import gateway_service
from graylane.testing.waiting import eventually

SCENARIO = Path(__file__).parents[2] / "examples" / "end-to-end-canary"
KINDS = {
    kind.kind: kind
    for kind in (
        SERVICE,
        POD,
        ENDPOINT_SLICE,
        GATEWAY,
        VIRTUAL_SERVICE,
        DESTINATION_RULE,
        ENVOY_FILTER,
        SERVICE_ENTRY,
        SIDECAR,
        WORKLOAD_ENTRY,
    )
}


@dataclass
class MeshRig:
    client: ApiClient
    manager: Manager
    mesh: Mesh
    network: str
    node_port: int
    http: aiohttp.ClientSession
    stack: contextlib.AsyncExitStack
    addresses: int = 1
    backends: dict[str, list[Any]] = field(default_factory=dict)

    async def apply(self, *texts: str | Path) -> None:
        for text in texts:
            content = text.read_text() if isinstance(text, Path) else text
            for obj in yaml.safe_load_all(content):
                if obj and obj["kind"] in KINDS:
                    await self.put(obj)

    async def put(self, obj: Obj) -> Obj:
        kind = KINDS[obj["kind"]]
        namespace = obj["metadata"].setdefault("namespace", "default")
        try:
            await self.client.get(kind, obj["metadata"]["name"], namespace)
        except NotFound:
            return await self.client.create(kind, obj)
        return await self.client.patch(kind, obj["metadata"]["name"], namespace, {"spec": obj["spec"]})

    async def pod(
        self, name: str, labels: dict[str, str], *, service: str = "", call: str = "", upstream: bool = True
    ) -> str:
        """A ready pod with its own address, a process behind it, and its place in the Service's endpoints."""
        self.addresses += 1
        address = f"{self.network}.{self.addresses}"
        if upstream:
            proxy = f"http://{address}:15001"
            self.backends[name] = await self.stack.enter_async_context(
                envoys.upstream(name, address, 8000, call, proxy)
            )
        await self.make_pod(name, labels, address)
        if service:
            await self.list_endpoint(service, name, address)
        return address

    async def make_pod(self, name: str, labels: dict[str, str], address: str, namespace: str = "default") -> None:
        containers = [{"name": "main", "image": "sample"}]
        spec = {"containers": containers, "nodeName": "graylane", "terminationGracePeriodSeconds": 30}
        metadata: Obj = {"name": name, "namespace": namespace, "labels": labels}
        if namespace == "istio-system":
            metadata["annotations"] = {"kubernetes.io/config.mirror": "envoy"}
        await self.client.create(POD, {"metadata": metadata, "spec": spec})
        status = {"podIP": address, "hostIP": "127.0.0.1", "phase": "Running"}
        await self.client.patch(POD, name, namespace, {"status": status}, subresource="status")

    async def list_endpoint(self, service: str, pod: str, address: str, *, ready: bool = True) -> None:
        """One EndpointSlice per pod keeps this rig free of the controller that would write them."""
        entry = {
            "addresses": [address],
            "conditions": {"ready": ready},
            "targetRef": {"kind": "Pod", "namespace": "default", "name": pod},
        }
        obj = {
            "metadata": {
                "name": f"{service}-{pod}",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": service},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8000, "protocol": "TCP"}],
            "endpoints": [entry],
        }
        await self.client.create(ENDPOINT_SLICE, obj)

    async def get(self, path: str = "/", **headers: str) -> envoys.Answer:
        """One request to the gateway, as users send it."""
        url = f"http://127.0.0.1:{self.node_port}{path}"
        return await envoys.fetch(self.http, url, headers={k.replace("_", "-"): v for k, v in headers.items()})

    async def obj(self, kind: Kind, name: str, namespace: str = "default") -> Obj:
        return await self.client.get(kind, name, namespace)

    async def reconciled(self, kind: Kind, name: str, namespace: str = "default", status: str = "True") -> Obj:
        """The object, once its status speaks of its present generation in these terms."""

        async def look() -> Obj | None:
            obj = await self.obj(kind, name, namespace)
            current = dig(obj, "status", "observedGeneration") == generation_of(obj)
            said = condition(obj, "Reconciled")
            return obj if current and said and said["status"] == status else None

        found = await eventually(look, 30, f"{kind.kind} {name} Reconciled={status}")
        assert found is not None
        return found


@contextlib.asynccontextmanager
async def mesh_rig(directory: Path, *, envoy: bool = True) -> AsyncIterator[MeshRig]:
    config = ApiServerConfig(data_dir=directory / "api", tokens={"admin": User("admin", ("system:masters",))})
    async with contextlib.AsyncExitStack() as stack:
        server = ApiServer(config)
        await server.start()
        stack.push_async_callback(server.stop)
        client = await stack.enter_async_context(ApiClient(ApiConfig(server.url, "admin")))
        await install_crds(client)
        manager = Manager(client)
        manager.add(meshconfig.controller())
        mesh = Mesh(
            MeshConfig(access_log="", ledger=str(directory / "ledger")), manager, trial=Trial(directory / "trial")
        )
        await mesh.start()
        stack.push_async_callback(mesh.stop)
        await stack.enter_async_context(running(manager))
        if envoy:
            await stack.enter_async_context(envoys.envoy_process(mesh.xds_port))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        rig = MeshRig(client, manager, mesh, places.own_network(), places.free_node_port(), http, stack)
        labels = {"app": "istio-ingressgateway", "istio": "ingressgateway"}
        service = gateway_service(rig.node_port)
        del service["spec"]["clusterIP"]
        await client.create(SERVICE, service)
        await rig.make_pod("istio-ingressgateway", labels, f"{rig.network}.1", "istio-system")
        yield rig
