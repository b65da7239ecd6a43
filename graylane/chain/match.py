"""What a route asks of a request, and whether a request has it.

Pure. In: Istio's `HTTPMatchRequest` blocks and requests. Out: `RouteMatch`, which the mesh spells for Envoy, and by
which the chain's view and the mesh's simulator judge; all read this one value, so they can differ only in what Envoy
itself does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from graylane.errors import UserError
from graylane.model import re2

Block = Mapping[str, Any]


class How(StrEnum):
    EXACT = "exact"
    PREFIX = "prefix"
    REGEX = "regex"
    PRESENT = "present"


class Expression(str):
    """A value of which only a regex is known that it matches: it meets that very regex, and nothing narrower."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Text:
    """One condition on one text. Regexes must match all of it; one that Python cannot read matches itself alone."""

    how: How
    value: str = ""
    ignore_case: bool = False

    def accepts(self, text: str) -> bool:
        if self.how is How.PRESENT:
            return True
        if isinstance(text, Expression):
            return self.how is How.REGEX and self.value == text
        if self.how is How.REGEX:
            return _fullmatch(self.value, text)
        ours, theirs = (self.value.lower(), text.lower()) if self.ignore_case else (self.value, text)
        return theirs == ours if self.how is How.EXACT else theirs.startswith(ours)


@dataclass(frozen=True, slots=True)
class Named:
    """A condition on a header or query parameter; `inverted` passes when it does not hold (or the name is absent)."""

    name: str
    text: Text
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One request as a proxy sees it. Header names are lower case; `path` holds the query too."""

    authority: str
    path: str = "/"
    method: str = "GET"
    scheme: str = "http"
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def path_and_query(self) -> tuple[str, str]:
        """Without a fragment, which a proxy cuts off."""
        path, _, query = self.path.partition("#")[0].partition("?")
        return path, query

    def values(self, header: str) -> list[str]:
        pseudo = {":method": self.method, ":scheme": self.scheme, ":authority": self.authority, ":path": self.path}
        if header in pseudo:
            return [pseudo[header]]
        return [value for name, value in self.headers if name == header]


ANY_PATH = Text(How.PREFIX, "/")


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """All conditions must hold. `connect` matches CONNECT requests and nothing else."""

    path: Text = ANY_PATH
    headers: tuple[Named, ...] = ()
    queries: tuple[Named, ...] = ()
    connect: bool = False

    @property
    def takes_all(self) -> bool:
        """Istio's catch-all: nothing behind such a rule is ever reached, so nothing behind it is generated."""
        open_path = self.path in (ANY_PATH, Text(How.REGEX, ".*"))
        return open_path and not self.headers and not self.queries and not self.connect

    def accepts(self, request: Request) -> bool:
        if self.connect or request.method == "CONNECT":
            return self.connect and request.method == "CONNECT"
        path, query = request.path_and_query
        return (
            self.path.accepts(normal_path(path))
            and all(header_holds(header, request.values(header.name)) for header in self.headers)
            and all(query_holds(named, query) for named in self.queries)
        )


def header_holds(header: Named, values: list[str]) -> bool:
    if header.inverted and header.text.how is not How.PRESENT:
        # Envoy is told to treat a missing header as empty before inverting
        return not any(header.text.accepts(value) for value in values or [""])
    return any(header.text.accepts(value) for value in values) is not header.inverted


def query_holds(named: Named, query: str) -> bool:
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name == named.name:
            return named.text.accepts(value)  # only the first occurrence is looked at
    return False


_ODD = re.compile(r"""/\.|[%\\"<>^`{|}]""")
_ESCAPED_LETTER = re.compile(r"%(2[de]|3\d|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])", re.IGNORECASE)
_TO_ESCAPE = re.compile(r"""["<>^`{|}]""")


def normal_path(path: str) -> str:
    """`/%61/./b\\../c` → `/a/c`, as Envoy writes a path before it matches it; doubled slashes stay."""
    if not _ODD.search(path):
        return path
    plain = _ESCAPED_LETTER.sub(lambda found: chr(int(found[1], 16)), path).replace("\\", "/")
    return _without_dots(_TO_ESCAPE.sub(lambda found: f"%{ord(found[0]):02X}", plain))


def _without_dots(path: str) -> str:
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments[1:]:
        if segment == "..":
            kept[-1:] = []
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _fullmatch(pattern: str, text: str) -> bool:
    try:
        return re2.compile_pattern(pattern).fullmatch(text) is not None
    except UserError:  # of a class of Unicode, say: such a rule is not ours to judge
        return pattern == text


def regex_fault(pattern: str) -> str:
    """Why RE2 would refuse `pattern`; "" where we know of nothing."""
    try:
        re2.compile_pattern(pattern)
    except re2.NotInPython:
        return ""
    except UserError as error:
        return str(error)
    return ""


def text_match(block: Block | None, *, ignore_case: bool = False) -> Text | None:
    """Istio's `StringMatch`; an empty block and the regex `*` ask only for presence. None for None."""
    if block is None:
        return None
    for how in (How.EXACT, How.PREFIX, How.REGEX):
        if how in block:
            value = str(block[how])
            if how is How.REGEX and value == "*":
                return Text(How.PRESENT)
            return Text(how, value, ignore_case and how is not How.REGEX)
    return Text(How.PRESENT)


def route_match(block: Block) -> RouteMatch:
    """The request side of one `http[].match[]` entry; who is asking is decided before, when tables are built."""
    uri = text_match(block.get("uri"), ignore_case=bool(block.get("ignoreUriCase")))
    return RouteMatch(
        path=ANY_PATH if uri is None or uri.how is How.PRESENT else uri,
        headers=(*_named(block.get("headers")), *_named(block.get("withoutHeaders"), inverted=True), *_pseudo(block)),
        queries=tuple(_named(block.get("queryParams"), lower=False)),
    )


def _named(blocks: Mapping[str, Any] | None, *, inverted: bool = False, lower: bool = True) -> Iterable[Named]:
    for name, block in sorted((blocks or {}).items()):
        text = text_match(block or {})
        if text is not None:
            yield Named(name.lower() if lower else name, text, inverted)


def _pseudo(block: Block) -> Iterable[Named]:
    for field in ("method", "scheme", "authority"):
        text = text_match(block.get(field))
        if text is not None:
            yield Named(f":{field}", text)


def regexes(match: RouteMatch) -> Iterable[str]:
    texts = [match.path, *(named.text for named in (*match.headers, *match.queries))]
    return (text.value for text in texts if text.how is How.REGEX)
