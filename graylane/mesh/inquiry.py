"""Finds out which field of an object Envoy refused, where its complaint alone does not give it away.

Shell. In: refusals, one after the other; an Envoy on trial, which serves nobody. Out: for each refused state of an
object the part at fault, and Envoy's sentence in full, which it cuts off where it refuses a large table.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection

from graylane.mesh.blame import complaint, field_of
from graylane.mesh.dissect import Part, dissect
from graylane.mesh.inputs import Inputs, Source
from graylane.mesh.memo import Memo
from graylane.mesh.snapshot import Resource
from graylane.mesh.variants import Variants, family
from graylane.model.kinds import Kind
from graylane.model.meta import Obj, generation_of

_LOG = logging.getLogger(__name__)
Trial = Callable[[bytes], Awaitable[str]]
"""What an Envoy says against a serialized Bootstrap, "" for nothing."""


class Inquiry:
    """`find` gives the object of a source as it is now, `inputs` all there is; `told` hears of each part found."""

    def __init__(
        self,
        trial: Trial | None,
        find: Callable[[Source], tuple[Kind, Obj] | None],
        inputs: Callable[[], Inputs],
        told: Callable[[Source], None],
    ) -> None:
        """Without a `trial` nothing is found out."""
        self._trial = trial
        self._find = find
        self._inputs = inputs
        self._told = told
        self._found: dict[Source, Part] = {}
        self._asked: set[Source] = set()
        self._queue: asyncio.Queue[tuple[Source, Resource | None]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def ask(self, source: Source, resource: Resource | None, said: str) -> None:
        """`resource` was refused for the sake of `source`, which says what `said` tells."""
        found = self._find(source)
        if self._trial is None or found is None or source in self._asked or field_of(found[1], said):
            return
        self._asked.add(source)
        self._queue.put_nowait((source, resource))

    def of(self, source: Source) -> Part | None:
        """What has been found out."""
        return self._found.get(source)

    def forget(self, guilty: Collection[Source]) -> None:
        """Whoever is not guilty any more is asked about anew when it is again."""
        self._asked &= set(guilty)
        self._found = {source: part for source, part in self._found.items() if source in guilty}

    async def _work(self) -> None:
        while True:
            source, resource = await self._queue.get()
            try:
                await self._inquire(source, resource)
            except Exception:
                # Only a field's name is missing then; the refusal itself has been told.
                _LOG.exception("finding the field that Envoy refused failed")

    async def _inquire(self, source: Source, resource: Resource | None) -> None:
        found = self._find(source)
        if found is None or generation_of(found[1]) != source.generation:
            return
        kind, obj = found
        variants = Variants(self._inputs(), kind, obj, resource, Memo())

        async def fault(spec: Obj) -> str:
            try:
                tried = await asyncio.to_thread(variants.resources, spec)
            except Exception as error:
                return f"it cannot be compiled: {type(error).__name__}: {error}"
            assert self._trial is not None
            said = await self._trial(tried) if tried else ""
            return _neutral(complaint(said, resource.name if resource else ""), resource)

        part = await dissect(obj.get("spec") or {}, fault)
        if part.said and source in self._asked:
            self._found[source] = part
            self._told(source)


def _neutral(said: str, resource: Resource | None) -> str:
    """Without the digest by which a copy of a cluster is named, which differs from one variant to the next."""
    if resource is None or family(resource.name) == resource.name:
        return said
    return " ".join(_plain(word) for word in said.split(" "))


def _plain(word: str) -> str:
    return family(word) if "|" in word else word
