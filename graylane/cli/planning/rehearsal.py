"""Plays a release in memory: the controllers decide by their own functions, everybody approves, time passes at once.

Shell, for its Lua workers alone. In: `Before`. Out: `Moment`s: what applying changes, each step as it waits, the end.
Pods are ready at once and proxies take what they are given; what a plan cannot know is whether the new version works.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from graylane.cli.planning.before import READ, Before
from graylane.cli.planning.moments import Moment, Objects, changes, objects_of
from graylane.cluster.workloads import controllers as workloads
from graylane.kit.cache import View
from graylane.kit.effects import Delete, Outcome, Patch
from graylane.kit.loop import Controller
from graylane.kit.world import VirtualClock, World
from graylane.mesh.prove.judge import CLAIMS, Claim
from graylane.mesh.prove.proof import Proof
from graylane.mesh.prove.walk import prove_lists
from graylane.model.kinds import DEPLOYMENT, DESTINATION_RULE, GATEWAY, NODE, POD, ROLLOUT, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Key, Obj, dig, generation_of, is_deleting, key_of, name_of, uid_of
from graylane.model.patches import json_patch, merge_patch
from graylane.model.revisions import revision_of, template_of
from graylane.rollouts import controller as rollouts
from graylane.trafficrouting import controller as trafficrouting
from graylane.trafficrouting.lua.engine import LuaPool
from graylane.trafficrouting.lua.remembering import Remembering
from graylane.webhooks.deployments import mutate_deployment

NEXT_VERSION = "graylane.dev/planned-version"  # stands for whatever makes the next version another one
_SETTLING_SECONDS = 10
_MOST_MOMENTS = 60
_NODE: Obj = {
    "metadata": {"name": "plan"},
    "spec": {},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}


class Rehearsal:
    """One world and everybody in it. `supposed`: the Rollouts whose next version had to be made up."""

    def __init__(self, before: Before, pool: LuaPool) -> None:
        self._before = before
        self.world = World(VirtualClock(datetime.now(UTC).replace(microsecond=0)))
        self.supposed: list[str] = []
        self._actors: list[Controller] = [
            *rollouts.controllers(),
            *trafficrouting.controllers(Remembering(pool), lambda kind, keys: True),
            *workloads.controllers(),
            Controller("pods", POD, _Pods().reconcile),
            *(
                Controller(f"proxies-{kind.kind}", kind, partial(_take, kind))
                for kind in (VIRTUAL_SERVICE, DESTINATION_RULE)
            ),
        ]
        for kind, obj in before.present:
            self.world.load(kind, obj)
        if not self.world.list(NODE):
            self.world.put(NODE, _NODE)

    async def moments(self) -> list[Moment]:
        """The last one's `asks` is empty when everything has come to its end."""
        await self._settle()  # what is still under way comes to where it waits
        shown = objects_of(self.world, self._before.namespace)
        self._apply()
        await self._settle()
        found = [self._moment("applied", shown)]
        while found[-1].asks and len(found) < _MOST_MOMENTS:
            shown = objects_of(self.world, self._before.namespace)
            asked = found[-1].asks
            for name in asked:
                self._approve(name)
            await self._settle()
            found.append(self._moment("approved " + ", ".join(asked), shown))
        return found

    async def _settle(self) -> None:
        await self.world.settle(self._actors, seconds=_SETTLING_SECONDS)

    # -- what users do

    def _apply(self) -> None:
        templates = {key_of(obj): revision_of(template_of(obj)) for obj in self._deployments()}
        for kind, obj in self._before.applied:
            if kind == DEPLOYMENT:
                self._update(obj)
            else:
                self.world.put(kind, obj)
        released = {key_of(obj) for obj in self._deployments() if templates.get(key_of(obj)) != _revision(obj)}
        pairs = [(rollout, self._workload(rollout)) for rollout in self._rollouts()]
        if any(obj is not None and key_of(obj) in released for _, obj in pairs):
            return
        for rollout, found in pairs:
            if found is not None and dig(rollout, "status", "phase", default="") != "Progressing":
                self.supposed.append(name_of(rollout))
                note = {"metadata": {"annotations": {NEXT_VERSION: "next"}}}
                self._update(merge_patch(found, {"spec": {"template": note}}))

    def _update(self, obj: Obj) -> None:
        """Through our admission, as in a cluster that has it."""
        key = key_of(obj)
        old = self.world.get(DEPLOYMENT, *key)
        if old is not None:
            request = {"operation": "UPDATE", "namespace": key.namespace, "object": obj, "oldObject": old}
            obj = json_patch(obj, list(mutate_deployment(request, self.world.view()).patch))
        self.world.put(DEPLOYMENT, obj)

    def _approve(self, name: str) -> None:
        ready = {"status": {"canaryStatus": {"currentStepState": "StepReady"}}}
        self.world.patch(ROLLOUT, self._before.namespace, name, ready, "status")

    # -- what there is to see

    def _moment(self, title: str, shown: Objects) -> Moment:
        waits = {name_of(obj): str(dig(obj, "status", "message", default="")) for obj in self._rollouts()}
        asks = tuple(name_of(obj) for obj in self._rollouts() if _awaits(obj))
        after = objects_of(self.world, self._before.namespace)
        left = tuple(name_of(obj) for obj in self._rollouts() if _is_releasing(obj))
        return Moment(self._title(title), changes(shown, after), self._proofs(), waits, asks, left)

    def _title(self, title: str) -> str:
        states = [f"{name_of(obj)} {_state(obj)}" for obj in self._rollouts()]
        return f"{title}: {', '.join(states)}" if states else title

    def _proofs(self) -> tuple[Proof, ...]:
        """A dyed request need reach the canary only where a release waits, its lane confirmed."""
        releasing = [obj for obj in self._rollouts() if _is_releasing(obj)]
        claims = CLAIMS if all(map(_awaits, releasing)) else CLAIMS - {Claim.CANARY}
        lists = {kind: self.world.list(kind, self._before.namespace) for kind in READ}
        lists[GATEWAY] = self.world.list(GATEWAY)
        return prove_lists(lists, self._before.namespace, claims)

    def _rollouts(self) -> list[Obj]:
        return self.world.list(ROLLOUT, self._before.namespace)

    def _deployments(self) -> list[Obj]:
        return self.world.list(DEPLOYMENT, self._before.namespace)

    def _workload(self, rollout: Obj) -> Obj | None:
        name = str(dig(rollout, "spec", "objectRef", "workloadRef", "name", default=""))
        return self.world.get(DEPLOYMENT, self._before.namespace, name)


