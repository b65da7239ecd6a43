"""Clusters and their endpoints.

Pure. In: `ClusterSpec` and endpoints. Out: `Resource`s. Names are Istio's: `outbound|8000|v1|b.shop.svc.cluster.local`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from envoy.extensions.clusters.dynamic_forward_proxy.v3 import cluster_pb2 as forward_cluster_pb2
from envoy.extensions.common.dynamic_forward_proxy.v3 import dns_cache_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from graylane.mesh import durations
from graylane.mesh.compile.clusters import ClusterSpec
from graylane.mesh.compile.inbound import door
from graylane.mesh.compile.origination import Origination
from graylane.mesh.encode import tls
from graylane.mesh.encode.protos import (
    cluster_pb2,
    endpoint_pb2,
    pack,
    set_address,
    set_ads,
    set_seconds,
)
from graylane.mesh.filters.merge import merge
from graylane.mesh.filters.patches import Patch
from graylane.mesh.findings import Finding
from graylane.mesh.inputs import NO_ENDPOINTS, Block, Endpoint, Protocol, Resolution, Source
from graylane.mesh.numbers import MOST, natural
from graylane.mesh.snapshot import Resource, Through, Type, resource
from graylane.mesh.table import PASSTHROUGH, SELF

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_BALANCERS = {
    "ROUND_ROBIN": cluster_pb2.Cluster.ROUND_ROBIN,
    "RANDOM": cluster_pb2.Cluster.RANDOM,
    "PASSTHROUGH": cluster_pb2.Cluster.RANDOM,  # as kube-proxy chooses for whoever asks for a Service's address
}


def cluster(spec: ClusterSpec, connect_timeout: float) -> Resource:
    message = cluster_pb2.Cluster(name=spec.name)
    policy, tcp = spec.policy, spec.policy.pool.get("tcp") or {}
    set_seconds(message.connect_timeout, _seconds(tcp.get("connectTimeout")) or connect_timeout)
    _discovery(message, spec)
    if spec.service.resolution is not Resolution.NONE or spec.closed:
        _balancer(message, policy.balancer)
    _breakers(message, policy.pool)
    if tcp.get("tcpKeepalive") is not None:
        _keep_alive(message, tcp["tcpKeepalive"])
    _http_options(message, spec.protocol, policy.pool, spec.tls)
    _connections(message, spec)
    if policy.outlier is not None:
        _outlier(message, policy.outlier)
    # By default Envoy holds changes of an endpoint's state back for a second, to merge them.
    set_seconds(message.common_lb_config.update_merge_window, 0.0)
    for patch in spec.edits:
        if patch.operation == "MERGE":
            merge(message, patch.value)
    message.name = spec.name
    return resource(Type.CLUSTER, spec.name, message, spec.sources)


def inbound_cluster(name: str, address: str, port: int, connect_timeout: float, protocol: Protocol) -> Any:
    """The one port of a pod, spoken to as it is spoken to; limits are those of whoever calls."""
    message = cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.STATIC)
    set_seconds(message.connect_timeout, connect_timeout)
    endpoint = message.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    set_address(endpoint.address, address, port)
    message.load_assignment.cluster_name = name
    _breakers(message, {})
    if protocol.is_http:
        _http_options(message, Protocol.AUTO, {}, None)
    return message


def added(patch: Patch) -> Resource:
    """A cluster that an EnvoyFilter brings along, as it is written."""
    return resource(Type.CLUSTER, patch.value.name, patch.value, frozenset((patch.owner.source,)))


def unassigned(patch: Patch) -> Iterable[Resource]:
    """No endpoints for an added cluster that asks us for some: else it keeps everything behind it waiting."""
    if patch.value.type == cluster_pb2.Cluster.EDS:
        yield assignment(patch.value.eds_cluster_config.service_name or patch.value.name, (), "")


def _discovery(message: Any, spec: ClusterSpec) -> None:
    """How Envoy comes to know the endpoints: from us, from a name server, or from each request's own host."""
    resolution = spec.service.resolution
    if spec.closed:
        message.type = cluster_pb2.Cluster.STATIC
    elif resolution is Resolution.STATIC:
        message.type = cluster_pb2.Cluster.EDS
        set_ads(message.eds_cluster_config.eds_config)
    elif resolution is Resolution.NONE:
        message.lb_policy = cluster_pb2.Cluster.CLUSTER_PROVIDED
        _by_request(message)
    else:
        found = spec.pick(spec.service.listed or NO_ENDPOINTS)
        one = resolution is Resolution.DNS_ROUND_ROBIN and bool(found)  # without any there is nothing to look up
        message.type = cluster_pb2.Cluster.LOGICAL_DNS if one else cluster_pb2.Cluster.STRICT_DNS
        message.dns_lookup_family = cluster_pb2.Cluster.V4_PREFERRED
        message.respect_dns_ttl = True
        # A name that cannot be looked up (yet) shall not keep everything else waiting.
        message.wait_for_warm_on_init.value = False
        fill(message.load_assignment, spec.name, found[:1] if one else found, spec.port.name)


