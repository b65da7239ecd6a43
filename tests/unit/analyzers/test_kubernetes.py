"""What is said of the Kubernetes Gateway API's objects before a controller has seen them."""

from __future__ import annotations

import pytest

from graylane.cli import manifests
from graylane.cli.written import by_origin, listed
from graylane.mesh.analyzers.everything import analysed
from graylane.mesh.analyzers.kubernetes import with_translations
from graylane.mesh.prove.imagine import imagined

GOOD = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web, version: v1}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web-canary}
spec: {selector: {app: web, version: v2}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v1}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web, version: v1}}, spec: {containers: [{name: x, image: y}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v2}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web, version: v2}}, spec: {containers: [{name: x, image: y}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front}
spec:
  gatewayClassName: istio
  listeners:
  - {name: web, port: 80, protocol: HTTP}
  - {name: secure, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: front}]
  rules:
  - matches: [{headers: [{name: x-lane, value: blue}]}]
    backendRefs: [{name: web-canary, port: 80}]
  - backendRefs: [{name: web, port: 80}]
"""
ROUTE = "HTTPRoute default/web"
BAD = [
    ("name: front}]", "name: frnt}]", "IST0101", "HTTPRoute default/web", "did you mean default/front?"),
    ("{name: web, port: 80}]", "{name: web, port: 81}]", "GRL0003", "HTTPRoute default/web", "BackendNotFound"),
    ("name: front}]", "name: front, port: 8}]", "GRL0003", "HTTPRoute default/web", "NoMatchingParent"),
    ("protocol: HTTP}", "protocol: TCP}", "GRL0003", "Gateway default/front", "listener 'web' is not opened"),
    ("80, protocol", "443, protocol", "IST0145", "Gateway default/front", "'web' is not opened: Conflict with gateway"),
    ("[{name: cert}]", "[{name: a}, {name: b}]", "GRL0003", "Gateway default/front", "exactly 1 certificateRef"),
]


def found(text: str) -> set[tuple[str, str, str]]:
    written = by_origin(manifests.parse(text, "f"), "default")
    lists = with_translations(listed(each.object for each in written.values()))
    told = analysed(imagined(lists, every_gateway=False))
    return {(each.finding.code, each.origin, each.finding.message) for each in told}


def test_good_ones_are_left_alone_and_secrets_taken_to_be_right() -> None:
    assert found(GOOD) == set()


@pytest.mark.parametrize(("good", "bad", "code", "origin", "says"), BAD, ids=[row[1] for row in BAD])
def test_what_a_cluster_would_say_in_a_status_is_found(good: str, bad: str, code: str, origin: str, says: str) -> None:
    told = [each for each in found(GOOD.replace(good, bad)) if each[:2] == (code, origin) and says in each[2]]
    assert len(told) == 1


def test_a_rule_that_is_not_used_is_the_routes_and_told_once_for_all_listeners() -> None:
    more = GOOD.rstrip() + "\n  - backendRefs: [{name: web-canary, port: 80}]\n"
    assert found(more) == {
        ("IST0130", ROUTE, "HTTPRoute rule #2 not used (all its matches are those of rules before it)."),
        ("IST0131", ROUTE, "HTTPRoute rule #2 match #0 is not used (another rule has the same match)."),
    }


def test_two_listeners_for_one_host_go_together_where_they_speak_http() -> None:
    assert (
        found(GOOD.replace("  - {name: secure", "  - {name: more, port: 80, protocol: HTTP}\n  - {name: secure"))
        == set()
    )


def test_an_istio_gateway_may_have_the_name_of_one_of_the_gateway_api() -> None:
    server = "servers: [{hosts: [x.y], port: {name: http, number: 8080, protocol: HTTP}}]"
    other = f"---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: front}}\nspec: {{{server}}}\n"
    assert found(GOOD + other) == set()
    assert len(by_origin(manifests.parse(GOOD + other, "f"), "default")) == 7
