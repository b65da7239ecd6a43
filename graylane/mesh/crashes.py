"""Objects with which Envoy crashes: left out, the likeliest first, until they are edited.

Pure. In: what Envoy is given and since when, each of its ends, the time. Out: `Inputs` without those left out, and why.

Envoy takes them and crashes afterwards, so nothing names the culprit. One end may be chance: it is only told, where a
request was at hand. With the second within a while one object is left out, with each further one the next. When Envoy
has then run for a minute, the last one left out counts as the culprit, and those before it come back; should that end
Envoy again, they stay out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from graylane.mesh.ends import End
from graylane.mesh.inputs import CONFIG_FIELDS, Config, Inputs, Source
from graylane.model.meta import Key

TOGETHER = timedelta(minutes=5)  # ends that are no further apart have one cause
STEADY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Suspect:
    """`order` grows with the time since which Envoy is given it; `at_hand`: the request that was went through it."""

    source: Source
    order: tuple[datetime, int]
    proven: bool
    at_hand: bool

    @property
    def filters(self) -> bool:
        return self.source.kind == "EnvoyFilter"


@dataclass(frozen=True, slots=True)
class Row:
    when: Callable[[Suspect], bool]
    because: str


SUSPECTS = (  # the first row that has any decides; in a row, the newest
    Row(lambda each: each.filters and each.at_hand, "the request at hand went through it"),
    Row(lambda each: each.filters and not each.proven, "it was the newest EnvoyFilter"),
    Row(lambda each: not each.filters and not each.proven, "it was the newest object"),
    Row(lambda each: each.filters, "no other object was left to suspect"),
)


@dataclass(frozen=True, slots=True)
class _Served:
    """`age` tells which of those that came at once, at our own start, was written later."""

    noun: Config
    since: datetime
    age: int


def likeliest(suspects: list[Suspect]) -> tuple[Suspect, str] | None:
    for row in SUSPECTS:
        if found := [each for each in suspects if row.when(each)]:
            return max(found, key=lambda each: (each.order, each.source)), row.because
    return None


@dataclass(slots=True)
class CrashGuard:
    """`out` says why each is left out, `doubted` of whom it is only said that it may have ended Envoy."""

    out: dict[Source, str] = field(default_factory=dict)
    doubted: dict[Source, str] = field(default_factory=dict)
    _fields: dict[str, tuple[Config, ...]] = field(default_factory=dict)
    _served: dict[Source, _Served] = field(default_factory=dict)
    _proven: dict[tuple[str, Key], Config] = field(default_factory=dict)
    _left: list[Source] = field(default_factory=list)  # since Envoy last ran steadily
    _acquitted: dict[Source, str] = field(default_factory=dict)
    _ends: int = 0
    _last: datetime | None = None
    _settled: bool = False

    def restore(self, source: Source, why: str) -> None:
        """It was left out when we were last here."""
        self.out[source] = why

    def forget(self, kind: str, key: Key) -> None:
        """An object went; one that comes in its place is another."""
        for known in (self.out, self.doubted, self._served, self._acquitted):
            for source in [source for source in known if (source.kind, source.key) == (kind, key)]:
                known.pop(source)
        self._proven.pop((kind, key), None)

    def admitted(self, inputs: Inputs) -> Inputs:
        """`inputs` without those left out, each as it was when Envoy last ran steadily with it, if it ever did."""
        if not self.out:
            return inputs
        present = {each.source for each in inputs.configs}
        self.out = {source: why for source, why in self.out.items() if source in present}
        fields: dict[str, Any] = {}
        for name in CONFIG_FIELDS:
            nouns = getattr(inputs, name)
            if any(each.source in self.out for each in nouns):
                fields[name] = tuple(kept for each in nouns if (kept := self._instead(each)) is not None)
        return replace(inputs, **fields) if fields else inputs

    def _instead(self, noun: Config) -> Config | None:
        if noun.source not in self.out:
            return noun
        before = self._proven.get((noun.source.kind, noun.source.key))
        return before if before is not None and before.source not in self.out else None

    def served(self, inputs: Inputs, now: datetime, age: Callable[[Source], int]) -> None:
        """Envoy is given this from now on. `age` grows with the time an object was written."""
        for name in CONFIG_FIELDS:
            nouns, before = getattr(inputs, name), self._fields.get(name, ())
            if nouns is before:
                continue
            self._fields[name] = nouns
            gone = {each.source for each in before}
            for each in nouns:
                if each.source in gone:
                    gone.remove(each.source)
                else:
                    self._served[each.source] = _Served(each, now, age(each.source))
            self._prove(gone, now)
            for source in gone:
                self._served.pop(source, None)
                self.doubted.pop(source, None)

    def ended(self, end: End, at_hand: frozenset[Source], now: datetime, *, current: bool) -> Source | None:
        """Who is left out now that was not before.

        `at_hand` are the objects that the request at hand went through. `current`: that Envoy had been given what we
        have to give, so its end speaks of that.
        """
        if not end.crashed or not current:
            return None
        self._prove(self._served, now)
        if self._last is None or now - self._last > TOGETHER:
            self._ends, self._left, self._acquitted = 0, [], {}
        self._ends, self._last, self._settled = self._ends + 1, now, False
        if self._acquitted:
            self.out |= self._acquitted
            found, self._acquitted = next(iter(self._acquitted)), {}
            return found
        suspect = likeliest(self._suspects(at_hand))
        return self._blame(*suspect, end) if suspect else None

    def _blame(self, suspect: Suspect, because: str, end: End) -> Source | None:
        source, who = suspect.source, f"probably because of this object: {because}"
        if self._ends > 1:
            self.out[source] = f"Envoy ended {self._ends} times, last {end}, {who}"
            self.doubted.pop(source, None)
            self._left.append(source)
            return source
        if suspect.at_hand:
            self.doubted[source] = f"Envoy ended {end}, {who}"
        return None

    def _suspects(self, at_hand: frozenset[Source]) -> list[Suspect]:
        proven = {each.source for each in self._proven.values()}
        return [
            Suspect(source, (each.since, each.age), source in proven, source in at_hand)
            for source, each in self._served.items()
            if source not in self.out
        ]

    def _prove(self, sources: Iterable[Source], now: datetime) -> None:
        """What Envoy has run with for long without an end is suspected last."""
        for source in sources:
            each = self._served.get(source)
            if each and source not in self.out and now - max(each.since, self._last or each.since) >= STEADY:
                self._proven[source.kind, source.key] = each.noun

    def calm(self, now: datetime) -> bool:
        """Whether somebody left out comes back, now that Envoy runs steadily."""
        if self._settled or self._last is None or now - self._last < STEADY:
            return False
        self._settled = True
        self._prove(self._served, now)
        if not self._left:
            return False
        *others, _ = self._left
        self._ends, self._left = 0, []
        self._acquitted = {source: self.out.pop(source) for source in others if source in self.out}
        return bool(self._acquitted)


def changing(listener: str, patches: Mapping[str, tuple[Any, ...]]) -> frozenset[Source]:
    """The EnvoyFilters that change a listener."""
    return frozenset(patch.owner.source for patch in patches.get(listener, ()))
