"""Fetches what a pod's volumes are made of and puts it where its processes find it.

Shell. In: the pod, the services. Out: where each volume is. Done before every start of a container, and again whenever
a ConfigMap or Secret changes or a token grows old.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from pathlib import Path
from typing import TypeVar

import orjson

from graylane.client import ApiClient
from graylane.cluster.kubelet import apiaccess, volumes
from graylane.cluster.kubelet.contents import Given, Wish, token_wishes, volume_sources
from graylane.cluster.kubelet.downward import Place
from graylane.cluster.kubelet.environment import Source
from graylane.cluster.kubelet.services import Services
from graylane.cluster.kubelet.storage.claims import claims_of
from graylane.cluster.kubelet.storage.volumes import path_of
from graylane.errors import NotFound
from graylane.model.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, SERVICE_ACCOUNT
from graylane.model.meta import Obj, dig, name_of, namespace_of, uid_of

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def place_of(services: Services, ip: str) -> Place:
    config, machine = services.config, services.machine
    has = {"cpu": machine.cpus, "memory": machine.memory_bytes}
    return Place(ip, config.node_ip, config.node_name, has)


async def mounted(services: Services, pod: Obj, ip: str) -> dict[str, Path]:
    """All volumes of the pod, up to date. Raises `ConfigProblem`, `ApiError` or OSError."""
    objects = await existing(services.client, namespace_of(pod), volume_sources(pod))
    tokens = await _tokens(services.client, pod, wishes_of(services, pod))
    given = Given(pod, place_of(services, ip), objects, tokens)
    claims = await _claims(services.client, namespace_of(pod), claims_of(pod))
    if has_access(services, pod) and (token := tokens.get(apiaccess.WISH)):
        directory = _access_directory(services, pod)
        volumes.write(directory, apiaccess.access_files(pod, services.client.config, token, directory))
    return volumes.prepare(services.pod_directory(pod), given, claims)


def wishes_of(services: Services, pod: Obj) -> set[Wish]:
    """Every token that the pod's files hold."""
    return token_wishes(pod) | ({apiaccess.WISH} if has_access(services, pod) else set())


def has_access(services: Services, pod: Obj) -> bool:
    """A pod with a network of its own does not reach the API's address."""
    return services.network_of(pod) is None and apiaccess.wants_access(pod)


def access_variables(services: Services, pod: Obj) -> dict[str, str]:
    """How the pod's processes find what `mounted` made."""
    config = _access_directory(services, pod) / apiaccess.CONFIG
    return {apiaccess.VARIABLE: str(config)} if has_access(services, pod) and config.exists() else {}


def _access_directory(services: Services, pod: Obj) -> Path:
    return services.pod_directory(pod) / "serviceaccount"


async def existing(client: ApiClient, namespace: str, wanted: Iterable[Source]) -> dict[Source, Obj]:
    """Those of `wanted` that exist."""
    return await _those_found(wanted, lambda source: client.get(source[0], source[1], namespace))


async def _claims(client: ApiClient, namespace: str, names: Iterable[str]) -> dict[str, Path]:
    """The directories of those that are bound to a kind of volume which this machine has."""

    async def find(name: str) -> Path | None:
        claim = await client.get(PERSISTENT_VOLUME_CLAIM, name, namespace)
        volume = dig(claim, "spec", "volumeName") if dig(claim, "status", "phase") == "Bound" else None
        return path_of(await client.get(PERSISTENT_VOLUME, str(volume))) if volume else None

    return await _those_found(names, find)


async def _tokens(client: ApiClient, pod: Obj, wishes: Iterable[Wish]) -> dict[Wish, str]:
    """None for a service account that is not there."""
    account = str(dig(pod, "spec", "serviceAccountName", default="default"))
    path = SERVICE_ACCOUNT.path(namespace_of(pod), account, "token")
    bound = {"apiVersion": "v1", "kind": "Pod", "name": name_of(pod), "uid": uid_of(pod)}

    async def ask(wish: Wish) -> str | None:
        spec = {"audiences": [wish.audience] if wish.audience else [], "expirationSeconds": wish.seconds}
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        body = orjson.dumps(request | {"spec": spec | {"boundObjectRef": bound}})
        answer = orjson.loads(await client.request("POST", path, body=body))
        return dig(answer, "status", "token")  # type: ignore[no-any-return]

    return await _those_found(wishes, ask)


async def _those_found(wanted: Iterable[K], find: Callable[[K], Awaitable[V | None]]) -> dict[K, V]:
    """All are asked for at once; what does not exist is left out."""

    async def found(each: K) -> V | None:
        try:
            return await find(each)
        except NotFound:
            return None

    keys = list(dict.fromkeys(wanted))
    values = await asyncio.gather(*map(found, keys))
    return {key: value for key, value in zip(keys, values, strict=True) if value is not None}
