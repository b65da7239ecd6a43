"""A good configuration, and for each of Istio's messages what makes it bad. Shared by whoever analyses them."""

from __future__ import annotations

ISTIO = "networking.istio.io/v1beta1"

GOOD = """
apiVersion: v1
kind: Service
metadata: {name: b}
spec: {selector: {app: b}, ports: [{name: http, port: 8000}]}
---
apiVersion: v1
kind: Service
metadata: {name: two}
spec: {selector: {app: two}, ports: [{name: http, port: 8000}, {name: http-admin, port: 9000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: b}
spec:
  selector: {matchLabels: {app: b}}
  template: {metadata: {labels: {app: b, version: v1}}, spec: {containers: [{name: x, image: y}]}}
---
apiVersion: networking.istio.io/v1beta1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers: [{hosts: [b.example], port: {name: http, number: 80, protocol: HTTP}}]
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: b}
spec: {host: b, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: b}
spec:
  hosts: [b]
  http:
  - {match: [{uri: {prefix: /a}}], route: [{destination: {host: b}}]}
  - {route: [{destination: {host: b}}]}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: edge}
spec: {hosts: [b.example], gateways: [gw], http: [{route: [{destination: {host: b, subset: v1}}]}]}
"""
TO_B = "route: [{destination: {host: b}}]"


def one(kind: str, spec: str, name: str = "mine", version: str = ISTIO) -> str:
    return f"---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def service(ports: str, selector: str = "{app: b}") -> str:
    return one("Service", f"{{selector: {selector}, ports: {ports}}}", version="v1")


def patch(text: str, more: str = "") -> str:
    return one("EnvoyFilter", f"{{{more}configPatches: [{{{text}}}]}}", version="networking.istio.io/v1alpha3")


def rules(*texts: str) -> str:
    return one("VirtualService", f"{{hosts: [x], http: [{', '.join(f'{{{text}}}' for text in texts)}]}}")


