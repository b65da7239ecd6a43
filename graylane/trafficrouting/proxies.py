"""Asks the control plane whether its proxies have taken a change, where the objects' own status does not say.

Shell. In: a way to ask istiod, objects and what time alone would say of them. Out: `Verdict`s. What is remembered is
lost with us; then, as where istiod does not answer, time is all there is.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

from graylane.errors import ApiError
from graylane.kit.istiod import Answer as Told
from graylane.model.meta import uid_of
from graylane.trafficrouting.confirm import Answer, Verdict
from graylane.trafficrouting.syncz import TYPES, Reading, Silent, Watch, judge, reading

_LOG = logging.getLogger(__name__)
_MOST = 10_000

Ask = Callable[[], Awaitable[list[Told]]]
"""One answer of `/debug/syncz` for each replica of istiod; may raise `ApiError`."""


class Proxies:
    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._watches: dict[str, tuple[int, Watch]] = {}

    async def verdicts(self, silent: Iterable[Silent], now: datetime) -> dict[str, Verdict]:
        """By uid; objects that only time can tell of are left out."""
        asked = [each for each in silent if each.kind in TYPES and self._concerns(each)]
        pending = [each for each in asked if not self._confirmed(each)]
        told = await self._read() if pending else None
        found = {uid_of(each.obj): Verdict(Answer.YES) for each in asked if self._confirmed(each)}
        for each in pending:
            if told is not None and (watch := self._watch(each, told)) is not None:
                found[uid_of(each.obj)] = judge(watch, told, each.by_time, now)
        return found

    def _concerns(self, each: Silent) -> bool:
        """A change that came before us and has had its time needs no asking."""
        return each.by_time.answer is Answer.WAITS or self._known(each) is not None

    def _known(self, each: Silent) -> Watch | None:
        uid, generation = each.state
        known, watch = self._watches.get(uid, (-1, None))
        return watch if known == generation else None

    def _confirmed(self, each: Silent) -> bool:
        watch = self._known(each)
        return watch is not None and watch.confirmed

    def _watch(self, each: Silent, told: Reading) -> Watch | None:
        """Begins with a reading that is whole: what it lacks could not be told from what comes later."""
        watch = self._known(each)
        if watch is None and told.tells:
            uid, generation = each.state
            watch = Watch(told, types=TYPES[each.kind])
            self._watches.pop(uid, None)
            self._watches[uid] = generation, watch
            for oldest in list(self._watches)[: max(0, len(self._watches) - _MOST)]:
                del self._watches[oldest]
        return watch

    async def _read(self) -> Reading | None:
        try:
            told = reading(await self._ask())
        except ApiError as error:
            _LOG.debug("istiod cannot be asked: error=%s", error)
            return None
        if told.silent:
            _LOG.debug("istiod does not tell: replicas=%s", "; ".join(told.silent))
        return told
