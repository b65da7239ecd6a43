"""Gateway.

Pure. In: its name and spec. Out: complaints.
"""

from __future__ import annotations

from graylane.chain.validation import checks
from graylane.chain.validation.checks import (
    Block,
    Report,
    block,
    blocks,
    each_once,
    entries,
    is_domain,
    is_ip,
    is_label,
)

_PROTOCOLS = ("HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "MONGO", "REDIS", "MYSQL", "TCP", "TLS")
_TLS_PROTOCOLS = ("HTTPS", "TLS")
_HTTP_PROTOCOLS = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB")
_OWN_CERTIFICATES = ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL")


def check(report: Report, spec: Block, name: str) -> None:
    if not is_label(name):
        report.error("metadata.name", f"invalid gateway name {name!r}: a DNS-1123 label is needed")
    servers = list(blocks(spec.get("servers"), "spec.servers"))
    if not servers:
        report.error("spec.servers", "gateway must have at least one server")
    for path, server in servers:
        _server(report, path, server)
    names = (str(block(server.get("port")).get("name") or "") for _, server in servers)
    for each in each_once(filter(None, names)):
        report.error("spec.servers", f"port names in servers must be unique: duplicate name {each}")


def _server(report: Report, path: str, server: Block) -> None:
    if not entries(server.get("hosts")):
        report.error(f"{path}.hosts", "server config must contain at least one host")
    for number, host in enumerate(entries(server.get("hosts"))):
        _host(report, f"{path}.hosts[{number}]", str(host))
    if server.get("port") is None:
        report.error(f"{path}.port", "port is required")
    else:
        _port(report, f"{path}.port", block(server["port"]))
    bind = str(server.get("bind") or "")
    if bind and not (is_ip(bind) or bind.startswith("unix://")):
        report.error(f"{path}.bind", f"{bind!r} is neither an IP address nor a unix:// socket")
    _tls_of(report, path, server)


def _host(report: Report, path: str, text: str) -> None:
    namespace, slash, host = text.rpartition("/")
    if slash and not (namespace in ("*", ".") or is_label(namespace)):
        report.error(path, f"invalid namespace {namespace!r} in host {text!r}; use <namespace>/<host>")
    if host != "*" and "." not in host:
        report.error(path, f"short names (non FQDN) are not allowed: {host!r}")
    elif host != "*" and not (is_domain(host) or is_ip(host)):
        report.error(path, f"domain name {host!r} invalid; a wildcard may stand only at the beginning")


def _port(report: Report, path: str, port: Block) -> None:
    checks.port(report, f"{path}.number", port.get("number", 0))
    protocol = str(port.get("protocol") or "")
    if protocol.upper() not in _PROTOCOLS:
        report.error(f"{path}.protocol", f"invalid protocol {protocol!r}, supported are {', '.join(_PROTOCOLS)}")
    if not port.get("name"):
        report.error(f"{path}.name", "port name must be set")
    if port.get("targetPort"):
        report.error(f"{path}.targetPort", "targetPort must not be set in a gateway's server")


def _tls_of(report: Report, path: str, server: Block) -> None:
    protocol = str(block(server.get("port")).get("protocol") or "").upper()
    tls = server.get("tls")
    if tls is None:
        if protocol in _TLS_PROTOCOLS:
            report.error(f"{path}.tls", f"server must have TLS settings for {protocol} protocol")
        return
    found = block(tls)
    others = sorted(name for name, value in found.items() if value and name != "httpsRedirect")
    if found.get("httpsRedirect") and protocol not in _HTTP_PROTOCOLS:
        report.warn(f"{path}.tls.httpsRedirect", "tls.httpsRedirect should only be used with http servers")
    if protocol in _TLS_PROTOCOLS:
        _tls(report, f"{path}.tls", found)
    elif protocol not in _HTTP_PROTOCOLS:
        report.error(f"{path}.tls", f"server cannot have TLS settings for non HTTPS/TLS ports, of which is {protocol}")
    elif others:
        report.error(f"{path}.tls", f"server cannot have TLS settings for plain text {protocol} ports: {others[0]}")


def _tls(report: Report, path: str, tls: Block) -> None:
    mode = str(tls.get("mode") or "PASSTHROUGH")
    own = [name for name in ("serverCertificate", "privateKey", "caCertificates") if tls.get(name)]
    if mode == "ISTIO_MUTUAL" and own:
        report.error(path, f"ISTIO_MUTUAL TLS cannot have associated {own[0]}")
    if mode == "SIMPLE" and tls.get("caCrl") and not tls.get("credentialName"):
        report.error(f"{path}.caCrl", "CRL is not supported with SIMPLE TLS")
    if mode not in _OWN_CERTIFICATES or tls.get("credentialName") or tls.get("credentialNames"):
        return
    wanted = {"serverCertificate": "a server certificate", "privateKey": "a private key"}
    if mode != "SIMPLE":
        wanted["caCertificates"] = "a client CA bundle"
    for name, told in wanted.items():
        if not tls.get(name):
            report.error(f"{path}.{name}", f"{mode} TLS requires {told}, or a credentialName")
