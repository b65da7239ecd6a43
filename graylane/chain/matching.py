"""Whether one HTTPMatchRequest of a VirtualService covers one request, and is meant for the one who asks.

Pure. In: the match as written, the request, the VirtualService's namespace. Out: yes or no. What is asked of the
request is `match`'s to judge; only who asks is judged here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graylane.chain import match as matches
from graylane.chain.hosts import gateway_name
from graylane.chain.match import Expression, route_match
from graylane.chain.requests import DyeHeader, Request

Match = Mapping[str, Any]


def covers(match: Match, request: Request, namespace: str) -> bool:
    """Every field that the match sets must agree with the request."""
    return _meant_for(match, request, namespace) and route_match(match).accepts(_as_seen(request))


def _meant_for(match: Match, request: Request, namespace: str) -> bool:
    gateways = {gateway_name(str(name), namespace) for name in match.get("gateways") or ()}
    labels = match.get("sourceLabels") or {}
    return (
        match.get("port") in (None, 0, request.port)
        and (not gateways or request.gateway in gateways)
        and all(request.source_labels.get(name) == value for name, value in labels.items())
        and match.get("sourceNamespace") in (None, "", request.source_namespace)
    )


def _as_seen(request: Request) -> matches.Request:
    headers = tuple((name, _value(header)) for name, header in request.headers.items())
    return matches.Request(request.host, request.path, request.method, request.scheme, headers)


def _value(header: DyeHeader) -> str:
    return Expression(header.value) if header.regex else header.value