def _connections(message: Any, spec: ClusterSpec) -> None:
    """What connections begin with, outside first: who the client is, then TLS."""
    if isinstance(spec.tls, Origination):
        http2 = spec.protocol is Protocol.HTTP2 or _upgrades(spec.policy.pool)
        message.transport_socket.CopyFrom(tls.originating(spec.tls, http2=http2))
    if spec.policy.proxy_protocol:
        message.transport_socket.CopyFrom(tls.introduced(message.transport_socket, spec.policy.proxy_protocol))


def _seconds(text: Any) -> float | None:
    return None if text is None else durations.seconds(str(text))


def _balancer(message: Any, block: Block) -> None:
    hashing = block.get("consistentHash")
    if not hashing:
        message.lb_policy = _BALANCERS.get(str(block.get("simple")), cluster_pb2.Cluster.LEAST_REQUEST)
        _warm_up(message, _seconds(block.get("warmupDurationSecs")))
    elif hashing.get("maglev") is not None:
        message.lb_policy = cluster_pb2.Cluster.MAGLEV
        if hashing["maglev"].get("tableSize"):
            message.maglev_lb_config.table_size.value = natural(hashing["maglev"]["tableSize"])
    else:
        message.lb_policy = cluster_pb2.Cluster.RING_HASH
        size = (hashing.get("ringHash") or {}).get("minimumRingSize") or hashing.get("minimumRingSize") or 1024
        message.ring_hash_lb_config.minimum_ring_size.value = natural(size)


def _warm_up(message: Any, length: float | None) -> None:
    """A new endpoint gets its full share only after this long."""
    if not length:
        return
    if message.lb_policy == cluster_pb2.Cluster.ROUND_ROBIN:
        set_seconds(message.round_robin_lb_config.slow_start_config.slow_start_window, length)
    elif message.lb_policy == cluster_pb2.Cluster.LEAST_REQUEST:
        set_seconds(message.least_request_lb_config.slow_start_config.slow_start_window, length)


def _keep_alive(message: Any, block: Block) -> None:
    found = message.upstream_connection_options.tcp_keepalive
    found.SetInParent()
    if block.get("probes"):
        found.keepalive_probes.value = natural(block["probes"])
    for field, name in (("keepalive_time", "time"), ("keepalive_interval", "interval")):
        if (length := _seconds(block.get(name))) is not None:
            getattr(found, field).value = natural(length)


def _breakers(message: Any, pool: Block) -> None:
    """Istio lifts Envoy's own limits (1024) unless a rule sets some."""
    tcp, http = pool.get("tcp") or {}, pool.get("http") or {}
    limits = message.circuit_breakers.thresholds.add()
    limits.max_connections.value = natural(tcp.get("maxConnections") or MOST)
    limits.max_pending_requests.value = natural(http.get("http1MaxPendingRequests") or MOST)
    limits.max_requests.value = natural(http.get("http2MaxRequests") or MOST)
    limits.max_retries.value = natural(http.get("maxRetries") or MOST)


def _http_options(message: Any, protocol: Protocol, pool: Block, origin: Origination | Finding | None) -> None:
    http, tcp = pool.get("http") or {}, pool.get("tcp") or {}
    options = http_protocol_options_pb2.HttpProtocolOptions()
    if http.get("useClientProtocol") or protocol is Protocol.AUTO:
        options.use_downstream_protocol_config.http_protocol_options.SetInParent()
        http2 = options.use_downstream_protocol_config.http2_protocol_options
    elif protocol is Protocol.HTTP2 or _upgrades(pool):
        http2 = options.explicit_http_config.http2_protocol_options
    else:
        options.explicit_http_config.http_protocol_options.SetInParent()
        http2 = None
    if http2 is not None:
        http2.SetInParent()
        if http.get("maxConcurrentStreams"):
            http2.max_concurrent_streams.value = natural(http["maxConcurrentStreams"])
    if isinstance(origin, Origination):
        upstream = options.upstream_http_protocol_options
        upstream.auto_sni, upstream.auto_san_validation = not origin.sni, origin.checks_host
    common = options.common_http_protocol_options
    if http.get("maxRequestsPerConnection"):
        common.max_requests_per_connection.value = natural(http["maxRequestsPerConnection"])
    for field, text in (
        ("idle_timeout", http.get("idleTimeout") or tcp.get("idleTimeout")),
        ("max_connection_duration", tcp.get("maxConnectionDuration")),
    ):
        if (length := _seconds(text)) is not None:
            set_seconds(getattr(common, field), length)
    message.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(pack(options))


def _upgrades(pool: Block) -> bool:
    return (pool.get("http") or {}).get("h2UpgradePolicy") == "UPGRADE"


