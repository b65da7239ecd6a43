"""Asks the mesh's control plane, ours or Istio's, through the API.

Shell. In: a client, a path of istiod's debug interface. Out: what each of its replicas answers; each knows only the
proxies that are connected to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from graylane.client import ApiClient
from graylane.errors import ApiError
from graylane.model.kinds import POD
from graylane.model.meta import Obj, dig, is_deleting, name_of

NAMESPACE, LABELS = "istio-system", "app=istiod"
_PORT, _PORT_NAME = 15014, "http-monitoring"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one replica said; `error` is why it said nothing, "" when it did."""

    replica: str
    value: Any = None
    error: str = ""


async def ask(client: ApiClient, path: str, params: Mapping[str, str] | None = None) -> list[Answer]:
    """One answer for each replica; none where there is no istiod. Raises `ApiError` if the pods cannot be listed."""
    pods = [pod for pod in (await client.list(POD, NAMESPACE, labels=LABELS)).items if _runs(pod)]
    return list(await asyncio.gather(*(_ask(client, pod, path, dict(params or {})) for pod in pods)))


def _runs(pod: Obj) -> bool:
    return not is_deleting(pod) and dig(pod, "status", "phase") == "Running"


async def _ask(client: ApiClient, pod: Obj, path: str, params: dict[str, str]) -> Answer:
    name = name_of(pod)
    where = f"{POD.path(NAMESPACE)}/{name}:{_port_of(pod)}/proxy{path}"
    try:
        return Answer(name, orjson.loads(await client.request("GET", where, params=params)))
    except ApiError as error:
        return Answer(name, error=error.message)
    except ValueError:
        return Answer(name, error=f"{path} is not JSON")


def _port_of(pod: Obj) -> int:
    ports = (port for each in dig(pod, "spec", "containers", default=[]) for port in each.get("ports") or [])
    return next((int(port["containerPort"]) for port in ports if port.get("name") == _PORT_NAME), _PORT)
