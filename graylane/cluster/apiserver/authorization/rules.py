"""One rule of a role: what it allows, and whether it covers another.

Pure. In: a PolicyRule as objects hold it. Out: `Rule`, which answers for one request; `missing`, which says what of
some rules others do not cover. Follows `rbac/v1/evaluation_helpers.go` and `rbac/validation/policy_comparator.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from graylane.cluster.apiserver.authorization.attributes import Attributes
from graylane.model.meta import Obj

ALL = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    """Field by field a `rbac.authorization.k8s.io/v1 PolicyRule`."""

    verbs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    @staticmethod
    def of(rule: Obj) -> Rule:
        fields = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
        return Rule(*(tuple(rule.get(field) or ()) for field in fields))

    def to_obj(self) -> Obj:
        pairs = {
            "verbs": self.verbs,
            "apiGroups": self.groups,
            "resources": self.resources,
            "resourceNames": self.names,
            "nonResourceURLs": self.urls,
        }
        return {name: list(values) for name, values in pairs.items() if values}

    def allows(self, asked: Attributes) -> bool:
        if ALL not in self.verbs and asked.verb not in self.verbs:
            return False
        if not asked.resource:
            return any(_url_covers(url, asked.path) for url in self.urls)
        return (
            _has(self.groups, asked.group)
            and any(_resource_covers(found, asked.combined) for found in self.resources)
            and (not self.names or asked.name in self.names)
        )

    def __str__(self) -> str:
        """`{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`, as Go prints it in refusals."""
        parts = {
            "APIGroups": self.groups,
            "Resources": self.resources,
            "NonResourceURLs": self.urls,
            "ResourceNames": self.names,
            "Verbs": self.verbs,
        }
        return "{" + ", ".join(f"{name}:{quoted(values)}" for name, values in parts.items() if values) + "}"


EVERYTHING = (Rule((ALL,), (ALL,), (ALL,)), Rule((ALL,), urls=(ALL,)))


def quoted(values: Iterable[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"


def _has(values: Sequence[str], value: str) -> bool:
    return ALL in values or value in values


def _resource_covers(pattern: str, combined: str) -> bool:
    """`*`, `pods`, `pods/log`, `*/scale`; a bare name does not reach the kind's subresources."""
    if pattern in (ALL, combined):
        return True
    return pattern.startswith("*/") and "/" in combined and combined.partition("/")[2] == pattern[2:]


def _url_covers(pattern: str, path: str) -> bool:
    return pattern in (ALL, path) or (pattern.endswith(ALL) and path.startswith(pattern.rstrip(ALL)))


def missing(held: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """What `wanted` allows and `held` does not, told as few rules."""
    lacking = [piece for rule in wanted for piece in _pieces(rule) if not any(_covers(own, piece) for own in held)]
    return _compact(lacking)


def _pieces(rule: Rule) -> Iterable[Rule]:
    """The rule as rules of one verb and one thing each."""
    names: list[tuple[str, ...]] = [(name,) for name in rule.names] or [()]
    for group, resource, name, verb in product(rule.groups, rule.resources, names, rule.verbs):
        yield Rule((verb,), (group,), (resource,), name)
    for url, verb in product(rule.urls, rule.verbs):
        yield Rule((verb,), urls=(url,))


def _covers(own: Rule, piece: Rule) -> bool:
    if not _has(own.verbs, piece.verbs[0]):
        return False
    if piece.urls:
        return any(_url_covers(url, piece.urls[0]) for url in own.urls)
    return (
        _has(own.groups, piece.groups[0])
        and any(_resource_covers(pattern, piece.resources[0]) for pattern in own.resources)
        and (not own.names or (bool(piece.names) and piece.names[0] in own.names))
    )


def _compact(pieces: Iterable[Rule]) -> list[Rule]:
    """Pieces about the same thing become one rule with all their verbs."""
    verbs: dict[Rule, list[str]] = {}
    for piece in pieces:
        verbs.setdefault(replace(piece, verbs=()), []).append(piece.verbs[0])
    return [replace(thing, verbs=tuple(dict.fromkeys(found))) for thing, found in verbs.items()]
