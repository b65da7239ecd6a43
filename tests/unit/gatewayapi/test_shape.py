"""What an HTTPRoute becomes is stored as it is made: no field is pruned, so that nothing is written again and again."""

from __future__ import annotations

import yaml

from graylane.chain.validation.judging import judge
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.install import shipped_crds
from graylane.mesh.gatewayapi.controller import GATEWAY_CLASS_OBJECT
from graylane.mesh.gatewayapi.objects import wanted
from graylane.model.kinds import GATEWAY_CLASS, HTTP_ROUTE, KUBE_GATEWAY, SERVICE
from graylane.model.meta import Obj, name_of
from graylane.testing.world import World

RICH = """
metadata: {name: r, namespace: shop}
spec:
  parentRefs: [{name: front}, {group: '', kind: Service, name: b, port: 8000}]
  hostnames: [a.example.com]
  rules:
  - matches:
    - path: {type: Exact, value: /a}
      method: GET
      headers: [{name: x, value: '1'}, {name: y, type: RegularExpression, value: '1.*'}]
      queryParams: [{name: q, value: '1'}]
    - path: {type: RegularExpression, value: '/b/.*'}
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: s, value: '1'}], add: [{name: t, value: '2'}], remove: [u]}
    - type: ResponseHeaderModifier
      responseHeaderModifier: {add: [{name: v, value: '3'}]}
    - type: RequestMirror
      requestMirror: {backendRef: {name: b, port: 8000}}
    - type: URLRewrite
      urlRewrite: {hostname: h.test, path: {type: ReplaceFullPath, replaceFullPath: /one}}
    backendRefs:
    - name: b
      port: 8000
      weight: 2
      filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: w, value: '4'}]}}]
    - {name: none, port: 8000}
    timeouts: {request: 1s}
  - matches: [{path: {value: /p}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]
    backendRefs: [{name: b, port: 8000}]
  - matches: [{path: {value: /away}}]
    filters: [{type: RequestRedirect, requestRedirect: {hostname: r.test, statusCode: 301}}]
  - matches: [{path: {value: /far}}]
    filters:
    - type: RequestRedirect
      requestRedirect: {scheme: https, port: 8443, path: {type: ReplaceFullPath, replaceFullPath: /x}}
  - backendRefs: [{name: none, port: 8000}]
"""


def made() -> list[Obj]:
    world = World()
    world.put(GATEWAY_CLASS, {**GATEWAY_CLASS_OBJECT})
    world.put(SERVICE, {"metadata": {"name": "b", "namespace": "shop"}, "spec": {"ports": [{"port": 8000}]}})
    listener = {"name": "web", "port": 80, "protocol": "HTTP", "hostname": "*.example.com"}
    spec = {"gatewayClassName": "istio", "listeners": [listener]}
    world.put(KUBE_GATEWAY, {"metadata": {"name": "front", "namespace": "shop"}, "spec": spec})
    world.put(HTTP_ROUTE, yaml.safe_load(RICH))
    return list(wanted(world.view()).objects.values())


def test_no_field_of_what_is_made_is_unknown_or_refused() -> None:
    objects = made()
    assert sorted(obj["kind"] for obj in objects) == ["Gateway", "VirtualService", "VirtualService"]
    crds = {
        crd["spec"]["names"]["kind"]: crd for crd in shipped_crds() if crd["spec"]["group"] == "networking.istio.io"
    }
    for obj in objects:
        schema = crds[obj["kind"]]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        structural = Structural.from_crd(schema)
        assert structural.unknown(obj) == []
        assert structural.check(obj) == []
        assert structural.default(obj) == obj
        assert judge(obj).errors == [], name_of(obj)


CALLS = """
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: r, namespace: shop}
spec:
  parentRefs: [{name: front}]
  hostnames: [a.example.com]
  rules:
  - matches: [{method: {service: a.B, method: C}, headers: [{name: x, value: '1'}]}]
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: s, value: '1'}]}}
    - {type: RequestMirror, requestMirror: {backendRef: {name: b, port: 8000}}}
    backendRefs: [{name: b, port: 8000}]
"""


def test_a_grpc_route_as_written_keeps_everything() -> None:
    (crd,) = [crd for crd in shipped_crds() if crd["spec"]["names"]["kind"] == "GRPCRoute"]
    structural = Structural.from_crd(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    route = yaml.safe_load(CALLS)
    assert structural.unknown(route) == []
    full = structural.default(route)
    assert structural.check(full) == []
    assert full["spec"]["rules"][0]["matches"][0]["method"] == {"type": "Exact", "service": "a.B", "method": "C"}


def test_a_route_as_written_keeps_everything_but_what_the_channel_lacks() -> None:
    (crd,) = [crd for crd in shipped_crds() if crd["spec"]["names"]["kind"] == "HTTPRoute"]
    structural = Structural.from_crd(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    route = {"apiVersion": HTTP_ROUTE.api_version, "kind": "HTTPRoute", **yaml.safe_load(RICH)}
    assert structural.unknown(route) == []
    full = structural.default(route)["spec"]
    assert full["rules"][4]["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    assert full["rules"][0]["backendRefs"][1] == {
        "name": "none",
        "port": 8000,
        "group": "",
        "kind": "Service",
        "weight": 1,
    }
    assert full["parentRefs"][0] == {"name": "front", "group": "gateway.networking.k8s.io", "kind": "Gateway"}
