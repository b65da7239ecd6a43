"""The mesh as a running part: what the API holds becomes what Envoy does, and what Envoy says becomes status.

Shell. In: a manager's caches. Out: pushes over xDS, statuses of Istio objects, the condition that lets pods stop, and
over HTTP what proxies have acknowledged and seen.

    cache change → Store → (a moment, so that what belongs together comes together) → compile → publish
    acknowledged → Reconciled True, Drained True         refused → Quarantine → compile again without the culprit
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from graylane.chain.requests import Dye
from graylane.kit import Change, Event, Manager
from graylane.mesh import meshconfig, status
from graylane.mesh.blame import complaint
from graylane.mesh.bootstrap import BootstrapOffer
from graylane.mesh.compiler import Compiled, compile
from graylane.mesh.crashes import CrashGuard, changing
from graylane.mesh.debug.istiod import Post
from graylane.mesh.debug.presence import Presence
from graylane.mesh.debug.server import DebugServer
from graylane.mesh.encode.observe import CODE
from graylane.mesh.ends import End, Ends
from graylane.mesh.filters.code import marked
from graylane.mesh.filters.patches import bootstraps
from graylane.mesh.findings import Finding, failed, unsupported
from graylane.mesh.inputs import Inputs, MeshConfig, Source
from graylane.mesh.inquiry import Inquiry, Trial
from graylane.mesh.ledger.pipe import Pipe
from graylane.mesh.memo import Memo
from graylane.mesh.quarantine import Quarantine
from graylane.mesh.snapshot import Resource, Type
from graylane.mesh.status import Reason, Verdict
from graylane.mesh.store import CONFIG_KINDS, KINDS, Store
from graylane.mesh.writer import StatusWriter
from graylane.mesh.xds.messages import Accepted, Live, Report
from graylane.mesh.xds.server import XdsServer
from graylane.model.kinds import (
    AUTHORIZATION_POLICY,
    CONFIG_MAP,
    ENVOY_FILTER,
    PEER_AUTHENTICATION,
    POD,
    REQUEST_AUTHENTICATION,
    SECRET,
    TRAFFIC_ROUTING,
    Kind,
)
from graylane.model.meta import Key, Obj, dig, generation_of, uid_of

_LOG = logging.getLogger(__name__)
_SETTLE_SECONDS = 0.001
_PATIENCE_SECONDS = 1.0
_HEARD_WITHIN_SECONDS = 10.0
_NOT_ACTED_ON = (AUTHORIZATION_POLICY, PEER_AUTHENTICATION, REQUEST_AUTHENTICATION)
_KIND_OF = {kind.kind: kind for kind in CONFIG_KINDS}


@dataclass(frozen=True, slots=True)
class _Published:
    """One compilation on its way: `admitted` is what it was made from, `leaving` the pods it no longer sends to."""

    compiled: Compiled
    admitted: Inputs
    leaving: frozenset[Key]


class Mesh:
    """Start it next to a running `manager`; Envoy then connects to `xds_port` on loopback."""

    def __init__(
        self, config: MeshConfig, manager: Manager, post: Post | None = None, trial: Trial | None = None
    ) -> None:
        """`post`: where to answer questions, and to be found as Service `istiod`; None for nowhere.

        `trial` asks an Envoy that serves nobody; without one, fields that Envoy's complaints do not give away are not
        named.
        """
        self._manager = manager
        self._config = config
        self._store = Store(config)
        self._quarantine = Quarantine()
        self._crashes = CrashGuard()
        self._ends = Ends()
        self._memo = Memo()
        self._debug = DebugServer(lambda: self._server.logs, config.named, keeps_ledger=bool(config.ledger))
        self._pipe = Pipe(Path(config.ledger), self._on_lines) if config.ledger else None
        self._server = XdsServer(self._on_report)
        self._post = post
        self._presence = Presence(manager, post) if post else None
        self._lanes: dict[Key, frozenset[str]] = {}
        self._writer = StatusWriter(manager)
        self._inquiry = Inquiry(trial, self._find, self._store.as_last_asked, self._tell_refusal)
        self._published: dict[int, _Published] = {}
        self._live: Compiled | None = None
        self._blocked: dict[Source, str] = {}
        self._bootstrap: Mapping[Source, str] = {}
        self._failed: dict[Key, tuple[Source, Finding]] = {}
        self._serial = 0
        self._told: dict[tuple[str, Key], Verdict] = {}
        self._walked: dict[Source, tuple[Finding, ...]] = {}
        self._unsure: frozenset[Source] = frozenset()
        self._wake = asyncio.Event()
        self._heard = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def xds_port(self) -> int:
        return self._server.port

    async def start(self, xds_port: int = 0) -> None:
        """Returns once Envoy can connect; compiling begins when the manager's caches are filled."""
        if self._pipe:
            self._pipe.start()
        await self._server.start(port=xds_port)
        if self._post and self._presence:
            await self._debug.start(self._post.node_ip)
            self._presence.start(self._debug.port)
        for kind in (*KINDS, SECRET):
            self._manager.listen(kind, partial(self._on_change, kind))
        for kind in _NOT_ACTED_ON:
            self._manager.listen(kind, partial(self._on_unused, kind))
        self._manager.listen(CONFIG_MAP, self._on_config_map)
        self._manager.listen(TRAFFIC_ROUTING, self._on_routing)
        self._writer.start()
        self._inquiry.start()
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._watch_patience())]

    async def has_been_heard(self) -> None:
        """Returns once an Envoy has all we know; at the latest after a while, for it may not be willing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HEARD_WITHIN_SECONDS):
                await self._heard.wait()

    async def stop(self) -> None:
        """Envoy keeps serving what it has."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._presence:
            await self._presence.stop()
        await self._debug.stop()
        await self._inquiry.stop()
        await self._writer.stop()
        await self._server.stop()
        if self._pipe:
            self._pipe.stop()

    def _on_change(self, kind: Kind, change: Change) -> None:
        self._store.take(kind, change.key, change.old, change.new)
        if change.new is None or (change.old is not None and uid_of(change.old) != uid_of(change.new)):
            self._forget(kind, change.key)
            self._quarantine.forget(kind.kind, change.key)
            self._crashes.forget(kind.kind, change.key)
            self._inquiry.forget(self._quarantine.guilty)
            if kind is ENVOY_FILTER:
                self._failed.pop(change.key, None)
        if change.new is not None and kind is POD:
            if (end := self._ends.told_by(change.new)) is not None:
                self._on_end(end)
        elif change.new is not None and change.old is None and (why := status.why_left_out(change.new)):
            self._crashes.restore(Source(kind.kind, *change.key, generation_of(change.new)), why)
        if self._store.dirty:
            self._wake.set()

    def _forget(self, kind: Kind, key: Key) -> None:
        if (told := self._told.pop((kind.kind, key), None)) is not None:
            self._walked.pop(Source(kind.kind, *key, told.generation), None)

    def _on_end(self, end: End) -> None:
        given = self._newest()
        current = self._ends.current(self._server.connections, self._server.greeted)
        at_hand = changing(end.listener, given.plan.edits.listeners) if given else frozenset[Source]()
        culprit = self._crashes.ended(end, at_hand, self._manager.clock.now(), current=current)
        if culprit is not None:
            self._ends.speak_of(self._serial + 1)
            self._wake.set()
            if found := self._find(culprit):
                message = status.left_out(culprit, self._crashes.out[culprit]).message
                self._writer.tell(Event(*found, "Warning", Reason.LEFT_OUT.value, message))
        for source in (*self._crashes.out, *self._crashes.doubted):
            self._tell_state(source)

    def _newest(self) -> Compiled | None:
        return self._published[max(self._published)].compiled if self._published else self._live

    def _tell_state(self, source: Source) -> None:
        """What is to be said of an object, whether Envoy has acknowledged it or not."""
        if why := self._crashes.out.get(source):
            self._tell(_KIND_OF[source.kind], source, status.left_out(source, why))
        elif self._live is not None and source in self._live.plan.findings:
            self._tell(_KIND_OF[source.kind], source, self._acknowledged(self._live, source))

    def _on_config_map(self, change: Change) -> None:
        """What cannot be read is told by `meshconfig`'s controller; until it can, what held before goes on."""
        if change.key == meshconfig.KEY:
            mesh = meshconfig.read(change.new, self._config).mesh
            if mesh is not None:
                self._store.take_mesh(mesh)
            if self._store.dirty:
                self._wake.set()

    def _on_routing(self, change: Change) -> None:
        """The headers that mark a lane are told of by every proxy, also before there is a route for them."""
        if change.new is None:
            self._lanes.pop(change.key, None)
        else:
            self._lanes[change.key] = frozenset(header.name for dye in Dye.all_of(change.new) for header in dye.headers)
        self._store.take_lanes(frozenset[str]().union(*self._lanes.values()))
        if self._store.dirty:
            self._wake.set()

    def _on_unused(self, kind: Kind, change: Change) -> None:
        """What is not enforced must not look as if it were."""
        if change.new is None:
            self._forget(kind, change.key)
            return
        message = f"{kind.kind} objects are not acted on by this mesh"
        generation = generation_of(change.new)
        verdict = Verdict(generation, Reason.NOT_ACTED_ON, message, (unsupported(f"kind {kind.kind}"),))
        self._tell(kind, Source(kind.kind, *change.key, generation), verdict)

    async def _run(self) -> None:
        await self._manager.synced()
        while True:
            await self._wake.wait()
            await asyncio.sleep(_SETTLE_SECONDS)
            self._wake.clear()
            try:
                await self._compile()
            except Exception:
                # The last good configuration stays; the next change is another chance.
                _LOG.exception("publishing the mesh failed")

    async def _compile(self) -> None:
        admitted = self._crashes.admitted(self._quarantine.admitted(self._store.inputs()))
        self._inquiry.forget(self._quarantine.guilty)
        self._serial += 1
        try:
            compiled = compile(admitted, self._memo, self._serial)
        except Exception as error:
            # A defect of ours, but one object's: everything else shall go on, and the object say what happened.
            _LOG.exception("compiling the mesh failed")
            if self._quarantine.failed(admitted, f"it cannot be compiled: {type(error).__name__}: {error}"):
                self._wake.set()
            self._inquire()
            return
        self._published[self._serial] = _Published(compiled, admitted, self._store.terminating)
        self._crashes.served(admitted, self._manager.clock.now(), self._age)
        await self._server.publish(compiled.snapshot)

    def _age(self, source: Source) -> int:
        """Versions are numbers that grow, in the embedded API."""
        found = self._find(source)
        version = str(dig(found[1], "metadata", "resourceVersion")) if found else ""
        return int(version) if version.isdigit() else 0

    def _on_report(self, report: Report) -> None:
        if isinstance(report, Live):
            self._on_live(report.serial)
        elif isinstance(report, Accepted):
            self._unblock(report.resource)
        elif "bind" in report.reason and report.resource.type is Type.LISTENER:
            self._block(report.resource, report.reason)
        else:
            why = complaint(report.reason, report.resource.name)
            if self._quarantine.refused(report.resource, report.instead, why):
                self._wake.set()
            self._inquire()

    def _inquire(self) -> None:
        for source, why in self._quarantine.guilty.items():
            self._inquiry.ask(source, self._quarantine.evidence.get(source), why)

    def _find(self, source: Source) -> tuple[Kind, Obj] | None:
        obj = self._manager.view().get(_KIND_OF[source.kind], *source.key)
        return (_KIND_OF[source.kind], obj) if obj is not None else None

    def _block(self, listener: Resource, reason: str) -> None:
        """An address is taken: no fault of the object's, so it stays, and the address is tried again."""
        self._blocked.update(dict.fromkeys(listener.sources, reason.strip()))
        for source in listener.sources:
            self._tell(_KIND_OF[source.kind], source, status.kept_out(source, reason.strip()))

    def _unblock(self, listener: Resource) -> None:
        for source in listener.sources:
            if self._blocked.pop(source, None) is not None and self._live is not None:
                self._tell(_KIND_OF[source.kind], source, self._acknowledged(self._live, source))

    def _on_live(self, serial: int) -> None:
        live = self._published.get(serial)
        if live is None:
            return
        self._live = live.compiled
        self._heard.set()
        self._debug.learn(live.compiled.plan)
        self._published = {number: each for number, each in self._published.items() if number > serial}
        if self._quarantine.live(live.admitted):
            self._wake.set()
        self._tell_all(live.compiled)
        for key in live.leaving:
            self._writer.write(POD, key, status.drained_patch)

    def _tell_all(self, live: Compiled) -> None:
        """Every object works as it is now, except those Envoy has a complaint about.

        Of thousands, those are looked at of which something else is found than the last time, or that were unsure then.
        """
        kept = {source: why for source, why in self._bootstrap.items() if why and source in live.plan.findings}
        bad = self._blocked | self._quarantine.guilty | kept
        unsure = self._quarantine.held | bad.keys() | self._crashes.out.keys()
        found, notes, walked = live.plan.findings, live.plan.notes, self._walked
        changed = [source for source, each in found.items() if walked.get(source) is not each]
        for source in dict.fromkeys((*changed, *notes, *(self._unsure & found.keys()))):
            findings, note = found.get(source, ()), notes.get(source, "")
            known = self._told.get((source.kind, source.key))
            told = known is not None and known.tells(source.generation, Reason.ACKNOWLEDGED, findings, note)
            if not told and source in found and source not in unsure:
                self._tell(_KIND_OF[source.kind], source, self._acknowledged(live, source))
        self._walked, self._unsure = dict(found), unsure
        for source, why in bad.items():
            self._tell(_KIND_OF[source.kind], source, self._kept_out(source, why))
        for source, why in self._crashes.out.items():
            self._tell(_KIND_OF[source.kind], source, status.left_out(source, why))

    def _kept_out(self, source: Source, why: str) -> Verdict:
        part = self._inquiry.of(source)
        return status.kept_out(source, part.said, part.path) if part else status.kept_out(source, why)

    def _tell_refusal(self, source: Source) -> None:
        if why := self._quarantine.guilty.get(source):
            self._tell(_KIND_OF[source.kind], source, self._kept_out(source, why))

    def _acknowledged(self, live: Compiled, source: Source) -> Verdict:
        verdict = status.acknowledged(live, source)
        failure = self._failed.get(source.key) if source.kind == ENVOY_FILTER.kind else None
        if failure is not None and failure[0] == source:
            verdict = replace(verdict, findings=(*verdict.findings, failure[1]))
        if why := self._crashes.doubted.get(source):
            verdict = status.doubted(verdict, why)
        found = [each for each in live.plan.inputs.envoy_filters if each.source == source]
        if any(True for _ in bootstraps(found, "")):
            return status.in_bootstrap(verdict, source in self._bootstrap)
        return verdict

    def _on_lines(self, lines: list[str]) -> None:
        for line in lines:
            if line.startswith(CODE) and (failure := marked(line.removeprefix(CODE))):
                self._on_failure(*failure)
        self._debug.take(lines)

    def _on_failure(self, source: Source, why: str) -> None:
        """An EnvoyFilter's code failed on a request. The first failure of each state is told."""
        known = self._failed.get(source.key)
        if self._live is None or source not in self._live.plan.findings or (known and known[0] == source):
            return
        self._failed[source.key] = (source, failed(why))
        if source not in self._quarantine.held | self._blocked.keys():
            self._tell(ENVOY_FILTER, source, self._acknowledged(self._live, source))

    def bootstrap_offer(self) -> BootstrapOffer:
        """What EnvoyFilters want in the bootstrap of an Envoy, for whoever starts it."""
        return BootstrapOffer(self._manager.client, lambda: self._store.mesh.root_namespace, self._on_started)

    def _on_started(self, bootstrap: Mapping[Source, str]) -> None:
        self._bootstrap, self._walked = bootstrap, {}
        if self._live is not None:
            self._tell_all(self._live)

    def _tell(self, kind: Kind, source: Source, verdict: Verdict) -> None:
        known = self._told.get((source.kind, source.key))
        if known is not None and known.tells(verdict.generation, verdict.reason, verdict.findings, verdict.note):
            return
        self._told[source.kind, source.key] = verdict
        self._writer.write(kind, source.key, lambda obj, now: _patch(obj, source, verdict, now))

    async def _watch_patience(self) -> None:
        """Say so when Envoy has not answered for a while; a lagging status must not look like a forgotten one."""
        while True:
            await asyncio.sleep(_PATIENCE_SECONDS)
            if self._crashes.calm(self._manager.clock.now()):
                self._wake.set()
            if not self._published:
                continue
            oldest, newest = min(self._published), max(self._published)
            await asyncio.sleep(_PATIENCE_SECONDS)
            if oldest in self._published:
                self._tell_waiting(self._published.get(newest) or self._published[oldest])

    def _tell_waiting(self, published: _Published) -> None:
        why = "Envoy has not acknowledged yet" if self._server.connected else "no Envoy is connected"
        for source in published.compiled.snapshot.sources:
            known = self._told.get((source.kind, source.key))
            if known is None or known.generation != source.generation:
                self._tell(_KIND_OF[source.kind], source, status.waiting(published.compiled, source, why))


def _patch(obj: Obj, source: Source, verdict: Verdict, now: datetime) -> Obj | None:
    """Nothing is said about a state that has passed: its successor gets its own verdict."""
    return status.status_patch(obj, verdict, now) if generation_of(obj) == source.generation else None
