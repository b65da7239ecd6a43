"""What istiod's webhook refuses is refused with the field's path, what it warns of is warned of, and nothing else."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from graylane.chain import hosts as names_of
from graylane.chain.validation.checks import Report
from graylane.chain.validation.judging import KINDS, judge

ROOT = Path(__file__).parents[3]
API = {"PeerAuthentication": "security.istio.io/v1beta1"}


def judged(kind: str, spec: str | dict[str, Any], name: str = "x") -> Report:
    content = yaml.safe_load(spec) if isinstance(spec, str) else spec
    version = API.get(kind, "networking.istio.io/v1beta1")
    return judge({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": content})


TO = "route: [{destination: {host: b}}]"
VS, DR, GW, EF, SE, SC, PA = (
    "VirtualService",
    "DestinationRule",
    "Gateway",
    "EnvoyFilter",
    "ServiceEntry",
    "Sidecar",
    "PeerAuthentication",
)


def rule(text: str) -> str:
    return f"{{hosts: [b], http: [{{{text}}}]}}"


def routed(text: str) -> str:
    return rule(f"{TO}, {text}")


def match(text: str) -> str:
    return routed(f"match: [{{{text}}}]")


def policy(text: str) -> str:
    return f"{{host: b, trafficPolicy: {{{text}}}}}"


def server(text: str, hosts: str = "['*']") -> str:
    return f"{{servers: [{{hosts: {hosts}, {text}}}]}}"


HTTP = "port: {number: 80, name: http, protocol: HTTP}"
HTTPS = "port: {number: 443, name: https, protocol: HTTPS}"


def patch(text: str) -> str:
    return f"{{configPatches: [{{{text}}}]}}"


HCM = "envoy.filters.network.http_connection_manager"

REFUSED: list[tuple[str, str, str, str]] = [
    (VS, "{hosts: ['a_b'], http: [{route: [{destination: {host: b}}]}]}", "spec.hosts[0]", "invalid"),
    (VS, "{hosts: ['*'], http: [{route: [{destination: {host: b}}]}]}", "spec.hosts[0]", "wildcard host *"),
    (VS, "{hosts: [b, b], http: [{route: [{destination: {host: b}}]}]}", "spec.hosts", "duplicate host b"),
    (VS, "{hosts: ['*.f.com', a.f.com], http: [{route: [{destination: {host: b}}]}]}", "spec.hosts", "overlapping"),
    (VS, "{hosts: [b]}", "spec", "http, tcp or tls must be provided"),
    (VS, "{gateways: [gw], http: [{route: [{destination: {host: b}}]}]}", "spec.gateways", "delegate"),
    (VS, "{tcp: [{route: [{destination: {host: b}}]}]}", "spec.tcp", "delegate"),
    (VS, "{http: [{delegate: {name: x}}]}", "spec.http[0].delegate", "must not delegate again"),
    (VS, rule("delegate: {name: x}, route: [{destination: {host: b}}]"), "spec.http[0]", "both route and delegate"),
    (VS, rule("route: [{destination: {host: b}}], redirect: {uri: /x}"), "spec.http[0]", "both route and redirect"),
    (VS, rule("name: x"), "spec.http[0]", "is required"),
    (VS, rule("redirect: {uri: /x}, fault: {abort: {httpStatus: 500}}"), "spec.http[0]", "both fault and redirect"),
    (VS, rule("directResponse: {status: 200}, rewrite: {uri: /}"), "spec.http[0]", "both rewrite and directResponse"),
    (VS, routed("mirror: {host: c}, mirrors: [{destination: {host: c}}]"), "spec.http[0]", "both mirror and mirrors"),
    (VS, rule("route: [{weight: 1}]"), "spec.http[0].route[0].destination", "must have a host"),
    (VS, rule("route: [{destination: {host: '*'}}]"), "spec.http[0].route[0].destination.host", "invalid destination"),
    (VS, rule("route: [{destination: {host: b, subset: A_b}}]"), "spec.http[0].route[0].destination.subset", "subset"),
    (
        VS,
        rule("route: [{destination: {host: b, port: {number: 0}}}]"),
        "spec.http[0].route[0].destination.port",
        "range",
    ),
    (VS, rule("route: [{destination: {host: b}, weight: -1}]"), "spec.http[0].route", "weight -1 < 0"),
    (VS, rule("route: [{destination: {host: b}}, {destination: {host: c}}]"), "spec.http[0].route", "weight = 0"),
    (VS, routed("headers: {response: {remove: [':status']}}"), "spec.http[0].headers.response.remove", "pseudo"),
    (VS, routed("headers: {request: {remove: [Host]}}"), "spec.http[0].headers.request.remove", '"host"'),
    (VS, routed("headers: {request: {set: {'': x}}}"), "spec.http[0].headers.request.set", "cannot be empty"),
    (VS, routed("headers: {request: {set: {a: '50%'}}}"), "spec.http[0].headers.request.set[a]", "unbalanced %"),
    (VS, routed('headers: {request: {add: {a: "x\\ny"}}}'), "spec.http[0].headers.request.add[a]", "control"),
    (
        VS,
        routed("headers: {request: {set: {host: x}}}, rewrite: {authority: y}"),
        "spec.http[0]",
        "more than one place",
    ),
    (VS, match("headers: {a: {prefix: ''}}"), "spec.http[0].match[0].headers[a].prefix", "should not be empty"),
    (VS, match("method: {prefix: ''}"), "spec.http[0].match[0].method.prefix", "should not be empty"),
    (VS, match("uri: {regex: ''}"), "spec.http[0].match[0].uri.regex", "should not be empty"),
    (VS, match("uri: {regex: '(?=x)'}"), "spec.http[0].match[0].uri.regex", "which RE2 does not have"),
    (VS, match("uri: {regex: '" + "a" * 1025 + "'}"), "spec.http[0].match[0].uri.regex", "at most 1024"),
    (VS, match("uri: {exact: /a, prefix: /b}"), "spec.http[0].match[0].uri", "only one of"),
    (VS, match("headers: {'a b': {exact: x}}"), "spec.http[0].match[0].headers", "valid header name"),
    (VS, match("headers: {'@request.auth.claims.x': {exact: y}}"), "spec.http[0].match[0].headers", "without gateway"),
    (VS, match("port: 70000"), "spec.http[0].match[0].port", "1..65535"),
    (VS, match("sourceLabels: {a: 'b c'}"), "spec.http[0].match[0].sourceLabels", "invalid tag value"),
    (VS, match("sourceNamespace: A_b"), "spec.http[0].match[0].sourceNamespace", "is invalid"),
    (VS, match("gateways: [a/b/c]"), "spec.http[0].match[0].gateways[0]", "invalid gateway name"),
    (VS, "{hosts: [b], gateways: ['a b'], http: [{route: [{destination: {host: b}}]}]}", "spec.gateways[0]", "invalid"),
    (VS, routed("retries: {attempts: -1}"), "spec.http[0].retries.attempts", "negative"),
    (VS, routed("retries: {retryOn: 5xx}"), "spec.http[0].retries", "attempts are set to 0"),
    (VS, routed("retries: {attempts: 1, retryOn: 'often'}"), "spec.http[0].retries.retryOn", "'often'"),
    (VS, routed("retries: {attempts: 1, perTryTimeout: 0s}"), "spec.http[0].retries.perTryTimeout", "greater than 1ms"),
    (VS, routed("timeout: 0s"), "spec.http[0].timeout", "greater than 1ms"),
    (VS, routed("timeout: 1500us"), "spec.http[0].timeout", "1ms precision"),
    (VS, routed("timeout: soon"), "spec.http[0].timeout", "invalid duration 'soon'"),
    (VS, routed("fault: {}"), "spec.http[0].fault", "must have an abort and/or a delay"),
    (VS, routed("fault: {abort: {httpStatus: 99}}"), "spec.http[0].fault.abort.httpStatus", "99"),
    (VS, routed("fault: {abort: {grpcStatus: NOPE}}"), "spec.http[0].fault.abort.grpcStatus", "'NOPE'"),
    (VS, routed("fault: {abort: {http2Error: x}}"), "spec.http[0].fault.abort.http2Error", "not supported"),
    (VS, routed("fault: {delay: {exponentialDelay: 1s}}"), "spec.http[0].fault.delay", "not supported"),
    (
        VS,
        routed("fault: {delay: {fixedDelay: 1s, percentage: {value: 101}}}"),
        "spec.http[0].fault.delay.percentage",
        "101",
    ),
    (
        VS,
        routed("fault: {abort: {httpStatus: 500, percentage: {value: 0.00001}}}"),
        "spec.http[0].fault.abort.percentage",
        "not in range",
    ),
    (VS, rule("redirect: {redirectCode: 200}"), "spec.http[0].redirect.redirectCode", "3xx"),
    (VS, rule("redirect: {scheme: ftp}"), "spec.http[0].redirect.scheme", "http or https"),
    (VS, rule("redirect: {port: 1, derivePort: FROM_REQUEST_PORT}"), "spec.http[0].redirect", "only one of port"),
    (VS, rule("directResponse: {status: 100}"), "spec.http[0].directResponse.status", "100"),
    (
        VS,
        rule("directResponse: {status: 200, body: {string: '" + "x" * 1048577 + "'}}"),
        "spec.http[0].directResponse.body",
        "1MB",
    ),
    (VS, routed("rewrite: {uri: /, uriRegexRewrite: {match: x}}"), "spec.http[0].rewrite", "only contain one"),
    (VS, routed("rewrite: {}"), "spec.http[0].rewrite", "must specify"),
    (VS, routed("mirror: {host: c}, mirrorPercentage: {value: 200}"), "spec.http[0].mirrorPercentage", "200"),
    (VS, routed("corsPolicy: {allowOrigins: [{}]}"), "spec.http[0].corsPolicy.allowOrigins[0]", "must not be empty"),
    (VS, routed("corsPolicy: {allowMethods: [FETCH]}"), "spec.http[0].corsPolicy.allowMethods", "'FETCH'"),
    (VS, routed("corsPolicy: {maxAge: 1500ms}"), "spec.http[0].corsPolicy.maxAge", "1s precision"),
    (VS, "{hosts: [b], exportTo: ['*', a], http: [{route: [{destination: {host: b}}]}]}", "spec.exportTo", "only one"),
    (VS, "{hosts: [b], exportTo: [a, a], http: [{route: [{destination: {host: b}}]}]}", "spec.exportTo", "duplicate"),
    (VS, "{hosts: [b], tls: [{route: [{destination: {host: b}}]}]}", "spec.tls[0]", "SNI host"),
    (
        VS,
        "{hosts: [b.x], tls: [{match: [{sniHosts: [c.x]}], route: [{destination: {host: b}}]}]}",
        "spec.tls[0]",
        "subset",
    ),
    (VS, "{hosts: [b], tcp: [{match: [{port: 1}]}]}", "spec.tcp[0]", "route is required"),
    (VS, match("headers: {a: {regex: '*'}}"), "spec.http[0].match[0].headers[a].regex", "nothing to repeat"),
    (VS, routed("retries: {attempts: 1, retryOn: '5xx, reset'}"), "spec.http[0].retries.retryOn", "' reset'"),
    (VS, routed("mirror: {host: c}, mirrorPercent: 101"), "spec.http[0].mirrorPercent", "101"),
    (VS, routed("mirror: {}"), "spec.http[0].mirror", "must have a host"),
    (VS, rule("delegate: {}, redirect: {uri: /x}"), "spec.http[0]", "both redirect and delegate"),
    (VS, routed("rewrite: {uriRegexRewrite: {match: a}}"), "spec.http[0].rewrite.uriRegexRewrite.rewrite", "requires"),
    (VS, rule("route: [{destination: {host: 10.0.0.1}}]"), "spec.http[0].route[0].destination.host", "invalid"),
    (VS, "{hosts: [b], gateways: [./a], http: [{redirect: {uri: /x}}]}", "spec.gateways[0]", "<namespace>/<name>"),
    (DR, "{host: 10.0.0.1}", "spec.host", "not a domain name"),
    (DR, "{host: b, exportTo: ['~']}", "spec.exportTo", "not allowed"),
    (DR, policy("connectionPool: {http: {maxConcurrentStreams: -1}}"), "spec.trafficPolicy.connectionPool", "negative"),
    (VS, routed("headers: {request: {set: {a: '%REQ(b):9%'}}}"), "spec.http[0].headers.request.set[a]", "unbalanced"),
    (
        VS,
        "{hosts: [b], tcp: [{match: [{destinationSubnets: [x]}], route: [{destination: {host: b}}]}]}",
        "spec.tcp[0].match[0].destinationSubnets[0]",
        "not a valid IP",
    ),
    (
        SC,
        "{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: b}}}",
        "spec.outboundTrafficPolicy.egressProxy.port",
        "non-nil",
    ),
    (SC, "{egress: [{port: {number: 1}, bind: x, hosts: ['./*']}]}", "spec.egress[0].bind", "not a valid IP"),
    (DR, "{host: b, workloadSelector: {matchLabels: {a: '*'}}}", "spec.workloadSelector.matchLabels", "wildcards"),
    (SC, "{egress: [{hosts: ['./*']}], workloadSelector: {labels: {a: 'x*'}}}", "spec.workloadSelector", "wildcards"),
    (VS, rule("redirect: {redirectCode: 308}"), "spec.http[0].redirect", "must specify"),
    (VS, rule("redirect: {port: 65536}"), "spec.http[0].redirect.port", "range"),
    (VS, "{hosts: [b], gateways: ['503'], http: [{redirect: {uri: /x}}]}", "spec.gateways[0]", "invalid gateway name"),
    (
        SE,
        "{hosts: [a.b, c.d], addresses: [1.1.1.1], resolution: STATIC, ports: [{number: 1, name: m, protocol: MONGO}]}",
        "spec.hosts",
        "told apart",
    ),
    (DR, policy("portLevelSettings: []"), "spec.trafficPolicy", "at least one field"),
    (DR, policy("tunnel: {targetHost: x}"), "spec.trafficPolicy.tunnel.targetPort", "range"),
    (DR, policy("tunnel: {targetPort: 1}"), "spec.trafficPolicy.tunnel.targetHost", "invalid"),
    (DR, policy("tunnel: {targetHost: x, targetPort: 1, protocol: UDP}"), "spec.trafficPolicy.tunnel.protocol", "POST"),
    (DR, policy("loadBalancer: {consistentHash: {maglev: {}}}"), "spec.trafficPolicy.loadBalancer", "must be set"),
    (DR, "{host: b, exportTo: ['*'], workloadSelector: {}}", "spec.exportTo", "own namespace"),
    (GW, server(HTTP, "[a]"), "spec.servers[0].hosts[0]", "short names"),
    (GW, server("port: {number: 1, name: a, protocol: TCP}, tls: {httpsRedirect: true}"), "spec.servers[0].tls", "TCP"),
    (SE, "{hosts: [a.b], addresses: [x]}", "spec.addresses[0]", "not a valid IP"),
    (SE, "{hosts: [a.b], ports: [{number: 1, name: a_b}]}", "spec.ports[0].name", "invalid port name"),
    (SE, "{hosts: [a.b], ports: [{number: 1, name: a, targetPort: 65536}]}", "spec.ports[0].targetPort", "range"),
    (SE, "{hosts: [a.b], resolution: STATIC, endpoints: [{}]}", "spec.endpoints[0].address", "is required"),
    (
        SE,
        "{hosts: [a.b], resolution: STATIC, endpoints: [{address: x}]}",
        "spec.endpoints[0].address",
        "not a valid IP",
    ),
    (SE, "{hosts: [a.b], resolution: DNS, endpoints: [{address: '*.x'}]}", "spec.endpoints[0].address", "FQDN"),
    (SC, "{workloadSelector: {labels: {a: b}}}", "spec", "empty configuration"),
    (SC, "{egress: [{hosts: [./b]}]}", "spec.egress[0].hosts[0]", "short names"),
    (SC, "{egress: [{port: {name: a}, hosts: ['./*']}]}", "spec.egress[0].port.number", "0 value"),
    (SC, "{egress: [{port: {number: 65536}, hosts: ['./*']}]}", "spec.egress[0].port.number", "range"),
    (SC, "{egress: [{port: {number: 1, protocol: X}, hosts: ['./*']}]}", "spec.egress[0].port.protocol", "unsupported"),
    (SC, "{egress: [{port: {number: 1, name: a_b}, hosts: ['./*']}]}", "spec.egress[0].port.name", "invalid port name"),
    (DR, "{host: ''}", "spec.host", "invalid"),
    (DR, "{host: b, trafficPolicy: {}}", "spec.trafficPolicy", "at least one field"),
    (DR, policy("connectionPool: {}"), "spec.trafficPolicy.connectionPool", "at least one field"),
    (DR, "{host: b, subsets: [{name: a}, {name: a}]}", "spec.subsets", "duplicate subset name a"),
    (DR, "{host: b, subsets: [{name: A_b}]}", "spec.subsets[0].name", "invalid"),
    (DR, "{host: b, subsets: [{name: a, labels: {x: 'y z'}}]}", "spec.subsets[0].labels", "invalid tag value"),
    (DR, policy("portLevelSettings: [{tls: {mode: DISABLE}}]"), "spec.trafficPolicy.portLevelSettings[0].port", "port"),
    (DR, policy("portLevelSettings: [{port: {number: 1}}]"), "spec.trafficPolicy.portLevelSettings[0]", "at least one"),
    (DR, policy("tunnel: {targetHost: x}, proxyProtocol: {version: V1}"), "spec.trafficPolicy", "together"),
    (DR, policy("outlierDetection: {maxEjectionPercent: 101}"), "spec.trafficPolicy.outlierDetection", "101"),
    (
        DR,
        policy("outlierDetection: {consecutiveLocalOriginFailures: 1}"),
        "spec.trafficPolicy.outlierDetection",
        "split",
    ),
    (DR, policy("connectionPool: {http: {maxRetries: -1}}"), "spec.trafficPolicy.connectionPool.http", "non-negative"),
    (
        DR,
        policy("connectionPool: {http: {useClientProtocol: true, h2UpgradePolicy: UPGRADE}}"),
        "spec.trafficPolicy.connectionPool.http",
        "UPGRADE",
    ),
    (DR, policy("loadBalancer: {consistentHash: {httpCookie: {ttl: 0s}}}"), "spec.trafficPolicy.loadBalancer", "name"),
    (
        DR,
        policy("loadBalancer: {consistentHash: {maglev: {tableSize: 4}}}"),
        "spec.trafficPolicy.loadBalancer",
        "prime",
    ),
    (
        DR,
        policy("loadBalancer: {consistentHash: {minimumRingSize: 1, ringHash: {minimumRingSize: 2}}}"),
        "spec.trafficPolicy.loadBalancer.consistentHash",
        "only one",
    ),
    (
        DR,
        policy("loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {b: 90}}]}}"),
        "spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to",
        "90 != 100",
    ),
    (
        DR,
        policy("loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {b: 100}}], failover: [{from: a}]}}"),
        "spec.trafficPolicy.loadBalancer.localityLbSetting",
        "failover",
    ),
    (DR, policy("tls: {mode: MUTUAL}"), "spec.trafficPolicy.tls.clientCertificate", "required for mutual"),
    (DR, policy("tls: {mode: SIMPLE, credentialName: a, caCertificates: b}"), "spec.trafficPolicy.tls", "together"),
    (
        DR,
        policy("tls: {mode: SIMPLE, insecureSkipVerify: true, caCertificates: b}"),
        "spec.trafficPolicy.tls",
        "insecureSkipVerify",
    ),
    (DR, "{host: b, exportTo: ['*'], workloadSelector: {matchLabels: {a: b}}}", "spec.exportTo", "own namespace"),
    (GW, "{}", "spec.servers", "at least one server"),
    (GW, server(HTTP, "[]"), "spec.servers[0].hosts", "at least one host"),
    (GW, server(HTTP, "['a.*.com']"), "spec.servers[0].hosts[0]", "beginning"),
    (GW, server(HTTP, "['/a.com']"), "spec.servers[0].hosts[0]", "namespace"),
    (GW, server("name: x"), "spec.servers[0].port", "required"),
    (GW, server("port: {number: 0, name: a, protocol: HTTP}"), "spec.servers[0].port.number", "1..65535"),
    (GW, server("port: {number: 80, name: a, protocol: FTP}"), "spec.servers[0].port.protocol", "'FTP'"),
    (GW, server("port: {number: 80, protocol: HTTP}"), "spec.servers[0].port.name", "must be set"),
    (
        GW,
        server("port: {number: 80, name: a, protocol: HTTP, targetPort: 1}"),
        "spec.servers[0].port.targetPort",
        "not",
    ),
    (GW, f"{{servers: [{{hosts: [a], {HTTP}}}, {{hosts: [b], {HTTP}}}]}}", "spec.servers", "duplicate name http"),
    (GW, server(f"{HTTP}, bind: nowhere"), "spec.servers[0].bind", "neither"),
    (GW, server(HTTPS), "spec.servers[0].tls", "must have TLS settings"),
    (GW, server(f"{HTTP}, tls: {{mode: SIMPLE}}"), "spec.servers[0].tls", "plain text HTTP"),
    (GW, server("port: {number: 1, name: a, protocol: TCP}, tls: {mode: SIMPLE}"), "spec.servers[0].tls", "TCP"),
    (GW, server(f"{HTTPS}, tls: {{mode: SIMPLE}}"), "spec.servers[0].tls.serverCertificate", "requires"),
    (
        GW,
        server(f"{HTTPS}, tls: {{mode: MUTUAL, serverCertificate: a, privateKey: b}}"),
        "spec.servers[0].tls.caCertificates",
        "CA bundle",
    ),
    (GW, server(f"{HTTPS}, tls: {{mode: ISTIO_MUTUAL, privateKey: b}}"), "spec.servers[0].tls", "ISTIO_MUTUAL"),
    (GW, server(f"{HTTPS}, tls: {{mode: SIMPLE, caCrl: x}}"), "spec.servers[0].tls.caCrl", "CRL"),
    (EF, patch("patch: {operation: ADD, value: {}}"), "spec.configPatches[0].applyTo", "applyTo"),
    (EF, patch("applyTo: CLUSTER"), "spec.configPatches[0].patch", "missing patch"),
    (EF, patch("applyTo: CLUSTER, patch: {value: {}}"), "spec.configPatches[0].patch.operation", "operation"),
    (
        EF,
        patch("applyTo: CLUSTER, patch: {operation: ADD}"),
        "spec.configPatches[0].patch.value",
        "missing patch value",
    ),
    (
        EF,
        patch("applyTo: CLUSTER, match: {listener: {}}, patch: {operation: REMOVE}"),
        "spec.configPatches[0].match",
        "cluster match",
    ),
    (
        EF,
        patch("applyTo: CLUSTER, match: {proxy: {proxyVersion: '('}}, patch: {operation: REMOVE}"),
        "spec.configPatches[0].match.proxy.proxyVersion",
        "regex",
    ),
    (
        EF,
        patch("applyTo: HTTP_FILTER, match: {listener: {filterChain: {filter: {}}}}, patch: {operation: REMOVE}"),
        "spec.configPatches[0].match.listener.filterChain.filter",
        "no name",
    ),
    (
        EF,
        patch(
            "applyTo: NETWORK_FILTER, patch: {operation: REMOVE}, "
            f"match: {{listener: {{filterChain: {{filter: {{name: {HCM}, subFilter: {{name: x}}}}}}}}}}"
        ),
        "spec.configPatches[0].match.listener.filterChain.filter.subFilter",
        "HTTP_FILTER only",
    ),
    (
        EF,
        patch("applyTo: HTTP_FILTER, patch: {operation: INSERT_BEFORE, value: {name: x, typed_config: {a: b}}}"),
        "spec.configPatches[0].patch.value.typed_config",
        "@type",
    ),
    (SE, "{ports: []}", "spec.hosts", "at least one host"),
    (SE, "{hosts: ['*']}", "spec.hosts[0]", "invalid host *"),
    (SE, "{hosts: [a.b], ports: [{number: 1, name: x}, {number: 1, name: y}]}", "spec.ports", "number 1 already"),
    (SE, "{hosts: [a.b], ports: [{number: 1, name: x, protocol: FTP}]}", "spec.ports[0].protocol", "'FTP'"),
    (SE, "{hosts: [a.b], endpoints: [{address: 1.1.1.1}]}", "spec.endpoints", "resolution type none"),
    (
        SE,
        "{hosts: [a.b], resolution: STATIC, endpoints: [{address: 1.1.1.1}], workloadSelector: {labels: {a: b}}}",
        "spec",
        "only one of endpoints",
    ),
    (SE, "{hosts: [a.b], resolution: DNS, addresses: [10.0.0.0/8]}", "spec.addresses", "CIDR"),
    (SE, "{hosts: ['*.b'], resolution: DNS}", "spec.hosts", "FQDN"),
    (
        SE,
        "{hosts: [a.b], resolution: DNS_ROUND_ROBIN, endpoints: [{address: a.x}, {address: b.x}]}",
        "spec.endpoints",
        "0 or 1",
    ),
    (
        SE,
        "{hosts: [a.b], resolution: STATIC, ports: [{number: 1, name: x}], endpoints: [{ports: {y: 1}}]}",
        "spec.endpoints[0].ports",
        "not defined",
    ),
    (SC, "{}", "spec", "empty configuration"),
    (SC, "{egress: [{hosts: []}]}", "spec.egress[0].hosts", "at least one host"),
    (SC, "{egress: [{hosts: [a.b]}]}", "spec.egress[0].hosts[0]", "namespace/dnsName"),
    (SC, "{egress: [{hosts: ['*/*']}, {hosts: ['*/*']}]}", "spec.egress[0]", "last listener"),
    (
        SC,
        "{egress: [{port: {number: 1}, hosts: ['*/*']}, {port: {number: 1}, hosts: ['*/*']}]}",
        "spec.egress",
        "duplicate port 1",
    ),
    (PA, "{portLevelMtls: {'80': {mode: STRICT}}}", "spec.portLevelMtls", "needs a selector"),
    (PA, "{selector: {matchLabels: {a: b}}, portLevelMtls: {}}", "spec.portLevelMtls", "must not be empty"),
    (PA, "{selector: {matchLabels: {a: b}}, portLevelMtls: {'0': {}}}", "spec.portLevelMtls", "1..65535"),
]


@pytest.mark.parametrize(("kind", "spec", "path", "says"), REFUSED, ids=lambda text: str(text)[:40])
def test_it_is_refused_with_the_field_that_is_wrong(kind: str, spec: str, path: str, says: str) -> None:
    errors = judged(kind, spec).errors
    assert [error for error in errors if error.startswith(path) and says in error], errors


def test_a_gateways_name_must_be_a_label() -> None:
    assert judged(GW, server(HTTP), name="a.b").errors == [
        "metadata.name: invalid gateway name 'a.b': a DNS-1123 label is needed"
    ]


ACCEPTED = [
    (VS, rule("route: [{destination: {host: nowhere.at.all, subset: missing}}]")),
    (VS, "{hosts: ['*'], gateways: [gw, ns/other, ./mine], http: [{route: [{destination: {host: b}}]}]}"),
    (VS, "{hosts: [10.0.0.1, '*.example.com', b], http: [{route: [{destination: {host: b}}]}]}"),
    (VS, "{http: [{match: [{uri: {prefix: /x}}], route: [{destination: {host: b}}]}]}"),
    (VS, rule("match: [{uri: {prefix: ''}}], delegate: {name: d, namespace: ns}")),
    (VS, rule("route: [{destination: {host: b}, weight: 0}]")),
    (VS, rule("route: [{destination: {host: b}, weight: 1}, {destination: {host: c}, weight: 0}]")),
    (
        VS,
        routed("headers: {request: {set: {':authority': x, a: '%REQ(b)%', c: '100%%', d: '%x(%s)%'}, remove: [d]}}"),
    ),
    (VS, routed("timeout: 1m30s, retries: {attempts: 3, retryOn: '5xx,reset,503', perTryTimeout: 250ms}")),
    (VS, routed("fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 0.01}}, delay: {fixedDelay: 5s}}")),
    (VS, match("headers: {a: {}}, withoutHeaders: {b: {regex: '*'}, c: {exact: ''}}, queryParams: {d: {}}")),
    (VS, rule("redirect: {derivePort: FROM_PROTOCOL_DEFAULT, authority: x}")),
    (VS, routed("headers: {response: {remove: ['a b']}}, fault: {delay: {percentage: {value: 5}}, abort: {}}")),
    (VS, rule("route: [{destination: {host: B, subset: V1}}], match: [{gateways: [NS/Gw]}]")),
    (DR, "{host: b, subsets: [{name: V1, labels: {version: " + "x" * 70 + "}}]}"),
    (DR, policy("connectionPool: {http: {}}, portLevelSettings: [{port: {}, tls: {}}]")),
    (GW, "{selector: {a: '('}, " + server(f"{HTTPS}, tls: {{mode: SIMPLE, credentialName: c, caCrl: x}}")[1:]),
    (SC, "{egress: [{hosts: ['./*']}], workloadSelector: {labels: {a: /x}}}"),
    (VS, rule("directResponse: {status: 503, body: {string: n}}")),
    (VS, routed("rewrite: {uriRegexRewrite: {match: '^/a(.*)$', rewrite: '/b\\\\1'}}")),
    (VS, routed("corsPolicy: {allowOrigins: [{exact: x}], allowMethods: [GET], maxAge: 24h}")),
    (VS, "{hosts: [b], tcp: [{route: [{destination: {host: b}}]}]}"),
    (VS, "{hosts: [b.x], tls: [{match: [{sniHosts: [b.x], port: 443}], route: [{destination: {host: b}}]}]}"),
    (DR, "{host: '*.b', subsets: [{name: v1, labels: {version: v1}}]}"),
    (DR, policy("loadBalancer: {consistentHash: {httpCookie: {name: u}, maglev: {tableSize: 65537}}}")),
    (DR, policy("outlierDetection: {interval: 1s, consecutive5xxErrors: 0, maxEjectionPercent: 100}")),
    (DR, policy("portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]")),
    (DR, policy("tls: {mode: MUTUAL, credentialName: c}")),
    (DR, "{host: b, exportTo: ['.'], workloadSelector: {matchLabels: {a: b}}}"),
    (GW, server(HTTP, "['*', ns/a.com, ./b.com, '*/c.com', '*.d.com']")),
    (GW, server(f"{HTTP}, tls: {{httpsRedirect: true}}, bind: 127.0.0.1")),
    (GW, server(f"{HTTPS}, tls: {{mode: SIMPLE, credentialName: c}}")),
    (GW, server(f"{HTTPS}, tls: {{}}")),
    (SE, "{hosts: [a.b], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}"),
    (SE, "{hosts: ['*.b'], ports: [{number: 80, name: http, protocol: HTTP}]}"),
    (SC, "{egress: [{port: {number: 1}, hosts: ['./*']}, {hosts: ['~/*', istio-system/*]}]}"),
    (PA, "{mtls: {mode: STRICT}}"),
]


@pytest.mark.parametrize(("kind", "spec"), ACCEPTED, ids=lambda text: str(text)[:40])
def test_what_istio_accepts_is_accepted_without_a_word(kind: str, spec: str) -> None:
    report = judged(kind, spec)
    assert (report.errors, report.warnings) == ([], [])


def test_the_shipped_scenario_is_accepted() -> None:
    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        for obj in yaml.safe_load_all(path.read_text()):
            assert judge(obj).errors == []


WARNED = [
    (VS, rule(f"{TO}}}, {{{TO}"), "spec.http[1]: VirtualService rule is never used"),
    (
        VS,
        match("uri: {prefix: /a}").replace("]}]}", f"]}}, {{match: [{{uri: {{prefix: /a/b}}}}], {TO}}}]}}"),
        "spec.http[1].match[0]",
    ),
    (VS, routed("match: [{uri: {exact: /a}}, {uri: {exact: /a}}]"), "spec.http[0].match[1]"),
    (VS, "{hosts: [b], gateways: [gw.ns.svc], http: [{route: [{destination: {host: b}}]}]}", "spec.gateways[0]"),
    (VS, routed("mirror: {host: c}, mirrorPercent: 5"), "spec.http[0].mirrorPercent"),
    (VS, rule("directResponse: {status: 200, body: {string: '" + "x" * 102401 + "'}}"), "spec.http[0].directResponse"),
    (GW, server(f"{HTTPS}, tls: {{httpsRedirect: true}}"), "spec.servers[0].tls"),
    (DR, "{host: b, workloadSelector: {matchLabels: {}}}", "spec.workloadSelector"),
    (SC, "{egress: [{hosts: ['./*', ./b.shop]}]}", "spec.egress[0].hosts"),
    (SC, "{egress: [{hosts: ['*/*', ./b.shop]}]}", "spec.egress[0].hosts"),
    (SC, "{egress: [{hosts: ['./*']}], workloadSelector: {}}", "spec.workloadSelector"),
    (PA, "{selector: {}}", "spec.selector"),
    (EF, "{configPatches: []}", "spec: EnvoyFilter exposes"),
    (EF, "{workloadSelector: {}, configPatches: []}", "spec.workloadSelector"),
]


@pytest.mark.parametrize(("kind", "spec", "says"), WARNED, ids=lambda text: str(text)[:40])
def test_it_is_warned_of(kind: str, spec: str, says: str) -> None:
    report = judged(kind, spec)
    assert report.errors == []
    assert not says or [warning for warning in report.warnings if warning.startswith(says)], report.warnings


WORDS = (
    "hosts http tls tcp gateways match route destination host subset port number weight headers request set uri exact "
    "regex prefix redirect fault abort delay percentage value timeout retries attempts servers protocol name subsets "
    "labels trafficPolicy loadBalancer consistentHash maglev tableSize outlierDetection connectionPool "
    "portLevelSettings configPatches applyTo patch operation endpoints ports egress ingress portLevelMtls corsPolicy"
)
FIELDS = st.sampled_from(WORDS.split())
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70000) | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(FIELDS, below, max_size=4),
    max_leaves=12,
)


@given(kind=st.sampled_from(KINDS), spec=st.dictionaries(FIELDS, JUNK, max_size=5))
def test_any_nonsense_is_judged_and_never_breaks_the_judge(kind: str, spec: dict[str, Any]) -> None:
    judged(kind, spec)


def test_hosts_that_overlap_are_named_in_the_order_in_which_they_stand() -> None:
    names = ["a.x.com", "*.x.com", "b.org", "*.com", "*", "x.com", "*x.com"]
    brief = {"hosts": names, "gateways": ["gw"], "http": [{"route": [{"destination": {"host": "b"}}]}]}
    overlaps = [each.rpartition(": ")[2] for each in judged(VS, brief).errors if "overlapping" in each]
    pairs = [
        (one, other) for place, one in enumerate(names) for other in names[place + 1 :] if names_of.matches(one, other)
    ]
    assert overlaps == [f"{one} and {other}" for one, other in pairs]


def test_a_server_name_is_looked_up_among_the_hosts_as_it_is_compared_with_them() -> None:
    names = ["*", "*.a", "*.b.a", "x.a", "a", "*a", "b.a"]
    for patterns in itertools.combinations(names, 2):
        for name in names:
            assert names_of.covered(frozenset(patterns), name) is any(names_of.covers(each, name) for each in patterns)


def test_ten_thousand_server_names_of_as_many_hosts_are_judged_in_moments() -> None:
    hosts = [f"*.h{number}.example.com" for number in range(10_000)]
    rule = {"match": [{"port": 443, "sniHosts": hosts}], "route": [{"destination": {"host": "b"}}]}
    began = time.process_time()
    assert not judged(VS, {"hosts": hosts, "gateways": ["gw"], "tls": [rule]}).errors
    assert time.process_time() - began < 5


def test_ten_thousand_hosts_and_matches_are_judged_in_moments() -> None:
    """Compared each with each they took a minute, in which nothing else happened."""
    hosts = ["*.example.org", *(f"h{number}.example.com" for number in range(10_000))]
    matches = [{"uri": {"exact": f"/{number}"}} for number in range(10_000)]
    brief = {
        "hosts": hosts,
        "gateways": ["gw"],
        "http": [{"match": matches, "route": [{"destination": {"host": "b"}}]}],
    }
    began = time.process_time()
    assert not judged(VS, brief).errors
    assert time.process_time() - began < 5