def _revision(obj: Obj) -> str:
    return revision_of(template_of(obj))


def _is_releasing(rollout: Obj) -> bool:
    return str(dig(rollout, "status", "phase")) == "Progressing"


def _awaits(rollout: Obj) -> bool:
    return _is_releasing(rollout) and str(dig(rollout, "status", "canaryStatus", "currentStepState")) == "StepPaused"


def _state(rollout: Obj) -> str:
    phase = str(dig(rollout, "status", "phase", default="not looked at"))
    if phase != "Progressing":
        return phase
    steps = len(dig(rollout, "spec", "strategy", "canary", "steps", default=[]))
    step = dig(rollout, "status", "canaryStatus", "currentStepIndex", default=0)
    return f"step {step}/{steps} {dig(rollout, 'status', 'canaryStatus', 'currentStepState', default='')}"


# -- everybody else


class _Pods:
    """Ready at once, gone at once."""

    def __init__(self) -> None:
        self._count = 0

    def reconcile(self, view: View, key: Key, now: datetime) -> Outcome:
        pod = view.get(POD, *key)
        if pod is None or not dig(pod, "spec", "nodeName"):
            return Outcome()
        if is_deleting(pod):
            return Outcome((Delete(POD, key, uid_of(pod), grace_seconds=0),))
        if dig(pod, "status", "podIP"):
            return Outcome()
        self._count += 1
        address = f"198.18.{self._count // 250}.{self._count % 250 + 1}"  # kept for tests: no cluster has it
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": now.isoformat()}
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": [ready]}
        return Outcome((Patch(POD, key, {"status": status}, subresource="status"),))


def _take(kind: Kind, view: View, key: Key, now: datetime) -> Outcome:
    """Proxies that have acknowledged whatever there is."""
    obj = view.get(kind, *key)
    if obj is None or dig(obj, "status", "observedGeneration") == generation_of(obj):
        return Outcome()
    entry = {"type": "Reconciled", "status": "True", "reason": "Planned", "message": "taken for acknowledged"}
    status = {"observedGeneration": generation_of(obj), "conditions": [entry]}
    return Outcome((Patch(kind, key, {"status": status}, subresource="status"),))
