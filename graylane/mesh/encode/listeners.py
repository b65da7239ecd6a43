"""Listeners: the HTTP proxy of each pod, the ports of gateways, the node ports of Services.

Pure. In: `ListenerSpec` and the EnvoyFilter patches that concern it. Out: a `Resource`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.access_loggers.stream.v3 import stream_pb2
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from envoy.extensions.filters.http.cors.v3 import cors_pb2
from envoy.extensions.filters.http.dynamic_forward_proxy.v3 import dynamic_forward_proxy_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.listener.http_inspector.v3 import http_inspector_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.filters.network.set_filter_state.v3 import set_filter_state_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import header_mutation_pb2

from graylane.mesh.compile.chains import Chain
from graylane.mesh.compile.listeners import ListenerSpec, Role
from graylane.mesh.encode import observe, shards, tls
from graylane.mesh.encode.clusters import dns_cache
from graylane.mesh.encode.protos import listener_pb2, pack, set_address, set_ads, set_seconds
from graylane.mesh.encode.routes import CORS, FAULT
from graylane.mesh.filters import apply
from graylane.mesh.filters.code import is_lua
from graylane.mesh.filters.patches import HCM, Patch
from graylane.mesh.inputs import MeshConfig, Proxy, Source
from graylane.mesh.memo import Memo
from graylane.mesh.snapshot import Resource, Type, resource
from graylane.mesh.table import Target

ROUTER = "envoy.filters.http.router"
_EARLY = "envoy.http.early_header_mutation.header_mutation"
FORWARD_PROXY = "envoy.filters.http.dynamic_forward_proxy"
_TCP_PROXY = "envoy.filters.network.tcp_proxy"
_ORIGINAL_DST = "envoy.network.transport_socket.original_dst_address"
HTTP = ("http/1.0", "http/1.1", "h2c")  # as the inspector calls them
_PATIENCE = 0.2  # Istio waits for ever, and has users declare what protocol a server that speaks first has
_ANYWHERE = ("", "0.0.0.0", "127.0.0.1", "::")
_LOG_FORMAT = (  # Istio's default
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)


def listener(
    spec: ListenerSpec,
    mesh: MeshConfig,
    patches: Sequence[Patch],
    sources: frozenset[Source],
    memo: Memo,
    *,
    sharded: bool = False,
) -> Resource | None:
    """None when an EnvoyFilter took it out. `sharded`: its table comes in parts."""
    message = listener_pb2.Listener(name=spec.name)
    set_address(message.address, spec.address, spec.port)
    message.address.socket_address.network_namespace_filepath = spec.namespace
    # Without this, a second process on the same address would silently get half of the connections.
    message.enable_reuse_port.value = False
    message.traffic_direction = 1 if spec.role is Role.GATEWAY else 2
    if spec.table and spec.cluster:
        look_first(message)
    if any(each.names or each.tls for each in spec.chains):
        message.listener_filters.add(name=tls.INSPECTOR).typed_config.CopyFrom(tls.inspector())
    managers = _Managers(spec, mesh, patches, memo, sharded)
    for each in spec.chains:
        _chain(message.filter_chains.add(), spec, each, managers)
    if spec.table and not spec.chains:
        chain = message.filter_chains.add()
        if spec.cluster:
            chain.filter_chain_match.application_protocols.extend(HTTP)
        if spec.role is Role.OUTBOUND:
            add(chain, "envoy.filters.network.set_filter_state", memo.get(("own address",), _own_address))
        managers.add(chain, spec.table, label=spec.label)
    if spec.cluster:
        add(message.filter_chains.add(), _TCP_PROXY, _tcp_proxy((Target(spec.cluster),), spec.role))
    if managers.unfinished:
        if not apply.listener(message, patches):
            return None
        message.name = spec.name
        for chain in message.filter_chains:
            managers.finish(chain)
    needs = frozenset(shards.name_of(spec.table, key) for key in shards.KEYS) if sharded else frozenset[str]()
    return replace(resource(Type.LISTENER, spec.name, message, sources), needs=needs)


def opened(patch: Patch, proxy: Proxy, namespace: str) -> Resource:
    """A listener that an EnvoyFilter brings along: at the pod's own address, since one Envoy serves all pods."""
    message = listener_pb2.Listener()
    message.CopyFrom(patch.value)
    message.name = f"{patch.value.name}@{proxy.ip}"
    message.enable_reuse_port.value = False
    address = message.address.socket_address
    if address.address in _ANYWHERE:
        address.address = proxy.ip
        address.network_namespace_filepath = namespace
    return resource(Type.LISTENER, message.name, message, frozenset((patch.owner.source,)))


