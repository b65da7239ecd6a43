"""A small town of services behind one real Envoy, for tests that ask what Istio's objects do to requests.

Shell. In: manifests. Out: answers. Services `b` (pods v1, v2), `two` and `c` in namespace `shop`, a pod `client`
there, one `stranger` in another namespace, and a gateway. One Envoy serves the whole session. Every request is also put
to the simulator, which must agree.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
import yaml

from graylane.chain.match import Request
from graylane.mesh.compile.plan import Plan
from graylane.mesh.compiler import Compiled
from graylane.mesh.inputs import MeshConfig
from graylane.mesh.simulate import Decision, Lost, Reached, Refusal, from_pod, simulate
from graylane.mesh.table import DirectResponse, Redirect
from graylane.model.meta import Obj
from graylane.testing import envoys, meshes, places
from graylane.testing.waiting import eventually

SERVICES = """
kind: Service
metadata: {name: b, namespace: shop}
spec: {selector: {app: b}, clusterIP: 10.96.0.10, ports: [{name: http, port: 8000}]}
---
kind: Service
metadata: {name: two, namespace: shop}
spec:
  selector: {app: b}
  clusterIP: 10.96.0.12
  ports: [{name: http, port: 8000}, {name: http-alt, port: 9000, targetPort: 8000}]
