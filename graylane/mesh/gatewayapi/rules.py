"""The rules of a route as rules of a VirtualService, each with its rank among all rules for a host.

Pure. In: a `View`, an HTTPRoute. Out: `Translated`. Each match is a rule of its own, since the more specific one wins
whatever the order it is written in: exact path, then longer prefix, then expression; a method; more headers; more query
parameters; the older route. A path prefix is of whole path elements: `/foo` means `/foo` and what is below `/foo/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graylane.kit.cache import View
from graylane.mesh.gatewayapi.backends import Backends, backends, destination, unusable
from graylane.mesh.gatewayapi.grants import Problem
from graylane.mesh.gatewayapi.routes import kind_of
from graylane.mesh.table import REDIRECT_PREFIX
from graylane.model.durations import seconds
from graylane.model.kinds import GRPC_ROUTE
from graylane.model.meta import Obj, dig, name_of, namespace_of

Rule = dict[str, Any]
Rank = tuple[Any, ...]
_PATH_RANKS = {"Exact": 3, "PathPrefix": 2, "RegularExpression": 1}
_GRPC = ".grpc"
_HEADERS = {"RequestHeaderModifier": "request", "ResponseHeaderModifier": "response"}


@dataclass(frozen=True, slots=True)
class Translated:
    """`refused` keeps the whole route out; with `unresolved` the rest of it works."""

    rules: tuple[tuple[Rank, Rule], ...]
    refused: Problem | None = None
    unresolved: Problem | None = None


def translated(view: View, route: Obj, *, at_gateway: bool) -> Translated:
    found: list[tuple[Rank, Rule]] = []
    unresolved: Problem | None = None
    for index, rule in enumerate(dig(route, "spec", "rules", default=[])):
        refused = _unsupported(rule)
        if refused is not None:
            return Translated((), refused)
        led = backends(view, route, list(rule.get("backendRefs") or ()), at_gateway=at_gateway)
        unresolved = led.problem or _mirror_problem(view, route, rule, at_gateway=at_gateway) or unresolved
        base = {
            "name": f"{namespace_of(route)}.{name_of(route)}.{index}{_GRPC if kind_of(route) == GRPC_ROUTE else ''}",
            **_action(view, route, rule, led, at_gateway),
        }
        for number, match in enumerate(rule.get("matches") or [{}]):
            rank = _rank(route, match, index, number)
            found += [(rank, each) for each in _with_match(base, rule, match)]
    return Translated(tuple(found), None, unresolved)


def _rank(route: Obj, match: Obj, index: int, number: int) -> Rank:
    path = match.get("path") or {}
    meta = (dig(route, "metadata", "creationTimestamp", default=""), namespace_of(route), name_of(route))
    return (
        -_PATH_RANKS[path.get("type") or "PathPrefix"],
        -len(path.get("value") or "/"),
        not match.get("method"),
        -len(match.get("headers") or ()),
        -len(match.get("queryParams") or ()),
        *meta,
        index,
        number,
    )


def _with_match(base: Rule, rule: Obj, match: Obj) -> Iterator[Rule]:
    """One rule, or two where what replaces a prefix differs for the prefix itself and what is below it."""
    conditions: Rule = {}
    if match.get("method"):
        conditions["method"] = {"exact": match["method"]}
    for field, target in (("headers", "headers"), ("queryParams", "queryParams")):
        if match.get(field):
            conditions[target] = {str(each["name"]): _condition(each) for each in match[field]}
    path = match.get("path") or {}
    how, value = path.get("type") or "PathPrefix", str(path.get("value") or "/")
    if how != "PathPrefix" or value.rstrip("/") == "":
        kind = {"Exact": "exact", "RegularExpression": "regex", "PathPrefix": "prefix"}[how]
        uri = {kind: value if how != "PathPrefix" else "/"}
        yield _replacing(base, rule, [{"uri": uri, **conditions}], below=True)
        return
    itself = {"uri": {"exact": value.rstrip("/")}, **conditions}
    below = {"uri": {"prefix": value.rstrip("/") + "/"}, **conditions}
    if _new_prefix(rule) is None:
        yield {**base, "match": [itself, below]}
        return
    yield _replacing(base, rule, [itself], below=False)
    yield _replacing(base, rule, [below], below=True)


def _replacing(base: Rule, rule: Obj, matches: list[Rule], *, below: bool) -> Rule:
    new = _new_prefix(rule)
    if new is None:
        return {**base, "match": matches}
    bare = new.rstrip("/")
    uri = f"{bare}/" if below else bare or "/"
    if "redirect" in base:
        return {
            **base,
            "match": matches,
            "redirect": {**base["redirect"], "uri": f"{REDIRECT_PREFIX}{uri}" if below else uri},
        }
    return {**base, "match": matches, "rewrite": {**base.get("rewrite", {}), "uri": uri}}


def _new_prefix(rule: Obj) -> str | None:
    for filter in rule.get("filters") or ():
        for action in ("urlRewrite", "requestRedirect"):
            path = dig(filter, action, "path", default={})
            if path.get("type") == "ReplacePrefixMatch":
                return str(path.get("replacePrefixMatch") or "/")
    return None


def _condition(entry: Obj) -> Rule:
    return {"regex" if entry.get("type") == "RegularExpression" else "exact": str(entry["value"])}


def _action(view: View, route: Obj, rule: Obj, led: Backends, at_gateway: bool) -> Rule:
    found: Rule = {}
    mirrors = []
    for filter in rule.get("filters") or ():
        kind = str(filter.get("type"))
        if kind in _HEADERS:
            found.setdefault("headers", {})[_HEADERS[kind]] = _edits(filter)
        elif kind == "URLRewrite":
            found["rewrite"] = _rewrite(filter["urlRewrite"])
        elif kind == "RequestRedirect":
            return {**found, "redirect": _redirect(filter["requestRedirect"])}
        elif kind == "RequestMirror":
            ref = filter["requestMirror"]["backendRef"]
            if unusable(view, route, ref, at_gateway=at_gateway) is None:
                mirrors.append({"destination": destination(route, ref)})
    if not led.routes:
        edited = {"headers": found["headers"]} if "headers" in found else {}
        return {**edited, "directResponse": {"status": _lost_status(route)}}
    if found.get("rewrite") == {}:
        del found["rewrite"]
    if mirrors:
        found["mirrors"] = mirrors
    return {**found, **_forward(led, route, rule), **_timeout(rule)}


def _lost_status(route: Obj) -> int:
    """What a backend that cannot be had costs: a 500, and of gRPC, whose clients read 503 so, UNAVAILABLE."""
    return 503 if kind_of(route) == GRPC_ROUTE else 500


def _forward(led: Backends, route: Obj, rule: Obj) -> Rule:
    """Requests that fall to a backend that cannot be had are answered with an error, in its share."""
    found: Rule = {"route": [{**entry, **_own_headers(rule, entry)} for entry in led.routes]}
    if led.lost:
        share = round(100 * led.lost / led.total, 4)
        found["fault"] = {"abort": {"httpStatus": _lost_status(route), "percentage": {"value": share}}}
    return found


def _own_headers(rule: Obj, entry: Obj) -> Rule:
    """Header filters of the backend itself."""
    port = entry["destination"]["port"]["number"]
    name = entry["destination"]["host"].partition(".")[0]
    for ref in rule.get("backendRefs") or ():
        if ref["name"] == name and ref.get("port") == port and ref.get("filters"):
            return {"headers": {_HEADERS[str(each["type"])]: _edits(each) for each in ref["filters"]}}
    return {}


def _edits(filter: Obj) -> Rule:
    block = filter.get("requestHeaderModifier") or filter.get("responseHeaderModifier") or {}
    found: Rule = {}
    for operation in ("set", "add"):
        if block.get(operation):
            found[operation] = {str(each["name"]): str(each["value"]) for each in block[operation]}
    if block.get("remove"):
        found["remove"] = list(block["remove"])
    return found


def _rewrite(block: Obj) -> Rule:
    found: Rule = {}
    if block.get("hostname"):
        found["authority"] = block["hostname"]
    if dig(block, "path", "type") == "ReplaceFullPath":
        found["uriRegexRewrite"] = {"match": "/.*", "rewrite": str(block["path"].get("replaceFullPath") or "/")}
    return found


def _redirect(block: Obj) -> Rule:
    """Without a port of its own it is the request's, unless the scheme says another."""
    found: Rule = {"redirectCode": int(block.get("statusCode") or 302)}
    if block.get("scheme"):
        found["scheme"] = block["scheme"]
    if block.get("hostname"):
        found["authority"] = block["hostname"]
    if dig(block, "path", "type") == "ReplaceFullPath":
        found["uri"] = str(block["path"].get("replaceFullPath") or "/")
    if block.get("port"):
        found["port"] = int(block["port"])
    elif not block.get("scheme"):
        found["derivePort"] = "FROM_REQUEST_PORT"
    return found


def _timeout(rule: Obj) -> Rule:
    """A backend is asked once by such a rule, so that the time for one try, never the longer one, is that for all."""
    timeouts = rule.get("timeouts") or {}
    given = (timeouts.get("backendRequest"), timeouts.get("request"))
    return next(({"timeout": text} for text in given if text and seconds(str(text))), {})


def _unsupported(rule: Obj) -> Problem | None:
    for filter in rule.get("filters") or ():
        kind = str(filter.get("type"))
        if kind not in (*_HEADERS, "URLRewrite", "RequestRedirect", "RequestMirror"):
            return Problem("UnsupportedValue", f"unsupported filter type {kind!r}")
    for ref in rule.get("backendRefs") or ():
        for filter in ref.get("filters") or ():
            if filter.get("type") not in _HEADERS:
                return Problem("UnsupportedValue", f"unsupported filter type {filter.get('type')!r} of a backend")
    return None


def _mirror_problem(view: View, route: Obj, rule: Obj, *, at_gateway: bool) -> Problem | None:
    refs = (dig(filter, "requestMirror", "backendRef") for filter in rule.get("filters") or ())
    found = (unusable(view, route, ref, at_gateway=at_gateway) for ref in refs if ref)
    return next((problem for problem in found if problem), None)
