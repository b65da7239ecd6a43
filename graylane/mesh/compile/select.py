"""Which VirtualServices a client follows, and in which order.

Pure. In: VirtualServices, the client's namespace and the gateways it answers to. Out: ordered tuples and host lookups.
"""

from __future__ import annotations

from collections.abc import Iterable

from graylane.chain import hosts
from graylane.mesh.inputs import VirtualService


def ordered(services: Iterable[VirtualService], namespace: str) -> tuple[VirtualService, ...]:
    """Those that `namespace` may see: its own private ones, then those shared with it by name, then public ones."""
    seen = [(_reach(service, namespace), service.age, service) for service in services]
    ranked = sorted((entry for entry in seen if entry[0] is not None), key=lambda entry: entry[:2])
    return tuple(service for _, _, service in ranked)


def _reach(service: VirtualService, namespace: str) -> int | None:
    if not service.visible_from(namespace):
        return None
    if "*" in (service.export_to or ("*",)):
        return 2
    private = all(scope in (".", service.namespace) for scope in service.export_to)
    return 0 if private else 1


def bound(services: Iterable[VirtualService], gateways: frozenset[str]) -> tuple[VirtualService, ...]:
    """Those that list one of these gateways (a sidecar's only gateway is `mesh`)."""
    return tuple(service for service in services if not gateways.isdisjoint(service.gateways))


class ByHost:
    """A client's VirtualServices by the host they speak for: most specific host first, then list order."""

    def __init__(self, services: Iterable[VirtualService]) -> None:
        self._exact: dict[str, list[VirtualService]] = {}
        self._wild: dict[str, list[VirtualService]] = {}
        for service in services:
            for host in service.hosts:
                index = self._wild if hosts.is_wildcard(host) else self._exact
                index.setdefault(host, []).append(service)
        self._wildcards = sorted(self._wild, key=hosts.specificity)

    def candidates(self, host: str) -> Iterable[VirtualService]:
        yield from self._exact.get(host, ())
        for wildcard in self._wildcards:
            if hosts.matches(wildcard, host):
                yield from self._wild[wildcard]

    @property
    def exact_hosts(self) -> Iterable[str]:
        return self._exact

    @property
    def wildcard_hosts(self) -> Iterable[str]:
        return self._wildcards

    def named(self, host: str) -> Iterable[VirtualService]:
        """Those that write this very host."""
        return self._exact.get(host) or self._wild.get(host) or ()
