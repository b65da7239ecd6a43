"""TLS that ends at a gateway, or begins at a proxy, and what else a connection begins with.

Pure. In: `Termination`, `Origination`. Out: the transport socket of a filter chain, or of a cluster. Certificates
travel inside the listener or cluster: one message holds all that must change together.
"""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

from graylane.mesh.compile.chains import Termination
from graylane.mesh.compile.origination import Material, Origination
from graylane.mesh.encode.protos import pack

INSPECTOR = "envoy.filters.listener.tls_inspector"
SOCKET = "envoy.transport_sockets.tls"
_PLAIN = "envoy.transport_sockets.raw_buffer"
_PROXY_PROTOCOL = "envoy.transport_sockets.upstream_proxy_protocol"
_VERSIONS = {"TLSV1_0": 1, "TLSV1_1": 2, "TLSV1_2": 3, "TLSV1_3": 4}
_OLDEST = _VERSIONS["TLSV1_2"]  # Istio's own default


def inspector() -> Any:
    """Reads the server name a client asks for, before a chain is chosen."""
    return pack(tls_inspector_pb2.TlsInspector())


def terminating(tls: Termination, protocols: tuple[str, ...]) -> Any:
    context = tls_pb2.DownstreamTlsContext()
    common = context.common_tls_context
    common.alpn_protocols.extend(protocols)
    pair = common.tls_certificates.add()
    pair.certificate_chain.inline_bytes = tls.server.certificate
    pair.private_key.inline_bytes = tls.server.private_key
    settings = tls.settings
    common.tls_params.tls_minimum_protocol_version = _VERSIONS.get(str(settings.get("minProtocolVersion")), _OLDEST)
    common.tls_params.tls_maximum_protocol_version = _VERSIONS.get(str(settings.get("maxProtocolVersion")), 0)
    common.tls_params.cipher_suites.extend(map(str, settings.get("cipherSuites") or ()))
    if tls.require is not None:
        context.require_client_certificate.value = tls.require
        _clients(common.validation_context, tls)
    return _socket(SOCKET, context)


def _clients(message: Any, tls: Termination) -> None:
    """Which certificates of clients are good: signed by the authority, and as the server's settings say."""
    message.trusted_ca.inline_bytes = tls.authority
    message.verify_certificate_spki.extend(map(str, tls.settings.get("verifyCertificateSpki") or ()))
    message.verify_certificate_hash.extend(map(str, tls.settings.get("verifyCertificateHash") or ()))
    kinds = common_pb2.SubjectAltNameMatcher
    for name in tls.settings.get("subjectAltNames") or ():
        for kind in (kinds.DNS, kinds.URI):
            message.match_typed_subject_alt_names.add(san_type=kind).matcher.exact = str(name)


def originating(tls: Origination, *, http2: bool) -> Any:
    context = tls_pb2.UpstreamTlsContext(sni=tls.sni)
    common = context.common_tls_context
    common.tls_params.tls_minimum_protocol_version = _OLDEST
    common.tls_params.tls_maximum_protocol_version = _VERSIONS["TLSV1_3"]
    if http2:
        common.alpn_protocols.append("h2")
    if tls.certificate:
        pair = common.tls_certificates.add()
        _material(pair.certificate_chain, tls.certificate)
        _material(pair.private_key, tls.private_key)
    if tls.authority:
        _material(common.validation_context.trusted_ca, tls.authority)
        kinds = common_pb2.SubjectAltNameMatcher
        for name in tls.names:
            for kind in (kinds.DNS, kinds.URI, kinds.IP_ADDRESS):
                found = common.validation_context.match_typed_subject_alt_names.add(san_type=kind)
                found.matcher.exact = name
    return _socket(SOCKET, context)


def _material(message: Any, written: Material) -> None:
    if written.path:
        message.filename = written.path
    else:
        message.inline_bytes = written.pem


def introduced(inner: Any, version: str) -> Any:
    """`inner`, with the client's address told first, in the PROXY protocol."""
    config = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport()
    config.config.version = 1 if version == "V2" else 0
    config.transport_socket.CopyFrom(inner if inner.name else _socket(_PLAIN, raw_buffer_pb2.RawBuffer()))
    return _socket(_PROXY_PROTOCOL, config)


def _socket(name: str, config: Any) -> Any:
    socket = base_pb2.TransportSocket(name=name)
    socket.typed_config.CopyFrom(pack(config))
    return socket
