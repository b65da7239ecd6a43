"""Envoy's virtual hosts and routes read back as nouns, for those that EnvoyFilters have changed or brought along.

Pure. In: messages. Out: `Route`s, or `Unclear` where a message says something that we do not simulate: whatever field
is not named here is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.cors.v3 import cors_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2

from graylane.chain.match import ANY_PATH, How, Named, RouteMatch, Text
from graylane.mesh.encode import observe
from graylane.mesh.encode.routes import CORS, FAULT
from graylane.mesh.table import (
    NO_EDITS,
    Cors,
    DirectResponse,
    Fault,
    Forward,
    HeaderEdits,
    Redirect,
    Rewrite,
    Route,
    Target,
)


class Unclear(ValueError):
    """What a message asks for is nothing that the simulator knows."""


_HEADERS = {f"{side}_headers_to_{what}" for side in ("request", "response") for what in ("add", "remove")}
_LENGTHS = {"per_request_buffer_limit_bytes", "request_body_buffer_limit", "request_mirror_policies", "metadata"}
_ROUTE = {"name", "match", "route", "redirect", "direct_response", "decorator", "stat_prefix", "tracing"}
_ROUTE |= {"typed_per_filter_config", *_HEADERS, *_LENGTHS}
_MATCH = {"prefix", "path", "safe_regex", "connect_matcher", "path_separated_prefix", "case_sensitive", "headers"}
_MATCH |= {"query_parameters"}
_ACTION = {"cluster", "weighted_clusters", "timeout", "idle_timeout", "retry_policy", "prefix_rewrite", "regex_rewrite"}
_ACTION |= {"host_rewrite_literal", "append_x_forwarded_host", "hash_policy", "request_mirror_policies", "priority"}
_ACTION |= {"max_stream_duration", "upgrade_configs"}
_WEIGHTED = {"name", "weight", "host_rewrite_literal", *_HEADERS}
_REDIRECT = {"path_redirect", "prefix_rewrite", "host_redirect", "scheme_redirect", "https_redirect", "port_redirect"}
_REDIRECT |= {"response_code", "strip_query"}
HOST = {"name", "domains", "routes", "require_tls", "include_request_attempt_count", "retry_policy", "virtual_clusters"}
HOST |= {"typed_per_filter_config", *_HEADERS, *_LENGTHS}
TABLE = {"name", "virtual_hosts", "validate_clusters", "max_direct_response_body_size_bytes", "metadata"}
TABLE |= {"ignore_port_in_host_matching", "typed_per_filter_config", "request_mirror_policies", *_HEADERS}
_CORS = {"allow_origin_string_match", "allow_methods", "allow_headers", "expose_headers", "max_age"}
_CORS |= {"allow_credentials", "forward_not_matching_preflights", "filter_enabled"}
_STATUS = (301, 302, 303, 307, 308)
_WHOLE = {0: 100.0, 1: 10_000.0, 2: 1_000_000.0}


def only(message: Any, fields: set[str]) -> None:
    for field, _ in message.ListFields():
        if field.name not in fields:
            raise Unclear(field.name)


@dataclass(frozen=True, slots=True)
class Common:
    """What a route, its virtual host and its table may each say."""

    request: HeaderEdits = NO_EDITS
    response: HeaderEdits = NO_EDITS
    fault: Fault | None = None
    cors: Cors | None = None

    def over(self, outer: Common) -> Common:
        """Headers are changed from the inside out; of filters' settings the innermost holds."""
        return Common(
            _joined(self.request, outer.request),
            _joined(self.response, outer.response),
            self.fault or outer.fault,
            self.cors or outer.cors,
        )


def _joined(inner: HeaderEdits, outer: HeaderEdits) -> HeaderEdits:
    return HeaderEdits(inner.set + outer.set, inner.add + outer.add, inner.remove + outer.remove)


def common(message: Any) -> Common:
    fault = cors = None
    for name, packed in message.typed_per_filter_config.items():
        if name == FAULT:
            fault = _fault(_inside(packed, fault_pb2.HTTPFault()))
        elif name == CORS:
            cors = _cors(_inside(packed, cors_pb2.CorsPolicy()))
        elif name != observe.FILTER:
            raise Unclear(name)
    return Common(_edits(message, "request"), _edits(message, "response"), fault, cors)


def route(message: Any) -> Route:
    only(message, _ROUTE)
    own = common(message)
    return Route(
        name=message.name,
        match=_match(message.match),
        action=_action(message),
        request=own.request,
        response=own.response,
        fault=own.fault,
        cors=own.cors,
        stat_prefix=message.stat_prefix,
    )


def _match(message: Any) -> RouteMatch:
    only(message, _MATCH)
    return RouteMatch(
        path=_path(message),
        headers=tuple(map(_header, message.headers)),
        queries=tuple(map(_query, message.query_parameters)),
        connect=message.HasField("connect_matcher"),
    )


def _path(message: Any) -> Text:
    ignore = message.HasField("case_sensitive") and not message.case_sensitive.value
    match message.WhichOneof("path_specifier"):
        case "prefix":
            return Text(How.PREFIX, message.prefix, ignore)
        case "path":
            return Text(How.EXACT, message.path, ignore)
        case "safe_regex":
            return Text(How.REGEX, message.safe_regex.regex)
        case "path_separated_prefix":
            return Text(How.REGEX, _ignoring(ignore) + re.escape(message.path_separated_prefix) + "(/.*)?")
    return ANY_PATH


