"""Envoy's bootstrap: where its control plane is; everything else comes from there.

Pure. In: `Bootstrap`. Out: the JSON document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_CONNECTIONS = "envoy.resource_monitors.global_downstream_max_connections"
_MAX_CONNECTIONS = 50_000
RUNTIME = {  # Istio's
    "re2.max_program_size.error_level": 32_768,  # Envoy's own 100 refuses regexes of some length
    "envoy.reloadable_features.http_reject_path_with_fragment": False,  # it is cut off instead
}
_STUCK = "10s"  # a worker that answers nobody for so long will not come back: better a new Envoy than none
_LOOK_AGAIN = {  # for a control plane that is away; by default Envoy may come to wait 30 s
    "retry_back_off": {"base_interval": "0.1s", "max_interval": "0.25s"}
}
_INTERNAL = "envoy.extensions.bootstrap.internal_listener.v3.InternalListener"
INTERNAL_LISTENERS = {  # without it Envoy refuses listeners that have no socket
    "name": "envoy.bootstrap.internal_listener",
    "typed_config": {"@type": f"type.googleapis.com/{_INTERNAL}"},
}


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """`admin_socket` is a Unix socket's path: only its owner may use the admin interface, which can stop Envoy."""

    node_id: str
    xds_host: str
    xds_port: int
    admin_socket: str


def bootstrap_document(config: Bootstrap) -> dict[str, Any]:
    """The bootstrap as Envoy reads it."""
    return {
        "node": {"id": config.node_id, "cluster": config.node_id},
        "admin": {"address": {"pipe": {"path": config.admin_socket, "mode": 0o600}}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds", "retry_policy": _LOOK_AGAIN}}],
            },
            "lds_config": _from_ads(),
            "cds_config": _from_ads(),
        },
        "bootstrap_extensions": [INTERNAL_LISTENERS],
        "static_resources": {"clusters": [_xds_cluster(config)]},
        "overload_manager": {"resource_monitors": [_connection_limit()]},
        "watchdogs": {"worker_watchdog": {"kill_timeout": _STUCK}},
        "layered_runtime": {"layers": [{"name": "static", "static_layer": RUNTIME}]},
    }


def _from_ads() -> dict[str, Any]:
    """Without a timeout: Envoy waits for its control plane rather than starting with holes in its configuration."""
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def _xds_cluster(config: Bootstrap) -> dict[str, Any]:
    address = {"socket_address": {"address": config.xds_host, "port_value": config.xds_port}}
    return {
        "name": "xds",
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
                # A control plane that was killed -9 sends no FIN through a proxy's half-open connection: ask it.
                "explicit_http_config": {
                    "http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "5s"}}
                },
            }
        },
        "load_assignment": {
            "cluster_name": "xds",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _connection_limit() -> dict[str, Any]:
    """Envoy warns at every start when there is none."""
    kind = "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    return {
        "name": _CONNECTIONS,
        "typed_config": {
            "@type": f"type.googleapis.com/{kind}",
            "max_active_downstream_connections": _MAX_CONNECTIONS,
        },
    }
