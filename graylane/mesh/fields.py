"""The fields of each kind that this mesh acts on; any other is reported by name.

Pure. Tables only: read them to know what is supported. `...` means the field's whole content is read.
"""

from __future__ import annotations

from typing import Any

_DESTINATION = {"host": ..., "subset": ..., "port": {"number": ...}}
_HEADERS = {side: {"set": ..., "add": ..., "remove": ...} for side in ("request", "response")}
_PERCENT = {"value": ...}
_TEXT = {"exact": ..., "prefix": ..., "regex": ...}
_MATCH = {
    "name": ...,
    "uri": _TEXT,
    "ignoreUriCase": ...,
    "method": _TEXT,
    "scheme": _TEXT,
    "authority": _TEXT,
    "headers": ...,
    "withoutHeaders": ...,
    "queryParams": ...,
    "port": ...,
    "sourceLabels": ...,
    "sourceNamespace": ...,
    "gateways": ...,
    "statPrefix": ...,
}
_HTTP_RULE: dict[str, Any] = {
    "name": ...,
    "match": [_MATCH],
    "route": [{"destination": _DESTINATION, "weight": ..., "headers": _HEADERS}],
    "redirect": {
        "uri": ...,
        "authority": ...,
        "scheme": ...,
        "port": ...,
        "derivePort": ("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"),
        "redirectCode": ...,
    },
    "directResponse": {"status": ..., "body": {"string": ..., "bytes": ...}},
    "delegate": {"name": ..., "namespace": ...},
    "rewrite": {"uri": ..., "authority": ..., "uriRegexRewrite": {"match": ..., "rewrite": ...}},
    "timeout": ...,
    "retries": {"attempts": ..., "perTryTimeout": ..., "retryOn": ..., "retryRemoteLocalities": ...},
    "fault": {
        "delay": {"fixedDelay": ..., "percentage": _PERCENT, "percent": ...},
        "abort": {"httpStatus": ..., "grpcStatus": ..., "percentage": _PERCENT},
    },
    "mirror": _DESTINATION,
    "mirrorPercentage": _PERCENT,
    "mirrorPercent": ...,
    "mirror_percent": ...,
    "mirrors": [{"destination": _DESTINATION, "percentage": _PERCENT}],
    "corsPolicy": {
        "allowOrigins": [_TEXT],
        "allowMethods": ...,
        "allowHeaders": ...,
        "exposeHeaders": ...,
        "maxAge": ...,
        "allowCredentials": ...,
        "unmatchedPreflights": ...,
    },
    "headers": _HEADERS,
}
_CONNECTION = {"port": ..., "gateways": ..., "sourceLabels": ..., "sourceNamespace": ...}
_CONNECTION_ROUTE = [{"destination": _DESTINATION, "weight": ...}]
VIRTUAL_SERVICE = {
    "hosts": ...,
    "gateways": ...,
    "exportTo": ...,
    "http": [_HTTP_RULE],
    "tls": [{"match": [_CONNECTION | {"sniHosts": ...}], "route": _CONNECTION_ROUTE}],
    "tcp": [{"match": [_CONNECTION], "route": _CONNECTION_ROUTE}],
}

