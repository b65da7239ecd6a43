"""One HTTP rule of a VirtualService: exactly one action, and what may be said beside it.

Pure. In: the rule, its path, whether it is a delegate's. Out: complaints.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from graylane.chain.validation import checks
from graylane.chain.validation.checks import Block, Report, block, blocks, duration, entries, host, percent
from graylane.chain.validation.matches import http_match

_ACTIONS = ("route", "redirect", "directResponse")
_RETRY_WORDS = (
    "5xx gateway-error reset reset-before-request connect-failure retriable-4xx refused-stream retriable-status-codes "
    "retriable-headers envoy-ratelimited http3-post-connect-failure cancelled deadline-exceeded internal "
    "resource-exhausted unavailable"
)
_GRPC_WORDS = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
    "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
    "UNAUTHENTICATED"
)
_METHOD_WORDS = "GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT *"
_RETRY_ON, _GRPC, _METHODS = (frozenset(words.split()) for words in (_RETRY_WORDS, _GRPC_WORDS, _METHOD_WORDS))
_STATUSES = frozenset(each.value for each in HTTPStatus)
_LARGE, _TOO_LARGE = 100 * 1024, 1024 * 1024


def http_rule(report: Report, path: str, rule: Block, *, is_delegate: bool, at_gateway: bool) -> None:
    _action(report, path, rule, is_delegate=is_delegate)
    for where, match in blocks(rule.get("match"), f"{path}.match"):
        http_match(report, where, match, at_gateway=at_gateway)
    routes = entries(rule.get("route"))
    for where, entry in blocks(routes, f"{path}.route"):
        destination(report, f"{where}.destination", block(entry.get("destination")))
        _headers(report, f"{where}.headers", block(entry.get("headers")))
    weights(report, f"{path}.route", routes)
    _headers(report, f"{path}.headers", block(rule.get("headers")))
    _authority(report, path, rule)
    if rule.get("timeout") is not None:
        duration(report, f"{path}.timeout", rule["timeout"])
    for field, check in (
        ("redirect", _redirect),
        ("directResponse", _direct_response),
        ("rewrite", _rewrite),
        ("retries", _retries),
        ("fault", _fault),
        ("corsPolicy", _cors),
    ):
        if rule.get(field) is not None:
            check(report, f"{path}.{field}", block(rule[field]))
    _mirrors(report, path, rule)


def _action(report: Report, path: str, rule: Block, *, is_delegate: bool) -> None:
    given = [name for name in _ACTIONS if rule.get(name)]
    if rule.get("delegate") is not None:
        if is_delegate:
            report.error(f"{path}.delegate", "a delegate virtual service must not delegate again")
        if given:
            report.error(path, f"HTTP route cannot contain both {given[0]} and delegate")
        return
    if len(given) > 1:
        report.error(path, f"HTTP route cannot contain both {given[0]} and {given[1]}")
    if not given:
        report.error(path, "HTTP route, redirect or directResponse is required")
    for name in ("redirect", "directResponse"):
        for other in ("fault", "rewrite"):
            if rule.get(name) and rule.get(other):
                report.error(path, f"HTTP route rule cannot have both {other} and {name}")


def destination(report: Report, path: str, found: Block) -> None:
    name = str(found.get("host") or "")
    if not name:
        report.error(path, "destination must have a host")
    elif name == "*":
        report.error(f"{path}.host", "invalid destination host *")
    else:
        host(report, f"{path}.host", name)
    if found.get("subset"):
        checks.subset_name(report, f"{path}.subset", found["subset"])
    if found.get("port") is not None:
        checks.port(report, f"{path}.port.number", block(found["port"]).get("number", 0))


def weights(report: Report, path: str, routes: list[Any]) -> None:
    given = [block(entry).get("weight") or 0 for entry in routes]
    for weight in given:
        if not isinstance(weight, int) or weight < 0:
            report.error(path, f"weight {weight} < 0")
            return
    if len(given) > 1 and sum(given) == 0:
        report.error(path, "total destination weight = 0")


def _headers(report: Report, path: str, headers: Block) -> None:
    for side in ("request", "response"):
        edits = block(headers.get(side))
        for operation in ("set", "add"):
            for name, value in block(edits.get(operation)).items():
                where = f"{path}.{side}.{operation}"
                if side == "response" or str(name).lower() not in ("host", ":authority"):
                    _edited_name(report, where, str(name))
                checks.header_value(report, f"{where}[{name}]", value)
        for name in entries(edits.get("remove")):
            _edited_name(report, f"{path}.{side}.remove", str(name))


def _edited_name(report: Report, path: str, name: str) -> None:
    if name.startswith(":") or name.lower() == "host":
        report.error(path, f'invalid header {name!r}: must not be a pseudo header or "host"')
    elif not name:
        report.error(path, "header name cannot be empty")


def _authority(report: Report, path: str, rule: Block) -> None:
    if len(list(_authorities(rule))) > 1:
        report.error(path, "the authority is set in more than one place: use rewrite.authority or one header operation")


def _authorities(rule: Block) -> Iterator[str]:
    """One level at a time: a destination's may differ from its rule's."""
    if block(rule.get("rewrite")).get("authority"):
        yield "rewrite"
    request = block(block(rule.get("headers")).get("request"))
    for operation in ("set", "add"):
        yield from (name for name in block(request.get(operation)) if str(name).lower() in ("host", ":authority"))


def _redirect(report: Report, path: str, found: Block) -> None:
    asked = any(found.get(name) for name in ("uri", "authority", "scheme", "derivePort"))
    if not asked and found.get("port") is None:
        report.error(path, "redirect must specify URI, authority, scheme, or port")
    code = found.get("redirectCode") or 301
    if not isinstance(code, int) or not 300 <= code <= 399:
        report.error(f"{path}.redirectCode", f"{code} is not a valid redirect code, must be 3xx")
    if found.get("scheme") and found["scheme"] not in ("http", "https"):
        report.error(f"{path}.scheme", f"redirect scheme must be either http or https, not {found['scheme']!r}")
    if found.get("port"):
        checks.port(report, f"{path}.port", found["port"])
    if found.get("port") and found.get("derivePort"):
        report.error(path, "redirect may have only one of port and derivePort")


def _direct_response(report: Report, path: str, found: Block) -> None:
    _status(report, f"{path}.status", found.get("status") or 0)
    body = block(found.get("body"))
    size = len(str(body.get("string") or "").encode()) or len(str(body.get("bytes") or "")) * 3 // 4
    if size > _TOO_LARGE:
        report.error(f"{path}.body", f"body of {size} bytes is larger than the limit of 1MB")
    elif size > _LARGE:
        report.warn(f"{path}.body", f"large direct responses may impact control plane performance: {size} bytes")


def _status(report: Report, path: str, status: Any) -> None:
    if not isinstance(status, int) or not 200 <= status <= 600:
        report.error(path, f"HTTP status {status} is not in range 200-599")


def _rewrite(report: Report, path: str, found: Block) -> None:
    regex = block(found.get("uriRegexRewrite"))
    if not (found.get("uri") or found.get("authority") or regex):
        report.error(path, "rewrite must specify URI, uriRegexRewrite or authority")
    if found.get("uri") and found.get("uriRegexRewrite") is not None:
        report.error(path, "rewrite may only contain one of URI or uriRegexRewrite")
    if regex:
        checks.regex(report, f"{path}.uriRegexRewrite.match", regex.get("match") or "")
        if not regex.get("rewrite"):
            report.error(f"{path}.uriRegexRewrite.rewrite", "uriRegexRewrite requires both match and rewrite")


def _retries(report: Report, path: str, found: Block) -> None:
    attempts = found.get("attempts") or 0
    if not isinstance(attempts, int) or attempts < 0:
        report.error(f"{path}.attempts", "attempts cannot be negative")
    if attempts == 0 and any(found.get(name) for name in ("perTryTimeout", "retryOn", "retryRemoteLocalities")):
        report.error(path, "http retry policy configured when attempts are set to 0 (disabled)")
    if found.get("perTryTimeout") is not None:
        duration(report, f"{path}.perTryTimeout", found["perTryTimeout"])
    for word in filter(None, str(found.get("retryOn") or "").split(",")):
        if word not in _RETRY_ON and not (word.isdigit() and int(word) in _STATUSES):
            report.error(f"{path}.retryOn", f"{word!r} is not a valid retryOn policy")


def _fault(report: Report, path: str, found: Block) -> None:
    abort, delay = found.get("abort"), found.get("delay")
    if abort is None and delay is None:
        report.error(path, "HTTP fault injection must have an abort and/or a delay")
    for name, part in (("abort", block(abort)), ("delay", block(delay))):
        if part.get("percentage") is not None:
            percent(report, f"{path}.{name}.percentage", block(part["percentage"]).get("value") or 0, least=0.0001)
    if abort:
        _abort(report, f"{path}.abort", block(abort))
    if delay:
        if block(delay).get("exponentialDelay"):
            report.error(f"{path}.delay.exponentialDelay", "exponentialDelay is not supported yet")
        elif block(delay).get("fixedDelay") is not None:
            duration(report, f"{path}.delay.fixedDelay", block(delay)["fixedDelay"])


def _abort(report: Report, path: str, abort: Block) -> None:
    if abort.get("http2Error"):
        report.error(f"{path}.http2Error", "http2Error is not supported yet")
    elif abort.get("grpcStatus"):
        if abort["grpcStatus"] not in _GRPC:
            report.error(f"{path}.grpcStatus", f"gRPC status {abort['grpcStatus']!r} is not supported")
    elif abort.get("httpStatus") is not None:
        _status(report, f"{path}.httpStatus", abort["httpStatus"])


def _mirrors(report: Report, path: str, rule: Block) -> None:
    if rule.get("mirror") and rule.get("mirrors"):
        report.error(path, "HTTP route cannot contain both mirror and mirrors")
    if rule.get("mirror") is not None:
        destination(report, f"{path}.mirror", block(rule["mirror"]))
    for where, mirror in blocks(rule.get("mirrors"), f"{path}.mirrors"):
        destination(report, f"{where}.destination", block(mirror.get("destination")))
        if mirror.get("percentage") is not None:
            percent(report, f"{where}.percentage", block(mirror["percentage"]).get("value") or 0)
    if rule.get("mirrorPercentage") is not None:
        percent(report, f"{path}.mirrorPercentage", block(rule["mirrorPercentage"]).get("value") or 0)
    if rule.get("mirrorPercent") is not None:
        report.warn(f"{path}.mirrorPercent", "mirrorPercent is deprecated, use mirrorPercentage")
        percent(report, f"{path}.mirrorPercent", rule["mirrorPercent"])


def _cors(report: Report, path: str, found: Block) -> None:
    for where, origin in blocks(found.get("allowOrigins"), f"{path}.allowOrigins"):
        if not any(origin.get(how) for how in ("exact", "prefix", "regex")):
            report.error(where, "CORS allow origin must not be empty")
        checks.string_match(report, where, origin)
    for method in entries(found.get("allowMethods")):
        if method not in _METHODS:
            report.error(f"{path}.allowMethods", f"{method!r} is not a supported HTTP method")
    for field in ("allowHeaders", "exposeHeaders"):
        for name in entries(found.get(field)):
            checks.header_name(report, f"{path}.{field}", str(name))
    if found.get("maxAge") is not None:
        duration(report, f"{path}.maxAge", found["maxAge"], least=0, whole=1.0)
