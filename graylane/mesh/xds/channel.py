"""One resource type on one stream: what Envoy has of it, what it was sent and has not answered, what it refused.

Pure. In: what it shall have, its answers. Out: what to send it next, and the culprits of a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from graylane.mesh.encode.shards import table_of
from graylane.mesh.encode.tables import empty_table
from graylane.mesh.snapshot import Resource, Resources, Type, differs


@dataclass(slots=True)
class Flight:
    """A response not yet answered. `changed` is what in it is new to Envoy."""

    nonce: str
    sent: dict[str, Resource]
    changed: tuple[Resource, ...]


@dataclass(slots=True)
class Channel:
    """One resource type on this stream."""

    type: Type
    asked: bool = False
    names: frozenset[str] = frozenset()
    held: dict[str, Resource] = field(default_factory=dict)
    flight: Flight | None = None
    refused: dict[str, str] = field(default_factory=dict)
    retried: dict[str, str] = field(default_factory=dict)
    suspects: list[Resource] = field(default_factory=list)
    again: bool = False
    complete: Resources | None = None  # known to be held to the last resource, until something is sent
    answered: bool = False
    """Envoy starts only when its first request for clusters and listeners is answered, with nothing if need be."""
    before: bool = (
        False  # whether Envoy has some from an earlier stream, with which it goes on until it is given others
    )
    told: bool = False  # whether Envoy has said on this stream what it has

    def wanted(self, target: Resources) -> dict[str, Resource]:
        """`target`, with what Envoy refused replaced by what it accepted last."""
        if not self.refused:
            return dict(target)
        chosen = ((name, self._acceptable(each)) for name, each in target.items())
        return {name: each for name, each in chosen if each is not None}

    def _acceptable(self, each: Resource) -> Resource | None:
        if self.refused.get(each.name) != each.version:
            return each
        # A listener waits for its table for ever; one without routes lets it open and answer 404.
        # Where the table comes in another form now, the listener that looks at the old one goes on until this is taken.
        alone = self.type is Type.ROUTES and not self.before and not self.related(each)
        return self.held.get(each.name, empty_table(each.name) if alone else None)

    def related(self, each: Resource) -> list[Resource]:
        """What Envoy has of the same table, whole or in parts."""
        table = table_of(each.name)
        return [held for name, held in self.held.items() if table_of(name) == table]

    def instead(self, each: Resource) -> Resource | None:
        """What Envoy goes on with when it refuses a resource. A part of a table may get what was in another before."""
        own = self.held.get(each.name)
        if self.type is Type.CLUSTER:  # of a copy that EnvoyFilters change, what there was is the one for everybody
            return own or self.held.get(each.name.partition("+")[0].removesuffix("~"))
        if self.type is not Type.ROUTES:
            return own
        known = own.sources if own else frozenset()
        moved = known.union(*(held.sources for held in self.related(each)))
        found = own or next(iter(self.related(each)), None)
        return found and replace(found, sources=moved if each.sources - moved else known)

    def forget(self, target: Resources) -> None:
        """What is not wanted any more is offered anew when it is wanted again, so that its refusal is told again."""
        self.refused = {name: version for name, version in self.refused.items() if _is(target.get(name), version)}

    def settled(self, wanted: Mapping[str, Resource]) -> bool:
        """Whether Envoy is known to have all of `wanted`."""
        if self.type.whole and not self.answered:
            return False
        return self.flight is None and not self.suspects and not self._missing(wanted)

    def _missing(self, wanted: Mapping[str, Resource]) -> list[Resource]:
        return [each for name, each in wanted.items() if differs(self.held.get(name), each)]

    def next_flight(self, wanted: Mapping[str, Resource]) -> tuple[dict[str, Resource], tuple[Resource, ...]] | None:
        """What to send now, if anything: the resources of the message, and those of them that are new."""
        if not self.asked or self.flight is not None:
            return None
        if self.again:
            self.again = False
            return dict(self.held), ()
        if self.suspects:
            suspect = self.suspects.pop(0)
            alone = {suspect.name: suspect}
            return ({**self.held, **alone} if self.type.whole else alone), (suspect,)
        if not self.type.whole:
            wanted = {name: each for name, each in wanted.items() if name in self.names}
        missing = tuple(self._missing(wanted))
        if self.type.whole:
            due = missing or not self.answered or wanted.keys() != self.held.keys()
            return (dict(wanted), missing) if due else None
        return ({each.name: each for each in missing}, missing) if missing else None

    def accept(self, flight: Flight) -> None:
        self.answered = True
        if self.type.whole:
            self.held = dict(flight.sent)
        else:
            self.held.update(flight.sent)

    def reject(self, flight: Flight, reason: str, earlier: Iterable[Resource]) -> list[Resource]:
        """The culprits, once known. Envoy names listeners and clusters it refuses; tables are tried one by one.

        `earlier` are changes it has not spoken about yet: its complaint may be about those.
        """
        changed = flight.changed
        newest = {each.name: each for each in (*earlier, *changed)}
        named = [each for each in newest.values() if self.type.whole and _names(reason, each)]
        culprits = named or (list(changed) if len(changed) == 1 else [])
        if not culprits:
            self.suspects.extend(changed)
        for each in culprits:
            self.refused[each.name] = each.version
        self.suspects = [each for each in self.suspects if each not in culprits]
        return culprits


def _is(each: Resource | None, version: str) -> bool:
    return each is not None and each.version == version


def _names(reason: str, each: Resource) -> bool:
    """Whether Envoy's complaint has `name: why` for this resource, and not only for one whose name contains it."""
    return re.search(rf"(?:^|[\s,]){re.escape(each.name)}: ", reason) is not None
