"""Every kind of object is edited, again and again, under traffic on connections that stay open: no request fails.

`GRAYLANE_EDITS` says how often each is edited: a few times in `make test`, 500 times in `make nightly`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

import aiohttp
import pytest
import pytest_asyncio

from graylane.mesh.inputs import MeshConfig
from graylane.model.meta import Obj
from graylane.testing import envoys, meshes, places

EDITS = int(os.environ.get("GRAYLANE_EDITS", "12"))
RATE = 500  # requests a second

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120 + EDITS), pytest.mark.asyncio(loop_scope="module")]

WORLD = """
kind: Service
metadata: {name: b}
spec: {selector: {app: b}, clusterIP: 10.96.0.10, ports: [{name: http, port: 8000}]}
---
kind: DestinationRule
metadata: {name: b}
spec: {host: b, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
kind: VirtualService
metadata: {name: b}
spec: {hosts: ["*", b], gateways: [gw, mesh], http: [{route: [{destination: {host: b, subset: v1}}]}]}
---
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
"""
ENTRY = """
kind: ServiceEntry
metadata: {name: far}
spec:
  hosts: [far.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1}]
"""
SIDECAR = "{kind: Sidecar, metadata: {name: all}, spec: {egress: [{hosts: ['*/*']}]}}"
FILTER = """
kind: EnvoyFilter
metadata: {name: mark, namespace: istio-system}
spec:
  workloadSelector: {labels: {istio: ingressgateway}}
  configPatches:
  - applyTo: HTTP_FILTER
    match: {context: GATEWAY, listener: {filterChain: {filter: {
      name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router}}}}}
    patch:
      operation: INSERT_BEFORE
      value:
        name: mark
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
          inline_code: "function envoy_on_request(handle) handle:headers():add('x-mark', '1') end"
"""


@dataclass
class Town:
    """Two versions of `b` behind a gateway and a pod's proxy, and what may be done to them."""

    rig: envoys.Rig
    network: str
    gateway: str
    cluster: meshes.Cluster = field(
        default_factory=lambda: meshes.Cluster(mesh=MeshConfig(access_log="", ledger="/dev/null", whole_up_to=0))
    )

    def reset(self, node_port: int) -> None:
        self.cluster = meshes.Cluster(mesh=MeshConfig(access_log="", ledger="/dev/null", whole_up_to=0))
        self.cluster.apply(*meshes.manifests(WORLD), meshes.gateway_service(node_port))
        self.cluster.pods = [
            meshes.gateway_pod(f"{self.network}.1", "127.0.0.1"),
            meshes.pod("client", f"{self.network}.2", {"app": "client"}),
            meshes.pod("b-v1", f"{self.network}.3", {"app": "b", "version": "v1"}),
            meshes.pod("b-v2", f"{self.network}.4", {"app": "b", "version": "v2"}),
        ]

    def edit(self, kind: str, name: str, **spec: object) -> None:
        old = self.cluster.get(kind, name)
        self.cluster.apply({**old, "spec": {**old["spec"], **spec}})

    def toggle(self, text: str) -> None:
        """Create what the text describes, or delete it if it is there."""
        (obj,) = meshes.manifests(text)
        if any(each["kind"] == obj["kind"] for each in self.cluster.objects):
            self.cluster.delete(obj["kind"], obj["metadata"]["name"])
        else:
            self.cluster.apply(obj)


def route(subset: str, **more: object) -> Obj:
    return {"route": [{"destination": {"host": "b", "subset": subset}}], **more}


def lane(town: Town, turn: int) -> None:
    dyed = route("v2", match=[{"headers": {"my-request-id": {"exact": "canary"}}}])
    town.edit("VirtualService", "b", http=[dyed, route("v1")] if turn % 2 == 0 else [route("v1")])


def weights(town: Town, turn: int) -> None:
    share = turn % 5 * 25
    both = [
        {"destination": {"host": "b", "subset": name}, "weight": weight}
        for name, weight in (("v1", 100 - share), ("v2", share))
    ]
    town.edit(
        "VirtualService",
        "b",
        http=[{"route": both, "timeout": "5s", "headers": {"response": {"set": {"x-turn": str(turn)}}}}],
    )


def whole_virtual_service(town: Town, turn: int) -> None:
    """The gateway would have no route without one, so another stands in while it is gone."""
    stands_in = {"hosts": ["*"], "gateways": ["gw"], "http": [route("v2")]}
    if turn % 2 == 0:
        town.cluster.apply(*meshes.manifests(f"{{kind: VirtualService, metadata: {{name: a}}, spec: {stands_in}}}"))
        town.cluster.delete("VirtualService", "b")
    else:
        town.cluster.apply(*meshes.manifests(WORLD)[2:3])
        town.cluster.delete("VirtualService", "a")


def policy(town: Town, turn: int) -> None:
    balancer = {"simple": ("ROUND_ROBIN", "RANDOM", "LEAST_REQUEST")[turn % 3]}
    pool = {"tcp": {"connectTimeout": f"{turn % 4 + 1}s"}, "http": {"maxRequestsPerConnection": turn % 7}}
    town.edit("DestinationRule", "b", trafficPolicy={"loadBalancer": balancer, "connectionPool": pool})


