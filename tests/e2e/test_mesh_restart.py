"""Either side of xDS dies: traffic goes on with what Envoy has, and whoever comes back is brought up to date."""

from __future__ import annotations

import pytest

from graylane.mesh.inputs import MeshConfig
from graylane.mesh.xds.server import XdsServer
from graylane.testing import envoys, meshes, places
from graylane.testing.waiting import eventually

pytestmark = pytest.mark.e2e

WORLD = """
kind: Service
metadata: {name: b}
spec: {selector: {app: b}, ports: [{name: http, port: 8000}]}
---
kind: VirtualService
metadata: {name: b}
spec: {hosts: [b], http: [{route: [{destination: {host: b}}], headers: {response: {set: {x-mark: '%s'}}}}]}
---
kind: EnvoyFilter
metadata: {name: inside}
spec:
  configPatches:
  - applyTo: VIRTUAL_HOST
    match: {context: SIDECAR_INBOUND}
    patch: {operation: MERGE, value: {response_headers_to_add: [{header: {key: x-inside, value: 'yes'}}]}}
"""


def world(network: str, mark: str) -> meshes.Cluster:
    found = meshes.Cluster(mesh=MeshConfig(access_log="", whole_up_to=0))
    found.apply(*meshes.manifests(WORLD % mark))
    found.pods = [meshes.pod("client", f"{network}.1", {}), meshes.pod("b", f"{network}.2", {"app": "b"})]
    return found


async def test_119_without_its_control_plane_envoy_goes_on_and_is_current_again_soon_after_it_returns() -> None:
    network = places.own_network()
    async with envoys.upstream("b", f"{network}.2", 8000), envoys.rig() as rig:

        async def mark() -> str:
            answer = await rig.get("http://b:8000/", proxy=f"http://{network}.1:15001")
            assert (answer.status, answer.headers["x-inside"]) == (200, "yes")  # never past a pod's inbound side
            return answer.headers["x-mark"]

        await rig.push(world(network, "old").inputs())
        port = rig.server.port
        await rig.server.stop()
        assert {await mark() for _ in range(20)} == {"old"}
        rig.server = XdsServer(rig.report)
        await rig.server.start(port=port)
        await rig.publish(world(network, "new").inputs())

        async def current() -> bool:
            return await mark() == "new"  # every request on the way is answered

        await eventually(current)


async def test_120_an_envoy_that_starts_anew_is_given_everything() -> None:
    network = places.own_network()
    async with envoys.upstream("b", f"{network}.2", 8000), envoys.rig() as rig:
        await rig.push(world(network, "same").inputs())
        rig.process.kill()
        await rig.process.wait()
        await eventually(lambda: rig.server.connected == 0)
        async with envoys.envoy_process(rig.server.port):

            async def serves() -> bool:
                answer = await rig.get("http://b:8000/", proxy=f"http://{network}.1:15001")
                return (answer.headers.get("x-mark"), answer.headers.get("x-inside")) == ("same", "yes")

            await eventually(serves, ignore=(OSError,))
