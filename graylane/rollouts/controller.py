"""Registers the Rollout controller: what it watches, and whom a change concerns.

Shell. In: nothing. Out: `Controller` values for the `Manager`. All decisions are made in `reconcile.py` and below.
"""

from __future__ import annotations

from datetime import datetime

from graylane.kit.cache import View
from graylane.kit.effects import Outcome
from graylane.kit.loop import Controller, Follow
from graylane.model.kinds import (
    CRD,
    DEPLOYMENT,
    DESTINATION_RULE,
    ENDPOINT_SLICE,
    POD,
    REPLICA_SET,
    ROLLOUT,
    SERVICE,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.meta import Key, Obj, key_of
from graylane.model.rollout import GROUP
from graylane.rollouts import reconcile as one_look
from graylane.rollouts.interest import Interest
from graylane.rollouts.observe import Known

WORKERS = 4
_BATCHES = "batchreleases"


def controllers(follow: Follow | None = None) -> list[Controller]:
    """A fresh controller; each remembers on its own which objects concern which Rollout.

    Without `follow`, BatchReleases that OpenKruise left are not looked for.
    """
    interest = Interest()

    def reconcile(view: View, key: Key, now: datetime) -> Outcome:
        known = Known(_batch_release(view, key, follow), interest.since(key, now))
        outcome, sources = one_look.reconcile(view, key, now, known)
        interest.note(key, sources)
        return outcome

    return [
        Controller(
            name="rollout",
            primary=ROLLOUT,
            reconcile=reconcile,
            watches={
                DEPLOYMENT: interest.of_deployment,
                REPLICA_SET: interest.of_replica_set,
                POD: interest.of_pod,
                TRAFFIC_ROUTING: interest.of_routing,
                SERVICE: interest.of_service,
                ENDPOINT_SLICE: interest.of_endpoint_slice,
                VIRTUAL_SERVICE: interest.of_route(VIRTUAL_SERVICE),
                DESTINATION_RULE: interest.of_route(DESTINATION_RULE),
            },
            workers=WORKERS,
            extra_caches=(CRD,),
        )
    ]


def _batch_release(view: View, key: Key, follow: Follow | None) -> tuple[Kind, Obj] | None:
    """OpenKruise gives a Rollout's BatchRelease the Rollout's name. Its kind is known where its CRD still is."""
    crd = view.get(CRD, "", f"{_BATCHES}.{GROUP}") if follow else None
    if crd is None or follow is None:
        return None
    version = next((entry["name"] for entry in crd["spec"]["versions"] if entry.get("storage")), "v1beta1")
    kind = Kind(GROUP, version, "BatchRelease", _BATCHES)
    if not follow(kind, lambda obj: [key_of(obj)]):
        return None
    found = view.get(kind, *key)
    return (kind, found) if found else None