---
kind: Service
metadata: {name: c, namespace: shop}
spec: {selector: {app: c}, clusterIP: 10.96.0.11, ports: [{name: http, port: 80, targetPort: 8000}]}
---
kind: DestinationRule
metadata: {name: b, namespace: shop}
spec:
  host: b
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}, {name: none, labels: {version: v9}}]
---
kind: Gateway
metadata: {name: gw, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
"""


PODS = {"v1": 4, "v2": 5, "c": 6}
CALLERS = {"client": 2, "stranger": 3, "c": 6}


@dataclass
class Town:
    """The services above and the Envoy between them."""

    rig: envoys.Rig
    network: str
    node_port: int
    seen: dict[str, envoys.Received]
    local_port: int  # of a service at 127.0.0.1
    cluster: meshes.Cluster = field(default_factory=meshes.Cluster)
    plan: Plan | None = None  # what Envoy has, None while that is changing

    def address(self, number: int) -> str:
        return f"{self.network}.{number}"

    def reset(self) -> None:
        self.cluster = meshes.Cluster(mesh=MeshConfig(access_log="", ledger="/dev/null", whole_up_to=0))
        self.cluster.apply(*meshes.manifests(SERVICES), meshes.gateway_service(self.node_port))
        self.cluster.pods = [
            meshes.gateway_pod(self.address(1), "127.0.0.1"),
            meshes.pod("client", self.address(2), {"app": "client", "tier": "front"}, namespace="shop"),
            meshes.pod("stranger", self.address(3), {"app": "stranger"}, namespace="elsewhere"),
            meshes.pod("b-v1", self.address(4), {"app": "b", "version": "v1"}, namespace="shop"),
            meshes.pod("b-v2", self.address(5), {"app": "b", "version": "v2"}, namespace="shop"),
            meshes.pod("c-1", self.address(6), {"app": "c"}, namespace="shop"),
        ]

    async def have(self, *texts: str, namespace: str = "shop") -> Compiled:
        self.cluster.apply(*meshes.manifests(*texts, namespace=namespace))
        return await self.push()

    async def follow(self, policy: Obj, *texts: str, **spec: Any) -> Compiled:
        """Have `texts`, and for service `b` this traffic policy."""
        rule = self.cluster.get("DestinationRule", "b")
        self.cluster.apply({**rule, "spec": {**rule["spec"], "trafficPolicy": policy, **spec}})
        return await self.have(*texts)

    async def push(self) -> Compiled:
        self.rig.refused.clear()
        self.plan = None
        compiled = await self.rig.push(self.cluster.inputs())
        self.plan = compiled.plan
        return compiled

    async def ask(self, url: str, source: str = "client", *, method: str = "GET", **headers: str) -> envoys.Answer:
        """From a pod, through its outbound listener."""
        address = self.address(CALLERS[source])
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        plan = self.plan
        answer = await self.rig.get(url, proxy=f"http://{address}:15001", method=method, headers=named)
        authority, slash, path = url.removeprefix("http://").partition("/")
        asked = Request(authority, slash + path, method, headers=tuple(named.items()))
        if plan is not None and plan is self.plan:
            self.compare(from_pod(plan, address, asked), answer)
        return answer

    async def raw(self, text: str, source: str = "client", *, line: bool = False) -> str:
        """What a client that spells its request itself is answered: until the connection ends, or the first `line`."""
        address = self.address(CALLERS[source])
        reader, writer = await asyncio.open_connection(address, 15001)
        writer.write(text.replace("\n", "\r\n").encode())
        answer = await asyncio.wait_for(reader.readline() if line else reader.read(), 30)
        writer.close()
        return answer.decode()

    async def enter(self, path: str = "/", *, method: str = "GET", **headers: str) -> envoys.Answer:
        """From outside, through the gateway."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        plan = self.plan
        answer = await self.rig.get(f"http://127.0.0.1:{self.node_port}{path}", method=method, headers=named)
        asked = Request(named.pop("host", f"127.0.0.1:{self.node_port}"), path, method, headers=tuple(named.items()))
        if plan is not None and plan is self.plan:
            self.compare(simulate(plan, f"127.0.0.1_{self.node_port}", asked), answer)
        return answer

    def compare(self, decision: Decision, answer: envoys.Answer) -> None:
        """Every request of this file is also put to the simulator, which must agree with Envoy."""
        if self.rig.refused or decision.filters or decision.inside or decision.fault:
            return  # Envoy has something else, or what is done to the request cannot be known
        outcome = decision.outcome
        if isinstance(outcome, Refusal):
            assert answer.status == outcome.status, decision
        elif isinstance(outcome, Redirect):
            assert answer.status == outcome.code, decision
        elif isinstance(outcome, DirectResponse):
            assert answer.status == outcome.status, decision
        elif isinstance(outcome, tuple):
            self.compare_pods(decision, outcome, answer)

    def compare_pods(self, decision: Decision, outcome: tuple[Reached | Lost, ...], answer: envoys.Answer) -> None:
        if answer.text.startswith("{") and answer.json["by"] in PODS:
            address = self.address(PODS[answer.json["by"]])
            reached = {each.address for part in outcome if isinstance(part, Reached) for each in part.endpoints}
            assert address in reached, decision
        elif answer.text.startswith("{"):
            return  # a pod of the test's own
        elif all(isinstance(part, Lost) for part in outcome):
            assert answer.status == 503, decision

    async def reached(self, url: str) -> str:
        """Who answers, once somebody does: looking up a name takes a moment of its own."""

        async def look() -> str:
            found = await self.who(url)
            assert isinstance(found, str)
            return found

        return await eventually(look, 30)

    async def who(self, url: str = "http://b:8000/", source: str = "client", **options: str) -> str | int:
        """Which pod answered, or the status if none did."""
        answer = await self.ask(url, source, **options)
        return str(answer.json["by"]) if answer.status == 200 and answer.text.startswith("{") else answer.status


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_town() -> AsyncIterator[Town]:
    network, seen = places.own_network(), dict[str, envoys.Received]()
    async with contextlib.AsyncExitStack() as stack:
        rig = await stack.enter_async_context(envoys.rig())
        for name, number in PODS.items():
            seen[name] = await stack.enter_async_context(envoys.upstream(name, f"{network}.{number}", 8000))
        local = places.free_port()
        await stack.enter_async_context(envoys.upstream("local", "127.0.0.1", local))
        yield Town(rig, network, places.free_port(), seen, local)


@pytest.fixture
def town(shared_town: Town) -> Town:
    shared_town.reset()
    for requests in shared_town.seen.values():
        requests.forget()
    return shared_town


def vs(http: str, *, host: str = "b", name: str = "vs", **spec: Any) -> str:
    """A VirtualService around its http rules."""
    body = {"hosts": [host], "http": yaml.safe_load(http), **spec}
    return yaml.safe_dump({"kind": "VirtualService", "metadata": {"name": name}, "spec": body})


def to(subset: str, extra: str = "") -> str:
    return f"- {{route: [{{destination: {{host: b, subset: {subset}, port: {{number: 8000}}}}}}]{extra}}}\n"
