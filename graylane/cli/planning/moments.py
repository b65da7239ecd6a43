"""What a rehearsed world looks like at one moment, and what changed since the one before.

Pure. In: a `World`. Out: objects without what only a server adds, and `Change`s between two moments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from graylane.cli.apply import LAST_APPLIED
from graylane.kit.world import World
from graylane.mesh.prove.proof import Proof
from graylane.model.kinds import (
    BATCH_RELEASE,
    DEPLOYMENT,
    DESTINATION_RULE,
    ROLLOUT,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.meta import Key, Obj, key_of, labels_of, owner_refs
from graylane.model.rollout import CANARY_DEPLOYMENT

INGRESS = Kind("networking.k8s.io", "v1", "Ingress", "ingresses")
HTTP_ROUTE = Kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")
SHOWN = (
    *(DEPLOYMENT, BATCH_RELEASE, DESTINATION_RULE, VIRTUAL_SERVICE, INGRESS, HTTP_ROUTE),
    *(TRAFFIC_ROUTING, ROLLOUT),
)

Name = tuple[Kind, Key]
Objects = Mapping[Name, Obj]
_SERVERS = frozenset(
    {"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields", "selfLink"}
    | {"deletionGracePeriodSeconds"}
)


class Action(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Change:
    """One object's step; `old` and `new` are cleaned. `like`: what a new canary Deployment was made from."""

    kind: Kind
    key: Key
    old: Obj | None
    new: Obj | None
    like: Obj | None = None

    @property
    def action(self) -> Action:
        if self.old is None:
            return Action.CREATED
        return Action.DELETED if self.new is None else Action.CHANGED


@dataclass(frozen=True, slots=True)
class Moment:
    """The world once all has settled. `waits`: what each Rollout says, by name. `asks`: those that wait for approval.

    `left`: those whose release is under way.
    """

    title: str
    changes: tuple[Change, ...]
    proofs: tuple[Proof, ...]
    waits: Mapping[str, str]
    asks: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def objects_of(world: World, namespace: str, kinds: Iterable[Kind] = SHOWN) -> dict[Name, Obj]:
    """Every shown object, cleaned."""
    return {(kind, key_of(obj)): cleaned(obj) for kind in kinds for obj in world.list(kind, namespace)}


def cleaned(obj: Obj) -> Obj:
    """Without status and what the server, kubectl or the workload controllers keep for themselves.

    Equal for the object of a plan and the real one: owners go by name, since uids are drawn anew.
    """
    metadata = {name: value for name, value in obj.get("metadata", {}).items() if name not in _SERVERS}
    notes = {name: text for name, text in (metadata.get("annotations") or {}).items() if name not in _BOOKKEEPING}
    metadata["annotations"] = notes
    metadata["ownerReferences"] = [{"kind": each.get("kind"), "name": each.get("name")} for each in owner_refs(obj)]
    metadata["labels"] = labels_of(obj)
    metadata = {name: value for name, value in metadata.items() if value not in ({}, [], None)}
    return {name: value for name, value in obj.items() if name != "status"} | {"metadata": metadata}


_BOOKKEEPING = frozenset({LAST_APPLIED, "deployment.kubernetes.io/revision"})


def changes(before: Objects, after: Objects) -> tuple[Change, ...]:
    """In the order of kinds in which a reader looks for them."""
    names = sorted(before.keys() | after.keys(), key=lambda name: (SHOWN.index(name[0]), name[1]))
    return tuple(
        Change(*name, before.get(name), after.get(name), _stable_of(name, after))
        for name in names
        if before.get(name) != after.get(name)
    )


def _stable_of(name: Name, objects: Objects) -> Obj | None:
    kind, key = name
    stable = labels_of(objects.get(name) or {}).get(CANARY_DEPLOYMENT)
    return objects.get((kind, Key(key.namespace, stable))) if stable else None
