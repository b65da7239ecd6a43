"""TLS that ends at a gateway.

Pure. In: `Termination`. Out: the transport socket of a filter chain. Certificates travel inside the listener: one
message holds all that must change together.
"""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

from graylane.mesh.compile.chains import Termination
from graylane.mesh.encode.protos import pack

INSPECTOR = "envoy.filters.listener.tls_inspector"
SOCKET = "envoy.transport_sockets.tls"
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
    socket = base_pb2.TransportSocket(name=SOCKET)
    socket.typed_config.CopyFrom(pack(context))
    return socket


def _clients(message: Any, tls: Termination) -> None:
    """Which certificates of clients are good: signed by the authority, and as the server's settings say."""
    message.trusted_ca.inline_bytes = tls.authority
    message.verify_certificate_spki.extend(map(str, tls.settings.get("verifyCertificateSpki") or ()))
    message.verify_certificate_hash.extend(map(str, tls.settings.get("verifyCertificateHash") or ()))
    kinds = common_pb2.SubjectAltNameMatcher
    for name in tls.settings.get("subjectAltNames") or ():
        for kind in (kinds.DNS, kinds.URI):
            message.match_typed_subject_alt_names.add(san_type=kind).matcher.exact = str(name)
