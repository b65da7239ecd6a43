"""Objects that Envoy refuses, or that cannot be compiled: left out, so that everything else goes on, until they change.

Pure. In: refusals and acknowledgements. Out: `Inputs` without the culprits, each as it was when it last worked.

A refusal names a resource, a resource names the object states it was made from; those that are new in it are suspect.
One suspect is guilty. Several are all held back, then let in again one at a time: who brings the refusal back is it.
Where EnvoyFilters are among them, those alone are: most refusals are theirs, and without Gateways nothing is served.
Who makes what others change is let in before them, for a change of nothing would be found innocent.
What was compiled before somebody was held back accuses nobody else: it is refused for the sake of that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from graylane.mesh.inputs import CONFIG_FIELDS, Config, Inputs, Source
from graylane.mesh.snapshot import Resource
from graylane.model.meta import Key

C = TypeVar("C", bound=Config)


class Quarantine:
    """`guilty` says why each is kept out, `evidence` what of it was refused, if anything of it came to be."""

    def __init__(self) -> None:
        self.guilty: dict[Source, str] = {}
        self.evidence: dict[Source, Resource | None] = {}
        self._suspects: dict[Source, str] = {}
        self._trial: Source | None = None
        self._last_good = Inputs()

    def refused(self, resource: Resource, instead: Resource | None, reason: str) -> bool:
        """Whether the inputs must be compiled again, with somebody left out. `instead` is what Envoy goes on with."""
        return self._accuse(resource.sources - (instead.sources if instead else frozenset()), reason, resource)

    def failed(self, inputs: Inputs, reason: str) -> bool:
        """The same for `inputs` (as admitted) that could not even be compiled: whatever is new in them is suspect."""
        known = {each.source for each in self._last_good.configs}
        return self._accuse(frozenset(each.source for each in inputs.configs) - known, reason, None)

    def _accuse(self, fresh: frozenset[Source], reason: str, resource: Resource | None) -> bool:
        candidates = frozenset() if fresh & self.held else fresh
        if self._trial in candidates:
            candidates = frozenset((self._trial,))
        if not candidates:
            return False
        if len(candidates) == 1:
            (culprit,) = candidates
            self.guilty[culprit], self.evidence[culprit] = reason, resource
            self._suspects.pop(culprit, None)
        else:
            filters = {source for source in candidates if source.kind == "EnvoyFilter"}
            self._suspects.update(dict.fromkeys(filters or candidates, reason))
        self._trial = None
        return True

    def forget(self, kind: str, key: Key) -> None:
        """An object went. One that comes in its place, of the same name and in its first state, is another."""
        for known in (self.guilty, self.evidence, self._suspects):
            for source in [source for source in known if (source.kind, source.key) == (kind, key)]:
                del known[source]
        if self._trial not in self._suspects:
            self._trial = None

    def live(self, inputs: Inputs) -> bool:
        """`inputs` (as admitted) is what Envoy has now. Whether to compile again, with the next suspect let in."""
        present = self._sources(inputs)
        if not present & self.held:
            self._last_good = inputs
        if self._trial in present:
            self._suspects.pop(self._trial, None)
            self._trial = None
        if not self._suspects or self._trial is not None:
            return False
        self._trial = min(self._suspects, key=_turn)
        return True

    @property
    def held(self) -> frozenset[Source]:
        """All that are left out at present, guilty or suspect."""
        return frozenset((self.guilty.keys() | self._suspects.keys()) - {self._trial})

    def _sources(self, inputs: Inputs) -> set[Source]:
        return {each.source for each in inputs.configs} if self.guilty or self._suspects else set()

    def admitted(self, inputs: Inputs) -> Inputs:
        """`inputs` without those held back. Objects that changed or went are no longer held to account."""
        if not self.guilty and not self._suspects:
            return inputs
        present = self._sources(inputs)
        self.guilty = {source: why for source, why in self.guilty.items() if source in present}
        self.evidence = {source: each for source, each in self.evidence.items() if source in present}
        self._suspects = {source: why for source, why in self._suspects.items() if source in present}
        if self._trial not in self._suspects:
            self._trial = None
        out = self.held
        if not out:
            return inputs
        good = {(each.source.kind, each.source.key): each for each in self._last_good.configs}
        fields: dict[str, Any] = {name: _without(getattr(inputs, name), out, good) for name in CONFIG_FIELDS}
        return replace(inputs, **fields)


_LAST = ("VirtualService", "DestinationRule", "EnvoyFilter")  # each may change what those before it make


def _turn(source: Source) -> tuple[int, Source]:
    return (_LAST.index(source.kind) + 1 if source.kind in _LAST else 0, source)


def _without(configs: tuple[C, ...], out: frozenset[Source], good: Mapping[tuple[str, Key], Config]) -> tuple[C, ...]:
    kept: list[C] = []
    for each in configs:
        if each.source not in out:
            kept.append(each)
            continue
        before = good.get((each.source.kind, each.source.key))
        if before is not None and before.source not in out:
            kept.append(before)  # type: ignore[arg-type]
    return tuple(kept)
