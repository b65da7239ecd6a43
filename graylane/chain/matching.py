"""Whether one HTTPMatchRequest of a VirtualService covers one request.

Pure. In: the match as written, the request, the VirtualService's namespace. Out: yes or no. Fields and their meaning
follow Istio 1.23: everything in one match must hold, expressions are anchored, header names ignore case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from graylane.chain.requests import DyeHeader, Request

Match = Mapping[str, Any]
StringMatch = Mapping[str, Any]


def gateway_name(name: str, namespace: str) -> str:
    """`sample` written in `default` → `default/sample`; `mesh` and `ns/name` stay as they are."""
    return name if name == "mesh" or "/" in name else f"{namespace}/{name}"


def covers(match: Match, request: Request, namespace: str) -> bool:
    """Every field that the match sets must agree with the request."""
    return all(
        check(match, request, namespace)
        for field, check in _CHECKS.items()
        if match.get(field) not in (None, {}, [], "", 0)
    )


def string_covers(match: StringMatch, text: str, *, ignore_case: bool = False) -> bool:
    """`{exact|prefix|regex: …}` against a value; `{}` asks only that a value is there."""
    fold: Callable[[str], str] = str.lower if ignore_case else str
    if "exact" in match:
        return fold(text) == fold(str(match["exact"]))
    if "prefix" in match:
        return fold(text).startswith(fold(str(match["prefix"])))
    if "regex" in match:
        return _fullmatch(str(match["regex"]), text)
    return True


def _fullmatch(expression: str, text: str) -> bool:
    try:
        return re.fullmatch(expression, text) is not None
    except re.error:  # RE2 knows a few spellings that Python does not; such a rule is not ours to judge
        return expression == text


def _header_covers(match: StringMatch, header: DyeHeader) -> bool:
    """A dye known only by its expression satisfies the very same expression, and nothing narrower can be told."""
    if header.regex:
        return not match or match.get("regex") == header.value
    return string_covers(match, header.value)


def _headers(match: Match, request: Request, _: str) -> bool:
    return all(
        (header := request.headers.get(name.lower())) is not None and _header_covers(wanted or {}, header)
        for name, wanted in match["headers"].items()
    )


def _without_headers(match: Match, request: Request, _: str) -> bool:
    return all(
        (header := request.headers.get(name.lower())) is None or not _header_covers(refused or {}, header)
        for name, refused in match["withoutHeaders"].items()
    )


def _uri(match: Match, request: Request, _: str) -> bool:
    return string_covers(match["uri"], urlsplit(request.path).path, ignore_case=bool(match.get("ignoreUriCase")))


def _query(match: Match, request: Request, _: str) -> bool:
    given = dict(parse_qsl(urlsplit(request.path).query, keep_blank_values=True))
    return all(
        name in given and string_covers(wanted or {}, given[name]) for name, wanted in match["queryParams"].items()
    )


def _gateways(match: Match, request: Request, namespace: str) -> bool:
    return request.gateway in {gateway_name(name, namespace) for name in match["gateways"]}


def _source_labels(match: Match, request: Request, _: str) -> bool:
    return all(request.source_labels.get(name) == value for name, value in match["sourceLabels"].items())


_CHECKS: dict[str, Callable[[Match, Request, str], bool]] = {
    "headers": _headers,
    "withoutHeaders": _without_headers,
    "uri": _uri,
    "queryParams": _query,
    "method": lambda match, request, _: string_covers(match["method"], request.method),
    "scheme": lambda match, request, _: string_covers(match["scheme"], request.scheme),
    "authority": lambda match, request, _: string_covers(match["authority"], request.host),
    "port": lambda match, request, _: bool(match["port"] == request.port),
    "gateways": _gateways,
    "sourceLabels": _source_labels,
    "sourceNamespace": lambda match, request, _: bool(match["sourceNamespace"] == request.source_namespace),
}
