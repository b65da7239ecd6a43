"""EnvoyFilter: the shape of its patches.

Pure. In: its spec. Out: complaints. Whether a `value` is a message that Envoy knows is the mesh's to say
(`mesh.admission`); here, where nobody needs Envoy's messages, its `@type` is only looked for.
"""

from __future__ import annotations

import re

from graylane.chain.validation.checks import Block, Report, block, blocks

_CLASSES = {
    "LISTENER": "listener",
    "FILTER_CHAIN": "listener",
    "LISTENER_FILTER": "listener",
    "NETWORK_FILTER": "listener",
    "HTTP_FILTER": "listener",
    "ROUTE_CONFIGURATION": "routeConfiguration",
    "VIRTUAL_HOST": "routeConfiguration",
    "HTTP_ROUTE": "routeConfiguration",
    "CLUSTER": "cluster",
}
_OTHERS = ("BOOTSTRAP", "EXTENSION_CONFIG")
_MATCHES = ("listener", "routeConfiguration", "cluster")
_HCM = "envoy.filters.network.http_connection_manager"
_OPERATIONS = (*("MERGE", "ADD", "REMOVE", "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "REPLACE"),)
_HTTP_FILTERS = (*("buffer", "cors", "csrf", "ext_authz", "fault", "grpc_web", "health_check", "lua", "router"),)
_LISTENER_FILTERS = ("http_inspector", "original_dst", "original_src", "proxy_protocol", "tls_inspector")
_NEED_TYPE = ("HTTP_FILTER", "NETWORK_FILTER", "LISTENER_FILTER", "EXTENSION_CONFIG")
_FORMER = {
    "envoy.http_connection_manager": _HCM,
    "envoy.tcp_proxy": "envoy.filters.network.tcp_proxy",
    "envoy.redis_proxy": "envoy.filters.network.redis_proxy",
    "envoy.mongo_proxy": "envoy.filters.network.mongo_proxy",
    "envoy.ratelimit": "envoy.filters.network.ratelimit",
    "envoy.echo": "envoy.filters.network.echo",
    "envoy.rate_limit": "envoy.filters.http.ratelimit",
    "envoy.grpc_json_transcoder": "envoy.filters.http.grpc_json_transcoder",
    **{f"envoy.{name}": f"envoy.filters.http.{name}" for name in _HTTP_FILTERS},
    **{f"envoy.listener.{name}": f"envoy.filters.listener.{name}" for name in _LISTENER_FILTERS},
}


def check(report: Report, spec: Block) -> None:
    report.warn("spec", "EnvoyFilter exposes internal implementation details that may change at any time")
    selector = spec.get("workloadSelector")
    if selector is not None and not block(selector).get("labels"):
        report.warn("spec.workloadSelector", "workload selector specified without labels: it selects every workload")
    for path, patch in blocks(spec.get("configPatches"), "spec.configPatches"):
        _patch(report, path, patch)


def _patch(report: Report, path: str, found: Block) -> None:
    applies = str(found.get("applyTo") or "INVALID")
    if applies not in _CLASSES and applies not in _OTHERS:
        report.error(f"{path}.applyTo", f"missing or unknown applyTo {applies!r}")
        return
    match = block(found.get("match"))
    _proxy_version(report, path, match)
    _match_class(report, path, applies, match)
    if applies in ("HTTP_FILTER", "NETWORK_FILTER"):
        _filters(report, path, applies, match)
    patch = found.get("patch")
    if patch is None:
        report.error(f"{path}.patch", "missing patch")
        return
    operation = str(block(patch).get("operation") or "")
    if operation not in _OPERATIONS:
        report.error(f"{path}.patch.operation", f"missing or unknown patch operation {operation!r}")
        return
    value = block(patch).get("value")
    if operation != "REMOVE" and value is None:
        report.error(f"{path}.patch.value", "missing patch value for non-remove operation")
    elif operation not in ("REMOVE", "MERGE") and applies in _NEED_TYPE:
        _typed(report, f"{path}.patch.value", block(value))


def _proxy_version(report: Report, path: str, match: Block) -> None:
    version = str(block(match.get("proxy")).get("proxyVersion") or "")
    try:
        re.compile(version)
    except re.error as error:
        report.error(f"{path}.match.proxy.proxyVersion", f"invalid regex for proxy version: {error}")


def _match_class(report: Report, path: str, applies: str, match: Block) -> None:
    wanted = _CLASSES.get(applies)
    for name in _MATCHES:
        if name in match and wanted is not None and name != wanted:
            report.error(f"{path}.match", f"applyTo {applies} can only have a {wanted} match, not {name}")


def _filters(report: Report, path: str, applies: str, match: Block) -> None:
    chain = block(block(match.get("listener")).get("filterChain"))
    if chain.get("filter") is None:
        return
    found, where = block(chain["filter"]), f"{path}.match.listener.filterChain.filter"
    if not found.get("name"):
        report.error(where, "filter match has no name to match on")
    _former(report, f"{where}.name", found.get("name"))
    if found.get("subFilter") is None:
        return
    if applies != "HTTP_FILTER":
        report.error(f"{where}.subFilter", "subfilter match can be used with applyTo HTTP_FILTER only")
    if found.get("name") and found["name"] != _HCM:
        report.error(f"{where}.subFilter", f"subfilter match requires filter match with {_HCM}")
    if not block(found["subFilter"]).get("name"):
        report.error(f"{where}.subFilter", "subfilter match has no name to match on")
    _former(report, f"{where}.subFilter.name", block(found["subFilter"]).get("name"))


def _former(report: Report, path: str, name: object) -> None:
    if isinstance(name, str) and name in _FORMER:
        report.warn(path, f"{name} is a former name, which no proxy has any more: use {_FORMER[name]}")


def _typed(report: Report, path: str, value: Block) -> None:
    typed = value.get("typed_config", value.get("typedConfig"))
    if typed is None and not value.get("config_discovery") and not value.get("configDiscovery"):
        report.warn(path, "a filter without typed_config relies on its name, which proxies no longer accept")
    elif typed is not None and not block(typed).get("@type"):
        report.error(f"{path}.typed_config", "a @type is required")
