"""HTTP rules that can never decide, and matches that change nothing: Istio's warnings IST0130 and IST0131.

Pure. In: the rules of one VirtualService. Out: warnings. Who is asking counts too: a match for one gateway does not
cover one for another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from graylane.chain.match import How, route_match
from graylane.chain.validation.checks import Block, Report, block, entries

_OF_CALLER = ("port", "gateways", "sourceLabels", "sourceNamespace")


@dataclass(frozen=True, slots=True)
class Unreachable:
    """`index` is the rule's; `match` that of the useless match, None for the whole rule."""

    index: int
    match: int | None
    why: str


def unreachable(report: Report, rules: list[Any]) -> None:
    for found in unreached(rules):
        if found.match is None:
            report.warn(f"spec.http[{found.index}]", f"VirtualService rule is never used ({found.why})")
        else:
            report.warn(f"spec.http[{found.index}].match[{found.match}]", f"match has no effect ({found.why})")


def unreached(rules: list[Any]) -> Iterator[Unreachable]:
    seen: dict[bytes, int] = {}
    prefixes: list[tuple[str, int]] = []
    catch_all: int | None = None
    for index, rule in enumerate(map(block, rules)):
        if catch_all is not None:
            yield Unreachable(index, None, f"rule #{catch_all} before it matches everything")
            continue
        matches = list(map(block, entries(rule.get("match"))))
        useless = [_useless(match, seen, prefixes) for match in matches]
        if matches and all(useless):
            yield Unreachable(index, None, "all its matches are covered by rules before it")
        else:
            yield from (Unreachable(index, number, why) for number, why in enumerate(useless) if why)
        for match in matches:
            seen.setdefault(_spelled(match), index)
            if (prefix := _only_prefix(match)) is not None:
                prefixes.append((prefix, index))
        if not matches:
            catch_all = index


def _useless(match: Block, seen: dict[bytes, int], prefixes: list[tuple[str, int]]) -> str:
    if (before := seen.get(_spelled(match))) is not None:
        return f"rule #{before} has the same match"
    path = route_match(match).path
    if path.how in (How.EXACT, How.PREFIX) and not path.ignore_case:
        for prefix, index in prefixes:
            if path.value.startswith(prefix):
                return f"prefix {prefix} of rule #{index} covers it"
    return ""


def _spelled(match: Block) -> bytes:
    return orjson.dumps({name: value for name, value in match.items() if name != "name"}, option=orjson.OPT_SORT_KEYS)


def _only_prefix(match: Block) -> str | None:
    """A match that asks for a prefix of the path and for nothing else, whoever asks."""
    found = route_match(match)
    narrow = found.headers or found.queries or any(match.get(name) for name in _OF_CALLER)
    return found.path.value if found.path.how is How.PREFIX and not narrow and not found.path.ignore_case else None
