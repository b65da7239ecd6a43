"""What a rule asks of a request, in words, and what of it a request lacks.

Pure. In: a `RouteMatch`, or a match as written, and who asks. Out: text, and `Unmet` conditions. The judging is done by
the very functions that `simulate` and `compile` use; only the telling is here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graylane.chain.match import ANY_PATH, How, Named, Request, RouteMatch, Text, header_holds, normal_path, query_holds
from graylane.mesh.compile.directory import Client
from graylane.mesh.compile.routes import unmet_by_caller
from graylane.mesh.inputs import Block, Labels, VirtualService

ANYTHING = "any request"
ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Unmet:
    """One condition that does not hold, and what was there instead."""

    condition: str
    seen: str


def in_words(match: RouteMatch) -> str:
    """`path prefix /api, header user exact ann`."""
    parts = [*_path_words(match), *map(_named_header, match.headers), *map(_named_query, match.queries)]
    return ", ".join(parts) or ANYTHING


def unmet(match: RouteMatch, request: Request) -> tuple[Unmet, ...]:
    """Every condition that keeps `match` from accepting `request`."""
    if match.connect or request.method == "CONNECT":
        return () if match.accepts(request) else (Unmet("method exact CONNECT", request.method),)
    return tuple(_lacking(match, request))


def _lacking(match: RouteMatch, request: Request) -> Iterable[Unmet]:
    path, query = request.path_and_query
    if not match.path.accepts(normal_path(path)):
        yield Unmet(_text("path", match.path), normal_path(path))
    for header in match.headers:
        values = request.values(header.name)
        if not header_holds(header, values):
            yield Unmet(_named_header(header), ", ".join(values) or ABSENT)
    for named in match.queries:
        if not query_holds(named, query):
            yield Unmet(_named_query(named), query or ABSENT)


def unmet_of_caller(match: Block, owner: VirtualService, client: Client, port: int) -> Unmet | None:
    """What a match asks of the caller or its port that this one is not; such a rule is not in its table at all."""
    field = unmet_by_caller(match, owner, client, port)
    if not field:
        return None
    seen = {
        "port": str(port),
        "gateways": ", ".join(sorted(client.gateways)),
        "sourceLabels": _of_labels({name: client.labels.get(name, "") for name in match.get("sourceLabels") or {}}),
        "sourceNamespace": client.namespace,
    }
    return Unmet(f"{field} {_written(match[field])}", seen[field])


def _written(value: object) -> str:
    if isinstance(value, dict):
        return _of_labels(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _of_labels(labels: Labels) -> str:
    return ",".join(f"{name}={value}" for name, value in labels.items()) or ABSENT


def _path_words(match: RouteMatch) -> Iterable[str]:
    if match.connect:
        yield "method exact CONNECT"
    if match.path != ANY_PATH:
        yield _text("path", match.path)


def _named_header(named: Named) -> str:
    name = named.name.removeprefix(":") if named.name.startswith(":") else f"header {named.name}"
    return ("not " if named.inverted else "") + _text(name, named.text)


def _named_query(named: Named) -> str:
    return _text(f"query {named.name}", named.text)


def _text(name: str, text: Text) -> str:
    if text.how is How.PRESENT:
        return f"{name} present"
    return f"{name} {text.how} {text.value}" + (" (any case)" if text.ignore_case else "")
