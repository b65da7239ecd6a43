"""Virtual hosts and their routes, as Envoy's messages.

Pure. In: `VirtualHost`s. Out: messages filled in.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from envoy.extensions.filters.http.cors.v3 import cors_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2
from envoy.extensions.retry.priority.previous_priorities.v3 import previous_priorities_config_pb2

from graylane.chain.match import How, Named, RouteMatch, Text
from graylane.mesh.encode.protos import base_pb2, pack, route_components_pb2, set_percent, set_seconds
from graylane.mesh.inputs import Source
from graylane.mesh.memo import Memo
from graylane.mesh.table import (
    Cors,
    DirectResponse,
    Fault,
    Forward,
    HashKey,
    HeaderEdits,
    Redirect,
    Retry,
    Route,
    VirtualHost,
)

FAULT = "envoy.filters.http.fault"
CORS = "envoy.filters.http.cors"
_REDIRECT_CODES = {301: 0, 302: 1, 303: 2, 307: 3, 308: 4}


_MANY = 50


def virtual_host(message: Any, host: VirtualHost, memo: Memo | None = None, *, signed: bool = True) -> None:
    """Of many routes those that are the same as last time are not written again."""
    message.name = host.name
    message.domains.extend(host.domains)
    message.include_request_attempt_count = True
    if host.https_only:
        message.require_tls = route_components_pb2.VirtualHost.ALL
    if memo is not None and len(host.routes) > _MANY:
        written = memo.renew(("routes", host.name, signed), partial(_all_written, host, signed))
        message.MergeFromString(b"".join([written[id(route)][1] for route in host.routes]))
    else:
        for route in host.routes:
            _add(message, route, signed)


Written = dict[int, tuple[Route, bytes]]
"""By the routes' identity: what is in a route takes longer to hash than to write."""


def _all_written(host: VirtualHost, signed: bool, last: Written | None) -> Written:
    known = last or {}
    return {id(route): known.get(id(route)) or (route, _written(route, signed)) for route in host.routes}


def _written(route: Route, signed: bool) -> bytes:
    """A virtual host with nothing but this route."""
    message = route_components_pb2.VirtualHost()
    _add(message, route, signed)
    return bytes(message.SerializeToString(deterministic=True))


def _add(message: Any, route: Route, signed: bool) -> None:
    _route(message.routes.add(), route)
    if signed and route.source:
        message.routes[-1].metadata.filter_metadata["istio"]["config"] = _config_path(route.source)


def _route(message: Any, route: Route) -> None:
    message.name = route.name
    if route.stat_prefix:
        message.stat_prefix = route.stat_prefix
    _match(message.match, route.match)
    action = route.action
    if isinstance(action, Forward):
        _forward(message.route, action, connect=route.match.connect)
    elif isinstance(action, Redirect):
        _redirect(message.redirect, action)
    else:
        _direct(message.direct_response, action)
    _edits(message, "request", route.request)
    _edits(message, "response", route.response)
    if route.fault:
        message.typed_per_filter_config[FAULT].CopyFrom(pack(_fault(route.fault)))
    if route.cors:
        message.typed_per_filter_config[CORS].CopyFrom(pack(_cors(route.cors)))


def _config_path(source: Source) -> str:
    """Where Istio's own metadata says a route comes from."""
    return f"/apis/networking.istio.io/v1alpha3/namespaces/{source.namespace}/virtual-service/{source.name}"


def _match(message: Any, match: RouteMatch) -> None:
    if match.connect:
        message.connect_matcher.SetInParent()
        return
    path = match.path
    if path.how is How.EXACT:
        message.path = path.value
    elif path.how is How.PREFIX:
        message.prefix = path.value
    else:
        message.safe_regex.regex = path.value
    if path.ignore_case:
        message.case_sensitive.value = False
    for header in match.headers:
        _header(message.headers.add(), header)
    for query in match.queries:
        _query(message.query_parameters.add(), query)


def _header(message: Any, header: Named) -> None:
    message.name = header.name
    message.invert_match = header.inverted
    if header.text.how is How.PRESENT:
        message.present_match = True
        return
    message.treat_missing_header_as_empty = header.inverted
    _text(message.string_match, header.text)


def _query(message: Any, query: Named) -> None:
    message.name = query.name
    if query.text.how is How.PRESENT:
        message.present_match = True
    else:
        _text(message.string_match, query.text)


def _text(message: Any, text: Text) -> None:
    """`message` is an `envoy.type.matcher.v3.StringMatcher`."""
    if text.how is How.EXACT:
        message.exact = text.value
    elif text.how is How.PREFIX:
        message.prefix = text.value
    else:
        message.safe_regex.regex = text.value if text.how is How.REGEX else ".*"
    if text.ignore_case:
        message.ignore_case = True


