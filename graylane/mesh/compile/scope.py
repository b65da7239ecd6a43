"""What a Sidecar lets the pods it selects see: services, rules, and hosts that are neither.

Pure. In: Sidecars, a pod's namespace and labels. Out: the `Scope` that holds for it. Most specific first: one that
selects the pod, its namespace's, the root namespace's, else everything that is exported to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from graylane.chain import hosts
from graylane.mesh.inputs import Block, Egress, Labels, Service, Sidecar, Source, VirtualService, selects

_ALL = Egress(0, (("*", "*"),))


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """`namespace` is the client's, which `.` means. `destinations` are hosts that the VirtualServices in it lead to."""

    namespace: str = ""
    sidecar: Sidecar | None = None
    destinations: frozenset[str] = frozenset()

    @property
    def sources(self) -> frozenset[Source]:
        return frozenset((self.sidecar.source,)) if self.sidecar else frozenset()

    @property
    def registry_only(self) -> bool | None:
        return self.sidecar.registry_only if self.sidecar else None

    @property
    def egress_proxy(self) -> Block | None:
        return self.sidecar.egress_proxy if self.sidecar else None

    def egress(self, port: int) -> Egress | None:
        """The entry that speaks for a port: its own, else the one without port."""
        if self.sidecar is None:
            return _ALL
        entries = self.sidecar.egress
        own = next((entry for entry in entries if entry.port == port), None)
        return own or next((entry for entry in entries if not entry.port), None)

    def imports(self, service: Service, port: int) -> bool:
        """Whether it has virtual hosts of its own on this port."""
        if self.sidecar is None:
            return True
        entry = self.egress(port)
        return entry is not None and self._names(entry, service.namespace, service.host, hosts.covers)

    def reaches(self, service: Service) -> bool:
        """Whether requests may be sent to it: what a rule in scope leads to need not be imported itself."""
        if self.sidecar is None or service.host in self.destinations:
            return True
        return any(self._names(entry, service.namespace, service.host, hosts.covers) for entry in self.sidecar.egress)

    def follows(self, service: VirtualService, port: int) -> bool:
        entry = self.egress(port)
        return entry is not None and any(
            self._names(entry, service.namespace, host, hosts.matches) for host in service.hosts
        )

    def _names(self, entry: Egress, namespace: str, host: str, meets: Callable[[str, str], bool]) -> bool:
        return any(
            (space in ("*", namespace) or (space == "." and namespace == self.namespace)) and meets(named, host)
            for space, named in entry.hosts
        )


EVERYTHING = Scope()


def sidecar_for(sidecars: Iterable[Sidecar], namespace: str, labels: Labels, root: str) -> Sidecar | None:
    """The one Sidecar that holds for a pod; the oldest where several could."""
    ranked = sorted((rank, each.age, each) for each in sidecars if (rank := _rank(each, namespace, labels, root)))
    return ranked[0][2] if ranked else None


def _rank(each: Sidecar, namespace: str, labels: Labels, root: str) -> int:
    """0 where it does not hold."""
    if each.namespace == namespace and each.selector:
        return 1 if selects(each.selector, labels) else 0
    if each.selector:
        return 0
    return 2 if each.namespace == namespace else 3 if each.namespace == root else 0
