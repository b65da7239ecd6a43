"""Several ServiceEntries of one namespace for one host, as the one service that Istio makes of them.

Pure. In: ServiceEntries. Out: services, oldest first. The oldest decides; the others add endpoints, and ports whose
numbers it lacks. Those whose endpoints are found in another way, or that others may see, stay by themselves.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from functools import partial

from graylane.mesh.inputs import Endpoints, Service, ServiceEntry
from graylane.mesh.memo import Memo

Parts = tuple[Service, ...]


def joined(entries: tuple[ServiceEntry, ...], memo: Memo) -> Parts:
    groups: dict[Hashable, list[Service]] = {}
    for entry in sorted(entries, key=lambda entry: entry.age):
        for each in entry.services:
            groups.setdefault((each.namespace, each.host, each.resolution, each.export_to), []).append(each)
    return tuple(found[0] if len(found) == 1 else _kept(tuple(found), memo) for found in groups.values())


def _kept(parts: Parts, memo: Memo) -> Service:
    return memo.get(parts, partial(_one, parts))


def united(endpoints: Iterable[Endpoints]) -> Endpoints:
    return Endpoints(tuple(each for group in endpoints for each in group.each))


def _one(parts: Parts) -> Service:
    ports = {port.number: port for part in reversed(parts) for port in part.ports}
    own = [port.number for port in parts[0].ports]
    listed = [part.listed for part in parts if part.listed is not None]
    return replace(
        parts[0],
        ports=tuple(ports[number] for number in dict.fromkeys((*own, *sorted(ports)))),
        addresses=tuple(dict.fromkeys(address for part in parts for address in part.addresses)),
        listed=united(listed) if len(listed) == len(parts) else None,
        parts=parts,
    )
