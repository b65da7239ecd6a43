"""Which DestinationRule a client's calls to a service follow, and what several rules for one host add up to.

Pure. In: DestinationRules. Out: a `RuleBook` that answers `effective(service, client)` with a merged `Rule`.
Istio's order: the client's namespace, then the service's, then the root namespace; nothing from elsewhere counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from copy import copy
from dataclasses import dataclass

from graylane.chain import hosts
from graylane.mesh.inputs import Block, DestinationRule, Labels, Service, Source, Subset, sees, selects


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """What pods of a namespace, or of others, follow of all its DestinationRules for one host.

    Of its policies at all levels, whether any begins TLS (`encrypts`), with Secrets (`credentialed`), or sends requests
    where the client asked to (`passes`).
    """

    namespace: str
    host: str
    subsets: tuple[Subset, ...]
    policy: Block
    export_to: tuple[str, ...]
    selector: Labels | None
    sources: tuple[Source, ...]
    shared: str = ""
    encrypts: bool = False
    credentialed: bool = False
    passes: bool = False

    def subset(self, name: str) -> Subset | None:
        return next((subset for subset in self.subsets if subset.name == name), None)

    def seen_from(self, namespace: str) -> bool:
        return sees(self.export_to, self.namespace, namespace)

    @property
    def variant(self) -> str:
        """Tells this rule's clusters from another rule's for the same service: one Envoy carries both."""
        selector = ",".join(f"{name}={value}" for name, value in sorted((self.selector or {}).items()))
        return f"{self.namespace}/{self.host}" + (f"[{selector or self.shared}]" if selector or self.shared else "")


def merge(rules: Sequence[DestinationRule], shared: str = "") -> Rule:
    """`rules` share namespace and host. The first is the base; later ones add subsets with new names.

    `shared` marks what other namespaces see, where that is another rule than what its own does.
    """
    subsets: dict[str, Subset] = {}
    for rule in rules:
        for subset in rule.subsets:
            subsets.setdefault(subset.name, subset)
    policy = next((rule.policy for rule in rules if rule.policy), {})
    blocks = tuple(_levels(policy, *(subset.policy for subset in subsets.values())))
    tls = [block["tls"] for block in blocks if block.get("tls")]
    return Rule(
        namespace=rules[0].namespace,
        host=rules[0].host,
        subsets=tuple(subsets.values()),
        policy=policy,
        export_to=next((rule.export_to for rule in rules if rule.export_to), ()),
        selector=rules[0].selector,
        sources=tuple(rule.source for rule in rules),
        shared=shared,
        encrypts=any(block.get("mode") in ("SIMPLE", "MUTUAL") for block in tls),
        credentialed=any(block.get("credentialName") for block in tls),
        passes=any((block.get("loadBalancer") or {}).get("simple") == "PASSTHROUGH" for block in blocks),
    )


def _levels(*policies: Block) -> Iterable[Block]:
    for policy in policies:
        yield policy
        yield from policy.get("portLevelSettings") or ()


Group = tuple[DestinationRule, ...]
Place = tuple[str, str]
Merged = dict[tuple[Group, str], Rule]


class RuleBook:
    """All rules, indexed by the host they name: what their own namespace follows, and what others may.

    Rules with a selector come first and take in those without one; nobody else sees them. `passes`: whether any rule
    sends requests where the client asked to. `last` is the book of before; what is merged from the same rules as there
    is the same `Rule`.
    """

    def __init__(self, rules: Iterable[DestinationRule], root_namespace: str, last: RuleBook | None = None) -> None:
        self.rules = tuple(rules)
        self._root = root_namespace
        self._local, self._exported = _Index(), _Index()
        self._merged: dict[Place, Merged] = {}
        self.selectors: list[tuple[str, Labels]] = []
        self.passes = False
        for place, group in _by_host(self.rules).items():
            self._file_group(place, group, last)

    def under(self, rules: tuple[DestinationRule, ...]) -> tuple[RuleBook, frozenset[str]] | None:
        """The book of `rules`, and the hosts for which it says something else; None where more than single rules for
        single hosts, which all clients follow alike, differ.
        """
        if len(rules) != len(self.rules) or self.passes:
            return None
        pairs = [(one, two) for one, two in zip(self.rules, rules, strict=True) if one is not two]
        if any(_place(one) != _place(two) or one.source.key != two.source.key for one, two in pairs):
            return None
        places = {_place(one) for one, _ in pairs}
        if any(hosts.is_wildcard(host) for _, host in places):
            return None
        touched = tuple(each for each in rules if _place(each) in places)
        if any(each.selector for each in (*touched, *(one for one, _ in pairs))):
            return None
        found = copy(self)
        found.rules, found._merged = rules, dict(self._merged)
        found._local, found._exported = self._local.without(places), self._exported.without(places)
        for place, group in _by_host(touched).items():
            found._file_group(place, group, self)
        return None if found.passes else (found, frozenset(host for _, host in places))

    def _file_group(self, place: Place, group: Group, last: RuleBook | None) -> None:
        known = last._merged.get(place, {}) if last else {}
        made = self._merged[place] = {}

        def merged(rules: Group, shared: str) -> Rule:
            key = (rules, shared)
            made[key] = rule = made.get(key) or known.get(key) or merge(rules, shared)
            return rule

        own = tuple(each for each in group if each.selector or each.visible_from(each.namespace))
        told = tuple(each for each in group if not _private(each))
        if group[0].namespace == self._root:
            own = tuple(each for each in group if _private(each))  # else `*.local` there would hide all others
        general = tuple(each for each in own if not each.selector)
        self._file_own(own, general, merged)
        if told:
            self._file(self._exported, merged(told, "" if told == general else "exported"))

    def _file_own(self, rules: Group, general: Group, merged: Callable[[Group, str], Rule]) -> None:
        chosen: dict[str, list[DestinationRule]] = {}
        for each in rules:
            if each.selector:
                chosen.setdefault(repr(sorted(each.selector.items())), []).append(each)
        for group in chosen.values():
            self._file(self._local, merged((*group, *general), ""))
            self.selectors.append((group[0].namespace, group[0].selector or {}))
        if general:
            self._file(self._local, merged(general, ""))

    def _file(self, index: _Index, rule: Rule) -> None:
        self.passes |= rule.passes
        index.add(rule)

    def effective(self, service: Service, namespace: str, labels: Labels) -> Rule | None:
        """What a client with these labels in `namespace` follows when it calls `service`."""
        own = self._local.most_specific(namespace, service.host)
        if own:  # whether or not one of them holds for these labels
            return next((rule for rule in own if selects(rule.selector, labels)), None)
        for owner in dict.fromkeys((service.namespace, self._root)):
            for rule in self._exported.most_specific(owner, service.host):
                if rule.seen_from(namespace):
                    return rule
        return None

    def default(self, service: Service) -> Rule | None:
        """What an unlabelled client next to the service follows; its clusters carry the plain Istio names."""
        return self.effective(service, service.namespace, {})


class _Index:
    """Rules by namespace and host; those for one host in the order they are asked."""

    def __init__(self) -> None:
        self._exact: dict[tuple[str, str], list[Rule]] = {}
        self._wild: dict[str, dict[str, list[Rule]]] = {}

    def add(self, rule: Rule) -> None:
        if hosts.is_wildcard(rule.host):
            self._wild.setdefault(rule.namespace, {}).setdefault(rule.host, []).append(rule)
        else:
            self._exact.setdefault((rule.namespace, rule.host), []).append(rule)

    def without(self, places: Collection[Place]) -> _Index:
        """A copy that lacks what is filed under these, none of them a wildcard."""
        found = _Index()
        found._exact = {place: each for place, each in self._exact.items() if place not in places}
        found._wild = self._wild
        return found

    def most_specific(self, namespace: str, host: str) -> Sequence[Rule]:
        """The rules for the most specific host that takes in this one."""
        if found := self._exact.get((namespace, host)):
            return found
        wild = self._wild.get(namespace)
        if not wild:
            return ()
        meeting = (each for each in wild if hosts.matches(each, host))
        nearest = min(meeting, key=hosts.specificity, default=None)
        return wild[nearest] if nearest is not None else ()


def _place(rule: DestinationRule) -> Place:
    return rule.namespace, rule.host


def _by_host(rules: Iterable[DestinationRule]) -> dict[Place, Group]:
    """Those of one namespace for one host, in the order they are merged: with a selector first, then by age."""
    groups: dict[Place, list[DestinationRule]] = {}
    for rule in rules:
        groups.setdefault(_place(rule), []).append(rule)
    return {
        place: tuple(sorted(group, key=lambda each: (not each.selector, each.age))) if len(group) > 1 else tuple(group)
        for place, group in groups.items()
    }


def _private(rule: DestinationRule) -> bool:
    """Whether only its own namespace sees it."""
    own = (".", rule.namespace)
    return bool(rule.selector) or (bool(rule.export_to) and all(scope in own for scope in rule.export_to))
