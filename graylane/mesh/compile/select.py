"""Which VirtualServices a client follows, and in which order.

Pure. In: VirtualServices, the client's namespace and the gateways it answers to. Out: ordered tuples and host lookups.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from graylane.chain import hosts
from graylane.mesh.inputs import VirtualService

Rank = tuple[int, tuple[str, str, str]]


def rank(namespace: str, service: VirtualService) -> Rank | None:
    """Its own private ones come first for a namespace, then those shared with it by name, then public ones.

    None for what it may not see.
    """
    if not service.visible_from(namespace):
        return None
    if "*" in (service.export_to or ("*",)):
        return (2, service.age)
    private = all(scope in (".", service.namespace) for scope in service.export_to)
    return (0 if private else 1, service.age)


def ordered(services: Iterable[VirtualService], ranks: Iterable[Rank | None]) -> tuple[VirtualService, ...]:
    """Those that have a rank, in its order."""
    seen = [(rank, service) for rank, service in zip(ranks, services, strict=True) if rank is not None]
    seen.sort(key=itemgetter(0))
    return tuple(service for _, service in seen)


def bound(services: Iterable[VirtualService], gateways: frozenset[str]) -> tuple[VirtualService, ...]:
    """Those that list one of these gateways (a sidecar's only gateway is `mesh`)."""
    return tuple(service for service in services if not gateways.isdisjoint(service.gateways))


class ByHost:
    """A client's VirtualServices by the host they speak for: most specific host first, then list order."""

    def __init__(self, services: Iterable[VirtualService]) -> None:
        self.each = tuple(services)
        self.several = tuple(service for service in self.each if len(service.hosts) > 1)
        self._exact: dict[str, list[VirtualService]] = {}
        self._wild: dict[str, list[VirtualService]] = {}
        for service in self.each:
            for host in service.hosts:
                index = self._wild if hosts.is_wildcard(host) else self._exact
                index.setdefault(host, []).append(service)
        self._wildcards = sorted(self._wild, key=hosts.specificity)

    def candidates(self, host: str) -> Iterable[VirtualService]:
        """Those that may speak for a service: the ones that name it, else the first with the nearest wildcard."""
        if exact := self._exact.get(host):
            return exact
        nearest = next((wildcard for wildcard in self._wildcards if hosts.matches(wildcard, host)), None)
        return self._wild[nearest][:1] if nearest is not None else ()

    def meeting(self, host: str) -> Iterable[VirtualService]:
        """All that speak for a host, the nearest first: of these every one may say where connections go."""
        yield from self._exact.get(host, ())
        for wildcard in self._wildcards:
            if hosts.matches(wildcard, host):
                yield from self._wild[wildcard]

    def named(self, host: str) -> Iterable[VirtualService]:
        """Those that write this very host."""
        return self._exact.get(host) or self._wild.get(host) or ()
