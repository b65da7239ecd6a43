"""Envoy's messages under one roof, and the few constructions every encoder needs.

Pure. In: numbers and texts. Out: protobuf messages. Attribute access only: building the same from JSON takes ten
times as long.
"""

from __future__ import annotations

from typing import Any

from envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2, outlier_detection_pb2
from envoy.config.core.v3 import address_pb2, base_pb2, config_source_pb2, protocol_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.type.matcher.v3 import regex_pb2, string_pb2
from google.protobuf import any_pb2, duration_pb2

from graylane.mesh.numbers import natural

__all__ = [
    "address_pb2",
    "base_pb2",
    "circuit_breaker_pb2",
    "cluster_pb2",
    "endpoint_components_pb2",
    "endpoint_pb2",
    "listener_components_pb2",
    "listener_pb2",
    "outlier_detection_pb2",
    "protocol_pb2",
    "regex_pb2",
    "route_components_pb2",
    "route_pb2",
    "string_pb2",
]


def set_seconds(duration: Any, seconds: float) -> None:
    """Protobuf durations are whole seconds and nanoseconds; zero must still be present."""
    nanos = round(seconds * 1e9)
    duration.SetInParent()
    duration.seconds, duration.nanos = divmod(nanos, 1_000_000_000)


def seconds(value: float) -> Any:
    duration = duration_pb2.Duration()
    set_seconds(duration, value)
    return duration


def pack(message: Any) -> Any:
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    return packed


def set_percent(fraction: Any, percent: float) -> None:
    """`fraction` is an `envoy.type.v3.FractionalPercent`."""
    fraction.numerator = natural(round(percent * 10_000))
    fraction.denominator = 2  # MILLION


def set_address(address: Any, host: str, port: int) -> None:
    address.socket_address.address = host
    address.socket_address.port_value = port


def set_ads(source: Any) -> None:
    """Resources come over the one stream, and are waited for: a listener without routes must not open."""
    source.ads.SetInParent()
    source.resource_api_version = config_source_pb2.V3
    set_seconds(source.initial_fetch_timeout, 0.0)