IN_FRONT = """---
apiVersion: v1
kind: Service
metadata: {name: in, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, ports: [{name: http, port: 8080}]}
"""
LUA = "applyTo: HTTP_FILTER, match: {proxy: {proxyVersion: '1.*'}}, patch: {operation: INSERT_BEFORE, value: {name: x}}"
HTTP80 = "port: {name: http, number: 80, protocol: HTTP}"
CASES = [
    (
        "IST0101",
        "Error",
        "VirtualService default/mine",
        "host",
        one("VirtualService", "{hosts: [x], http: [{route: [{destination: {host: nowhere}}]}]}"),
    ),
    (
        "IST0101",
        "Error",
        "VirtualService default/mine",
        "host+subset",
        one("VirtualService", "{hosts: [x], http: [{route: [{destination: {host: b, subset: v9}}]}]}"),
    ),
    (
        "IST0101",
        "Error",
        "VirtualService default/mine",
        "host:port",
        one("VirtualService", "{hosts: [x], http: [{route: [{destination: {host: b, port: {number: 1}}}]}]}"),
    ),
    (
        "IST0101",
        "Error",
        "VirtualService default/mine",
        "gateway",
        one("VirtualService", f"{{hosts: [x], gateways: [none], http: [{{{TO_B}}}]}}"),
    ),
    (
        "IST0101",
        "Error",
        "VirtualService default/mine",
        "host",
        one("VirtualService", f"{{hosts: [x], http: [{{{TO_B}, mirror: {{host: nowhere}}}}]}}"),
    ),
    (
        "IST0101",
        "Error",
        "Sidecar default/mine",
        "selector not found: 'app=nobody'",
        one("Sidecar", "{workloadSelector: {labels: {app: nobody}}, egress: [{hosts: ['*/*']}]}"),
    ),
    (
        "IST0109",
        "Error",
        "VirtualService default/mine",
        "default/b,default/mine",
        one("VirtualService", f"{{hosts: ['*.cluster.local'], exportTo: ['.'], http: [{{{TO_B}}}]}}"),
    ),
    (
        "IST0106",
        "Error",
        "VirtualService default/mine",
        "spec.http[0].timeout",
        one("VirtualService", f"{{hosts: [x], http: [{{{TO_B}, timeout: 0s}}]}}"),
    ),
    (
        "IST0109",
        "Error",
        "VirtualService default/mine",
        "default/b,default/mine",
        one("VirtualService", f"{{hosts: [b], http: [{{{TO_B}}}]}}"),
    ),
    (
        "IST0110",
        "Error",
        "Sidecar default/mine",
        "b-planned",
        one("Sidecar", "{workloadSelector: {labels: {app: b}}, egress: [{hosts: ['*/*']}]}")
        + one("Sidecar", "{workloadSelector: {labels: {version: v1}}, egress: [{hosts: ['*/*']}]}", "other"),
    ),
    (
        "IST0111",
        "Error",
        "Sidecar default/mine",
        "[mine other]",
        one("Sidecar", "{egress: [{hosts: ['*/*']}]}") + one("Sidecar", "{egress: [{hosts: ['./*']}]}", "other"),
    ),
    (
        "IST0112",
        "Error",
        "VirtualService default/mine",
        "[8000, 9000]",
        one("VirtualService", "{hosts: [x], http: [{route: [{destination: {host: two}}]}]}"),
    ),
    (
        "GRL0005",
        "Warning",
        "VirtualService default/mine",
        "port 9000 of b.default.svc.cluster.local",
        one("VirtualService", "{hosts: [two], http: [{match: [{port: 9000}], route: [{destination: {host: b}}]}]}"),
    ),
    ("IST0116", "Warning", "Deployment default/b", "port 8000", service("[{name: udp, port: 8000, protocol: UDP}]")),
    (
        "IST0137",
        "Warning",
        "Deployment default/b",
        "[8000, 8001]",
        service("[{name: http, port: 8001, targetPort: 8000}]"),
    ),
    ("IST0118", "Info", "Service default/mine", "Port name web", service("[{name: web, port: 1}]")),
    (
        "IST0101",
        "Error",
        "Gateway default/mine",
        "istio=egress",
        one("Gateway", f"{{selector: {{istio: egress}}, servers: [{{hosts: [x.y], {HTTP80}}}]}}"),
    ),
    (
        "IST0130",
        "Warning",
        "VirtualService default/mine",
        "rule #1 not used",
        one("VirtualService", f"{{hosts: [x], http: [{{{TO_B}}}, {{{TO_B}}}]}}"),
    ),
    (
        "IST0130",
        "Warning",
        "VirtualService default/mine",
        "rule again not used",
        rules(f"match: [{{uri: {{exact: /a}}}}], {TO_B}", f"name: again, match: [{{uri: {{exact: /a}}}}], {TO_B}"),
    ),
    (
        "IST0131",
        "Info",
        "VirtualService default/mine",
        "rule #1 match #0 is not used",
        rules(
            f"match: [{{uri: {{prefix: /a}}}}], {TO_B}",
            f"match: [{{uri: {{prefix: /ab}}}}, {{uri: {{exact: /c}}}}], {TO_B}",
        ),
    ),
    (
        "IST0132",
        "Warning",
        "VirtualService default/mine",
        "[other.example]",
        one("VirtualService", f"{{hosts: [other.example], gateways: [gw], http: [{{{TO_B}}}]}}"),
    ),
    (
        "IST0133",
        "Warning",
        "VirtualService default/mine",
        "mirrorPercent",
        one("VirtualService", f"{{hosts: [x], http: [{{{TO_B}, mirrorPercent: 1}}]}}"),
    ),
    (
        "IST0140",
        "Warning",
        "VirtualService default/mine",
        "default/split",
        one(
            "VirtualService",
            "{hosts: [two], http: [{route: [{destination: {host: two, subset: v1, port: {number: 8000}}}]}]}",
            "split",
        )
        + one(
            "VirtualService",
            "{hosts: [b.example], gateways: [gw], http: [{route: [{destination: {host: two, port: {number: 8000}}}]}]}",
        ),
    ),
    (
        "IST0145",
        "Error",
        "Gateway default/mine",
        "default/gw",
        one("Gateway", f"{{selector: {{istio: ingressgateway}}, servers: [{{hosts: ['*', b.example], {HTTP80}}}]}}"),
    ),
    (
        "IST0151",
        "Warning",
        "EnvoyFilter default/mine",
        "relative",
        patch("applyTo: CLUSTER, patch: {operation: REMOVE}"),
    ),
    (
        "IST0155",
        "Warning",
        "EnvoyFilter default/mine",
        "proxyVersion",
        patch(f"{LUA}}}, {{{LUA}"),
    ),
    (
        "IST0152",
        "Error",
        "EnvoyFilter default/mine",
        "REPLACE",
        patch("applyTo: CLUSTER, patch: {operation: REPLACE, value: {}}", "priority: 1, "),
    ),
    (
        "IST0153",
        "Error",
        "EnvoyFilter default/mine",
        "ADD",
        patch("applyTo: HTTP_ROUTE, patch: {operation: ADD, value: {}}"),
    ),
    (
        "IST0154",
        "Error",
        "EnvoyFilter default/mine",
        "REMOVE",
        patch("applyTo: HTTP_ROUTE, patch: {operation: REMOVE}"),
    ),
    (
        "IST0162",
        "Warning",
        "Gateway default/gw",
        "port 80",
        IN_FRONT,
    ),
]
