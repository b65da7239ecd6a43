"""ServiceEntry, WorkloadEntry, Sidecar and PeerAuthentication.

Pure. In: their specs. Out: complaints.
"""

from __future__ import annotations

from ipaddress import ip_network

from graylane.chain.validation import checks
from graylane.chain.validation.checks import Block, Report, block, blocks, each_once, entries, host, is_domain, is_label

_PROTOCOLS = ("HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "MONGO", "REDIS", "MYSQL", "TCP", "TLS", "UDP")


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
    plain = [port for _, port in ports if str(port.get("protocol") or "TCP").upper() == "TCP"]
    addresses = entries(spec.get("addresses"))
    if len(names) > 1 and plain and not addresses and _kind(spec) != "NONE":
        report.error("spec.hosts", "several hosts with a plain TCP port cannot be told apart")
    checks.export_to(report, "spec.exportTo", spec.get("exportTo"))


def _port(report: Report, path: str, port: Block) -> None:
    checks.port(report, f"{path}.number", port.get("number", 0))
    if not port.get("name"):
        report.error(f"{path}.name", "port name must be set")
    protocol = str(port.get("protocol") or "")
    if protocol and protocol.upper() not in _PROTOCOLS:
        report.error(f"{path}.protocol", f"invalid protocol {protocol!r}")


def _kind(spec: Block) -> str:
    return str(spec.get("resolution") or "NONE")


def _endpoints(report: Report, spec: Block, ports: set[str]) -> None:
    if entries(spec.get("endpoints")) and spec.get("workloadSelector"):
        report.error("spec", "only one of endpoints and workloadSelector is allowed")
    for path, endpoint in blocks(spec.get("endpoints"), "spec.endpoints"):
        for name, number in block(endpoint.get("ports")).items():
            if name not in ports:
                report.error(f"{path}.ports", f"endpoint port {name} is not defined by the service entry")
            checks.port(report, f"{path}.ports[{name}]", number)


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


def check_sidecar(report: Report, spec: Block) -> None:
    if not any(spec.get(name) for name in ("egress", "ingress", "workloadSelector", "outboundTrafficPolicy")):
        report.error("spec", "sidecar: empty configuration provided")
    checks.labels(report, "spec.workloadSelector.labels", block(spec.get("workloadSelector")).get("labels"))
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
        if not each.get("port") and index < len(egress) - 1:
            report.error(path, "the egress listener with empty port should be the last listener in the list")
    _ports_once(report, "spec.egress", [each for _, each in egress])
    policy = block(spec.get("outboundTrafficPolicy"))
    if policy.get("egressProxy") and policy.get("mode") != "ALLOW_ANY":
        report.error("spec.outboundTrafficPolicy", "egressProxy is only supported with mode ALLOW_ANY")


def _ports_once(report: Report, path: str, found: list[Block]) -> None:
    numbers = (str(block(each.get("port")).get("number")) for each in found if each.get("port"))
    for number in each_once(numbers):
        report.error(path, f"ports on listeners must be unique: duplicate port {number}")


def _egress_host(report: Report, path: str, text: str) -> None:
    namespace, slash, name = text.partition("/")
    if not slash or not name or not (namespace in ("*", ".", "~") or is_label(namespace)):
        report.error(path, f"host {text!r} must be of form namespace/dnsName")
    elif name != "*" and not is_domain(name):
        report.error(path, f"domain name {name!r} invalid")


def check_peer_authentication(report: Report, spec: Block) -> None:
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
