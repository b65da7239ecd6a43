"""ServiceEntry, WorkloadEntry, Sidecar and PeerAuthentication.

Pure. In: their specs. Out: complaints.
"""

from __future__ import annotations

from ipaddress import ip_network

from graylane.chain.validation import checks
from graylane.chain.validation.checks import (
    Block,
    Report,
    block,
    blocks,
    each_once,
    entries,
    host,
    is_domain,
    is_ip,
    is_label,
)

_PROTOCOLS = ("HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "MONGO", "REDIS", "MYSQL", "TCP", "TLS", "UDP")

_NAMING = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS", "TLS")  # whose requests or connections name a host


def check_service_entry(report: Report, spec: Block) -> None:
    names = [str(each) for each in entries(spec.get("hosts"))]
    if not names:
        report.error("spec.hosts", "service entry must have at least one host")
    for number, name in enumerate(names):
        if name == "*":
            report.error(f"spec.hosts[{number}]", "invalid host *")
        else:
            host(report, f"spec.hosts[{number}]", name)
    ports = list(blocks(spec.get("ports"), "spec.ports"))
    for path, port in ports:
        _port(report, path, port)
    for field in ("name", "number"):
        for each in each_once(str(port.get(field)) for _, port in ports):
            report.error("spec.ports", f"service entry port {field} {each} already defined")
    _endpoints(report, spec, {str(port.get("name")) for _, port in ports})
    _resolution(report, spec, names)
    checks.subnets(report, "spec.addresses", spec.get("addresses"))
    plain = [port for _, port in ports if str(port.get("protocol") or "").upper() not in _NAMING]
    if len(names) > 1 and plain and _kind(spec) != "NONE":
        report.error("spec.hosts", "several hosts with a port that is neither HTTP nor TLS cannot be told apart")
    checks.export_to(report, "spec.exportTo", spec.get("exportTo"), nobody=True)


def _port(report: Report, path: str, port: Block) -> None:
    checks.port(report, f"{path}.number", port.get("number", 0))
    if port.get("targetPort"):
        checks.port(report, f"{path}.targetPort", port["targetPort"])
    if not port.get("name"):
        report.error(f"{path}.name", "port name must be set")
    else:
        checks.port_name(report, f"{path}.name", str(port["name"]))
    protocol = str(port.get("protocol") or "")
    if protocol and protocol.upper() not in _PROTOCOLS:
        report.error(f"{path}.protocol", f"invalid protocol {protocol!r}")


def _kind(spec: Block) -> str:
    return str(spec.get("resolution") or "NONE")


def _endpoints(report: Report, spec: Block, ports: set[str]) -> None:
    if entries(spec.get("endpoints")) and spec.get("workloadSelector") is not None:
        report.error("spec", "only one of endpoints and workloadSelector is allowed")
    for path, endpoint in blocks(spec.get("endpoints"), "spec.endpoints"):
        _address(report, f"{path}.address", str(endpoint.get("address") or ""), _kind(spec))
        checks.labels(report, f"{path}.labels", endpoint.get("labels"))
        for name, number in block(endpoint.get("ports")).items():
            if name not in ports:
                report.error(f"{path}.ports", f"endpoint port {name} is not defined by the service entry")
            checks.port(report, f"{path}.ports[{name}]", number)


def _address(report: Report, path: str, text: str, kind: str) -> None:
    if not text:
        report.error(path, "address is required")
    elif kind == "STATIC" and not (is_ip(text) or text.startswith("unix://")):
        report.error(path, f"endpoint address {text!r} is not a valid IP address")
    elif kind.startswith("DNS") and not (is_ip(text) or is_domain(text, wildcard=False)):
        report.error(path, f"endpoint address {text!r} is not a valid FQDN or an IP address")


def _resolution(report: Report, spec: Block, names: list[str]) -> None:
    kind, endpoints = _kind(spec), entries(spec.get("endpoints"))
    if kind == "NONE" and endpoints:
        report.error("spec.endpoints", "no endpoints should be provided for resolution type none")
    if kind.startswith("DNS"):
        for address in map(str, entries(spec.get("addresses"))):
            if "/" in address and _is_network(address):
                report.error("spec.addresses", f"CIDR addresses are allowed only for NONE/STATIC resolution: {address}")
        if not endpoints:
            for name in names:
                if name.startswith("*") or not is_domain(name):
                    report.error("spec.hosts", f"hosts must be FQDN if no endpoints are provided for {kind}: {name}")
    if kind == "DNS_ROUND_ROBIN" and len(endpoints) > 1:
        report.error("spec.endpoints", "there must only be 0 or 1 endpoint for resolution mode DNS_ROUND_ROBIN")


def _is_network(text: str) -> bool:
    try:
        return ip_network(text, strict=False).num_addresses > 1
    except ValueError:
        return False


def check_workload_entry(report: Report, spec: Block) -> None:
    if not spec.get("address") and not spec.get("network"):
        report.error("spec.address", "address is required")
    for name, number in block(spec.get("ports")).items():
        checks.port(report, f"spec.ports[{name}]", number)
    checks.labels(report, "spec.labels", spec.get("labels"))


def check_sidecar(report: Report, spec: Block, namespace: str) -> None:
    if not (spec.get("egress") or spec.get("ingress") or spec.get("outboundTrafficPolicy") is not None):
        report.error("spec", "sidecar: empty configuration provided")
    selector = spec.get("workloadSelector")
    checks.selector(report, "spec.workloadSelector.labels", block(selector).get("labels"))
    if selector is not None and not block(selector).get("labels"):
        report.warn("spec.workloadSelector", "workload selector without labels is of all pods of the namespace")
    ingress = list(blocks(spec.get("ingress"), "spec.ingress"))
    for path, each in ingress:
        checks.port(report, f"{path}.port.number", block(each.get("port")).get("number", 0))
    _ports_once(report, "spec.ingress", [each for _, each in ingress])
    egress = list(blocks(spec.get("egress"), "spec.egress"))
    for index, (path, each) in enumerate(egress):
        if not entries(each.get("hosts")):
            report.error(f"{path}.hosts", "egress listener must contain at least one host")
        for number, name in enumerate(map(str, entries(each.get("hosts")))):
            _egress_host(report, f"{path}.hosts[{number}]", name)
        _hosts_once(report, f"{path}.hosts", [str(name) for name in entries(each.get("hosts"))], namespace)
        if each.get("port") is not None:
            _listener_port(report, f"{path}.port", block(each["port"]), str(each.get("bind") or ""))
        if not each.get("port") and index < len(egress) - 1:
            report.error(path, "the egress listener with empty port should be the last listener in the list")
    _ports_once(report, "spec.egress", [each for _, each in egress])
    policy = block(spec.get("outboundTrafficPolicy"))
    proxy = policy.get("egressProxy")
    if proxy is not None:
        host(report, "spec.outboundTrafficPolicy.egressProxy.host", str(block(proxy).get("host") or ""))
        if block(proxy).get("port") is None:
            report.error("spec.outboundTrafficPolicy.egressProxy.port", "sidecar: egress_proxy port must be non-nil")
    if proxy is not None and policy.get("mode") != "ALLOW_ANY":
        report.error("spec.outboundTrafficPolicy", "egressProxy is only supported with mode ALLOW_ANY")


def _listener_port(report: Report, path: str, port: Block, bind: str) -> None:
    if port.get("name"):
        checks.port_name(report, f"{path}.name", str(port["name"]))
    if port.get("number"):
        checks.port(report, f"{path}.number", port["number"])
        if bind and not is_ip(bind):
            report.error(f"{path.removesuffix('.port')}.bind", f"{bind!r} is not a valid IP address")
    elif not bind.startswith("unix://"):
        report.error(f"{path}.number", "sidecar: ports with 0 value must have a unix domain socket bind address")
    protocol = str(port.get("protocol") or "")
    if protocol and protocol.upper() not in (*_PROTOCOLS, "HTTP_PROXY"):
        report.error(f"{path}.protocol", f"unsupported protocol: {protocol!r}")


def _hosts_once(report: Report, path: str, names: list[str], own: str) -> None:
    """What another entry of the same namespace takes in, and what `*/*` leaves nothing for."""
    seen: dict[str, set[str]] = {}
    for name in names:
        namespace, _, host_name = name.partition("/")
        before = seen.setdefault(own if namespace == "." else namespace, set())
        if (before and host_name == "*") or host_name in before or "*" in before:
            report.warn(path, f"duplicated egress host: {name}")
        before.add(host_name)
    if "*" in seen.get("*", ()) and len(seen) > 1:
        report.warn(path, "`*/*` selects everything, no other hosts can be added")


def _ports_once(report: Report, path: str, found: list[Block]) -> None:
    numbers = (str(block(each.get("port")).get("number")) for each in found if each.get("port"))
    for number in each_once(numbers):
        report.error(path, f"ports on listeners must be unique: duplicate port {number}")


def _egress_host(report: Report, path: str, text: str) -> None:
    namespace, slash, name = text.partition("/")
    if not slash or not name or not (namespace in ("*", ".", "~") or is_label(namespace)):
        report.error(path, f"host {text!r} must be of form namespace/dnsName")
    elif name != "*" and "." not in name:
        report.error(path, f"short names (non FQDN) are not allowed: {name!r}")
    elif name != "*" and not is_domain(name):
        report.error(path, f"domain name {name!r} invalid")


def check_peer_authentication(report: Report, spec: Block) -> None:
    if spec.get("selector") is not None and not block(spec["selector"]).get("matchLabels"):
        report.warn("spec.selector", "workload selector specified without labels")
    ports = spec.get("portLevelMtls")
    if ports is None:
        return
    if not block(block(spec.get("selector")).get("matchLabels")):
        report.error("spec.portLevelMtls", "mTLS for ports needs a selector: port level mTLS is of workloads")
    if not block(ports):
        report.error("spec.portLevelMtls", "port level mTLS, when specified, must not be empty")
    for number in block(ports):
        if not str(number).isdigit() or not 1 <= int(number) <= 65535:
            report.error("spec.portLevelMtls", f"port number {number} must be in the range 1..65535")
