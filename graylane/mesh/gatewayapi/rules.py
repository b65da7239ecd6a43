"""The rules of a route as rules of a VirtualService, each with its rank among all rules for a host.

Pure. In: a `View`, an HTTPRoute. Out: `Translated`. Each match is a rule of its own, since the more specific one wins
whatever the order it is written in: exact path, then longer prefix, then expression; a method; more headers; more query
parameters; an HTTPRoute before a GRPCRoute; the older route. A path prefix is of whole path elements: `/foo` means
`/foo` and what is below `/foo/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graylane.kit.cache import View
from graylane.mesh.gatewayapi.backends import BAD_FILTER, HEADERS, Backends, backends, destination, edits, unusable
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
_LOST = 500


@dataclass(frozen=True, slots=True)
class Translated:
    """Without rules `unresolved` keeps the whole route out, else the rest of it works; `told` is for people alone."""

    rules: tuple[tuple[Rank, Rule], ...]
    unresolved: Problem | None = None
    told: Problem | None = None


def translated(view: View, route: Obj, *, at_gateway: bool) -> Translated:
    found: list[tuple[Rank, Rule]] = []
    unresolved: Problem | None = None
    told: Problem | None = None
    for index, rule in enumerate(dig(route, "spec", "rules", default=[])):
        led = backends(view, route, list(rule.get("backendRefs") or ()), at_gateway=at_gateway)
        fatal = _fatal(view, route, rule, at_gateway=at_gateway) or led.fatal
        if fatal is not None:
            return Translated((), fatal)
        unresolved, told = led.problem or unresolved, led.told or told
        base = {
            "name": f"{namespace_of(route)}.{name_of(route)}.{index}{_GRPC if kind_of(route) == GRPC_ROUTE else ''}",
            **_action(route, rule, led),
        }
        for number, match in enumerate(rule.get("matches") or [{}]):
            rank = _rank(route, rule, match, index, number)
            found += [(rank, each) for each in _with_match(base, rule, match)]
    return Translated(tuple(found), unresolved, told)


def _rank(route: Obj, rule: Obj, match: Obj, index: int, number: int) -> Rank:
    is_grpc = kind_of(route) == GRPC_ROUTE
    path = match.get("path") or ({} if is_grpc else {"value": "/"})
    meta = (is_grpc, dig(route, "metadata", "creationTimestamp", default=""), namespace_of(route), name_of(route))
    return (
        is_grpc and not rule.get("matches"),
        *_path_rank(path),
        not match.get("method"),
        -len(match.get("headers") or ()),
        -len(match.get("queryParams") or ()),
        *meta,
        index,
        number,
    )


def _path_rank(path: Obj) -> tuple[int, int]:
    """A call of any service and method comes after those that an expression names."""
    if not path:
        return 0, 0
    return -_PATH_RANKS[path.get("type") or "PathPrefix"], -len(path.get("value") or "/")


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
    new = _new_prefix(rule)
    if how != "PathPrefix" or value.rstrip("/") == "":
        kind = {"Exact": "exact", "RegularExpression": "regex", "PathPrefix": "prefix"}[how]
        yield _replacing(base, [{"uri": {kind: value if how != "PathPrefix" else "/"}, **conditions}], new)
        return
    itself = {"uri": {"exact": value.rstrip("/")}, **conditions}
    below = {"uri": {"prefix": value.rstrip("/") + "/"}, **conditions}
    if new is None:
        yield {**base, "match": [itself, below]}
        return
    yield _replacing(base, [itself], new, whole=True)
    yield _replacing(base, [below], new if "redirect" in base else new.rstrip("/"), more="/")


def _replacing(base: Rule, matches: list[Rule], new: str | None, *, whole: bool = False, more: str = "") -> Rule:
    """As in Istio a redirect puts what is written in the prefix's place, even if that makes two slashes of one."""
    if new is None:
        return {**base, "match": matches}
    if "redirect" in base:
        uri = new if whole else f"{REDIRECT_PREFIX}{new}{more}"
        return {**base, "match": matches, "redirect": {**base["redirect"], "uri": uri}}
    return {**base, "match": matches, "rewrite": {**base.get("rewrite", {}), "uri": f"{new}{more}"}}


def _new_prefix(rule: Obj) -> str | None:
    for filter in rule.get("filters") or ():
        for action in ("urlRewrite", "requestRedirect"):
            path = dig(filter, action, "path", default={})
            if path.get("type") == "ReplacePrefixMatch":
                new = str(path.get("replacePrefixMatch") or "/")
                return new if action == "requestRedirect" else new.removesuffix("/") or "/"
    return None


def _condition(entry: Obj) -> Rule:
    return {"regex" if entry.get("type") == "RegularExpression" else "exact": str(entry["value"])}


def _action(route: Obj, rule: Obj, led: Backends) -> Rule:
    found: Rule = {}
    mirrors = []
    for filter in rule.get("filters") or ():
        kind = str(filter.get("type"))
        if kind in HEADERS:
            found.setdefault("headers", {})[HEADERS[kind]] = edits(filter)
        elif kind == "URLRewrite":
            found["rewrite"] = _rewrite(filter["urlRewrite"])
        elif kind == "RequestRedirect":
            return {**found, "redirect": _redirect(filter["requestRedirect"])}
        elif kind == "RequestMirror":
            mirrors.append({"destination": destination(route, filter["requestMirror"]["backendRef"])})
    if not led.routes:
        edited = {"headers": found["headers"]} if "headers" in found else {}
        return {**edited, "directResponse": {"status": _LOST}}
    if found.get("rewrite") == {}:
        del found["rewrite"]
    if mirrors:
        found["mirrors"] = mirrors
    return {**found, **_forward(led), **_timeout(rule)}


def _forward(led: Backends) -> Rule:
    """Requests that fall to a backend that cannot be had are answered with an error, in its share."""
    found: Rule = {"route": list(led.routes)}
    if led.lost:
        share = round(100 * led.lost / led.total, 4)
        found["fault"] = {"abort": {"httpStatus": _LOST, "percentage": {"value": share}}}
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


def _fatal(view: View, route: Obj, rule: Obj, *, at_gateway: bool) -> Problem | None:
    """Filters that take the whole route with them: what is not supported, in Istio 1.23 also copies to nowhere."""
    for filter in rule.get("filters") or ():
        kind = str(filter.get("type"))
        if kind not in (*HEADERS, "URLRewrite", "RequestRedirect", "RequestMirror"):
            return Problem(BAD_FILTER, f"unsupported filter type {kind!r}")
        ref = dig(filter, "requestMirror", "backendRef")
        lost = unusable(view, route, ref, at_gateway=at_gateway) if ref else None
        if lost is not None:
            return lost
    return None
