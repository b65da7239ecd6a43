"""What makes Envoy tell of every request it handled: an access log to our own server, and which headers it shall name.

Pure. In: the headers that a route table's rules look at. Out: messages for listeners and route tables. A listener's
part never changes, since every change of it would replace all listeners; which headers are told of comes with the
routes. They are read right before the router, after every filter that may dye a request.
"""

from __future__ import annotations

from typing import Any

from envoy.extensions.access_loggers.grpc.v3 import als_pb2
from envoy.extensions.filters.http.header_to_metadata.v3 import header_to_metadata_pb2

from graylane.mesh.encode.protos import pack, set_seconds
from graylane.mesh.memo import Memo
from graylane.mesh.table import VirtualHost

LOG = "envoy.access_loggers.http_grpc"
FILTER = "envoy.filters.http.header_to_metadata"
NAMESPACE = "graylane.observed"
_SERVER = "xds"
_SECRET = ("authorization", "proxy-authorization", "cookie")
_BATCH_BYTES, _BATCH_SECONDS = 65536, 0.1


def access_log() -> Any:
    config = als_pb2.HttpGrpcAccessLogConfig()
    common = config.common_config
    common.log_name = "graylane"
    common.grpc_service.envoy_grpc.cluster_name = _SERVER
    common.transport_api_version = 2  # V3
    common.buffer_size_bytes.value = _BATCH_BYTES
    set_seconds(common.buffer_flush_interval, _BATCH_SECONDS)
    return pack(config)


def reader() -> Any:
    """The filter as listeners have it: it reads nothing until a route table says what."""
    return header_to_metadata_pb2.Config()


def observed_headers(hosts: tuple[VirtualHost, ...], always: frozenset[str], memo: Memo) -> tuple[str, ...]:
    """The request headers that decide in a table of these hosts, and those that mark a lane anywhere."""
    return tuple(sorted(always.union(*memo.each("observed", hosts, _matched))))


def _matched(host: VirtualHost) -> frozenset[str]:
    names = (header.name for route in host.routes for header in route.match.headers)
    return frozenset(name for name in names if not name.startswith(":") and name not in _SECRET)


def per_table(headers: tuple[str, ...]) -> Any:
    config = header_to_metadata_pb2.Config()
    for name in headers:
        rule = config.request_rules.add(header=name)
        rule.on_header_present.metadata_namespace = NAMESPACE
        rule.on_header_present.key = name
    return pack(config)
