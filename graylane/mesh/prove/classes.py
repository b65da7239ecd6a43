"""One request for each way through a list of matches: the equivalence classes of requests that rules tell apart.

Pure. In: matches in the order they are tried, and what is fixed beforehand. Out: `Sample`s. Works like a decision tree:
at each condition the values that are still possible are split into those that meet it and those that do not, and
branches without a value are dropped; so what is not found cannot occur, as far as `samples` is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from graylane.chain.match import Named, Request, RouteMatch, Text, header_holds, normal_path, query_holds
from graylane.mesh.prove.samples import candidates

Values = tuple[str | None, ...]
_PATH, _METHOD, _SCHEME, _AUTHORITY = ":path", ":method", ":scheme", ":authority"

_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE")  # proxies refuse made-up ones


@dataclass(frozen=True, slots=True)
class Sample:
    """`index` is that of the first match that takes the request; the number of matches when none does."""

    index: int
    request: Request


def samples(
    matches: Sequence[RouteMatch], authority: str, fixed: Mapping[str, Values], *, below: str = "/"
) -> Iterator[Sample]:
    """`fixed` gives all values that a header may have, None for absent. Paths are `below` or longer."""
    dimensions: dict[str, _Dimension] = {_PATH: _Dimension(_PATH)}
    asked = [[_register(dimensions, each) for each in _conditions(match)] for match in matches]
    known: dict[str, Values] = {_AUTHORITY: (authority,), _SCHEME: ("http",), **fixed}
    space: Space = {}
    for name in {**known, **dimensions}:
        dimension = dimensions.get(name) or _Dimension(name)
        found = known[name] if name in known else dimension.open(below)
        space[name] = dimension.distinct(found)
    for index, way in _ways(asked, space):
        yield Sample(index, _request(way))


@dataclass(frozen=True, slots=True)
class _Condition:
    """One condition on one dimension of a request; a query parameter's dimension is its name behind a `?`."""

    dimension: str
    holds: Callable[[str | None], bool]
    text: Text


@dataclass(slots=True)
class _Dimension:
    name: str
    conditions: list[_Condition] = field(default_factory=list)

    def open(self, below: str) -> Iterable[str | None]:
        """Values worth trying where nothing is fixed, the plainest first."""
        texts = [each.text for each in self.conditions]
        if self.name == _PATH:
            return [below, *(each for each in candidates(texts, path=True) if _is_path(each, below))]
        if self.name == _METHOD:
            return _METHODS
        fits = _is_query if self.name.startswith("?") else _is_header
        return [None, *filter(fits, candidates(texts))]

    def distinct(self, found: Iterable[str | None]) -> tuple[_Value, ...]:
        """The first value for each combination of conditions it meets."""
        kept: dict[int, _Value] = {}
        for text in dict.fromkeys(found):
            meets = sum(1 << number for number, each in enumerate(self.conditions) if each.holds(text))
            kept.setdefault(meets, _Value(text, meets))
        return tuple(kept.values())


@dataclass(frozen=True, slots=True)
class _Value:
    """`meets` has a bit for each condition of the dimension."""

    text: str | None
    meets: int


Space = dict[str, tuple[_Value, ...]]
Asked = tuple[str, int]  # a dimension and the bit of one of its conditions


def _register(dimensions: dict[str, _Dimension], condition: _Condition) -> Asked:
    dimension = dimensions.setdefault(condition.dimension, _Dimension(condition.dimension))
    dimension.conditions.append(condition)
    return condition.dimension, 1 << len(dimension.conditions) - 1


def _conditions(match: RouteMatch) -> Iterator[_Condition]:
    yield _Condition(_PATH, lambda value: match.path.accepts(normal_path(str(value))), match.path)
    for header in match.headers:
        yield _Condition(header.name, _header(header), header.text)
    for query in match.queries:
        yield _Condition(f"?{query.name}", _query(query), query.text)


def _header(named: Named) -> Callable[[str | None], bool]:
    return lambda value: header_holds(named, [] if value is None else [value])


def _query(named: Named) -> Callable[[str | None], bool]:
    return lambda value: query_holds(named, "" if value is None else f"{named.name}={value}")


def _ways(asked: Sequence[Sequence[Asked]], space: Space) -> Iterator[tuple[int, Space]]:
    """Depth first, without recursion: there may be thousands of rules."""
    open_ways: list[tuple[int, int, Space]] = [(0, 0, space)]
    while open_ways:
        index, number, here = open_ways.pop()
        if index == len(asked) or number == len(asked[index]):
            yield index, here
            continue
        dimension, bit = asked[index][number]
        meeting = tuple(value for value in here[dimension] if value.meets & bit)
        if len(meeting) == len(here[dimension]):
            open_ways.append((index, number + 1, here))
            continue
        others = tuple(value for value in here[dimension] if not value.meets & bit)
        open_ways.append((index + 1, 0, {**here, dimension: others}))
        if meeting:
            open_ways.append((index, number + 1, {**here, dimension: meeting}))


def _request(space: Space) -> Request:
    first = {name: values[0].text for name, values in space.items() if values[0].text is not None}
    queries = "&".join(f"{name[1:]}={value}" for name, value in first.items() if name.startswith("?"))
    return Request(
        authority=first[_AUTHORITY] or "",
        path=f"{first[_PATH]}?{queries}" if queries else str(first[_PATH]),
        method=first.get(_METHOD) or "GET",
        scheme=first[_SCHEME] or "http",
        headers=tuple(sorted((name, str(value)) for name, value in first.items() if name[0] not in ":?")),
    )


def _is_path(text: str, below: str) -> bool:
    return text.startswith(below) and normal_path(text) == text and _is_printable(text) and not set(text) & set("?# ")


def _is_query(text: str) -> bool:
    return _is_printable(text) and not set(text) & set("&# ")


def _is_header(text: str) -> bool:
    return _is_printable(text) and text == text.strip()


def _is_printable(text: str) -> bool:
    return text.isascii() and text.isprintable()