def _edits(message: Any, side: str, edits: HeaderEdits) -> None:
    options = base_pb2.HeaderValueOption
    added = getattr(message, f"{side}_headers_to_add")
    for pairs, action in (
        (edits.set, options.OVERWRITE_IF_EXISTS_OR_ADD),
        (edits.add, options.APPEND_IF_EXISTS_OR_ADD),
    ):
        for name, value in pairs:
            option = added.add()
            option.header.key, option.header.value = name, value
            option.append_action = action
    getattr(message, f"{side}_headers_to_remove").extend(edits.remove)


def _forward(message: Any, forward: Forward, *, connect: bool) -> None:
    if len(forward.targets) == 1 and not forward.split:
        message.cluster = forward.targets[0].cluster
    else:
        for target in forward.targets:
            weighted = message.weighted_clusters.clusters.add()
            weighted.name = target.cluster
            weighted.weight.value = target.weight
            _edits(weighted, "request", target.request)
            _edits(weighted, "response", target.response)
            if target.host_rewrite:
                weighted.host_rewrite_literal = target.host_rewrite
    set_seconds(message.timeout, forward.timeout)
    if forward.retry:
        _retry(message.retry_policy, forward.retry)
    _rewrite(message, forward)
    for mirror in forward.mirrors:
        policy = message.request_mirror_policies.add(cluster=mirror.cluster)
        set_percent(policy.runtime_fraction.default_value, mirror.percent)
        policy.trace_sampled.value = False
    for key in forward.hash_keys:
        _hash(message.hash_policy.add(), key)
    if connect:
        upgrade = message.upgrade_configs.add(upgrade_type="CONNECT")
        upgrade.connect_config.SetInParent()


def _rewrite(message: Any, forward: Forward) -> None:
    rewrite = forward.rewrite
    if rewrite.prefix:
        message.prefix_rewrite = rewrite.prefix
    elif rewrite.regex:
        message.regex_rewrite.pattern.regex = rewrite.regex
        message.regex_rewrite.substitution = rewrite.substitution
    if rewrite.host:
        message.host_rewrite_literal = rewrite.host


def _retry(message: Any, retry: Retry) -> None:
    message.retry_on = retry.on
    message.num_retries.value = retry.attempts
    message.host_selection_retry_max_attempts = 5
    message.retriable_status_codes.extend(retry.statuses)
    if retry.per_try is not None:
        set_seconds(message.per_try_timeout, retry.per_try)
    if retry.avoid:
        predicate = message.retry_host_predicate.add(name="envoy.retry_host_predicates.previous_hosts")
        predicate.typed_config.CopyFrom(pack(previous_hosts_pb2.PreviousHostsPredicate()))
    if retry.other_localities:
        message.retry_priority.name = "envoy.retry_priorities.previous_priorities"
        priorities = previous_priorities_config_pb2.PreviousPrioritiesConfig(update_frequency=2)
        message.retry_priority.typed_config.CopyFrom(pack(priorities))


def _hash(message: Any, key: HashKey) -> None:
    if key.kind == "header":
        message.header.header_name = key.name
    elif key.kind == "cookie":
        message.cookie.name, message.cookie.path = key.name, key.path
        if key.ttl is not None:
            set_seconds(message.cookie.ttl, key.ttl)
    elif key.kind == "query":
        message.query_parameter.name = key.name
    else:
        message.connection_properties.source_ip = True


def _redirect(message: Any, redirect: Redirect) -> None:
    message.response_code = _REDIRECT_CODES.get(redirect.code, 0)
    if redirect.path:
        message.path_redirect = redirect.path
    if redirect.prefix:
        message.prefix_rewrite = redirect.prefix
    if redirect.host:
        message.host_redirect = redirect.host
    if redirect.scheme:
        message.scheme_redirect = redirect.scheme
    if redirect.port:
        message.port_redirect = redirect.port


def _direct(message: Any, response: DirectResponse) -> None:
    message.status = response.status
    if response.body:
        message.body.inline_bytes = response.body


def _fault(fault: Fault) -> Any:
    message = fault_pb2.HTTPFault()
    if fault.delay:
        set_seconds(message.delay.fixed_delay, fault.delay[0])
        set_percent(message.delay.percentage, fault.delay[1])
    if fault.abort_status:
        message.abort.http_status = fault.abort_status[0]
        set_percent(message.abort.percentage, fault.abort_status[1])
    elif fault.abort_grpc:
        message.abort.grpc_status = fault.abort_grpc[0]
        set_percent(message.abort.percentage, fault.abort_grpc[1])
    return message


def _cors(cors: Cors) -> Any:
    message = cors_pb2.CorsPolicy()
    for origin in cors.origins:
        _text(message.allow_origin_string_match.add(), origin)
    message.allow_methods = ",".join(cors.methods)
    message.allow_headers = ",".join(cors.headers)
    message.expose_headers = ",".join(cors.expose)
    message.max_age = cors.max_age
    if cors.credentials is not None:
        message.allow_credentials.value = cors.credentials
    message.forward_not_matching_preflights.value = cors.forward_unmatched
    message.filter_enabled.default_value.numerator = 100
    return message
