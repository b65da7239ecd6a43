"""DestinationRule.

Pure. In: its spec and namespace. Out: complaints.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graylane.chain.validation import checks
from graylane.chain.validation.checks import Block, Report, block, blocks, duration, each_once, entries, percent

_POOL_NUMBERS = {
    "tcp": ("maxConnections",),
    "http": (
        "http1MaxPendingRequests",
        "http2MaxRequests",
        "maxRequestsPerConnection",
        "maxRetries",
        "maxConcurrentStreams",
    ),
}
_MAGLEV_LIMIT = 5_000_011
_PARTS = ("loadBalancer", "connectionPool", "outlierDetection", "tls", "portLevelSettings", "tunnel", "proxyProtocol")


def check(report: Report, spec: Block) -> None:
    checks.host(report, "spec.host", str(spec.get("host") or ""))
    if spec.get("trafficPolicy") is not None:
        _policy(report, "spec.trafficPolicy", block(spec["trafficPolicy"]))
    subsets = list(blocks(spec.get("subsets"), "spec.subsets"))
    for path, subset in subsets:
        checks.subset_name(report, f"{path}.name", subset.get("name") or "")
        checks.labels(report, f"{path}.labels", subset.get("labels"))
        if subset.get("trafficPolicy") is not None:
            _policy(report, f"{path}.trafficPolicy", block(subset["trafficPolicy"]))
    for name in each_once(str(subset.get("name")) for _, subset in subsets):
        report.error("spec.subsets", f"duplicate subset name {name}")
    checks.export_to(report, "spec.exportTo", spec.get("exportTo"))
    selector = spec.get("workloadSelector")
    checks.selector(report, "spec.workloadSelector.matchLabels", block(selector).get("matchLabels"))
    if selector is not None and not block(selector).get("matchLabels"):
        report.warn("spec.workloadSelector", "workload selector specified without labels")
    if selector is not None and [scope for scope in entries(spec.get("exportTo")) if scope != "."]:
        report.error(
            "spec.exportTo", "a rule with a workloadSelector is of its own namespace only, and exports nothing"
        )


def _policy(report: Report, path: str, policy: Block) -> None:
    if not any(policy.get(name) not in (None, []) for name in _PARTS):
        report.error(path, "traffic policy must have at least one field")
    if policy.get("tunnel") and policy.get("proxyProtocol"):
        report.error(path, "tunnel and proxyProtocol must not be set together")
    if policy.get("tunnel") is not None:
        _tunnel(report, f"{path}.tunnel", block(policy["tunnel"]))
    _parts(report, path, policy)
    for where, each in blocks(policy.get("portLevelSettings"), f"{path}.portLevelSettings"):
        if each.get("port") is None:
            report.error(f"{where}.port", "portTrafficPolicy must have valid port")
        if not any(each.get(name) is not None for name in _PARTS[:4]):
            report.error(where, "port traffic policy must have at least one field beside the port")
        _parts(report, where, each)


def _tunnel(report: Report, path: str, tunnel: Block) -> None:
    if tunnel.get("protocol") and str(tunnel["protocol"]).upper() not in ("CONNECT", "POST"):
        report.error(f"{path}.protocol", 'tunnel protocol must be "CONNECT" or "POST"')
    checks.host(report, f"{path}.targetHost", str(tunnel.get("targetHost") or ""), address=True)
    checks.port(report, f"{path}.targetPort", tunnel.get("targetPort") or 0)


def _parts(report: Report, path: str, policy: Block) -> None:
    for name, check_part in (
        ("loadBalancer", _balancer),
        ("connectionPool", _pool),
        ("outlierDetection", _outliers),
        ("tls", _tls),
    ):
        if policy.get(name) is not None:
            check_part(report, f"{path}.{name}", block(policy[name]))


def _pool(report: Report, path: str, pool: Block) -> None:
    if pool.get("tcp") is None and pool.get("http") is None:
        report.error(path, "connection pool must have at least one field")
    for part, names in _POOL_NUMBERS.items():
        for name in names:
            number = block(pool.get(part)).get(name)
            if isinstance(number, int) and number < 0:
                report.error(f"{path}.{part}.{name}", f"{name} must be non-negative")
    tcp, http = block(pool.get("tcp")), block(pool.get("http"))
    if tcp.get("connectTimeout") is not None:
        duration(report, f"{path}.tcp.connectTimeout", tcp["connectTimeout"])
    if http.get("idleTimeout") is not None:
        duration(report, f"{path}.http.idleTimeout", http["idleTimeout"])
    if http.get("useClientProtocol") and http.get("h2UpgradePolicy") == "UPGRADE":
        report.error(f"{path}.http", "use client protocol must not be true when H2UpgradePolicy is UPGRADE")


def _outliers(report: Report, path: str, found: Block) -> None:
    for name in ("interval", "baseEjectionTime"):
        if found.get(name) is not None:
            duration(report, f"{path}.{name}", found[name])
    for name in ("maxEjectionPercent", "minHealthPercent"):
        if found.get(name) is not None:
            percent(report, f"{path}.{name}", found[name])
    if found.get("consecutiveLocalOriginFailures") and not found.get("splitExternalLocalOriginErrors"):
        report.error(path, "consecutiveLocalOriginFailures needs splitExternalLocalOriginErrors")


def _balancer(report: Report, path: str, found: Block) -> None:
    if found.get("simple") and found.get("consistentHash"):
        report.error(path, "only one of simple and consistentHash is allowed")
    if found.get("consistentHash") is not None:
        _hash(report, f"{path}.consistentHash", block(found["consistentHash"]))
    if found.get("localityLbSetting") is not None:
        _locality(report, f"{path}.localityLbSetting", block(found["localityLbSetting"]))


def _hash(report: Report, path: str, found: Block) -> None:
    cookie = found.get("httpCookie")
    if cookie is not None and not block(cookie).get("name"):
        report.error(f"{path}.httpCookie", "name required for HttpCookie")
    if found.get("minimumRingSize") and any(found.get(name) is not None for name in ("ringHash", "maglev")):
        report.error(path, "only one of minimumRingSize, ringHash and maglev may be set")
    if found.get("maglev") is not None:
        size = block(found["maglev"]).get("tableSize") or 0
        if size == 0:
            report.error(f"{path}.maglev.tableSize", "tableSize must be set for maglev")
        elif not isinstance(size, int) or size >= _MAGLEV_LIMIT or not _is_prime(size):
            report.error(f"{path}.maglev.tableSize", f"tableSize {size} must be a prime number below {_MAGLEV_LIMIT}")


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def _locality(report: Report, path: str, found: Block) -> None:
    if found.get("distribute") and found.get("failover"):
        report.error(path, "can not simultaneously specify 'distribute' and 'failover'")
    for where, each in blocks(found.get("distribute"), f"{path}.distribute"):
        total = sum(_numbers(block(each.get("to")).values()))
        if total != 100:
            report.error(f"{where}.to", f"total locality weight {total} != 100")


def _numbers(found: Any) -> Iterator[int]:
    return (each for each in found if isinstance(each, int))


def _tls(report: Report, path: str, found: Block) -> None:
    files = [name for name in ("clientCertificate", "privateKey", "caCertificates") if found.get(name)]
    if found.get("credentialName") and files:
        report.error(path, f"cannot specify credentialName together with {', '.join(files)}")
    if found.get("mode") == "MUTUAL" and not found.get("credentialName"):
        for name, told in (("clientCertificate", "client certificate"), ("privateKey", "private key")):
            if not found.get(name):
                report.error(f"{path}.{name}", f"{told} required for mutual tls")
    if found.get("insecureSkipVerify") and found.get("mode") == "SIMPLE":
        for name in ("caCertificates", "credentialName", "subjectAltNames"):
            if found.get(name):
                report.error(path, f"cannot use {name} together with insecureSkipVerify")
    if found.get("mode") == "ISTIO_MUTUAL" and (files or found.get("credentialName")):
        report.error(path, "certificates must not be set for ISTIO_MUTUAL, which uses Istio's own")
