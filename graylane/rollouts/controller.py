"""Registers the Rollout controller: what it watches, and whom a change concerns.

Shell. In: nothing. Out: `Controller` values for the `Manager`. All decisions are made in `reconcile.py` and below.
"""

from __future__ import annotations

from datetime import datetime

from graylane.kit.cache import Change, View
from graylane.kit.effects import Outcome
from graylane.kit.loop import Controller
from graylane.kit.patience import Patience
from graylane.model.kinds import (
    BATCH_RELEASE,
    CONFIG_MAP,
    DEPLOYMENT,
    DESTINATION_RULE,
    ENDPOINT_SLICE,
    POD,
    REPLICA_SET,
    ROLLOUT,
    SERVICE,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
)
from graylane.model.meta import Key, annotations_of, dig, generation_of
from graylane.model.rollout import StepState
from graylane.rollouts import reconcile as one_look
from graylane.rollouts.interest import Interest
from graylane.rollouts.observe import Known

WORKERS = 4


def controllers() -> list[Controller]:
    """A fresh controller; each remembers on its own which objects concern which Rollout."""
    interest, patience = Interest(), Patience()

    def reconcile(view: View, key: Key, now: datetime) -> Outcome:
        known = Known(interest.since(key, now), patience.until(key, now))
        look = one_look.reconcile(view, key, now, known)
        interest.note(key, look.sources)
        patience.note(key, now, unsaid=look.unsaid)
        return look.outcome

    return [
        Controller(
            name="rollout",
            primary=ROLLOUT,
            reconcile=reconcile,
            urgent=is_somebodys_word,
            managers=True,
            watches={
                BATCH_RELEASE: interest.of_batch_release,
                DEPLOYMENT: interest.of_deployment,
                REPLICA_SET: interest.of_replica_set,
                POD: interest.of_pod,
                TRAFFIC_ROUTING: interest.of_routing,
                SERVICE: interest.of_service,
                ENDPOINT_SLICE: interest.of_endpoint_slice,
                VIRTUAL_SERVICE: interest.of_route(VIRTUAL_SERVICE),
                DESTINATION_RULE: interest.of_route(DESTINATION_RULE),
                CONFIG_MAP: interest.of_route(CONFIG_MAP),
            },
            workers=WORKERS,
        )
    ]


def is_somebodys_word(change: Change) -> bool:
    """An approval, a changed spec or an order to abort: with a thousand releases under way it is not to stand behind
    what their pods and routes have to tell."""
    old, new = change.old, change.new
    if old is None or new is None:
        return False
    approved = dig(new, "status", "canaryStatus", "currentStepState") == StepState.READY
    return approved or generation_of(old) != generation_of(new) or annotations_of(old) != annotations_of(new)
