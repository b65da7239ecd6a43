"""The objects as they are now, and as the manifests will make them.

Shell. In: manifests, and a cluster where there is one. Out: `Before`. A cluster is asked by dry run, so its defaults,
its validation and its admission count. Without one, an API server of our own in a temporary folder takes the manifests;
what they describe is then taken to run already.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from graylane.cli.apply import Applier
from graylane.cli.manifests import Manifest
from graylane.cli.planning.moments import HTTP_ROUTE, INGRESS
from graylane.cli.reading import read
from graylane.client import ApiClient, load_kubeconfig
from graylane.cluster import pki
from graylane.cluster.apiserver.server import ApiServer, ApiServerConfig, User
from graylane.install import install_crds
from graylane.model.kinds import (
    BATCH_RELEASE,
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    DESTINATION_RULE,
    ENDPOINT_SLICE,
    GATEWAY,
    NODE,
    POD,
    REPLICA_SET,
    ROLLOUT,
    SERVICE,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.meta import Obj
from graylane.model.versions.rollout_conversion import to_v1alpha1

READ = (
    SERVICE,
    ENDPOINT_SLICE,
    POD,
    DEPLOYMENT,
    REPLICA_SET,
    VIRTUAL_SERVICE,
    DESTINATION_RULE,
    ROLLOUT,
    BATCH_RELEASE,
    TRAFFIC_ROUTING,
    INGRESS,
    HTTP_ROUTE,
)
_EVERYWHERE = (GATEWAY, CONFIG_MAP, CRD, NODE)
_KNOWN = {(kind.group, kind.kind): kind for kind in (*READ, *_EVERYWHERE)}
Found = list[tuple[Kind, Obj]]


@dataclass(frozen=True, slots=True)
class Before:
    """`present` is there now, `applied` is what applying the manifests would store."""

    namespace: str
    present: Found
    applied: Found


async def of_cluster(client: ApiClient, namespace: str, manifests: list[Manifest]) -> Before:
    """Nothing is changed."""
    applier = Applier(client, namespace, dry_run=True)
    await applier.apply(manifests, lambda _: None)
    return Before(namespace, await _present(client, namespace), [_known(*each) for each in applier.answers])


async def of_manifests(namespace: str, manifests: list[Manifest]) -> Before:
    """As if they had been applied long ago."""
    async with _own_server() as client:
        if namespace != "default":
            await client.create(Kind("", "v1", "Namespace", "namespaces", namespaced=False), _named(namespace))
        await Applier(client, namespace).apply(manifests, lambda _: None)
        return Before(namespace, await _present(client, namespace), [])


async def _present(client: ApiClient, namespace: str) -> Found:
    found = await read(client, READ, namespace) | await read(client, _EVERYWHERE)
    return [(kind, obj) for kind, objects in found.items() for obj in objects]


def _known(kind: Kind, obj: Obj) -> tuple[Kind, Obj]:
    """In the version in which the controllers read it; versions of Istio's kinds differ in nothing else."""
    ours = _KNOWN.get((kind.group, kind.kind), kind)
    if ours == ROLLOUT and kind.version != ours.version:
        obj = to_v1alpha1(obj)
    return ours, obj | {"apiVersion": ours.api_version}


def _named(name: str) -> Obj:
    return {"metadata": {"name": name}}


@asynccontextmanager
async def _own_server() -> AsyncIterator[ApiClient]:
    with tempfile.TemporaryDirectory(prefix="graylane-plan-") as name:
        folder = Path(name)
        authority = pki.Authority(folder / "pki", datetime.now(UTC))
        pair, token = authority.server("server", ["127.0.0.1"]), pki.token(folder / "token")
        admin = User("plan", ("system:masters", "system:authenticated"))
        config = ApiServerConfig(
            folder / "api", "127.0.0.1", 0, certificate=pair.certificate, key=pair.key, tokens={token: admin}
        )
        server = ApiServer(config)
        await server.start()
        try:
            pki.write_kubeconfig(folder / "kubeconfig", server=server.url, ca=authority.bundle, token=token)
            async with ApiClient(load_kubeconfig(folder / "kubeconfig")) as client:
                await install_crds(client)
                yield client
        finally:
            await server.stop()
