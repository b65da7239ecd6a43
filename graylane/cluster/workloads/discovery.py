"""Every kind the API serves, built in or by CRD, asked of the API itself.

Shell. In: a client. Out: one `Kind` per resource that can be listed, watched and deleted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import orjson

from graylane.client import ApiClient
from graylane.errors import NotFound
from graylane.model import kinds
from graylane.model.kinds import Kind

_KNOWN = {(kind.group, kind.plural): kind for kind in vars(kinds).values() if isinstance(kind, Kind)}


async def discover(client: ApiClient) -> frozenset[Kind]:
    """One version of each resource: the one other parts use, so that caches are shared; else the preferred one."""
    found: dict[tuple[str, str], Kind] = {}
    async for group, version, resources in _group_versions(client):
        for kind in _kinds_of(group, version, resources):
            known = _KNOWN.get((kind.group, kind.plural))
            if known is not None and known == kind:
                found[kind.group, kind.plural] = kind
            found.setdefault((kind.group, kind.plural), kind)
    return frozenset(found.values())


async def _group_versions(client: ApiClient) -> AsyncIterator[tuple[str, str, list[Any]]]:
    """Preferred versions come first within their group."""
    yield "", "v1", await _resources(client, "/api/v1")
    for group in (await _read(client, "/apis")).get("groups") or []:
        preferred = (group.get("preferredVersion") or {}).get("version")
        versions = [entry["version"] for entry in group.get("versions") or []]
        for version in sorted(versions, key=lambda name: name != preferred):
            yield group["name"], version, await _resources(client, f"/apis/{group['name']}/{version}")


async def _resources(client: ApiClient, path: str) -> list[Any]:
    """Nothing, for a group whose CRD was deleted between our two questions."""
    try:
        return (await _read(client, path)).get("resources") or []
    except NotFound:
        return []


async def _read(client: ApiClient, path: str) -> Mapping[str, Any]:
    return orjson.loads(await client.request("GET", path))  # type: ignore[no-any-return]


def _kinds_of(group: str, version: str, resources: Iterable[Mapping[str, Any]]) -> Iterable[Kind]:
    for resource in resources:
        verbs = resource.get("verbs") or []
        if "/" not in resource["name"] and {"list", "watch", "delete"} <= set(verbs):
            yield Kind(group, version, resource["kind"], resource["name"], bool(resource["namespaced"]))
