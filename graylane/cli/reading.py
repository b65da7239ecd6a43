"""One reading of the objects a verb is about.

Shell. In: a client, kinds, a namespace ("" for all). Out: the objects of each kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from graylane.client import ApiClient
from graylane.errors import NotFound
from graylane.model.kinds import Kind
from graylane.model.meta import Obj


async def read(client: ApiClient, kinds: Iterable[Kind], namespace: str = "") -> dict[Kind, list[Obj]]:
    """A kind that is not served has no objects: a cluster without Istio has a chain too."""
    wanted = tuple(kinds)
    found = await asyncio.gather(*(_list(client, kind, namespace) for kind in wanted))
    return dict(zip(wanted, found, strict=True))


async def _list(client: ApiClient, kind: Kind, namespace: str) -> list[Obj]:
    try:
        return (await client.list(kind, namespace)).items
    except NotFound:
        return []
