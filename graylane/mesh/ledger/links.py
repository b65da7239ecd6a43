"""On whose behalf a pod sent a request.

Pure. In: the hops that are remembered. Out: each with its possible parents: requests that the calling pod was answering
at that time. Where services pass `x-request-id` on, the one with the same id is it. Where they do not, a call belongs
to a request that the pod had received before and answered after; Envoy's one clock tells both. If several were in
flight, all of them are named and none is claimed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from graylane.chain.seen import By, Linked, SeenHop

_LOOK_BACK = 512  # requests that one pod answers at a time, at most


def linked(hops: Sequence[SeenHop]) -> Iterator[Linked]:
    """In the order given."""
    served: dict[str, list[SeenHop]] = defaultdict(list)
    for hop in hops:
        if hop.pod:
            served[hop.pod].append(hop)
    starts: dict[str, list[float]] = {}
    for pod, answered in served.items():
        answered.sort(key=lambda hop: hop.at)
        starts[pod] = [hop.at for hop in answered]
    for hop in hops:
        answered = served.get(hop.caller, []) if not hop.gateway else []
        until = bisect_right(starts[hop.caller], hop.at) if answered else 0
        yield _linked(hop, answered[max(0, until - _LOOK_BACK) : until])


def _linked(hop: SeenHop, before: Sequence[SeenHop]) -> Linked:
    around = [each for each in before if each.ended >= hop.ended and each is not hop]
    same = [each.number for each in around if each.id and each.id == hop.id]
    if len(same) == 1:
        return Linked(hop, tuple(same), By.ID)
    found = tuple(each.number for each in around)
    return Linked(hop, found, By.TIME if found else By.NOTHING)


def below(found: Sequence[Linked], roots: Iterable[int]) -> list[Linked]:
    """The roots and all that may have been sent on their behalf, in the order in which they began."""
    wanted = set(roots)
    known = {each.hop.number: each for each in found}
    chosen: dict[int, Linked] = {number: known[number] for number in wanted if number in known}
    for each in sorted(found, key=lambda each: each.hop.at):
        if each.hop.number not in chosen and any(parent in chosen for parent in each.parents):
            chosen[each.hop.number] = each
    return sorted(chosen.values(), key=lambda each: (each.hop.at, each.hop.number))
