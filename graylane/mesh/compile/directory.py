"""Every service there is, and how one kind of client reaches it.

Pure. In: services, the rule book, who asks. Out: cluster names and the rules they follow.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from copy import copy
from dataclasses import dataclass, field

from graylane.mesh.compile.policy import Policy, policy_for
from graylane.mesh.compile.rules import Rule, RuleBook
from graylane.mesh.compile.scope import EVERYTHING, Scope
from graylane.mesh.filters.patches import Patch
from graylane.mesh.inputs import MESH, Block, Labels, Protocol, Proxy, Resolution, Service, Source
from graylane.model.hashing import short_hash

HIDDEN = "hidden"
"""Marks the name of a cluster that exists, but not for this client: nothing of that name does."""


def cluster_name(host: str, port: int, subset: str = "", variant: str = "") -> str:
    """Istio's `outbound|8000|v1|b.ns.svc.cluster.local`; clients with their own rule for it get a marked copy."""
    return f"outbound|{port}|{subset}|{host}" + (f"~{variant}" if variant else "")


def parsed_cluster(name: str) -> tuple[str, int, str]:
    """Host, port and subset of a cluster that `cluster_name` named; one of another name is told by that alone."""
    if name.count("|") != 3:
        return name, 0, ""
    _, port, subset, rest = name.split("|", 3)
    return rest.partition("~")[0], int(port), subset


def concerned(edits: tuple[Patch, ...], host: str, port: int, subset: str) -> tuple[Patch, ...]:
    """Those patches that are for a service's cluster; they match it by the name Istio gives it."""
    if not edits:
        return ()
    name = cluster_name(host, port, subset)
    return tuple(patch for patch in edits if patch.on_cluster(name, host, port, subset))


class Services:
    """The services by full name, with each one's default rule. A host that several define is the first one's.

    `edits` are what EnvoyFilters do to the clusters of every pod; `aliases` the other names of a service, by its host;
    `retries` the policy of rules that have none, None for Istio's own.
    """

    def __init__(
        self,
        services: Iterable[Service],
        book: RuleBook,
        edits: tuple[Patch, ...] = (),
        retries: Block | None = None,
    ) -> None:
        self.book = book
        self.retries = retries
        self.edits = edits
        self.every = every = tuple(services)
        self._self = self._before = object()
        self._touched: frozenset[str] = frozenset()
        known = {service.host for service in every if not service.alias_of}
        self.aliases: dict[str, tuple[Service, ...]] = {}
        for service in every:
            if service.alias_of in known:
                self.aliases[service.alias_of] = (*self.aliases.get(service.alias_of, ()), service)
        self.each = tuple(service for service in every if service.alias_of not in known)
        self.by_host: dict[str, Service] = {}
        self._named: dict[str, list[Service]] = {}
        for service in self.each:
            self.by_host.setdefault(service.host, service)
            self._named.setdefault(service.host, []).append(service)
        self._plain = {host: each[0] for host, each in self._named.items() if len(each) == 1 and not each[0].export_to}
        self._marks = {
            service: f"@{service.namespace}" + (f".{number}" if number > 1 else "")
            for each in self._named.values()
            for number, service in enumerate(each)
            if number
        }
        self._defaults: dict[Service, Rule | None] = {}

    def under(self, book: RuleBook, touched: frozenset[str]) -> Services:
        """The same under another book, that has other rules for these hosts alone."""
        found = copy(self)
        found.book, found._touched = book, touched
        found._before, found._self = self._self, object()
        found._defaults = {each: rule for each, rule in self._defaults.items() if each.host not in touched}
        return found

    def since(self, last: Services) -> frozenset[str] | None:
        """The hosts for which there are other rules than with `last`; None where more may be another."""
        if last is self:
            return frozenset()
        return self._touched if last._self is self._before else None

    def seen_from(self, namespace: str, host: str, scope: Scope = EVERYTHING) -> Service | None:
        """What a client in `namespace` means by `host`.

        As in Istio 1.23: what is private to its namespace, then what is shared with it by name, then what is
        everybody's, the oldest of each; with a Sidecar its own namespace's first, of what the Sidecar lets it see.
        """
        if host in self._plain:
            return self._plain[host]
        seen = [each for each in self._named.get(host, ()) if each.visible_from(namespace)]
        if scope.sidecar is not None:
            seen = [each for each in seen if scope.reaches(each)]
            own = next((each for each in seen if each.namespace == namespace), None)
            if own is not None:
                return own
        return min(seen, key=_distance, default=None)

    def default_rule(self, service: Service) -> Rule | None:
        if service not in self._defaults:
            self._defaults[service] = self.book.default(service)
        return self._defaults[service]

    def variant(
        self, service: Service, rule: Rule | None, wallet: str = "", *, lost: bool = False, plain: bool = False
    ) -> str:
        """Empty for the rule everybody follows; else a mark that keeps this client's clusters apart."""
        second = self._marks.get(service, "")
        second += (f"!{wallet}" if wallet else "") + ("?" if lost else "") + ("^" if plain else "")
        if rule is self.default_rule(service):
            return second
        return (rule.variant if rule else "none") + second

    def mark(self, edits: tuple[Patch, ...], host: str, port: int, subset: str) -> str:
        """Keeps a cluster that EnvoyFilters change for some clients apart from everybody's: one Envoy carries both."""
        if edits == self.edits:
            return ""
        ours, all = concerned(edits, host, port, subset), concerned(self.edits, host, port, subset)
        return "" if ours == all else f"+{short_hash([str(patch.owner.source) for patch in ours])}"


