"""One pod's loop: facts → decide → act → write the status.

Shell. In: newer versions of the pod object, changes of its containers, time. Out: running containers and `status`,
written only when it differs. All decisions are `lifecycle.decide`'s; all wording of the status is
`status.pod_status`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from graylane.cluster.kubelet import volumes
from graylane.cluster.kubelet.adoption import adopted_containers, container_specs, leaving_since
from graylane.cluster.kubelet.console import Console
from graylane.cluster.kubelet.environment import Source
from graylane.cluster.kubelet.lifecycle import Action, Assign, Expire, Facts, Finish, Start, Stop, decide
from graylane.cluster.kubelet.remains import Remains
from graylane.cluster.kubelet.sandbox import Sandbox
from graylane.cluster.kubelet.services import Services
from graylane.cluster.kubelet.states import Restart, Running, Waiting
from graylane.cluster.kubelet.status import Node, backing_off, pod_status
from graylane.cluster.kubelet.summary import Residence, Tenants
from graylane.cluster.kubelet.support import refusals
from graylane.cluster.kubelet.unit import ContainerUnit
from graylane.cluster.kubelet.upkeep import Upkeep
from graylane.cluster.processes.holding import Process
from graylane.cluster.processes.logfiles import forget_pod
from graylane.errors import ApiError, Conflict, NotFound
from graylane.model.kinds import POD
from graylane.model.meta import (
    Obj,
    dig,
    finalizers_of,
    format_time,
    is_deleting,
    is_true,
    key_of,
    name_of,
    namespace_of,
    parse_time,
    rv_of,
    uid_of,
)
from graylane.model.patches import create_merge_patch

_LOG = logging.getLogger(__name__)
DRAINED = "graylane.dev/Drained"
_RETRY_WRITE = timedelta(milliseconds=500)
_RETRY_DEFECT = timedelta(seconds=5)
_LAST_WRITES = 3
_GRACE_WHEN_VANISHED = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Kept:
    """One run of a container that an earlier kubelet has left, with its process."""

    process: Process
    remains: Remains


class PodWorker:
    """Runs one pod until its object is gone. `update` and `vanish` bring news from the API."""

    def __init__(self, services: Services, pod: Obj, done: Callable[[Obj], None], kept: Sequence[Kept] = ()) -> None:
        """`kept`: the pod's runs that an earlier kubelet has left."""
        self.pod = pod
        self._services = services
        self._done = done
        self._wake = asyncio.Event()
        self._refusals = refusals(pod)
        self._kept = {each.remains.container: each for each in kept}
        alive = any(each.remains.exit is None for each in kept)
        self._sandbox = Sandbox(services, lambda: self.pod, self._wake.set, connected=alive)
        self._leaving_since: datetime | None = None
        self._first = True
        self._vanished = False
        self._finished = False
        self._over = dig(pod, "status", "phase", default="") in ("Succeeded", "Failed")
        self._expired: Expire | None = None
        started = dig(pod, "status", "startTime")
        self._started_at = parse_time(started) if started else services.clock.now()
        self._units = self._make_units(pod)
        self._upkeep = Upkeep(services, lambda: self.pod, lambda: self._sandbox.address)
        for unit in self._units:
            if (left := self._kept.get(unit.name)) is not None:
                unit.take_over(left.process, left.remains)
        if alive:
            self._upkeep.start(stale=True)
        self._announce_refusals()

    def update(self, pod: Obj) -> None:
        """A version of the object, from the watch or from our own write; older ones are ignored."""
        if rv_of(pod) > rv_of(self.pod):
            self._upkeep.compare(self.pod, pod)
            self.pod = pod
            self._wake.set()

    def heard(self, source: Source) -> None:
        """A ConfigMap or Secret of the pod's namespace has changed."""
        self._upkeep.heard(source)

    def vanish(self) -> None:
        """The object is gone although we did not remove it: end everything, soon."""
        self._vanished = True
        self._wake.set()

    def running(self, container: str) -> bool:
        """Whether more may come to that container's present log."""
        return any(unit.name == container and unit.facts.alive for unit in self._units)

    def console(self, container: str) -> Console | None:
        """The way into that container, whether it runs or not; None when the pod has no such container."""
        return next((unit.console for unit in self._units if unit.name == container), None)

    def tenants(self) -> Tenants:
        """The containers that run now."""
        running = ((unit, unit.facts.state) for unit in self._units if unit.console.sessions)
        return {
            unit.name: Residence(state.at, unit.console.sessions)
            for unit, state in running
            if isinstance(state, Running)
        }

    async def run(self) -> None:
        """Returns when the pod is gone."""
        while True:
            self._wake.clear()
            try:
                wake_at = await self._step(self._services.clock.now())
            except Exception:
                # A defect of ours must not leave the pod's processes without anybody to look after them.
                _LOG.exception("pod not looked after, trying again: pod=%s", key_of(self.pod))
                wake_at = self._services.clock.now() + _RETRY_DEFECT
            if self._finished:
                break
            await self._sleep(wake_at)
        await self._clean_up()
        self._done(self.pod)

    async def _step(self, now: datetime) -> datetime | None:
        """Decide, act, write; returns when to look again although nothing happens."""
        facts = self._facts(now)
        decision = decide(facts, now)
        if Finish() in decision.actions:
            self._finished = await self._finish(facts, now)
        for action in decision.actions:
            self._perform(action)
        if self._finished or await self._publish(self._facts(now), now):
            return decision.wake_at
        return min(filter(None, (decision.wake_at, now + _RETRY_WRITE)))

    async def shut_down(self, within_seconds: float) -> None:
        """Say in the API that nothing here is ready any more, then stop the processes; the object stays. After `run`.

        The containers' states are left as they are written: a later start reads `running`, finds no process, and
        starts them again, whatever their restart policy makes of an exit code.
        """
        self._upkeep.stop()
        now = self._services.clock.now()
        facts = self._facts(now)
        resting = tuple(
            replace(each, state=replace(each.state, ready=False)) if isinstance(each.state, Running) else each
            for each in facts.containers
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                for _ in range(_LAST_WRITES):  # a conflict has read the newer object: again
                    if await self._publish(replace(facts, containers=resting), now):
                        break
        grace = min(timedelta(seconds=within_seconds), self._grace())
        for unit in self._units:
            if unit.facts.alive:
                unit.stop(now + grace, f"Stopping container {unit.name}")
        for unit in self._units:
            await unit.ended()

    # -- facts

    def _facts(self, now: datetime) -> Facts:
        pod = self.pod
        if (is_deleting(pod) or self._vanished) and self._leaving_since is None:
            self._leaving_since = leaving_since(pod, now) if self._first else now
        self._first = False
        seconds = dig(pod, "spec", "activeDeadlineSeconds")
        return Facts(
            containers=tuple(unit.facts for unit in self._units),
            restart=Restart(dig(pod, "spec", "restartPolicy", default="Always")),
            refusals=self._refusals,
            address=self._sandbox.address,
            proxied=self._sandbox.proxied,
            proxy_ready=self._sandbox.proxy_ready,
            drained=self._vanished or is_true(pod, DRAINED),
            leaving_since=self._leaving_since,
            grace=self._grace(),
            started_at=self._started_at,
            deadline=None if seconds is None else timedelta(seconds=int(seconds)),
            over=self._over,
        )

    def _grace(self) -> timedelta:
        if self._vanished:
            return _GRACE_WHEN_VANISHED
        seconds = dig(self.pod, "metadata", "deletionGracePeriodSeconds")
        if seconds is None:
            seconds = dig(self.pod, "spec", "terminationGracePeriodSeconds", default=30)
        return timedelta(seconds=int(seconds))

    def _make_units(self, pod: Obj) -> list[ContainerUnit]:
        specs = container_specs(pod)
        remains = {name: kept.remains for name, kept in self._kept.items()}
        adopted = adopted_containers(pod, self._services.clock.now(), remains)
        return [
            ContainerUnit(
                self._services, lambda: self.pod, lambda: self._sandbox.address, specs[each.name], each, self._wake.set
            )
            for each in adopted
        ]

    def _announce_refusals(self) -> None:
        for refusal in self._refusals:
            self._services.events.warning(self.pod, "Unsupported", refusal)

    # -- acting

    def _perform(self, action: Action) -> None:
        match action:
            case Start():
                self._unit(action.container).start()
                self._upkeep.start()
            case Stop():
                self._unit(action.container).stop(action.deadline, action.message)
            case Assign():
                self._sandbox.assign()
            case Expire():
                self._over, self._expired = True, action
                self._services.events.normal(self.pod, action.reason, action.message)
                self._wake.set()
            case Finish():
                pass  # done already, before anything else

    def _unit(self, name: str) -> ContainerUnit:
        return next(unit for unit in self._units if unit.name == name)

    async def _finish(self, facts: Facts, now: datetime) -> bool:
        """Remove the object; False when it stays for now, because of a finalizer or an API that does not answer."""
        if self._vanished:
            return True
        if finalizers_of(self.pod) and dig(self.pod, "metadata", "deletionGracePeriodSeconds") == 0:
            return False  # ours is done; others hold it
        if not await self._publish(facts, now):
            return self._vanished
        namespace, name = key_of(self.pod)
        try:
            await self._services.client.delete(POD, name, namespace, grace_seconds=0, uid=uid_of(self.pod))
        except (NotFound, Conflict):
            return True  # gone, or another pod has taken its name
        except ApiError as error:
            _LOG.info("pod not removed, trying again: pod=%s/%s error=%s", namespace, name, error)
            return False
        return not finalizers_of(self.pod)

    # -- writing

    async def _publish(self, facts: Facts, now: datetime) -> bool:
        """Write the status if it differs. False when that must be tried again."""
        old: Obj = dig(self.pod, "status", default={})
        new = pod_status(self.pod, facts, Node(self._services.config.node_ip, self._waiting(facts)), now)
        if self._expired is not None:
            new |= {"phase": "Failed", "reason": self._expired.reason, "message": self._expired.message}
        if new != old:
            # Conditional on what was read: a merge patch replaces `conditions` whole, and the mesh has an entry there.
            version = {"resourceVersion": self.pod["metadata"]["resourceVersion"]}
            patch = {"metadata": version, **create_merge_patch({"status": old}, {"status": new})}
            told = list(backing_off(self.pod, new))
            if not await self._patch(patch):
                return False
            for kind, message in told:
                self._services.events.tell(self.pod, kind, "BackOff", message)
        self._sandbox.watch_proxy()
        return True

    def _waiting(self, facts: Facts) -> Waiting | None:
        if facts.proxied and facts.address and not facts.proxy_ready:
            place = f"{facts.address}:{self._services.config.proxy_port}"
            return Waiting("ContainerCreating", f"waiting for the mesh to open the pod's proxy at {place}")
        return None

    async def _patch(self, patch: Obj) -> bool:
        namespace, name = namespace_of(self.pod), name_of(self.pod)
        try:
            self.update(await self._services.client.patch(POD, name, namespace, patch, subresource="status"))
        except Conflict:
            await self._refresh()
            return False
        except NotFound:
            self.vanish()
            return False
        except ApiError as error:
            _LOG.info("pod status not written, trying again: pod=%s/%s error=%s", namespace, name, error)
            return False
        return True

    async def _refresh(self) -> None:
        """Somebody else wrote; read and decide again at once."""
        try:
            live = await self._services.client.get(POD, name_of(self.pod), namespace_of(self.pod))
        except NotFound:
            self.vanish()
            return
        except ApiError:
            return
        if uid_of(live) == uid_of(self.pod):
            self.update(live)
        else:
            self.vanish()

    async def _sleep(self, wake_at: datetime | None) -> None:
        seconds = None if wake_at is None else max((wake_at - self._services.clock.now()).total_seconds(), 0.001)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _clean_up(self) -> None:
        self._upkeep.stop()
        for unit in self._units:
            unit.forget()
        await self._sandbox.release()
        volumes.remove(self._services.pod_directory(self.pod))
        forget_pod(self._services.log_directory(self.pod))
        _LOG.debug("pod gone: pod=%s at=%s", key_of(self.pod), format_time(self._services.clock.now()))
