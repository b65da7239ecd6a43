"""Random walks over the transitions of a release, on a running cluster, by one service's user.

Shell. In: a client, what is seen of the cluster, a source of chance. Out: releases started, approved, aborted,
replaced, paused, disabled and so on at random moments, and for every instant who may answer a dyed or plain request.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from graylane.cli.demo.recorder import Recorder
from graylane.cli.demo.timeline import Rule, Timeline
from graylane.cli.exits import GaveUp
from graylane.cli.releasing import Verb, abort, approve
from graylane.cli.undoing import undo
from graylane.client import ApiClient
from graylane.errors import Conflict, NotFound, UserError
from graylane.kit.cache import View
from graylane.model.kinds import (
    BATCH_RELEASE,
    DEPLOYMENT,
    DESTINATION_RULE,
    POD,
    REPLICA_SET,
    ROLLOUT,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.meta import (
    Obj,
    annotations_of,
    condition,
    dig,
    finalizers_of,
    is_deleting,
    is_true,
    labels_of,
    rv_of,
)
from graylane.model.patches import PatchType
from graylane.model.revisions import revision_of, template_of
from graylane.model.rollout import ABORT, CANARY_DEPLOYMENT, PROGRESSING_FINALIZER
from graylane.testing.chains import Chain
from graylane.testing.chains import rollout as rollout_manifest

NAMESPACE = "default"
PATIENCE_SECONDS = 120.0
CHAINS = (Chain("two", 2), Chain("five", 5))
_TRIES = 20


@dataclass
class Walker:
    """One service's user. `approved`: the versions that plain requests may meet, ever. `taken`: how often each act."""

    service: str
    client: ApiClient
    recorder: Recorder
    timeline: Timeline
    chance: random.Random
    approved: set[str] = field(default_factory=lambda: {"v0"})
    taken: Counter[str] = field(default_factory=Counter)
    walks: int = 0
    diary: list[tuple[float, str]] = field(default_factory=list)
    _versions: dict[str, str] = field(default_factory=dict)
    _written: dict[str, int] = field(default_factory=dict)
    _number: int = 0
    _rule: Rule = Rule.BASE

    async def walk(self) -> None:
        """A release, up to three things done to it at random moments, and its end."""
        self.walks += 1
        await self._push()
        for _ in range(self.chance.randint(0, 3)):
            await self._some_moment()
            act, _ = self.chance.choices(_ACTS, [weight for _, weight in _ACTS])[0]
            await act(self)
        await self._end()

    # -- acts

    async def _push(self) -> None:
        """A version nobody has seen; a lane that is lit stays lit."""
        self._number += 1
        version = f"v{self._number}"
        if self._rule is Rule.BASE:
            self._mark(Rule.EITHER)
        env = [{"name": "version", "value": version}]
        template = {"spec": {"containers": [{"name": "default", "env": env}]}}
        patch = {"spec": {"template": template}}
        found = self._wrote(
            await self.client.patch(DEPLOYMENT, self.service, NAMESPACE, patch, type=PatchType.STRATEGIC)
        )
        self._versions[revision_of(template_of(found))] = version
        self._note("a new version")

    async def _approve(self) -> None:
        await self._paused()
        await self._verb(approve, "approve")

    async def _abort(self) -> None:
        await self._verb(abort, "abort")

    async def _undo(self) -> None:
        """Back to the stable version by the template, as kubectl and Argo CD do."""
        self._mark(Rule.EITHER)
        for _ in range(_TRIES):
            rollout = await self.client.get(ROLLOUT, self.service, NAMESPACE)
            deployment = await self.client.get(DEPLOYMENT, self.service, NAMESPACE)
            sets = (await self.client.list(REPLICA_SET, NAMESPACE)).items
            if dig(rollout, "status", "phase") != "Progressing":
                return
            try:
                patch = undo(rollout, deployment, sets).patch
                if patch:
                    self._wrote(await self.client.patch(DEPLOYMENT, self.service, NAMESPACE, patch))
            except Conflict:
                continue
            self._note("undo")
            return

    async def _pause_and_resume(self) -> None:
        await self._edit({"strategy": {"paused": True}})
        await self._sees(lambda view: self._is_held(view) or self._is_at_rest(view), "the pause is noticed")
        await self._edit({"strategy": {"paused": False}})
        self._note("pause and resume")

    async def _scale(self) -> None:
        patch = {"spec": {"replicas": self.chance.randint(1, 2)}}
        await self.client.patch(DEPLOYMENT, self.service, NAMESPACE, patch)
        self._note("scale")

    async def _edit_route(self) -> None:
        """A person changes a timeout on the rules as they are now."""
        for _ in range(_TRIES):
            obj = await self.client.get(VIRTUAL_SERVICE, self.service, NAMESPACE)
            rules = [rule | {"timeout": f"{self.chance.randint(20, 60)}s"} for rule in dig(obj, "spec", "http")]
            version = {"resourceVersion": obj["metadata"]["resourceVersion"]}
            try:
                patch = {"metadata": version, "spec": {"http": rules}}
                await self.client.patch(VIRTUAL_SERVICE, self.service, NAMESPACE, patch, manager="somebody")
            except Conflict:
                continue
            self._note("edit of a route")
            return

    async def _apply_again(self) -> None:
        """A tool puts the lists of both routes back as its repository has them, whatever the release has added."""
        for kind, obj in routes(self.service):
            await self.client.patch(kind, self.service, NAMESPACE, {"spec": obj["spec"]}, manager="gitops")
        self._note("manifests applied again")

    async def _disable_and_enable(self) -> None:
        self._mark(Rule.EITHER)
        await self._edit({"disabled": True})
        await self._sees(lambda view: self._phase(view) == "Disabled", "the Rollout is disabled")
        await self._edit({"disabled": False})
        self._note("disable and enable")

    async def _delete_and_create(self) -> None:
        self._mark(Rule.EITHER)
        await self.client.delete(ROLLOUT, self.service, NAMESPACE)
        await self._sees(lambda view: view.get(ROLLOUT, NAMESPACE, self.service) is None, "the Rollout is gone")
        obj = rollout_manifest(self.service)
        self._wrote(await self.client.create(ROLLOUT, obj | {"metadata": obj["metadata"] | {"namespace": NAMESPACE}}))
        self._note("delete and create")

    async def _delete_record(self) -> None:
        """The BatchRelease, by hand: it owns the canaries, and the garbage collector may be quicker than we are.

        At the pause, where every dyed request has to reach one.
        """
        await self._paused()
        with contextlib.suppress(NotFound):
            await self.client.delete(BATCH_RELEASE, self.service, NAMESPACE)
            self._note("delete of the record")

    async def _end(self) -> None:
        """Approved or aborted; afterwards base alone may answer."""
        await self._sees(lambda view: bool(self._phase(view)), "the Rollout is looked at")
        await self._sees(lambda view: self._is_settled(view), "the release waits or is over")
        if self._phase(self.recorder.view) == "Progressing":
            await (self._approve() if self.chance.random() < 0.6 else self._abort())
        await self._sees(self._is_at_rest, "everything is at rest")
        self._mark(Rule.BASE)

    async def _verb(self, verb: Verb, name: str) -> None:
        """Read, decide, patch that very version, as the command line does."""
        self._mark(Rule.EITHER)
        for _ in range(_TRIES):
            obj = await self.client.get(ROLLOUT, self.service, NAMESPACE)
            try:
                change = verb(obj)
            except UserError:  # it is in no state for that: over already, or being aborted
                return
            revision = str(dig(obj, "status", "canaryStatus", "canaryRevision"))
            if verb is approve:
                self.approved.add(self._versions.get(revision, revision))
            try:
                self._wrote(
                    await self.client.patch(
                        ROLLOUT, self.service, NAMESPACE, change.patch, subresource=change.subresource
                    )
                )
            except Conflict:
                continue
            self._note(name)
            return

    async def _edit(self, spec: Obj) -> None:
        self._wrote(await self.client.patch(ROLLOUT, self.service, NAMESPACE, {"spec": spec}))

    def _wrote(self, obj: Obj) -> Obj:
        """What we see is only worth judging once it has what we wrote."""
        self._written[obj["kind"]] = rv_of(obj)
        return obj

    # -- moments

    async def _some_moment(self) -> None:
        """Now, or when the release has come to some point, or to its pause."""
        point = self.chance.choice(_POINTS)
        await self._sees(lambda view: point(self, view) or self._is_settled(view), "some moment of the release")
        if self._is_paused(self.recorder.view):
            await self._paused()

    async def _paused(self) -> None:
        """From here on a dyed request must reach a canary, until somebody ends that."""
        await self._sees(self._is_settled, "the release waits or is over")
        if self._is_paused(self.recorder.view) and self._rule is Rule.EITHER:
            self._mark(Rule.CANARY)

    async def _sees(self, holds: Callable[[View], object], what: str) -> None:
        try:
            await self.recorder.until(holds, PATIENCE_SECONDS, what)
        except GaveUp as error:
            obj = self.recorder.view.get(ROLLOUT, NAMESPACE, self.service)
            raise GaveUp(f"{self.service}: {error}; {dig(obj, 'status', 'message')}") from error

    def _note(self, act: str) -> None:
        self.taken[act] += 1
        self.diary.append((time.monotonic(), act))

    def _mark(self, rule: Rule) -> None:
        self.timeline.mark(self.service, rule, time.monotonic())
        self.diary.append((time.monotonic(), f"rule {rule}"))
        self._rule = rule

    # -- what is seen

    def _phase(self, view: View) -> str:
        return str(dig(view.get(ROLLOUT, NAMESPACE, self.service), "status", "phase", default=""))

    def _is_paused(self, view: View) -> bool:
        """Of the version that was pushed last, with its lane confirmed."""
        rollout = view.get(ROLLOUT, NAMESPACE, self.service) or {}
        if not self._is_fresh(view) or ABORT in annotations_of(rollout):
            return False
        status = dig(rollout, "status", default={})
        canary, deployment = status.get("canaryStatus") or {}, view.get(DEPLOYMENT, NAMESPACE, self.service)
        lane = dig(view.get(TRAFFIC_ROUTING, NAMESPACE, self.service), "status", "activeFor", default=[])
        return (
            status.get("phase") == "Progressing"
            and canary.get("currentStepState") == "StepPaused"
            and canary.get("canaryRevision") == revision_of(template_of(deployment or {}))
            and lane == [self.service]
        )

    def _is_settled(self, view: View) -> bool:
        return self._is_paused(view) or self._is_at_rest(view)

    def _is_at_rest(self, view: View) -> bool:
        """Healthy about the present template, and nothing of a release left."""
        if not self._is_fresh(view):
            return False
        rollout, deployment = view.get(ROLLOUT, NAMESPACE, self.service), view.get(DEPLOYMENT, NAMESPACE, self.service)
        revision = dig(rollout, "status", "canaryStatus", "canaryRevision")
        return (
            self._phase(view) == "Healthy"
            and deployment is not None
            and not dig(deployment, "spec", "paused")
            and revision == revision_of(template_of(deployment))
            and not self._canaries(view)
            and "canary" not in str(dig(view.get(VIRTUAL_SERVICE, NAMESPACE, self.service), "spec"))
        )

    def _is_fresh(self, view: View) -> bool:
        kinds = ((ROLLOUT, "Rollout"), (DEPLOYMENT, "Deployment"))
        seen = [(view.get(kind, NAMESPACE, self.service), self._written.get(name, 0)) for kind, name in kinds]
        return all(obj is not None and rv_of(obj) >= written for obj, written in seen)

    def _is_held(self, view: View) -> bool:
        progressing = condition(view.get(ROLLOUT, NAMESPACE, self.service) or {}, "Progressing") or {}
        return progressing.get("reason") == "Paused"

    def _canaries(self, view: View) -> list[Obj]:
        deployments = view.list(DEPLOYMENT, NAMESPACE)
        return [item for item in deployments if labels_of(item).get(CANARY_DEPLOYMENT) == self.service]

    def _has_canary(self, view: View) -> bool:
        return bool(self._canaries(view))

    def _has_ready_canary(self, view: View) -> bool:
        pods = [pod for pod in view.list(POD, NAMESPACE) if labels_of(pod).get("app") == self.service]
        gray = [pod for pod in pods if labels_of(pod).get("version") == "canary" and not is_deleting(pod)]
        return any(is_true(pod, "Ready") for pod in gray)

    def _asks_for_routes(self, view: View) -> bool:
        routing = view.get(TRAFFIC_ROUTING, NAMESPACE, self.service) or {}
        return PROGRESSING_FINALIZER + self.service in finalizers_of(routing)

    def _has_route(self, view: View) -> bool:
        return "canary" in str(dig(view.get(VIRTUAL_SERVICE, NAMESPACE, self.service), "spec"))

    def _now(self, view: View) -> bool:
        return True


def routes(service: str) -> Iterator[tuple[Kind, Obj]]:
    for chain in CHAINS:
        for obj in chain.manifests():
            for kind in (VIRTUAL_SERVICE, DESTINATION_RULE):
                if (obj["kind"], obj["metadata"]["name"]) == (kind.kind, service):
                    yield kind, obj


_POINTS: tuple[Callable[[Walker, View], bool], ...] = (
    Walker._now,
    Walker._has_canary,
    Walker._has_ready_canary,
    Walker._asks_for_routes,
    Walker._has_route,
    Walker._is_paused,
    Walker._is_paused,
)
_ACTS: tuple[tuple[Callable[[Walker], Awaitable[None]], int], ...] = (
    (Walker._approve, 4),
    (Walker._abort, 3),
    (Walker._push, 4),
    (Walker._undo, 2),
    (Walker._pause_and_resume, 2),
    (Walker._scale, 1),
    (Walker._edit_route, 2),
    (Walker._apply_again, 3),
    (Walker._disable_and_enable, 1),
    (Walker._delete_and_create, 1),
    (Walker._delete_record, 2),
)