def _outlier(message: Any, block: Block) -> None:
    found = message.outlier_detection
    found.enforcing_success_rate.value = 0
    for field, enforcing, value in (
        ("consecutive_5xx", "enforcing_consecutive_5xx", block.get("consecutive5xxErrors")),
        ("consecutive_gateway_failure", "enforcing_consecutive_gateway_failure", block.get("consecutiveGatewayErrors")),
        (
            "consecutive_local_origin_failure",
            "enforcing_consecutive_local_origin_failure",
            block.get("consecutiveLocalOriginFailures"),
        ),
    ):
        if value is not None:
            getattr(found, field).value = natural(value)
            getattr(found, enforcing).value = 100 if natural(value) else 0
    if block.get("splitExternalLocalOriginErrors"):
        found.split_external_local_origin_errors = True
        found.enforcing_local_origin_success_rate.value = 0
    for field, name in (("interval", "interval"), ("base_ejection_time", "baseEjectionTime")):
        if (length := _seconds(block.get(name))) is not None:
            set_seconds(getattr(found, field), length)
    if block.get("maxEjectionPercent"):
        found.max_ejection_percent.value = natural(block["maxEjectionPercent"])
    message.common_lb_config.healthy_panic_threshold.value = float(block.get("minHealthPercent") or 0)


def assignment(
    name: str,
    endpoints: tuple[Endpoint, ...],
    port: str,
    doors: frozenset[str] = frozenset(),
    sources: frozenset[Source] = frozenset(),
) -> Resource:
    """Always sent, even when empty: a cluster without it keeps everything behind it waiting.

    `doors` are the inbound listeners that stand before some of these, which are called directly where there is none.
    `sources` are the objects that list them, if any do.
    """
    build = partial(_assigned, name, endpoints, port, sources)
    return replace(build({}), through=Through(doors, build)) if doors else build({})


def _assigned(
    name: str, endpoints: tuple[Endpoint, ...], port: str, sources: frozenset[Source], doors: Mapping[str, str]
) -> Resource:
    message = endpoint_pb2.ClusterLoadAssignment()
    fill(message, name, endpoints, port)
    for entry in (entry for group in message.endpoints for entry in group.lb_endpoints if doors):
        socket = entry.endpoint.address.socket_address
        where, called = door(socket.address, socket.port_value), f"{socket.address}:{socket.port_value}"
        if where in doors:
            internal = entry.endpoint.address.envoy_internal_address
            # With another version it is another endpoint: no connection is kept to a listener as it was.
            internal.server_listener_name, internal.endpoint_id = where, f"{called}#{doors[where]}"
            entry.metadata.filter_metadata["envoy.lb"]["hash_key"] = called  # as when it is called directly
    return resource(Type.ENDPOINTS, name, message, sources)


def fill(message: Any, name: str, endpoints: tuple[Endpoint, ...], port: str) -> None:
    message.cluster_name = name
    if not endpoints:
        return
    group = message.endpoints.add()
    for each in endpoints:
        number = each.number(port)
        if number is not None:
            entry = group.lb_endpoints.add()
            set_address(entry.endpoint.address, each.address, number)
            if each.weight != 1:
                entry.load_balancing_weight.value = each.weight


def dns_cache() -> Any:
    """The filter and the cluster of the forward proxy must name one and the same cache."""
    cache = dns_cache_pb2.DnsCacheConfig(name="passthrough", dns_lookup_family=cluster_pb2.Cluster.V4_PREFERRED)
    set_seconds(cache.dns_query_timeout, 5.0)
    return cache


def passthrough(connect_timeout: float) -> Resource:
    """Hosts that are no service, reached by their own name: without iptables there is no original destination."""
    message = cluster_pb2.Cluster(name=PASSTHROUGH, lb_policy=cluster_pb2.Cluster.CLUSTER_PROVIDED)
    set_seconds(message.connect_timeout, connect_timeout)
    _by_request(message)
    return resource(Type.CLUSTER, PASSTHROUGH, message)


def _by_request(message: Any) -> None:
    message.cluster_type.name = "envoy.clusters.dynamic_forward_proxy"
    config = forward_cluster_pb2.ClusterConfig(dns_cache_config=dns_cache())
    config.allow_insecure_cluster_options = True  # else Envoy wants TLS settings, although we speak none here
    message.cluster_type.typed_config.CopyFrom(pack(config))


def self_cluster() -> Resource:
    """Where a CONNECT tunnel ends: at the very listener it came in by, which then routes what is inside."""
    message = cluster_pb2.Cluster(
        name=SELF, type=cluster_pb2.Cluster.ORIGINAL_DST, lb_policy=cluster_pb2.Cluster.CLUSTER_PROVIDED
    )
    set_seconds(message.connect_timeout, 1.0)
    return resource(Type.CLUSTER, SELF, message)
