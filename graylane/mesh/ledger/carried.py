"""Which services pass a lane's header on, and which lose it.

Pure. In: linked hops, the headers that mark lanes. Out: `Carried`, one for each service, callee, header and value. Only
what is certain counts: a call whose possible parents all had received the header with the same value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graylane.chain.seen import Carried, Linked, SeenHop
from graylane.mesh.compile.directory import parsed_cluster

_LONGEST = 64


@dataclass(slots=True)
class _Tally:
    kept: int = 0
    lost: int = 0
    example: str = ""


def carried(found: Iterable[Linked], lanes: frozenset[str]) -> tuple[Carried, ...]:
    everything = list(found)
    hops = {each.hop.number: each.hop for each in everything}
    tallies: dict[tuple[str, str, str, str], _Tally] = defaultdict(_Tally)
    for each in everything:
        parents = [hops[number] for number in each.parents if number in hops]
        host = host_of(each.hop)
        if not parents or not host:
            continue
        got = dict(each.hop.headers)
        for header, value in _received(parents, lanes):
            tally = tallies[host_of(parents[0]), host, header, value[:_LONGEST]]
            if header in got:
                tally.kept += 1
            else:
                tally.lost += 1
                tally.example = parents[0].id
    return tuple(Carried(*key, each.kept, each.lost, each.example) for key, each in sorted(tallies.items()))


def _received(parents: list[SeenHop], lanes: frozenset[str]) -> Iterable[tuple[str, str]]:
    """The lane headers that the caller had received, whichever of its requests it was."""
    first, *others = [_lane(parent.passed, lanes) for parent in parents]
    return [(name, value) for name, value in first.items() if all(each.get(name) == value for each in others)]


def _lane(headers: Iterable[tuple[str, str]], lanes: frozenset[str]) -> Mapping[str, str]:
    return {name: value for name, value in headers if name in lanes}


def host_of(hop: SeenHop) -> str:
    """The full name of the Service that was called; "" where it is none."""
    return parsed_cluster(hop.cluster)[0] if hop.cluster.count("|") == 3 else ""