def _distance(service: Service) -> tuple[bool, int]:
    """A Service of Kubernetes is nearer than any ServiceEntry, so that nobody takes its name."""
    scopes = service.export_to or ("*",)
    return service.entry is not None, 2 if "*" in scopes else 0 if "." in scopes else 1


@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """Pods that no rule can tell apart, or one gateway. `gateways` are the names a VirtualService binds it by; `edits`
    what EnvoyFilters do to its clusters.

    `identity` is equal exactly for clients whose tables are equal, from one compilation to the next.
    """

    identity: str
    namespace: str
    labels: Labels
    gateways: frozenset[str]
    services: Services
    scope: Scope = EVERYTHING
    edits: tuple[Patch, ...] = ()
    _rules: dict[Service, Rule | None] = field(default_factory=dict)

    def rule(self, service: Service) -> Rule | None:
        if service not in self._rules:
            self._rules[service] = self.services.book.effective(service, self.namespace, self.labels)
        return self._rules[service]

    def standing(self, service: Service) -> Hashable:
        """What a service's clusters are named by for this client: its rule, and what everybody else takes it for."""
        services = self.services
        return (self.rule(service), services.default_rule(service), services.by_host[service.host] is service)

    def alike(self, last: Client) -> bool:
        """Whether it is the same as that one, but for the rules there are."""
        mine = (self.identity, self.namespace, self.labels, self.gateways, self.scope, self.edits)
        return mine == (last.identity, last.namespace, last.labels, last.gateways, last.scope, last.edits)

    def follow(self, last: Client, touched: frozenset[str]) -> None:
        """Take over which rules that one follows, but for these hosts, which are looked up anew."""
        self._rules.update({each: rule for each, rule in last._rules.items() if each.host not in touched})
        for service in [each for each in last._rules if each.host in touched]:
            self.rule(service)

    def plain(self, service: Service) -> bool:
        """Whether it speaks HTTP/1.1 where a port does not tell: gateways do, pods go on in what they are asked in."""
        return MESH not in self.gateways and any(port.protocol is Protocol.AUTO for port in service.ports)

    def wallet(self, rule: Rule | None) -> str:
        """The namespace in which a rule's Secrets are looked for, "" for nowhere.

        As in Istio: next to a gateway's pod; for other pods only by a rule that selects them, next to which they are.
        """
        if rule is None or not rule.credentialed:
            return ""
        if MESH not in self.gateways:
            return self.namespace
        return rule.namespace if rule.selector else ""

    def lost(self, service: Service) -> bool:
        """Whether requests for it would go to the address that was asked for: at a gateway, to the gateway's own."""
        return service.resolution is Resolution.NONE and MESH not in self.gateways

    def sources(self) -> frozenset[Source]:
        """The DestinationRules this client was found to follow so far."""
        return frozenset(source for rule in self._rules.values() if rule for source in rule.sources)

    def meant(self, host: str) -> Service | None:
        return self.services.seen_from(self.namespace, host, self.scope)

    def service(self, host: str) -> Service | None:
        """The service this client means by a full name; None where there is none, or none that it may call."""
        found = self.meant(host)
        return found if found is not None and self.scope.reaches(found) else None

    def cluster(self, host: str, subset: str, port: int | None, listener_port: int) -> tuple[str, Policy]:
        """The cluster a destination means, and its policy. It may name one that does not exist: then 503 NC."""
        service = self.service(host)
        if service is None:
            hidden = HIDDEN if host in self.services.by_host else ""
            return cluster_name(host, port or listener_port, subset, hidden), policy_for(None, 0, None)
        number = port or (service.ports[0].number if len(service.ports) == 1 else listener_port)
        rule = self.rule(service)
        mark = self.services.mark(self.edits, host, number, subset)
        lost, plain = self.lost(service), self.plain(service)
        variant = self.services.variant(service, rule, self.wallet(rule), lost=lost, plain=plain)
        name = cluster_name(host, number, subset, variant + mark)
        return name, policy_for(rule, number, rule.subset(subset) if rule and subset else None)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A kind of client and the proxies that are of it."""

    client: Client
    proxies: tuple[Proxy, ...]
