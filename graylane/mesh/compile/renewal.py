"""The virtual hosts of a large table, of which a changed rule makes anew only those it is about.

Pure. In: what was made last time, the rules of now, how to make one host. Out: `Made`, as if all were made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, replace

from graylane.chain import hosts
from graylane.mesh.compile.directory import Client, Services
from graylane.mesh.inputs import Service, ServicePort, VirtualService
from graylane.mesh.memo import Memo
from graylane.mesh.table import VirtualHost


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where rules for `host` show: at a port of a service, or of no service, at a name of their own and `number`."""

    host: str
    service: Service | None = None
    port: ServicePort | None = None
    number: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """`found` is what each of `places` came to, None for nothing; `hosts` are they without double domains.

    `memo` is what helps to make all of them, and is used only then.
    """

    client: Client
    known: Services
    rules: tuple[VirtualService, ...]
    places: tuple[Place, ...]
    found: tuple[VirtualHost | None, ...]
    hosts: tuple[VirtualHost, ...]
    memo: Memo

    def about(self, rules: tuple[VirtualService, ...], moved: Set[VirtualService]) -> frozenset[str] | None:
        """The hosts of those rules that are others than last time, or that lead elsewhere now, as `moved` do; None when
        it is not only single ones that differ.

        A wildcard may be about any host, so it counts as more than single ones, too.
        """
        if len(rules) != len(self.rules):
            return None
        pairs = [(one, two) for one, two in zip(self.rules, rules, strict=True) if one is not two]
        if any(one.hosts != two.hosts or one.source.key != two.source.key for one, two in pairs):
            return None
        found = frozenset(host for each in (*moved, *(two for _, two in pairs)) for host in each.hosts)
        return None if any(map(hosts.is_wildcard, found)) else found

    def under(
        self, rules: tuple[VirtualService, ...], about: frozenset[str], make: Callable[[Place], VirtualHost | None]
    ) -> Made | None:
        """The same under other rules, which differ `about` these hosts; None when domains change hands."""
        found = list(self.found)
        swapped: dict[VirtualHost, VirtualHost] = {}
        for index in [index for index, place in enumerate(self.places) if place.host in about]:
            old, new = found[index], make(self.places[index])
            if old is not None and new is not None and old.domains == new.domains:
                found[index] = swapped[old] = new
            elif old is not new:
                return None
        kept = tuple([swapped.get(each, each) for each in self.hosts])
        if not all(each in kept for each in swapped.values()):
            return None
        return replace(self, rules=rules, found=tuple(found), hosts=kept)


def without_duplicates(found: Iterable[VirtualHost | None]) -> Iterable[VirtualHost]:
    """Envoy refuses a whole table for one domain that occurs twice, so the first to name a domain keeps it."""
    taken: set[str] = set()
    for host in found:
        if host is None:
            continue
        if taken.isdisjoint(host.domains):
            yield host
        elif free := tuple(domain for domain in host.domains if domain not in taken):
            yield replace(host, domains=free)
        taken.update(host.domains)
