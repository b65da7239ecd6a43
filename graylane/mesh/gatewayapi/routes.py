"""The routes there are: HTTPRoutes, and GRPCRoutes in the form of HTTPRoutes.

Pure. In: a `View`. Out: routes by kind and key. A gRPC call is a POST to `/service/method`, so that what a GRPCRoute
says of services and methods are conditions on the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from graylane.kit.cache import View
from graylane.model.kinds import GRPC_ROUTE, HTTP_ROUTE, Kind
from graylane.model.meta import Key, Obj, dig, key_of

ROUTES = (HTTP_ROUTE, GRPC_ROUTE)
RouteId = tuple[Kind, Key]
_ANY = "[^/]+"


def routes(view: View) -> Iterator[tuple[RouteId, Obj]]:
    """Each with its `kind`, whoever it was read from."""
    for obj in view.list(HTTP_ROUTE):
        yield (HTTP_ROUTE, key_of(obj)), {**obj, "kind": HTTP_ROUTE.kind}
    for obj in view.list(GRPC_ROUTE):
        yield (GRPC_ROUTE, key_of(obj)), {**obj, "kind": GRPC_ROUTE.kind, "spec": _of_http(obj.get("spec") or {})}


def kind_of(route: Obj) -> Kind:
    return GRPC_ROUTE if route.get("kind") == GRPC_ROUTE.kind else HTTP_ROUTE


def _of_http(spec: Obj) -> Obj:
    rules = spec.get("rules") or [{}]
    return {**spec, "rules": [{**rule, "matches": list(map(_match, rule.get("matches") or ()))} for rule in rules]}


def _match(match: Obj) -> Obj:
    headers = {"headers": match["headers"]} if match.get("headers") else {}
    path = _path(match.get("method") or {})
    return {**headers, **({"path": path} if path else {})}


def _path(method: Obj) -> Obj:
    service, name = dig(method, "service", default=""), dig(method, "method", default="")
    if not service and not name:
        return {}
    if method.get("type") == "RegularExpression":
        return {"type": "RegularExpression", "value": f"/{service or _ANY}/{name or '.+'}"}
    if service and name:
        return {"type": "Exact", "value": f"/{service}/{name}"}
    if service:
        return {"type": "PathPrefix", "value": f"/{service}/"}
    return {"type": "RegularExpression", "value": f"/{_ANY}/{re.escape(name)}"}