def _chain(message: Any, spec: ListenerSpec, chain: Chain, managers: _Managers) -> None:
    message.filter_chain_match.server_names.extend(chain.names)
    if chain.tls:
        message.transport_socket.CopyFrom(tls.terminating(chain.tls, ("h2", "http/1.1") if chain.table else ()))
    if chain.table:
        named = chain.tls is not None and chain.tls.require is not None
        managers.add(message, chain.table, named=named, label=chain.label)
    else:
        add(message, _TCP_PROXY, _tcp_proxy(chain.targets, spec.role, chain.label))


@dataclass(frozen=True, slots=True)
class _Managers:
    """The HTTP connection managers of one listener, with what EnvoyFilters make of them.

    Where they change HTTP filters only, listeners with the same changes share a manager. Other changes come first, so
    a manager is then finished when those are done.
    """

    spec: ListenerSpec
    mesh: MeshConfig
    patches: Sequence[Patch]
    memo: Memo
    sharded: bool

    @property
    def unfinished(self) -> bool:
        return any(patch.target not in ("HTTP_FILTER", "EXTENSION_CONFIG") for patch in self.patches)

    def add(self, chain: Any, table: str, *, named: bool = False, label: str = "") -> None:
        patches = () if self.unfinished else self._fitting(chain)
        looks = (table, self.sharded, named, self.spec.strips, label)
        key = ("hcm", self.spec.role, looks, self.mesh, patches, self.unfinished)
        add(chain, HCM, self.memo.get(key, partial(self._packed, table, patches, named, label)))

    def _packed(self, table: str, patches: Sequence[Patch], named: bool, label: str) -> Any:
        manager = _manager(self.spec, table, self.mesh, named, self.sharded)
        manager.stat_prefix = label or self.spec.role.value.lower()
        return pack(manager if self.unfinished else self._finished(manager, patches))

    def _fitting(self, chain: Any) -> tuple[Patch, ...]:
        return tuple(patch for patch in self.patches if apply.fits_chain(patch, chain))

    def finish(self, chain: Any) -> None:
        for each in chain.filters:
            if each.typed_config.TypeName() == hcm_pb2.HttpConnectionManager.DESCRIPTOR.full_name:
                manager = hcm_pb2.HttpConnectionManager.FromString(each.typed_config.value)
                each.typed_config.CopyFrom(pack(self._finished(manager, self._fitting(chain))))

    def _finished(self, manager: Any, patches: Sequence[Patch]) -> Any:
        filters = apply.http_filters(manager.http_filters, patches)
        tell_of_code(manager, filters, self.mesh)
        if self.mesh.ledger:
            filters.insert(len(filters) - 1, observe.reader())
        apply.refill(manager.http_filters, filters)
        return manager


def tell_of_code(manager: Any, filters: Sequence[Any], mesh: MeshConfig) -> None:
    if mesh.ledger and any(map(is_lua, filters)):
        manager.access_log.append(observe.code_log(mesh))


def look_first(message: Any) -> None:
    """A port of no declared protocol: HTTP if the client's first bytes are, else, or if it waits for ours, not."""
    inspector = message.listener_filters.add(name="envoy.filters.listener.http_inspector")
    inspector.typed_config.CopyFrom(pack(http_inspector_pb2.HttpInspector()))
    set_seconds(message.listener_filters_timeout, _PATIENCE)
    message.continue_on_listener_filters_timeout = True


