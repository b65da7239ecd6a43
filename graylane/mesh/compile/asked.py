"""Destinations that are reached at the address the client asked for: `loadBalancer.simple: PASSTHROUGH`.

Pure. In: the cluster that stands for that address, routes as written. Out: routes that lead there.

Istio's proxy then sends on to where the client's connection was going: to the Service it named, and of that to the pod
that kube-proxy picks, not to the destination's subset, and not to another host that a rule names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from graylane.mesh.compile.directory import Client, parsed_cluster
from graylane.mesh.table import Forward, Route, Target


@dataclass(frozen=True, slots=True)
class Asked:
    """`cluster` is what stands for the address a client asked for."""

    client: Client
    cluster: str

    def routes(self, routes: tuple[Route, ...]) -> tuple[Route, ...]:
        if not self.client.services.book.passes:
            return routes
        return tuple(self._route(route) for route in routes)

    def _route(self, route: Route) -> Route:
        if not isinstance(route.action, Forward):
            return route
        mirrors = tuple(replace(each, cluster=self._where(each.cluster)) for each in route.action.mirrors)
        return replace(route, action=replace(route.action, targets=self.targets(route.action.targets), mirrors=mirrors))

    def targets(self, targets: Iterable[Target]) -> tuple[Target, ...]:
        return tuple(replace(target, cluster=self._where(target.cluster)) for target in targets)

    def _where(self, cluster: str) -> str:
        host, port, subset = parsed_cluster(cluster)
        _, policy = self.client.cluster(host, subset, port, port)
        return self.cluster if policy.passthrough else cluster
