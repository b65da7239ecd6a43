"""What every part of one compilation looks things up in.

Pure. In: `Inputs` and a `Memo`. Out: indexes over them, each built once per change of what it is built from.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from graylane.mesh.compile import select
from graylane.mesh.compile.delegates import delegates_of, expand
from graylane.mesh.compile.directory import Client, Services
from graylane.mesh.compile.joined import joined
from graylane.mesh.compile.routes import destinations_of
from graylane.mesh.compile.rules import RuleBook
from graylane.mesh.filters.patches import Patch, decode, for_proxy
from graylane.mesh.findings import Finding
from graylane.mesh.inputs import (
    EnvoyFilter,
    Inputs,
    Proxy,
    ProxyKind,
    Service,
    Source,
    VirtualService,
)
from graylane.mesh.memo import Memo, Table
from graylane.model.meta import Key

T = TypeVar("T")


Filters = Table[EnvoyFilter, tuple[tuple[Patch, ...], tuple[Finding, ...]]]


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """`virtual_services` have their delegates worked in; `delegations` says whose states each of those also carries."""

    inputs: Inputs
    memo: Memo
    services: Services
    virtual_services: tuple[VirtualService, ...]
    delegations: dict[Source, frozenset[Source]]
    by_namespace: dict[str, tuple[VirtualService, ...]]
    filters: Filters

    @property
    def domain(self) -> str:
        return self.inputs.mesh.domain

    def stage(self, name: Hashable, key: Hashable, build: Callable[[World], T]) -> T:
        """A step of the compilation with a memo of its own, made anew only when `key` differs from last time's."""
        return self.memo.stage(name, key, lambda own: build(replace(self, memo=own)))

    def ordered(self, namespace: str) -> tuple[VirtualService, ...]:
        """The VirtualServices that clients in `namespace` may see, in Istio's order."""
        if namespace not in self.by_namespace:
            ranks = self.memo.each(("ranks", namespace), self.virtual_services, partial(select.rank, namespace))
            self.by_namespace[namespace] = select.ordered(self.virtual_services, ranks)
        return self.by_namespace[namespace]

    def bound(self, namespace: str, gateways: frozenset[str]) -> tuple[VirtualService, ...]:
        """Those of `ordered` that list one of `gateways`."""
        seen = self.ordered(namespace)
        return self.memo.get(("bound", gateways, seen), lambda: select.bound(seen, gateways))

    def reached(self, service: VirtualService, client: Client) -> Hashable:
        """All that a VirtualService's routes depend on besides itself: part of the key they are kept under."""
        found = (client.service(name) for name in self.destinations(service))
        return (client.edits, tuple((each, client.standing(each) if each else None) for each in found))

    def leading_to(self, touched: frozenset[str], services: tuple[VirtualService, ...]) -> set[VirtualService]:
        """Those that may send to one of these hosts."""
        if not touched:
            return set()
        found = self.memo.each("leading", services, partial(destinations_of, domain=self.domain))
        return {each for each, names in zip(services, found, strict=True) if not touched.isdisjoint(names)}

    def destinations(self, service: VirtualService) -> tuple[str, ...]:
        return self.memo.get(("destinations", service), lambda: destinations_of(service, self.domain))

    def decoded(self, each: EnvoyFilter) -> tuple[tuple[Patch, ...], tuple[Finding, ...]]:
        return self.filters[each]

    def patches(self, proxy: Proxy, context: str) -> tuple[Patch, ...]:
        """The EnvoyFilter patches that hold for a proxy in a context, in the order they are applied."""
        filters = self.inputs.envoy_filters
        if not filters:
            return ()
        chosen = for_proxy(filters, proxy, self.inputs.mesh.root_namespace)
        return tuple(patch for each in chosen for patch in self.decoded(each)[0] if patch.holds_in(context))

    def sources(self, service: VirtualService) -> frozenset[Source]:
        return self.delegations.get(service.source) or frozenset((service.source,))


