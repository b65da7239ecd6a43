"""Puts into an API server what Graylane needs there: its CRDs and its webhook configurations.

Shell. In: a client. Out: objects created, or brought up to what this version ships; everything else is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import yaml

from graylane.client import ApiClient
from graylane.errors import AlreadyExists
from graylane.model import kinds
from graylane.model.kinds import CRD, Kind
from graylane.model.meta import Obj, dig, name_of, namespace_of
from graylane.model.patches import create_merge_patch

_CRDS = Path(__file__).parent / "model" / "crds"
_KNOWN = {(kind.api_version, kind.kind): kind for kind in vars(kinds).values() if isinstance(kind, Kind)}


def shipped_crds() -> list[Obj]:
    """Every CustomResourceDefinition of this version, from `model/crds/`."""
    return [
        document
        for path in sorted(_CRDS.rglob("*.yaml"))
        for document in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader)
        if document
    ]


async def install_crds(client: ApiClient) -> None:
    """Create or update the CRDs that Graylane ships. One list tells which: mostly there is nothing to do."""
    present = {name_of(crd): crd for crd in (await client.list(CRD)).items}
    pairs = [(crd, present.get(name_of(crd))) for crd in shipped_crds()]
    shipped = [without_webhook(crd, live) for crd, live in pairs if _wanted_of(without_webhook(crd, live), live)]
    await asyncio.gather(*(ensure(client, CRD, crd) for crd in shipped))


def without_webhook(crd: Obj, live: Obj | None) -> Obj:
    """The API converts these kinds by itself; a webhook that OpenKruise left in the definition answers no more."""
    if not dig(live, "spec", "conversion", "webhook"):
        return crd
    return crd | {"spec": crd["spec"] | {"conversion": {"strategy": "None", "webhook": None}}}


async def install_objects(client: ApiClient, objects: Iterable[Obj]) -> None:
    """Create or update objects of the kinds in `model/kinds.py`."""
    for obj in objects:
        await ensure(client, _KNOWN[(obj["apiVersion"], obj["kind"])], obj)


async def ensure(client: ApiClient, kind: Kind, obj: Obj) -> None:
    """Make the stored object contain `obj`; what others added stays."""
    try:
        await client.create(kind, obj)
    except AlreadyExists:
        name, namespace = name_of(obj), namespace_of(obj)
        if wanted := _wanted_of(obj, await client.get(kind, name, namespace)):
            await client.patch(kind, name, namespace, wanted)


def _wanted_of(obj: Obj, live: Obj | None) -> Obj:
    """Everything that `obj` says, if `live` says something else; else nothing."""
    wanted = {part: obj[part] for part in obj if part not in ("metadata", "status")}
    return wanted if live is None or create_merge_patch({part: live.get(part) for part in wanted}, wanted) else {}
