"""`pods/…/proxy/` and `services/…/proxy/`: GET a path of a workload through the API.

Shell (network). In: `pods/web:8080/proxy/healthz`, `services/web:http/proxy/`. Out: the workload's own answer.
"""

from __future__ import annotations

import aiohttp

from graylane.cluster.apiserver import failures
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Reply
from graylane.errors import Unavailable
from graylane.model.meta import Key, Obj, dig, labels_of

_TIMEOUT = aiohttp.ClientTimeout(total=30)


async def get(call: Call) -> Reply:
    name, _, port = call.target.name.partition(":")
    entry = call.api.store.get(call.resource.store, Key(call.key.namespace, name))
    if entry is None:
        raise failures.not_found(call.resource, name)
    host, number = _pod_address(entry.obj, port) if call.resource.store == "pods" else _endpoint(call, name, port)
    url = f"http://{host}:{number}/{call.target.rest}"
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False) as session,
            session.get(url, params=_params(call), allow_redirects=False) as response,
        ):
            return Reply(response.status, await response.read(), response.headers.get("Content-Type", "text/plain"))
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unavailable(f"error trying to reach {call.resource.kind.lower()} {name} at {url}: {error}") from error


def _params(call: Call) -> list[tuple[str, str]]:
    return [(name, value) for name, values in call.request.query.values.items() for value in values]


def _pod_address(pod: Obj, port: str) -> tuple[str, int]:
    """The port named, or the first one that the pod declares."""
    host = dig(pod, "status", "podIP")
    if not host:
        raise Unavailable(f"pod {pod['metadata']['name']} has no address yet")
    if port.isdigit():
        return host, int(port)
    declared = [p for c in dig(pod, "spec", "containers", default=[]) for p in c.get("ports") or []]
    chosen = next((p["containerPort"] for p in declared if not port or p.get("name") == port), 80)
    return host, int(chosen)


def _endpoint(call: Call, service: str, port: str) -> tuple[str, int]:
    """The first ready endpoint, at the service port given by number or name."""
    entry = call.api.store.get("services", Key(call.key.namespace, service))
    ports: list[Obj] = dig(entry.obj if entry else None, "spec", "ports", default=[])
    wanted = next((p for p in ports if not port or port in (p.get("name"), str(p.get("port")))), {})
    for piece in call.api.store.entries("endpointslices.discovery.k8s.io", call.key.namespace):
        if labels_of(piece.obj).get("kubernetes.io/service-name") != service:
            continue
        for slice_port in piece.obj.get("ports") or []:
            if (slice_port.get("name") or "") != (wanted.get("name") or ""):
                continue
            for endpoint in piece.obj.get("endpoints") or []:
                if dig(endpoint, "conditions", "ready", default=True):
                    return endpoint["addresses"][0], int(slice_port["port"])
    raise Unavailable(f'no endpoints available for service "{service}"')