def world_of(inputs: Inputs, memo: Memo) -> World:
    book = memo.stage("rules", inputs.destination_rules, partial(_book, inputs))
    filters = memo.stage("filters", inputs.envoy_filters, partial(_decoded, inputs.envoy_filters))
    edits = memo.get(("common edits", filters), partial(_common_edits, inputs, filters))
    entries = memo.stage("entries", inputs.service_entries, partial(joined, inputs.service_entries))
    services: Services = memo.renew("services", partial(_renewed, inputs, entries, book, edits))
    found = inputs.virtual_services
    effective, delegations = memo.stage("delegates", found, partial(_with_delegates, found))
    return World(inputs, memo, services, effective, delegations, {}, filters)


def _decoded(filters: tuple[EnvoyFilter, ...], memo: Memo) -> Filters:
    return Table((each, memo.get(each, partial(decode, each))) for each in filters)


def _common_edits(inputs: Inputs, filters: Filters) -> tuple[Patch, ...]:
    """What the root namespace's EnvoyFilters do to the clusters of every pod, whatever its labels."""
    root = inputs.mesh.root_namespace
    nobody = Proxy(root, "", ProxyKind.SIDECAR, "", "", {}, {})
    chosen = [each for each in for_proxy(inputs.envoy_filters, nobody, root) if not each.selector]
    found = (patch for each in chosen for patch in filters[each][0] if patch.holds_in("SIDECAR_OUTBOUND"))
    return tuple(patch for patch in found if patch.target == "CLUSTER" and not patch.adds)


def _renewed(
    inputs: Inputs, entries: tuple[Service, ...], book: _Book, edits: tuple[Patch, ...], last: Services | None
) -> Services:
    """The same where all is the same, and nearly the same where single rules are others."""
    every = (*inputs.services, *entries)
    if last is None or last.every != every or last.edits != edits:
        return _services(inputs, every, book.rules, edits)
    if last.book is book.rules:
        return last
    same = book.touched is not None and last.book is book.before
    return last.under(book.rules, book.touched or frozenset()) if same else _services(inputs, every, book.rules, edits)


def _services(inputs: Inputs, every: tuple[Service, ...], book: RuleBook, edits: tuple[Patch, ...]) -> Services:
    """A Service comes before a ServiceEntry for its host, an older ServiceEntry before a younger one."""
    retries = inputs.mesh.retries
    return Services(every, book, edits, None if retries is None else dict(retries))


@dataclass(frozen=True, slots=True, eq=False)
class _Book:
    """`touched` are the hosts that `rules` has other rules for than the book before; None where more differs."""

    rules: RuleBook
    before: RuleBook | None = None
    touched: frozenset[str] | None = None


def _book(inputs: Inputs, memo: Memo) -> _Book:
    found: _Book = memo.renew("book", partial(_next_book, inputs))
    return found


def _next_book(inputs: Inputs, last: _Book | None) -> _Book:
    before = last.rules if last else None
    if before is not None and (found := before.under(inputs.destination_rules)) is not None:
        return _Book(found[0], before, found[1])
    return _Book(RuleBook(inputs.destination_rules, inputs.mesh.root_namespace, before))


def _with_delegates(
    services: tuple[VirtualService, ...], memo: Memo
) -> tuple[tuple[VirtualService, ...], dict[Source, frozenset[Source]]]:
    """Roots with their delegates worked in; delegates themselves speak for no host and are left out."""
    found: dict[Key, VirtualService] = {each.source.key: each for each in services if not each.hosts}
    effective: list[VirtualService] = []
    delegations: dict[Source, frozenset[Source]] = {}
    for each, keys in zip(services, memo.each("delegates", services, delegates_of), strict=True):
        if not each.hosts:
            continue
        if keys:
            wanted = tuple(found[key] for key in keys if key in found)
            joined = memo.get(("expanded", each, wanted), partial(expand, each, found))
            delegations[each.source] = frozenset((each.source, *(delegate.source for delegate in wanted)))
            effective.append(joined)
        else:
            effective.append(each)
    return tuple(effective), delegations
