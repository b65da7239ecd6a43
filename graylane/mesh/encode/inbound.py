"""The listener before a pod's port, and the cluster behind it, where EnvoyFilters change what comes in.

Pure. In: `Inbound`. Out: `Resource`s. Patches work on what Istio would have, under its names; afterwards the listener
is made an internal one of Envoy: it has no socket, so it takes no address from the pod; endpoints name it instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from graylane.mesh.compile.inbound import Inbound, InboundPort
from graylane.mesh.encode.clusters import inbound_cluster
from graylane.mesh.encode.listeners import HTTP, access_log, add, http_filters, look_first, tell_of_code
from graylane.mesh.encode.protos import listener_pb2, pack, route_pb2, set_address, set_seconds
from graylane.mesh.filters import apply
from graylane.mesh.filters.merge import merge
from graylane.mesh.filters.patches import HCM, INBOUND_LISTENER, INBOUND_PORT
from graylane.mesh.inputs import MeshConfig, Protocol
from graylane.mesh.memo import Memo
from graylane.mesh.snapshot import Resource, Type, resource

_TCP_PROXY = "envoy.filters.network.tcp_proxy"


def listeners(inbound: Inbound, mesh: MeshConfig, memo: Memo) -> Iterable[Resource]:
    """None for a port whose chains are all taken out: what comes then passes through, as with Istio."""
    for port in inbound.ports:
        found = memo.get(("inbound listener", inbound, port, mesh), partial(_listener, inbound, port, mesh))
        if found is not None:
            yield found


def clusters(inbound: Inbound, mesh: MeshConfig, memo: Memo) -> Iterable[Resource]:
    for port in inbound.ports:
        found = memo.get(("inbound cluster", inbound, port, mesh), partial(_cluster, inbound, port, mesh))
        if found is not None:
            yield found


def _cluster(inbound: Inbound, port: InboundPort, mesh: MeshConfig) -> Resource | None:
    message = inbound_cluster(port.name, inbound.owner.ip, port.number, mesh.connect_timeout, port.protocol)
    edits = apply.of(port.patches, "CLUSTER")
    if any(patch.operation == "REMOVE" for patch in edits):
        return None
    for patch in edits:
        merge(message, patch.value)
    message.name = inbound.cluster(port)
    return resource(Type.CLUSTER, message.name, message, port.sources)


def _listener(inbound: Inbound, port: InboundPort, mesh: MeshConfig) -> Resource | None:
    message = listener_pb2.Listener(name=INBOUND_LISTENER, traffic_direction=1)
    set_address(message.address, "0.0.0.0", INBOUND_PORT)
    if port.protocol is Protocol.AUTO:
        look_first(message)
    if port.protocol.is_http:
        chain = _chain(message, port)
        if port.protocol is Protocol.AUTO:
            chain.filter_chain_match.application_protocols.extend(HTTP)
        add(chain, HCM, pack(_manager(port, mesh)))
    if port.protocol is not Protocol.HTTP and port.protocol is not Protocol.HTTP2:
        add(_chain(message, port), _TCP_PROXY, pack(_passing_on(port)))
    apply.listener(message, port.patches)
    for chain in message.filter_chains:
        for each in chain.filters:
            _finish(each, chain, inbound, port, mesh)
    if not _taking(message, port.number):
        return None
    message.name = inbound.door(port)
    message.ClearField("address")
    message.internal_listener.SetInParent()
    return resource(Type.LISTENER, message.name, message, port.sources)


def _chain(message: Any, port: InboundPort) -> Any:
    chain = message.filter_chains.add(name=port.chain)
    chain.filter_chain_match.destination_port.value = port.number
    return chain


def _passing_on(port: InboundPort) -> Any:
    return tcp_proxy_pb2.TcpProxy(stat_prefix=port.name, cluster=port.name)


def _manager(port: InboundPort, mesh: MeshConfig) -> Any:
    manager = hcm_pb2.HttpConnectionManager(stat_prefix=f"inbound_{port.chain}", server_name="istio-envoy")
    manager.route_config.CopyFrom(_routes(port))
    manager.normalize_path.value = True
    manager.http_protocol_options.accept_http_10 = True
    manager.use_remote_address.value = False
    set_seconds(manager.stream_idle_timeout, 0.0)
    manager.upgrade_configs.add(upgrade_type="websocket")
    manager.http_filters.extend(http_filters())
    if mesh.access_log:
        manager.access_log.add(name="envoy.access_loggers.file").typed_config.CopyFrom(access_log(mesh.access_log))
    return manager


def _routes(port: InboundPort) -> Any:
    table = route_pb2.RouteConfiguration(name=port.name)
    table.validate_clusters.value = False
    host = table.virtual_hosts.add(name=port.virtual_host, domains=["*"])
    route = host.routes.add(name="default")
    route.match.prefix = "/"
    route.route.cluster = port.name
    set_seconds(route.route.timeout, 0.0)
    apply.routes(table, port.patches, (port.name,), port.number)
    return table


def _taking(message: Any, number: int) -> bool:
    """Keeps the chains that this port's connections may take, and whether there are any.

    As in Envoy, one that names the port hides those that name none.
    """
    named = [each for each in message.filter_chains if each.filter_chain_match.destination_port.value == number]
    chains = named or [
        each for each in message.filter_chains if not each.filter_chain_match.HasField("destination_port")
    ]
    for each in named:
        each.filter_chain_match.ClearField("destination_port")
    apply.refill(message.filter_chains, chains)
    return bool(chains)


def _finish(each: Any, chain: Any, inbound: Inbound, port: InboundPort, mesh: MeshConfig) -> None:
    """HTTP filters worked in, and the clusters of this pod called what Envoy knows them by."""
    kind = each.typed_config.TypeName()
    if kind == hcm_pb2.HttpConnectionManager.DESCRIPTOR.full_name:
        manager = hcm_pb2.HttpConnectionManager.FromString(each.typed_config.value)
        fitting = [patch for patch in port.patches if apply.fits_chain(patch, chain)]
        filters = apply.http_filters(manager.http_filters, fitting)
        tell_of_code(manager, filters, mesh)
        apply.refill(manager.http_filters, filters)
        for host in manager.route_config.virtual_hosts:
            for route in host.routes:
                _rename(route.route, inbound)
        each.typed_config.CopyFrom(pack(manager))
    elif kind == tcp_proxy_pb2.TcpProxy.DESCRIPTOR.full_name:
        proxy = tcp_proxy_pb2.TcpProxy.FromString(each.typed_config.value)
        _rename(proxy, inbound)
        each.typed_config.CopyFrom(pack(proxy))


def _rename(target: Any, inbound: Inbound) -> None:
    """`target` is a route's action or a TCP proxy."""
    known = {port.name: inbound.cluster(port) for port in inbound.ports}
    if target.cluster in known:
        target.cluster = known[target.cluster]
    for each in target.weighted_clusters.clusters:
        each.name = known.get(each.name, each.name)
