"""Which DestinationRule a client's calls to a service follow, and what several rules for one host add up to.

Pure. In: DestinationRules. Out: a `RuleBook` that answers `effective(service, client)` with a merged `Rule`.
Istio's order: the client's namespace, then the service's, then the root namespace; nothing from elsewhere counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graylane.chain import hosts
from graylane.mesh.inputs import Block, DestinationRule, Labels, Service, Source, Subset, selects


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """All DestinationRules of one namespace for one host (and one workload selector), as one."""

    namespace: str
    host: str
    subsets: tuple[Subset, ...]
    policy: Block
    export_to: tuple[str, ...]
    selector: Labels | None
    sources: tuple[Source, ...]

    def subset(self, name: str) -> Subset | None:
        return next((subset for subset in self.subsets if subset.name == name), None)

    @property
    def private(self) -> bool:
        return bool(self.export_to) and all(scope in (".", self.namespace) for scope in self.export_to)

    def seen_from(self, namespace: str) -> bool:
        scopes = self.export_to or ("*",)
        return any(scope in ("*", namespace) or (scope == "." and namespace == self.namespace) for scope in scopes)

    @property
    def encrypts(self) -> bool:
        """Whether TLS begins anywhere in it."""
        return any(block.get("mode") in ("SIMPLE", "MUTUAL") for block in self._every("tls"))

    @property
    def credentialed(self) -> bool:
        """Whether Secrets are to be looked for."""
        return any(block.get("credentialName") for block in self._every("tls"))

    @property
    def passes(self) -> bool:
        """Whether anything of it goes where the client asked to."""
        return any(block.get("simple") == "PASSTHROUGH" for block in self._every("loadBalancer"))

    def _every(self, part: str) -> Iterable[Block]:
        for policy in (self.policy, *(subset.policy for subset in self.subsets)):
            for block in (policy, *(policy.get("portLevelSettings") or ())):
                yield block.get(part) or {}

    @property
    def variant(self) -> str:
        """Tells this rule's clusters from another rule's for the same service: one Envoy carries both."""
        selector = ",".join(f"{name}={value}" for name, value in sorted((self.selector or {}).items()))
        return f"{self.namespace}/{self.host}" + (f"[{selector}]" if selector else "")


def merge(rules: Sequence[DestinationRule]) -> Rule:
    """`rules` share namespace, host and selector. The oldest is the base; later ones add subsets with new names."""
    ordered = sorted(rules, key=lambda rule: rule.age)
    subsets: dict[str, Subset] = {}
    for rule in ordered:
        for subset in rule.subsets:
            subsets.setdefault(subset.name, subset)
    return Rule(
        namespace=ordered[0].namespace,
        host=ordered[0].host,
        subsets=tuple(subsets.values()),
        policy=next((rule.policy for rule in ordered if rule.policy), {}),
        export_to=next((rule.export_to for rule in ordered if rule.export_to), ()),
        selector=ordered[0].selector,
        sources=tuple(rule.source for rule in ordered),
    )


class RuleBook:
    """All rules, indexed by the host they name."""

    def __init__(self, rules: Iterable[Rule], root_namespace: str) -> None:
        """`passes`: whether any rule sends requests where the client asked to."""
        self._root = root_namespace
        self._exact: dict[tuple[str, str], list[Rule]] = {}
        self._wild: dict[str, list[Rule]] = {}
        self.selectors: list[tuple[str, Labels]] = []
        self.passes = False
        for rule in rules:
            self.passes |= rule.passes
            self._file(rule)

    def _file(self, rule: Rule) -> None:
        if rule.selector:
            self.selectors.append((rule.namespace, rule.selector))
        if hosts.is_wildcard(rule.host):
            wild = self._wild.setdefault(rule.namespace, [])
            wild.append(rule)
            wild.sort(key=lambda each: (hosts.specificity(each.host), not each.selector))
        else:
            exact = self._exact.setdefault((rule.namespace, rule.host), [])
            exact.append(rule)
            exact.sort(key=lambda each: not each.selector)

    def _in(self, namespace: str, host: str) -> Iterable[Rule]:
        """The namespace's rules for `host`, most specific first."""
        yield from self._exact.get((namespace, host), ())
        for rule in self._wild.get(namespace, ()):
            if hosts.matches(rule.host, host):
                yield rule

    def effective(self, service: Service, namespace: str, labels: Labels) -> Rule | None:
        """What a client with these labels in `namespace` follows when it calls `service`."""
        for rule in self._in(namespace, service.host):
            hidden = namespace == self._root and not rule.private
            if not hidden and rule.seen_from(namespace) and selects(rule.selector, labels):
                return rule
        if service.namespace != namespace:
            exported = (rule for rule in self._in(service.namespace, service.host) if not rule.private)
            found = next((rule for rule in exported if not rule.selector), None)
            if found is not None and found.seen_from(namespace):
                return found
        shared = (rule for rule in self._in(self._root, service.host) if not rule.private and not rule.selector)
        return next((rule for rule in shared if rule.seen_from(namespace)), None)

    def default(self, service: Service) -> Rule | None:
        """What an unlabelled client next to the service follows; its clusters carry the plain Istio names."""
        return self.effective(service, service.namespace, {})