def subset_and_route(town: Town, turn: int) -> None:
    """As a release does: a subset and the route to it come together, and go together."""
    subsets = [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")]
    more = [{"name": f"t{turn}", "labels": {"version": "v2"}}] if turn % 2 == 0 else []
    town.edit("DestinationRule", "b", subsets=subsets + more)
    town.edit("VirtualService", "b", http=[route(f"t{turn}" if more else "v1")])


def gateway(town: Town, turn: int) -> None:
    servers = [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*", f"h{turn}.example.com"]}]
    if turn % 2:
        servers.append({"port": {"number": 8000, "name": "more", "protocol": "HTTP"}, "hosts": ["*"]})
    town.edit("Gateway", "gw", servers=servers)


def service(town: Town, turn: int) -> None:
    ports = [{"name": "http", "port": 8000}] + [{"name": "http-more", "port": 9000, "targetPort": 8000}] * (turn % 2)
    town.edit("Service", "b", ports=ports)
    to = {"host": "b", "port": {"number": 8000}}  # without it a gateway would take its own, of a Service with several
    town.edit("VirtualService", "b", http=[{"route": [{"destination": to}]}])


def endpoints(town: Town, turn: int) -> None:
    town.cluster.not_ready = {"b-v2"} if turn % 2 == 0 else set()
    town.edit("VirtualService", "b", http=[{"route": [{"destination": {"host": "b"}}]}])


def pods(town: Town, turn: int) -> None:
    labels = {"app": "client", "turn": str(turn)}
    town.cluster.pods[1] = meshes.pod("client", f"{town.network}.2", labels)
    others = [each for each in town.cluster.pods if each["metadata"]["name"] != "late"]
    late = [meshes.pod("late", f"{town.network}.9", {"app": "late"})] if turn % 2 == 0 else []
    town.cluster.pods = others + late


def inbound(town: Town, turn: int) -> None:
    """A filter on the inbound side of the pods comes, changes its code, and goes."""
    (obj,) = meshes.manifests(FILTER.replace("GATEWAY", "SIDECAR_INBOUND").replace("'1'", f"'{turn}'"))
    obj["spec"]["workloadSelector"] = {"labels": {"app": "b"}}
    if turn % 3 < 2:
        town.cluster.apply(obj)
    elif any(each["kind"] == "EnvoyFilter" for each in town.cluster.objects):
        town.cluster.delete("EnvoyFilter", "mark")


def form(town: Town, turn: int) -> None:
    """Pods' tables come as a whole, and in parts again."""
    town.cluster.mesh = replace(town.cluster.mesh, whole_up_to=turn % 2 * 1000)


CHANGES: dict[str, Callable[[Town, int], None]] = {
    "a lane": lane,
    "weights": weights,
    "a whole VirtualService": whole_virtual_service,
    "a traffic policy": policy,
    "a subset with its route": subset_and_route,
    "a Gateway": gateway,
    "a Service": service,
    "endpoints": endpoints,
    "pods": pods,
    "a filter": lambda town, _: town.toggle(FILTER),
    "a filter of the pods": lambda town, _: town.toggle(FILTER.replace("GATEWAY", "SIDECAR_OUTBOUND")),
    "the form of tables": form,
    "an inbound filter": inbound,
    "a ServiceEntry": lambda town, _: town.toggle(ENTRY),
    "a Sidecar": lambda town, _: town.toggle(SIDECAR),
}


class Traffic:
    """Requests in turn through the gateway and through the pod's proxy, dyed and plain, on kept connections."""

    def __init__(self, town: Town, http: aiohttp.ClientSession) -> None:
        self.sent = 0
        self.failed: list[str] = []
        self._town = town
        self._http = http

    async def run(self) -> None:
        """Open loop until cancelled; what is under way then is awaited."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        async with asyncio.TaskGroup() as flying:
            with contextlib.suppress(asyncio.CancelledError):
                for number in itertools.count():
                    await asyncio.sleep(max(0.0, start + number / RATE - loop.time()))
                    flying.create_task(self._one(number))

    async def _one(self, number: int) -> None:
        self.sent += 1
        headers = {"my-request-id": "canary"} if number % 4 < 2 else {}
        proxy = f"http://{self._town.network}.2:15001" if number % 2 else None
        url = "http://b:8000/" if proxy else self._town.gateway
        try:
            answer = await envoys.fetch(self._http, url, proxy=proxy, headers=headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.failed.append(f"{url}: {type(error).__name__}: {error}")
            return
        if answer.status != 200:
            self.failed.append(f"{url}: {answer.status} {answer.text}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town() -> AsyncIterator[Town]:
    network, port = places.own_network(), places.free_port()
    async with (
        envoys.rig(workers=2) as rig,
        envoys.upstream("v1", f"{network}.3", 8000),
        envoys.upstream("v2", f"{network}.4", 8000),
    ):
        found = Town(rig, network, f"http://127.0.0.1:{port}/")
        found.reset(port)
        await rig.push(found.cluster.inputs())
        yield found


@pytest.mark.parametrize("what", CHANGES)
async def test_no_request_fails_while_it_is_edited(town: Town, what: str) -> None:
    change, refused = CHANGES[what], len(town.rig.refused)
    town.reset(int(town.gateway.rpartition(":")[2].rstrip("/")))
    await town.rig.push(town.cluster.inputs())
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        traffic = Traffic(town, http)
        running = asyncio.create_task(traffic.run())
        for turn in range(EDITS):
            change(town, turn)
            answered = traffic.sent
            await town.rig.push(town.cluster.inputs())
            while traffic.sent < answered + 10:  # noqa: ASYNC110 - traffic at a rate is the clock here
                await asyncio.sleep(1 / RATE)
        running.cancel()
        await running
    print(f"{what}: {EDITS} edits, {traffic.sent} requests, {len(traffic.failed)} failed")
    assert town.rig.refused[refused:] == []
    assert traffic.failed == []
