"""Which virtual host of a table a name belongs to, without looking at all of them.

Pure. In: a `RouteTable`, a name in lower case. Out: its `VirtualHost`. A table's index is made when it is first asked
for and lives as long as the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from graylane.mesh.table import RouteTable, VirtualHost


@dataclass(slots=True)
class Domains:
    """`endings` are wildcards without their star; the longest that fits wins, and among equals the first."""

    exact: dict[str, VirtualHost] = field(default_factory=dict)
    endings: dict[str, VirtualHost] = field(default_factory=dict)
    lengths: tuple[int, ...] = ()
    rest: VirtualHost | None = None

    def find(self, name: str) -> VirtualHost | None:
        found = self.exact.get(name)
        if found is not None:
            return found
        for length in self.lengths:
            if length < len(name) and (found := self.endings.get(name[-length:])):
                return found
        return self.rest


_KNOWN: WeakKeyDictionary[RouteTable, Domains] = WeakKeyDictionary()


def domains_of(table: RouteTable) -> Domains:
    known = _KNOWN.get(table)
    if known is None:
        known = _KNOWN[table] = _indexed(table)
    return known


def _indexed(table: RouteTable) -> Domains:
    found = Domains()
    for host in table.hosts:
        for domain in map(str.lower, host.domains):
            if domain == "*":
                found.rest = found.rest or host
            elif domain.startswith("*"):
                found.endings.setdefault(domain[1:], host)
            else:
                found.exact.setdefault(domain, host)
    found.lengths = tuple(sorted({len(ending) for ending in found.endings}, reverse=True))
    return found