def _tcp_proxy(targets: Sequence[Target], role: Role, label: str = "") -> Any:
    message = tcp_proxy_pb2.TcpProxy(stat_prefix=label or role.value.lower())
    if len(targets) == 1:
        message.cluster = targets[0].cluster
    else:
        for target in targets:
            message.weighted_clusters.clusters.add(name=target.cluster, weight=target.weight)
    return pack(message)


def add(chain: Any, name: str, packed: Any) -> None:
    chain.filters.add(name=name).typed_config.CopyFrom(packed)


def _own_address() -> Any:
    """Remembers the address a client came to, so that CONNECT tunnels can be ended there."""
    state = set_filter_state_pb2.Config()
    value = value_pb2.FilterStateValue(object_key=_ORIGINAL_DST)
    value.format_string.text_format_source.inline_string = "%DOWNSTREAM_LOCAL_ADDRESS%"
    state.on_new_connection.append(value)
    return pack(state)


def _manager(spec: ListenerSpec, table: str, mesh: MeshConfig, named: bool, sharded: bool) -> Any:
    """`named` clients show a certificate, of which the services behind are told."""
    role = spec.role
    manager = hcm_pb2.HttpConnectionManager(server_name="istio-envoy")
    if sharded:
        shards.scope(manager.scoped_routes, table)
        manager.early_header_mutation_extensions.add(name=_EARLY).typed_config.CopyFrom(shards.asking())
    else:
        set_ads(manager.rds.config_source)
        manager.rds.route_config_name = table
    manager.normalize_path.value = True
    manager.http_protocol_options.accept_http_10 = True
    manager.use_remote_address.value = role is Role.GATEWAY
    set_seconds(manager.stream_idle_timeout, 0.0)
    if named:
        manager.forward_client_cert_details = hcm_pb2.HttpConnectionManager.SANITIZE_SET
        details = manager.set_current_client_cert_details
        details.subject.value = details.cert = details.uri = details.dns = True
    manager.upgrade_configs.add(upgrade_type="websocket")
    if role is Role.OUTBOUND:
        manager.upgrade_configs.add(upgrade_type="CONNECT")
    if spec.strips:
        extension = manager.early_header_mutation_extensions.add(name=_EARLY)
        extension.typed_config.CopyFrom(_strip(spec.strips))
    manager.http_filters.extend(http_filters(role))
    if mesh.ledger:
        manager.access_log.add(name=observe.LOG).typed_config.CopyFrom(observe.access_log(mesh))
    if mesh.access_log:
        manager.access_log.add(name="envoy.access_loggers.file").typed_config.CopyFrom(access_log(mesh.access_log))
    return manager


def _strip(headers: frozenset[str]) -> Any:
    """Done before routes and filters see a request, so that whatever a filter adds afterwards stays."""
    config = header_mutation_pb2.HeaderMutation()
    for name in sorted(headers):
        config.mutations.add(remove=name)
    return pack(config)


def http_filters(role: Role | None = None) -> list[Any]:
    """Istio's order of what it has in common with plain Envoy; EnvoyFilters name these to stand beside them."""
    filters = [
        _http_filter(FAULT, fault_pb2.HTTPFault()),
        _http_filter(CORS, cors_pb2.Cors()),
    ]
    if role is Role.OUTBOUND:
        forward = dynamic_forward_proxy_pb2.FilterConfig(dns_cache_config=dns_cache())
        filters.append(_http_filter(FORWARD_PROXY, forward))
    return [*filters, _http_filter(ROUTER, router_pb2.Router())]


def _http_filter(name: str, config: Any) -> Any:
    found = hcm_pb2.HttpFilter(name=name)
    found.typed_config.CopyFrom(pack(config))
    return found


def access_log(path: str) -> Any:
    log = stream_pb2.StdoutAccessLog() if path == "/dev/stdout" else file_pb2.FileAccessLog(path=path)
    log.log_format.text_format_source.inline_string = _LOG_FORMAT
    return pack(log)
