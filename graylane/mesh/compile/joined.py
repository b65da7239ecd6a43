"""Several ServiceEntries of one namespace for one host, as the services that Istio makes of them.

Pure. In: ServiceEntries. Out: services, oldest first. Those alike but for ports and endpoints are one: the oldest
decides, the others add ports whose numbers it lacks. Endpoints are those of all that find theirs in the same way,
whoever may see them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from functools import partial

from graylane.mesh.inputs import Endpoints, Service, ServiceEntry
from graylane.mesh.memo import Memo

Parts = tuple[Service, ...]


def joined(entries: tuple[ServiceEntry, ...], memo: Memo) -> Parts:
    alike: dict[tuple[Hashable, ...], list[Service]] = {}
    together: dict[Hashable, list[Service]] = {}
    for entry in sorted(entries, key=lambda entry: entry.age):
        for each in entry.services:
            place = (each.namespace, each.host, each.resolution)
            alike.setdefault((place, each.export_to, tuple(sorted(each.selector.items()))), []).append(each)
            together.setdefault(place, []).append(each)
    return tuple(
        parts[0] if len(together[place]) == 1 else _kept(tuple(parts), tuple(together[place]), memo)
        for (place, *_), parts in alike.items()
    )


def _kept(parts: Parts, every: Parts, memo: Memo) -> Service:
    return memo.get((parts, every), partial(_one, parts, every))


def united(endpoints: Iterable[Endpoints]) -> Endpoints:
    return Endpoints(tuple(each for group in endpoints for each in group.each))


def _one(parts: Parts, every: Parts) -> Service:
    ports = {port.number: port for part in reversed(parts) for port in part.ports}
    own = [port.number for port in parts[0].ports]
    listed = [part.listed for part in every if part.listed is not None]
    return replace(
        parts[0],
        ports=tuple(ports[number] for number in dict.fromkeys((*own, *sorted(ports)))),
        addresses=tuple(dict.fromkeys(address for part in parts for address in part.addresses)),
        listed=united(listed) if len(listed) == len(every) else None,
        parts=every,
    )
