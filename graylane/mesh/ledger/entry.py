"""One entry of Envoy's access log, read.

Pure. In: an `HTTPAccessLogEntry`, a `Directory`. Out: `SeenHop`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graylane.chain.seen import Headers, SeenHop
from graylane.mesh.encode.observe import NAMESPACE
from graylane.mesh.explain.hop import edited
from graylane.mesh.ledger.directory import Directory
from graylane.mesh.table import HeaderEdits

_LONGEST = 256
_METHODS = ("", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_FLAGS: Mapping[str, str] = {  # as %RESPONSE_FLAGS% spells them
    "failed_local_healthcheck": "LH",
    "no_healthy_upstream": "UH",
    "upstream_request_timeout": "UT",
    "local_reset": "LR",
    "upstream_remote_reset": "UR",
    "upstream_connection_failure": "UF",
    "upstream_connection_termination": "UC",
    "upstream_overflow": "UO",
    "no_route_found": "NR",
    "delay_injected": "DI",
    "fault_injected": "FI",
    "rate_limited": "RL",
    "unauthorized_details": "UAEX",
    "rate_limit_service_error": "RLSE",
    "downstream_connection_termination": "DC",
    "upstream_retry_limit_exceeded": "URX",
    "stream_idle_timeout": "SI",
    "invalid_envoy_request_headers": "IH",
    "downstream_protocol_error": "DPE",
    "upstream_max_stream_duration_reached": "UMSDR",
    "response_from_cache_filter": "RFCF",
    "no_filter_config_found": "NFCF",
    "duration_timeout": "DT",
    "upstream_protocol_error": "UPE",
    "no_cluster_found": "NC",
    "overload_manager": "OM",
    "dns_resolution_failure": "DF",
    "downstream_remote_reset": "DR",
}


def seen_hop(entry: Any, number: int, directory: Directory) -> SeenHop | None:
    """None for a CONNECT: what is inside the tunnel comes to the same listener, and is told of by itself."""
    common, request, response = entry.common_properties, entry.request, entry.response
    method = _METHODS[request.request_method] if request.request_method < len(_METHODS) else ""
    if method == "CONNECT":
        return None
    local = common.downstream_local_address.socket_address
    client = common.downstream_direct_remote_address.socket_address
    listener = directory.listener(f"{local.address}_{local.port_value}", client.address)
    upstream = _upstream(common.upstream_remote_address)
    caller = directory.caller(listener)
    authority = request.authority[:_LONGEST]
    routed = directory.routed(listener, authority, common.route_name, common.upstream_cluster)
    headers = _headers(common.metadata)
    return SeenHop(
        number=number,
        at=common.start_time.seconds + common.start_time.nanos / 1e9,
        seconds=common.duration.seconds + common.duration.nanos / 1e9,
        id=request.request_id[:_LONGEST],
        client=_address(client),
        listener=listener,
        caller=caller.name,
        gateway=caller.gateway,
        method=method,
        authority=authority,
        path=(request.original_path or request.path)[:_LONGEST],
        virtual_host=routed.virtual_host,
        rule=routed.rule,
        route=common.route_name,
        cluster=common.upstream_cluster,
        upstream=upstream,
        pod=directory.pod(upstream.rpartition(":")[0]) if upstream else "",
        code=response.response_code.value,
        flags=_flags(common.response_flags) if common.HasField("response_flags") else "",
        details=response.response_code_details[:_LONGEST],
        headers=headers,
        passed=_passed(headers, routed.edits, inside=directory.changed_inside(upstream)),
    )


def _passed(headers: Headers, edits: tuple[HeaderEdits, ...], *, inside: bool) -> Headers:
    """What the pod received of it, as far as that is known: what is changed on its way in is not."""
    if inside:
        return ()
    return edited(headers, edits) if edits else headers


def _upstream(address: Any) -> str:
    """Where a listener of Envoy's own stands before a pod, the endpoint says which pod that is."""
    if address.HasField("envoy_internal_address"):
        return str(address.envoy_internal_address.endpoint_id).partition("#")[0]
    return _address(address.socket_address) if address.socket_address.address else ""


def _address(socket: Any) -> str:
    return f"{socket.address}:{socket.port_value}"


def _headers(metadata: Any) -> Headers:
    if NAMESPACE not in metadata.filter_metadata:
        return ()
    fields = metadata.filter_metadata[NAMESPACE].fields
    return tuple(sorted((name, value.string_value[:_LONGEST]) for name, value in fields.items()))


def _flags(flags: Any) -> str:
    found = (_FLAGS.get(field.name, field.name) for field, _ in flags.ListFields())
    return ",".join(sorted(found))
