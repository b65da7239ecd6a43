"""Label and field selectors, in both of Kubernetes' spellings.

Pure. In: `"app=web,tier in (a,b)"` or `{"matchLabels": …}`. Out: `LabelSelector`/`FieldSelector` with `.matches(…)`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graylane.errors import BadRequest

_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
_KEY = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_TERM = re.compile(
    r"\s*(?:(?P<not>!)\s*(?P<nkey>[^\s,=!()<>]+)"
    r"|(?P<key>[^\s,=!()<>]+)\s*(?:(?P<eq>==|=|!=)\s*(?P<value>[^,\s()=!]*)"
    r"|\s(?P<op>in|notin)\s*\((?P<set>[^()]*)\))?)\s*(?:,|$)"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. `operator` is one of in, notin, exists, !"""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        present = self.key in labels
        if self.operator == "in":
            return present and labels[self.key] in self.values
        if self.operator == "notin":
            return not present or labels[self.key] not in self.values
        return present if self.operator == "exists" else not present

    def __str__(self) -> str:
        if self.operator in ("exists", "!"):
            return self.key if self.operator == "exists" else f"!{self.key}"
        if len(self.values) == 1:
            return f"{self.key}{'=' if self.operator == 'in' else '!='}{next(iter(self.values))}"
        return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold; no requirement matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def empty(self) -> bool:
        return not self.requirements

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)

    @staticmethod
    def parse(text: str) -> LabelSelector:
        """The query-string form. Raises `BadRequest` with kube-apiserver's wording start on bad syntax."""
        return _parse_labels(text)

    @staticmethod
    def of_map(labels: Mapping[str, str]) -> LabelSelector:
        """Equality with every entry of `labels`, as a Service's selector means it."""
        return LabelSelector(
            tuple(Requirement(key, "in", frozenset((value,))) for key, value in sorted(labels.items()))
        )

    @staticmethod
    def of(selector: Mapping[str, Any] | None) -> LabelSelector:
        """The object form, `metav1.LabelSelector`."""
        selector = selector or {}
        requirements = list(LabelSelector.of_map(selector.get("matchLabels") or {}).requirements)
        for expression in selector.get("matchExpressions") or []:
            operator = _OPERATORS.get(str(expression.get("operator")))
            if operator is None:
                raise BadRequest(f'"{expression.get("operator")}" is not a valid label selector operator')
            values = frozenset(map(str, expression.get("values") or []))
            requirements.append(Requirement(str(expression["key"]), operator, values))
        return LabelSelector(tuple(requirements))


@lru_cache(maxsize=1024)
def _parse_labels(text: str) -> LabelSelector:
    requirements: list[Requirement] = []
    position = 0
    while position < len(text.rstrip()):
        match = _TERM.match(text, position)
        if match is None or match.end() == position:
            raise BadRequest(f"unable to parse requirement: {text[position:]!r} in label selector {text!r}")
        requirements.append(_requirement(match, text))
        position = match.end()
    return LabelSelector(tuple(requirements))


def _requirement(match: re.Match[str], text: str) -> Requirement:
    key = match["nkey"] or match["key"]
    if not _KEY.fullmatch(key):
        raise BadRequest(f"unable to parse requirement: key {key!r} is not a valid label key in {text!r}")
    if match["not"]:
        return Requirement(key, "!")
    if match["op"]:
        return Requirement(key, match["op"], frozenset(value.strip() for value in match["set"].split(",")))
    if match["eq"]:
        return Requirement(key, "notin" if match["eq"] == "!=" else "in", frozenset((match["value"],)))
    return Requirement(key, "exists")


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Equalities and inequalities on dotted field paths; absent fields read as the empty string."""

    terms: tuple[tuple[str, bool, str], ...] = ()

    @staticmethod
    def parse(text: str) -> FieldSelector:
        terms: list[tuple[str, bool, str]] = []
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            match = re.fullmatch(r"([^=!]+?)(==|=|!=)(.*)", part)
            if match is None:
                raise BadRequest(f"invalid selector: '{text}'; can't understand '{part}'")
            terms.append((match[1].strip(), match[2] != "!=", match[3].strip()))
        return FieldSelector(tuple(terms))

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(path for path, _, _ in self.terms)

    def matches(self, obj: Mapping[str, Any]) -> bool:
        return all((_field(obj, path) == value) is wanted for path, wanted, value in self.terms)


def _field(obj: Mapping[str, Any], path: str) -> str:
    here: Any = obj
    for step in path.split("."):
        here = here.get(step) if isinstance(here, Mapping) else None
    if isinstance(here, bool):
        return str(here).lower()
    return "" if here is None else str(here)