_BALANCER = {
    "simple": ("UNSPECIFIED", "LEAST_CONN", "LEAST_REQUEST", "PASSTHROUGH", "RANDOM", "ROUND_ROBIN"),
    "consistentHash": {
        "httpHeaderName": ...,
        "httpCookie": {"name": ..., "path": ..., "ttl": ...},
        "useSourceIp": ...,
        "httpQueryParameterName": ...,
        "ringHash": {"minimumRingSize": ...},
        "maglev": {"tableSize": ...},
        "minimumRingSize": ...,
    },
    "warmupDurationSecs": ...,
}
_POOL = {
    "tcp": {
        "maxConnections": ...,
        "connectTimeout": ...,
        "idleTimeout": ...,
        "maxConnectionDuration": ...,
        "tcpKeepalive": {"time": ..., "interval": ..., "probes": ...},
    },
    "http": {
        "http1MaxPendingRequests": ...,
        "http2MaxRequests": ...,
        "maxRetries": ...,
        "maxRequestsPerConnection": ...,
        "idleTimeout": ...,
        "maxConcurrentStreams": ...,
        "useClientProtocol": ...,
        "h2UpgradePolicy": ...,
    },
}
_OUTLIER = {
    "consecutive5xxErrors": ...,
    "consecutiveGatewayErrors": ...,
    "consecutiveLocalOriginFailures": ...,
    "splitExternalLocalOriginErrors": ...,
    "interval": ...,
    "baseEjectionTime": ...,
    "maxEjectionPercent": ...,
    "minHealthPercent": ...,
}
_TLS = {
    "mode": ("DISABLE", "SIMPLE", "MUTUAL"),
    "clientCertificate": ...,
    "privateKey": ...,
    "caCertificates": ...,
    "credentialName": ...,
    "subjectAltNames": ...,
    "sni": ...,
    "insecureSkipVerify": ...,
}
_PORT_POLICY = {
    "port": {"number": ...},
    "loadBalancer": _BALANCER,
    "connectionPool": _POOL,
    "outlierDetection": _OUTLIER,
    "tls": _TLS,
}
_POLICY = {
    **{name: shape for name, shape in _PORT_POLICY.items() if name != "port"},
    "portLevelSettings": [_PORT_POLICY],
    "proxyProtocol": {"version": ("V1", "V2")},
}
DESTINATION_RULE = {
    "host": ...,
    "trafficPolicy": _POLICY,
    "subsets": [{"name": ..., "labels": ..., "trafficPolicy": _POLICY}],
    "exportTo": ...,
    "workloadSelector": {"matchLabels": ...},
}

GATEWAY = {
    "selector": ...,
    "servers": [
        {
            "port": {"number": ..., "name": ..., "protocol": ...},
            "hosts": ...,
            "bind": ...,
            "name": ...,
            "tls": {
                "httpsRedirect": ...,
                "mode": ("PASSTHROUGH", "SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"),
                "credentialName": ...,
                "minProtocolVersion": ...,
                "maxProtocolVersion": ...,
                "cipherSuites": ...,
                "subjectAltNames": ...,
                "verifyCertificateSpki": ...,
                "verifyCertificateHash": ...,
            },
        }
    ],
}

SERVICE_ENTRY = {
    "hosts": ...,
    "addresses": ...,
    "ports": [{"number": ..., "name": ..., "protocol": ..., "targetPort": ...}],
    "location": ...,
    "resolution": ...,
    "endpoints": [{"address": ..., "ports": ..., "labels": ..., "weight": ...}],
    "workloadSelector": {"labels": ...},
    "exportTo": ...,
    "subjectAltNames": ...,
}

WORKLOAD_ENTRY = {"address": ..., "ports": ..., "labels": ..., "weight": ...}

SIDECAR = {
    "workloadSelector": {"labels": ...},
    "egress": [{"port": {"number": ..., "protocol": ..., "name": ...}, "hosts": ..., "captureMode": ("DEFAULT",)}],
    "outboundTrafficPolicy": {"mode": ..., "egressProxy": _DESTINATION},
}

ENVOY_FILTER = {
    "priority": ...,
    "workloadSelector": {"labels": ...},
    "configPatches": [{"applyTo": ..., "match": ..., "patch": {"operation": ..., "value": ..., "filterClass": ...}}],
}

SHAPES: dict[str, Any] = {
    "VirtualService": VIRTUAL_SERVICE,
    "DestinationRule": DESTINATION_RULE,
    "Gateway": GATEWAY,
    "EnvoyFilter": ENVOY_FILTER,
    "ServiceEntry": SERVICE_ENTRY,
    "Sidecar": SIDECAR,
    "WorkloadEntry": WORKLOAD_ENTRY,
}
