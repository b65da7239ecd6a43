"""One dyed request, sent and followed: which pod answered at each hop, by which rule, and how long it took.

Shell. In: a client, the dye. Out: lines. Where the mesh keeps no ledger, it says so instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from graylane.chain.picture import Picture
from graylane.chain.seen import Linked, SeenHop, short
from graylane.chain.sightings import role_in
from graylane.cli.layout import table
from graylane.cli.verifying import trace
from graylane.client import ApiClient
from graylane.errors import GraylaneError
from graylane.mesh.compile.directory import parsed_cluster

_HEADS = ("hop", "answered by", "version", "code", "ms")


async def traced(client: ApiClient, found: Picture, width: int) -> list[str]:
    dye = next((dye for dye in found.view.dyes if not any(header.regex for header in dye.headers)), None)
    if dye is None:
        return ["no TrafficRouting of the releases shown says by an exact header what marks a lane"]
    try:
        hops = await trace(client, tuple((header.name, header.value) for header in dye.headers))
    except GraylaneError as error:
        return [str(error)]
    return [f"one request with {dye}", "", *lines(hops, found, width)]


def lines(hops: Sequence[Linked], found: Picture, width: int) -> list[str]:
    if not hops:
        return ["no proxy told of it in time"]
    depths: dict[int, int] = {}
    rows: list[Sequence[str]] = [_HEADS]
    for each in hops:
        depth = depths[each.hop.number] = 1 + max((depths.get(parent, -1) for parent in each.parents), default=-1)
        rows.append(_cells(each.hop, depth, found))
    heads, *shown = table(rows, width)
    rules = [each.hop.rule and f"    by {each.hop.rule}" for each in hops]
    return [heads, *(line for pair in zip(shown, rules, strict=True) for line in pair if line)]


def _cells(hop: SeenHop, depth: int, found: Picture) -> Sequence[str]:
    name = short(parsed_cluster(hop.cluster)[0] if hop.cluster.count("|") == 3 else hop.authority)
    pod = hop.pod.partition("/")[2]
    indent = "  " * (depth - 1) + "└ " if depth else ""
    failed = f"{hop.code} {hop.flags}".strip()
    return indent + name, pod or "nobody", role_in(found.view, name, pod), failed, f"{hop.seconds * 1000:.1f}"
