"""One Envoy's ADS conversation: what to send next, given what it has, what it asked for, and what it refused.

Pure. In: `Request`s and `Snapshot`s. Out: `Response`s to send and `Report`s (what is live, what was refused). No I/O,
no clock: whoever owns the stream calls `receive` and `publish`, then sends what `pump` returns.

A snapshot is worked through in steps, so that no route ever names a cluster Envoy lacks and no cluster goes before the
last route to it has gone (make before break):

    step    sends                                                  done when acknowledged
    ADD     clusters, old ones kept; endpoints                     so that everything routes will need is there
    ROUTE   listeners, route tables                                so that nothing needs what is dropped next
    PRUNE   clusters, exactly the new ones                         the snapshot is live

Endpoints that lead through a listener are direct ones until Envoy has it: they follow in PRUNE at the latest, and are
direct again in ADD before the listener goes.

While later steps wait, newer endpoints are sent at once: a pod that goes must leave without queueing behind routes.
Envoy acknowledges responses but applies resources one by one; of a refused response we find the culprits, send the
rest again without them, and go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from uuid import UUID

from graylane.mesh.snapshot import EMPTY, Resource, Resources, Snapshot, Through, Type, version_of
from graylane.mesh.xds.channel import Channel, Flight
from graylane.mesh.xds.messages import Accepted, Live, Refused, Report, Request, Response


class Step(IntEnum):
    ADD = 0
    ROUTE = 1
    PRUNE = 2
    REST = 3


class Session:
    """The conversation with one Envoy over one stream."""

    def __init__(self, epoch: str = "") -> None:
        """`epoch` says since when this control plane counts its pushes."""
        self._epoch = epoch
        self._channels = {type: Channel(type) for type in Type}
        self._target = EMPTY
        self._latest = EMPTY
        self._step = Step.REST
        self._nonce = 0
        self._unsettled: tuple[Resource, ...] = ()
        self._reports: list[Report] = []
        self._behind: tuple[Resources, tuple[tuple[str, Through], ...]] = ({}, ())

    def publish(self, snapshot: Snapshot) -> None:
        """`snapshot` is what Envoy shall have from now on; those in between are skipped."""
        self._latest = snapshot

    def receive(self, request: Request) -> None:
        channel = self._channels[request.type]
        channel.asked = True
        self._subscribe(channel, request)
        flight = channel.flight
        if flight is None or request.nonce != flight.nonce:
            return  # an answer to something older, or only a new subscription
        channel.flight, channel.told = None, True
        if request.error is None:
            channel.accept(flight)
            if request.type is Type.CLUSTER:
                self._unsettled = ()
            self._reports.extend(Accepted(each) for each in flight.changed if channel.retried.pop(each.name, ""))
        else:
            culprits = channel.reject(flight, request.error, self._unsettled if channel.type is Type.CLUSTER else ())
            new = [each for each in culprits if channel.retried.get(each.name) != each.version]
            self._reports.extend(Refused(each, channel.instead(each), request.error) for each in new)

    def _subscribe(self, channel: Channel, request: Request) -> None:
        if not request.nonce:
            channel.held.clear()
            channel.flight, channel.complete = None, None
            channel.answered = channel.told = False
            channel.before = bool(request.version)
        if not channel.type.whole:
            channel.names = request.names
            for name in channel.held.keys() - request.names:
                del channel.held[name]
                channel.complete = None

    def _expect_endpoints(self, changed: Iterable[Resource]) -> None:
        """A cluster that changes waits for endpoints to be given anew, even the same ones, before it works.

        Until then Envoy does not even acknowledge the clusters, so these endpoints follow on their heels.
        """
        channel = self._channels[Type.ENDPOINTS]
        channel.complete = None
        for cluster in changed:
            channel.held.pop(cluster.name, None)
            if channel.flight is not None:
                channel.flight.sent.pop(cluster.name, None)

    @property
    def waits_for_clusters(self) -> str:
        """The nonce of the clusters Envoy has not answered for, "" if none."""
        flight = self._channels[Type.CLUSTER].flight
        return flight.nonce if flight else ""

    def give_up_clusters(self) -> None:
        """Stop waiting: some cluster does not come to work.

        Envoy answers clusters once all of them work. One whose load balancer it cannot build never does, and Envoy
        says nothing about any cluster until that one is replaced. So the last good ones are sent once more; it then
        names the culprit, or else the changes are tried one by one.
        """
        channel = self._channels[Type.CLUSTER]
        if channel.flight is not None and channel.held:
            channel.suspects.extend(channel.flight.changed)
            channel.flight = None
            channel.again = True

    def retry(self) -> None:
        """Offer refused listeners again: an address that was taken may be free now."""
        channel = self._channels[Type.LISTENER]
        if channel.refused:
            channel.retried |= channel.refused
            channel.refused.clear()
            self._step = min(self._step, Step.ROUTE)

    def reports(self) -> list[Report]:
        """What has become known since the last call."""
        told, self._reports = self._reports, []
        return told

    def pump(self) -> list[Response]:
        """All that can be sent now."""
        found: list[Response] = []
        while True:
            if self._step is Step.REST and self._latest is not self._target:
                self._target, self._step = self._latest, Step.ADD
                for type, channel in self._channels.items():
                    channel.forget(self._target.of(type))
            found.extend(self._send())
            if self._step is Step.REST or not self._done():
                return found
            self._step = Step(self._step + 1)
            if self._step is Step.REST:
                self._reports.append(Live(self._target.serial))

    def _send(self) -> Iterable[Response]:
        for type, snapshot in self._open():
            channel, target = self._channels[type], snapshot.of(type)
            if channel.complete is target:
                continue
            wanted, _ = self._wanted(channel, target)
            if type is Type.CLUSTER and self._step is Step.ADD:
                wanted = channel.held | wanted
            flight = channel.next_flight(wanted)
            if flight is not None:
                yield self._launch(channel, snapshot.serial, *flight)

    def _open(self) -> Iterable[tuple[Type, Snapshot]]:
        """The types that may be sent in the present step, and of which snapshot."""
        if self._step is Step.ADD:
            yield from ((Type.CLUSTER, self._target), (Type.ENDPOINTS, self._target))
            return
        yield Type.ENDPOINTS, self._latest
        if self._step is Step.ROUTE:
            yield Type.LISTENER, self._target
        if self._step is Step.PRUNE:
            yield Type.CLUSTER, self._target
        yield Type.ROUTES, self._target  # at any time from here: Envoy may ask late

    def _done(self) -> bool:
        if self._step is Step.ADD:
            return self._has(Type.CLUSTER) and self._has(Type.ENDPOINTS)
        if self._step is Step.ROUTE:
            return self._has(Type.LISTENER) and self._has(Type.ROUTES)
        followed = self._latest is not self._target or self._has(Type.ENDPOINTS)
        return self._has(Type.CLUSTER, exactly=True) and followed

    def _has(self, type: Type, *, exactly: bool = False) -> bool:
        """Whether Envoy has acknowledged all of the target's resources of `type` that it can have."""
        channel, target = self._channels[type], self._target.of(type)
        if channel.complete is target:
            return True
        wanted, whole = self._wanted(channel, target)
        # What Envoy refused to have, it does not ask endpoints or routes for.
        if type is Type.ENDPOINTS:
            clusters = self._channels[Type.CLUSTER].held
            wanted = {name: each for name, each in wanted.items() if name in clusters}
        elif type is Type.ROUTES:
            names = channel.names | self._expected
            wanted = {name: each for name, each in wanted.items() if name in names}
        if not channel.settled(wanted):
            return False
        same = wanted.keys() == channel.held.keys()
        if same and whole and len(wanted) == len(target) and not channel.refused:
            channel.complete = target
        return same or not exactly

    def _wanted(self, channel: Channel, target: Resources) -> tuple[dict[str, Resource], bool]:
        """What Envoy can have of `target` now, and whether that is all of it however its listeners change."""
        wanted = channel.wanted(target)
        behind = self._behind_listeners(target) if channel.type is Type.ENDPOINTS else ()
        if behind:
            versions = self._listening()
            for name, through in behind:
                wanted[name] = through.given(versions)
        return wanted, not behind

    def _behind_listeners(self, target: Resources) -> tuple[tuple[str, Through], ...]:
        if self._behind[0] is not target:
            self._behind = (target, tuple((name, each.through) for name, each in target.items() if each.through))
        return self._behind[1]

    def _listening(self) -> dict[str, str]:
        """The versions of the listeners that Envoy has, and keeps."""
        channel, target = self._channels[Type.LISTENER], self._target.of(Type.LISTENER)
        if not channel.told:  # it has none yet that could send anything, or has kept those of the last stream
            return {name: each.version for name, each in target.items()}
        kept = channel.held.keys() & target.keys()
        if channel.flight is not None:
            kept &= channel.flight.sent.keys()
        return {name: channel.held[name].version for name in kept}

    @property
    def _expected(self) -> frozenset[str]:
        """The tables that Envoy has not asked for yet, but will: it has just been given who needs them."""
        listeners = self._channels[Type.LISTENER].held.values()
        return frozenset().union(*{each.needs for each in listeners})

    def _launch(
        self, channel: Channel, serial: int, sent: dict[str, Resource], changed: tuple[Resource, ...]
    ) -> Response:
        self._nonce += 1
        channel.complete = None
        channel.flight = Flight(f"{self._epoch}/{serial}{UUID(int=self._nonce)}", sent, changed)
        if channel.type is Type.CLUSTER:
            self._expect_endpoints((*changed, *self._unsettled))
            self._unsettled = tuple({each.name: each for each in (*self._unsettled, *changed)}.values())
        resources = tuple(sent.values())
        return Response(channel.type, version_of(resources), channel.flight.nonce, resources)
