"""A whole cluster as the judge: whoever its kubeconfig names makes a token that scenarios can send, or leave away.

Shell. In: an `ApiConfig`. Out: URL, what to trust and a token. Where the kubeconfig has a client certificate instead of
a token, a ServiceAccount with the rights of cluster-admin is made for as long as the scenarios run.
"""

from __future__ import annotations

import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from graylane.client import ApiClient, ApiConfig

_RBAC = "rbac.authorization.k8s.io"
_HOME = "/api/v1/namespaces/default/serviceaccounts"
_BINDINGS = f"/apis/{_RBAC}/v1/clusterrolebindings"


@dataclass(frozen=True, slots=True)
class Cluster:
    url: str
    trust: ssl.SSLContext
    token: str


@asynccontextmanager
async def opened(config: ApiConfig) -> AsyncIterator[Cluster]:
    trust = ssl.create_default_context(cadata=config.ca_data.decode() if config.ca_data else None)
    if config.insecure:
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    token = config.token_file.read_text().strip() if config.token_file else config.token
    if token:
        yield Cluster(config.server, trust, token)
        return
    async with ApiClient(config) as client, _visitor(client) as made:
        yield Cluster(config.server, trust, made)


@asynccontextmanager
async def _visitor(client: ApiClient) -> AsyncIterator[str]:
    name = f"graylane-conformance-{uuid.uuid4().hex[:8]}"
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    await _post(client, _HOME, account)
    try:
        await _post(client, _BINDINGS, _binding(name))
        wish = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
        yield str((await _post(client, f"{_HOME}/{name}/token", wish))["status"]["token"])
    finally:
        await client.request("DELETE", f"{_BINDINGS}/{name}")
        await client.request("DELETE", f"{_HOME}/{name}")


async def _post(client: ApiClient, path: str, body: dict[str, Any]) -> Any:
    return orjson.loads(await client.request("POST", path, body=orjson.dumps(body)))


def _binding(name: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
    }
