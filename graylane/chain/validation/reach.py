"""HTTP rules that can never decide, and matches that change nothing: Istio's warnings IST0130 and IST0131.

Pure. In: the rules of one VirtualService. Out: warnings.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from graylane.chain.validation.checks import Block, Report, block, entries

_TEXTS = ("uri", "method", "scheme", "authority")
_BY_NAME = ("headers", "queryParams", "withoutHeaders")


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
    """As Istio sees it: it compares prefixes with prefixes, and other conditions by how they are spelled."""
    seen: dict[bytes, int] = {}
    prefixes: dict[Hashable, list[_Prefix]] = {}
    catch_all: int | None = None
    for index, rule in enumerate(map(block, rules)):
        matches = list(map(block, entries(rule.get("match"))))
        if catch_all is not None:
            yield Unreachable(index, None, f"rule #{catch_all} before it matches everything")
            continue
        if not matches:
            catch_all = index
            continue
        again = 0
        for number, match in enumerate(matches):
            spelled = _spelled(match)
            before = seen.get(spelled)
            seen.setdefault(spelled, index)
            found = _prefix_of(match, index)
            if before is not None:
                again += 1
                yield Unreachable(index, number, f"rule #{before} has the same match")
            elif found is not None:
                if (wider := _wider(found, prefixes)) is not None:
                    yield Unreachable(index, number, f"prefix {wider.prefix} of rule #{wider.index} covers it")
                prefixes.setdefault((found.prefix, found.shape), []).append(found)
        if again == len(matches):
            yield Unreachable(index, None, "all its matches are those of rules before it")


def _spelled(match: Block) -> bytes:
    asked = {name: value for name, value in match.items() if name != "name" and (value or name in _TEXTS)}
    return orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)


@dataclass(frozen=True, slots=True)
class _Prefix:
    """A match by a prefix of the path. `shape` is what else it looks at, `values` what it wants there."""

    prefix: str
    index: int
    shape: tuple[Any, ...]
    values: tuple[str, ...]


def _prefix_of(match: Block, index: int) -> _Prefix | None:
    prefix = block(match.get("uri")).get("prefix")
    if not prefix:
        return None
    named = [(field, name) for field in _BY_NAME for name in sorted(block(match.get(field)))]
    values = [_wanted(match.get("method")) or "exact GET", _wanted(match.get("authority"))]
    values += [_wanted(block(match[field])[name]) for field, name in named]
    return _Prefix(str(prefix), index, (match.get("port") or 0, *named), tuple(values))


def _wanted(text: Any) -> str:
    how = next((how for how in ("exact", "prefix") if block(text).get(how)), "")
    return f"{how} {block(text)[how]}" if how else ""


def _wider(found: _Prefix, before: dict[Hashable, list[_Prefix]]) -> _Prefix | None:
    for end in range(1, len(found.prefix)):
        for each in before.get((found.prefix[:end], found.shape), ()):
            if all(one.startswith(other) for one, other in zip(each.values, found.values, strict=True)):
                return each
    return None