def _ignoring(case: bool) -> str:
    return "(?i)" if case else ""


def _header(message: Any) -> Named:
    only(message, {"name", "invert_match", "treat_missing_header_as_empty", "string_match", "present_match"})
    name, inverted = message.name.lower(), message.invert_match
    if message.WhichOneof("header_match_specifier") == "string_match":
        if inverted is not message.treat_missing_header_as_empty:
            raise Unclear("treat_missing_header_as_empty")
        return Named(name, _text(message.string_match), inverted)
    present = message.present_match or message.WhichOneof("header_match_specifier") is None
    return Named(name, Text(How.PRESENT), inverted is present)


def _query(message: Any) -> Named:
    only(message, {"name", "string_match", "present_match"})
    if message.WhichOneof("query_parameter_match_specifier") == "string_match":
        return Named(message.name, _text(message.string_match))
    return Named(message.name, Text(How.PRESENT))


def _text(message: Any) -> Text:
    only(message, {"exact", "prefix", "suffix", "contains", "safe_regex", "ignore_case"})
    kind, ignore = message.WhichOneof("match_pattern"), message.ignore_case
    value = getattr(message, kind or "exact")
    if kind == "safe_regex":
        return Text(How.REGEX, value.regex)
    if kind in ("suffix", "contains"):
        rest = ".*" if kind == "contains" else ""
        return Text(How.REGEX, f"{_ignoring(ignore)}.*{re.escape(value)}{rest}")
    return Text(How.PREFIX if kind == "prefix" else How.EXACT, value, ignore)


def _action(message: Any) -> Forward | Redirect | DirectResponse:
    match message.WhichOneof("action"):
        case "route":
            return _forward(message.route)
        case "redirect":
            return _redirect(message.redirect)
        case "direct_response":
            body = message.direct_response.body
            return DirectResponse(message.direct_response.status, body.inline_bytes or body.inline_string.encode())
    raise Unclear("action")


def _forward(message: Any) -> Forward:
    only(message, _ACTION)
    rewrite = Rewrite(
        prefix=message.prefix_rewrite,
        regex=message.regex_rewrite.pattern.regex,
        substitution=message.regex_rewrite.substitution,
        host=message.host_rewrite_literal,
    )
    return Forward(tuple(_targets(message)), rewrite=rewrite)


def _targets(message: Any) -> Iterable[Target]:
    if message.cluster:
        yield Target(message.cluster)
    elif not message.weighted_clusters.clusters:
        raise Unclear("cluster")
    for each in message.weighted_clusters.clusters:
        only(each, _WEIGHTED)
        edits = _edits(each, "request"), _edits(each, "response")
        yield Target(each.name, each.weight.value, *edits, each.host_rewrite_literal)


def _redirect(message: Any) -> Redirect:
    only(message, _REDIRECT)
    return Redirect(
        path=message.path_redirect,
        host=message.host_redirect,
        scheme="https" if message.https_redirect else message.scheme_redirect,
        port=message.port_redirect,
        code=_STATUS[message.response_code],
        prefix=message.prefix_rewrite,
    )


def _edits(message: Any, side: str) -> HeaderEdits:
    added = list(getattr(message, f"{side}_headers_to_add"))
    kinds = [(_appends(each), (each.header.key, each.header.value)) for each in added]
    return HeaderEdits(
        set=tuple(pair for appends, pair in kinds if not appends),
        add=tuple(pair for appends, pair in kinds if appends),
        remove=tuple(getattr(message, f"{side}_headers_to_remove")),
    )


def _appends(option: Any) -> bool:
    kinds = base_pb2.HeaderValueOption
    if option.HasField("append"):
        return bool(option.append.value)
    if option.append_action not in (kinds.APPEND_IF_EXISTS_OR_ADD, kinds.OVERWRITE_IF_EXISTS_OR_ADD):
        raise Unclear("append_action")
    return bool(option.append_action == kinds.APPEND_IF_EXISTS_OR_ADD)


def _inside(packed: Any, message: Any) -> Any:
    if not packed.Unpack(message):
        raise Unclear(packed.type_url)
    return message


def _percent(fraction: Any) -> float:
    return 100.0 * float(fraction.numerator) / _WHOLE[fraction.denominator]


def _fault(message: Any) -> Fault:
    only(message, {"delay", "abort"})
    only(message.delay, {"fixed_delay", "percentage"})
    only(message.abort, {"http_status", "grpc_status", "percentage"})
    delay, abort = message.delay, message.abort
    share, kind = _percent(abort.percentage), abort.WhichOneof("error_type")
    return Fault(
        delay=(delay.fixed_delay.ToTimedelta().total_seconds(), _percent(delay.percentage))
        if delay.ListFields()
        else None,
        abort_status=(abort.http_status, share) if kind == "http_status" else None,
        abort_grpc=(abort.grpc_status, share) if kind == "grpc_status" else None,
    )


def _cors(message: Any) -> Cors:
    only(message, _CORS)
    if message.HasField("filter_enabled") and _percent(message.filter_enabled.default_value) < 100:
        raise Unclear("filter_enabled")
    passes = message.forward_not_matching_preflights
    return Cors(
        origins=tuple(map(_text, message.allow_origin_string_match)),
        forward_unmatched=passes.value if message.HasField("forward_not_matching_preflights") else True,
    )
