"""Random configurations and random requests, for putting the simulator to the test of a real Envoy.

Pure. In: seeds. Out: `Case`s. Names, paths and values come from small vocabularies, so that rules and requests meet
often, and near misses too.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from graylane.model.meta import Obj

from .reality_filters import FilterMaker

PATHS = (
    *(
        "/",
        "/a",
        "/a/",
        "/A",
        "/ab",
        "/a/b",
        "/a?x=1",
        "/a?x=2&x=1",
        "/a?y",
        "/api/v1/users",
        "/api/v2",
        "/v1",
        "/v10/x",
    ),
    *(
        "/../a",
        "/x/../a",
        "/a/./b",
        "//a",
        "/a//b",
        "/a/..",
        "/%61",
        "/a%2Fb",
        "/a;p=1",
        "/a/b?x=1&y=z",
        "/~a",
        "/a.json",
    ),
    *("/?x=", "/a?=1", "/a?x=1?x=2", "/a?X=1", "/...", "/a/.", "/a%20b", "/.a", "/a+b", "/%2e%2E/a", "/a\\b", "/a|b"),
    *("/a//../b", "/a/..//a", "/%", "/a%zz", "/%7Ea", "/a%2fb", "/a/b/..?x=1", "/a?x=%31", "/a?x=1&x"),
)
HEADERS: dict[str, tuple[str, ...]] = {
    "x-lane": ("canary", "Canary", "canaryx", "can", "", "1"),
    "x-user": ("ann", "dev-ann", "dev-", "bob"),
    "cookie": ("user=dev", "a=1; user=dev", "a=1;user=dev;b=2", "user=ops"),
    "origin": ("http://a.example.com", "http://b.example.com"),
}
REGEXES = (
    "/v[0-9]+/?.*",
    ".*",
    "/a.*b",
    "/(a|api)(/.*)?",
    "[a-z]+",
    "^(.*?;)?(user=dev)(;.*)?$",
    "can.*",
    "dev-\\w+",
    "*",
)
METHODS = ("GET", "GET", "GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD")
SERVICES = ("b", "two", "c", "d")
MESH_HOSTS = (
    *("b:8000", "b.shop:8000", "b.shop.svc:8000", "b.shop.svc.cluster.local:8000", "B:8000", "b", "b:9000"),
    *("two:8000", "two:9000", "two.shop:9000", "c", "c:80", "c.shop", "d:8000", "d.other:8000", "NETWORK.210:8000"),
    *("book.example.com", "a.example.com", "a.b.example.com", "book.example.com:80", "b.shop:80", "empty:8000"),
    *(
        "ext.example.org",
        "ext.example.org:8000",
        "x.wild.example.org",
        "ext.example.org:9",
        "NETWORK.250",
        "NETWORK.4:8000",
        "nobody.test",
    ),
)
EDGE_HOSTS = (
    "book.example.com",
    "a.example.com",
    "a.b.example.com",
    "example.com",
    "any.test",
    "BOOK.example.com:8080",
)
VS_HOSTS = (
    *("b", "b.shop.svc.cluster.local", "two", "c", "d.other.svc.cluster.local", "*.shop.svc.cluster.local"),
    *("book.example.com", "*.example.com", "a.example.com", "*.b.example.com", "ext.example.org"),
)
SOURCES = ("client", "stranger", "c-1", "gateway")


@dataclass(frozen=True)
class Asked:
    """One request; `source` is a pod, or the gateway that it comes to. `NETWORK` is where the town is."""

    source: str
    host: str
    path: str = "/"
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Case:
    """Objects beside those of the town, and requests to put to them."""

    objects: list[Obj]
    asked: list[Asked] = field(default_factory=list)


def case(seed: int, requests: int) -> Case:
    draw = random.Random(seed)
    maker = _Maker(draw)
    objects = [maker.gateway(), *maker.virtual_services(), *maker.destination_rules()]
    objects += [*maker.service_entries(), *maker.sidecars(), *FilterMaker(draw, maker.object).envoy_filters()]
    return Case(objects, [maker.request() for _ in range(requests)])


@dataclass
class _Maker:
    draw: random.Random
    made: int = 0
    delegates: list[Obj] = field(default_factory=list)

    def maybe(self, chance: float) -> bool:
        return self.draw.random() < chance

    def request(self) -> Asked:
        draw = self.draw
        source = draw.choice(SOURCES)
        host = draw.choice(EDGE_HOSTS if source == "gateway" else MESH_HOSTS)
        headers = [(name, draw.choice(values)) for name, values in HEADERS.items() if self.maybe(0.4)]
        method = draw.choice(METHODS)
        if method == "OPTIONS" and self.maybe(0.7):
            headers.append(("access-control-request-method", "GET"))
        return Asked(source, host, draw.choice(PATHS), method, tuple(headers))

    def object(self, kind: str, namespace: str, spec: Obj) -> Obj:
        self.made += 1
        name = f"{kind.lower()}-{self.draw.randrange(100)}-{self.made}"
        created = f"2024-01-01T00:00:{self.draw.randrange(60):02}Z"
        meta = {"name": name, "namespace": namespace, "creationTimestamp": created, "generation": 1, "uid": name}
        if self.maybe(0.1):
            spec["exportTo"] = [self.draw.choice([".", "*", "shop", "other"])]
        return {"kind": kind, "metadata": meta, "spec": spec}

    def gateway(self) -> Obj:
        hosts = self.draw.choice([["*"], ["*.example.com"], ["book.example.com", "shop/a.example.com"], ["shop/*"]])
        port = {"number": 80, "name": "http", "protocol": "HTTP"}
        server: Obj = {"port": port, "hosts": hosts}
        if self.maybe(0.05):
            server["tls"] = {"httpsRedirect": True}
        meta = {
            "name": "gw",
            "namespace": "shop",
            "creationTimestamp": "2024-01-01T00:00:00Z",
            "generation": 1,
            "uid": "g",
        }
        return {
            "kind": "Gateway",
            "metadata": meta,
            "spec": {"selector": {"istio": "ingressgateway"}, "servers": [server]},
        }

    def virtual_services(self) -> list[Obj]:
        found = [self._virtual_service() for _ in range(self.draw.randint(1, 5))]
        return [*found, *self.delegates]

    def _virtual_service(self) -> Obj:
        draw = self.draw
        hosts = draw.sample(VS_HOSTS, draw.randint(1, 2))
        if any(host.startswith("*") for host in hosts):
            hosts = hosts[:1]
        spec: Obj = {"hosts": hosts}
        bound = draw.choice([None, ["mesh"], ["shop/gw"], ["shop/gw", "mesh"], ["shop/gw", "mesh"]])
        if bound:
            spec["gateways"] = bound
        spec["http"] = [self._rule(nested=False) for _ in range(draw.randint(1, 5))]
        return self.object("VirtualService", draw.choice(["shop", "shop", "other", "istio-system"]), spec)

    def _rule(self, *, nested: bool) -> Obj:
        rule: Obj = {}
        if self.maybe(0.8):
            rule["match"] = [self._match() for _ in range(self.draw.randint(1, 2))]
        if not nested and self.maybe(0.08):
            rule["delegate"] = self._delegate()
            return rule
        if self.maybe(0.08):
            rule["redirect"] = self._redirect()
            return self._with_cors(rule)
        if self.maybe(0.1):
            rule["directResponse"] = {"status": self.draw.choice([200, 204, 403, 418, 503]), "body": {"string": "own"}}
            return self._with_cors(rule)
        rule["route"] = self._destinations()
        self._decorate(rule)
        return rule

    def _delegate(self) -> Obj:
        spec = {"http": [self._rule(nested=True) for _ in range(self.draw.randint(1, 3))]}
        delegate = self.object("VirtualService", "shop", spec)
        self.delegates.append(delegate)
        return {"name": delegate["metadata"]["name"], "namespace": "shop"}

    def _redirect(self) -> Obj:
        whole = {"uri": "/new", "authority": "new.example.com", "scheme": "https", "redirectCode": 308, "port": 8443}
        kept = self.draw.sample(list(whole), self.draw.randint(1, 3))
        found = {name: whole[name] for name in kept}
        return found if set(found) - {"redirectCode"} else {"uri": "/new", **found}

    def _decorate(self, rule: Obj) -> None:
        draw = self.draw
        if self.maybe(0.15):
            rule["rewrite"] = draw.choice(
                [
                    {"uri": "/"},
                    {"authority": "other.host"},
                    {"uriRegexRewrite": {"match": "^/a(.*)$", "rewrite": "\\1/x"}},
                ]
            )
        if self.maybe(0.1):
            rule["timeout"] = "5s"
        if self.maybe(0.15):
            rule["retries"] = draw.choice([{"attempts": 0}, {"attempts": 1, "retryOn": "5xx"}, {"attempts": 3}])
        if self.maybe(0.15):
            rule["headers"] = {
                "request": {"set": {"x-lane": "canary"}, "add": {"x-hop": "1"}},
                "response": {"remove": ["x-pod"]},
            }
        if self.maybe(0.12):
            rule["fault"] = self._fault()
        if self.maybe(0.1):
            rule["mirror"] = {"host": "b.shop.svc.cluster.local", "subset": draw.choice(["v1", "missing"])}
        self._with_cors(rule)

    def _with_cors(self, rule: Obj) -> Obj:
        if self.maybe(0.15):
            origin = self.draw.choice(
                [{"exact": "http://a.example.com"}, {"prefix": "http://"}, {"regex": "http://b.*"}]
            )
            rule["corsPolicy"] = {"allowOrigins": [origin], "allowMethods": ["GET"]}
            if self.maybe(0.5):
                rule["corsPolicy"]["unmatchedPreflights"] = self.draw.choice(["IGNORE", "FORWARD"])
        return rule

    def _fault(self) -> Obj:
        share = {"percentage": {"value": self.draw.choice([100, 100, 0])}}
        abort = {"abort": {"httpStatus": self.draw.choice([400, 503, 555]), **share}}
        delay = {"delay": {"fixedDelay": "1ms", **share}}
        return self.draw.choice([abort, delay, {**abort, **delay}])

    def _destinations(self) -> list[Obj]:
        count = self.draw.choice([1, 1, 1, 2, 3])
        found: list[Obj] = [{"destination": self._destination()} for _ in range(count)]
        if count > 1:
            for entry in found:
                entry["weight"] = self.draw.choice([0, 1, 30, 70])
            found[0]["weight"] = 50
        return found

    def _destination(self) -> Obj:
        draw = self.draw
        host = draw.choice(["b", "b.shop.svc.cluster.local", "two.shop.svc.cluster.local", "c.shop.svc.cluster.local"])
        if self.maybe(0.1):
            others = ["nowhere", "d.other.svc.cluster.local", "empty.shop.svc.cluster.local", "ext.example.org"]
            host = draw.choice(others)
        found: Obj = {"host": host}
        if self.maybe(0.5):
            found["subset"] = draw.choice(["v1", "v1", "v2", "none", "missing"])
        if self.maybe(0.5):
            found["port"] = {"number": draw.choice([8000, 8000, 8000, 9000, 80, 7])}
        return found

    def _text(self, values: tuple[str, ...]) -> Obj:
        how = self.draw.choice(["exact", "exact", "prefix", "regex"])
        if how == "regex":
            return {"regex": self.draw.choice(REGEXES)}
        value = self.draw.choice(values)
        return {how: value} if how == "exact" or value else {"exact": value}

    def _match(self) -> Obj:
        draw = self.draw
        found: Obj = {}
        if self.maybe(0.6):
            paths = tuple(path.partition("?")[0] for path in PATHS)
            found["uri"] = self._text(paths)
            if found["uri"] == {"regex": "*"}:
                found["uri"] = {"regex": ".*"}
            if self.maybe(0.2):
                found["ignoreUriCase"] = True
        for field_name in ("headers", "withoutHeaders"):
            if self.maybe(0.3):
                name = draw.choice(list(HEADERS))
                found[field_name] = {name: self._text(HEADERS[name]) if self.maybe(0.85) else {}}
        if self.maybe(0.2):
            found["queryParams"] = {draw.choice(["x", "y", "X"]): draw.choice([{"exact": "1"}, {"prefix": "z"}, {}])}
        if self.maybe(0.15):
            found["method"] = draw.choice([{"exact": "GET"}, {"exact": "POST"}, {"prefix": "P"}, {"regex": "GET|PUT"}])
        if self.maybe(0.1):
            found["authority"] = draw.choice([{"exact": "b:8000"}, {"prefix": "b"}, {"regex": ".*example.com"}])
        if self.maybe(0.05):
            found["scheme"] = draw.choice([{"exact": "http"}, {"exact": "https"}])
        if self.maybe(0.1):
            found["port"] = draw.choice([8000, 9000, 80])
        if self.maybe(0.1):
            found["gateways"] = draw.choice([["mesh"], ["shop/gw"], ["shop/gw", "mesh"]])
        if self.maybe(0.1):
            found["sourceLabels"] = draw.choice([{"tier": "front"}, {"app": "c"}, {"app": "nobody"}])
        if self.maybe(0.05):
            found["sourceNamespace"] = draw.choice(["shop", "other"])
        return found

    def service_entries(self) -> list[Obj]:
        return [self._service_entry() for _ in range(self.draw.choice([0, 0, 1, 1, 2]))]

    def _service_entry(self) -> Obj:
        """`NETWORK` is where the town's pods are."""
        draw = self.draw
        ports = [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8000}]
        if self.maybe(0.5):
            ports.append({"number": 8000, "name": "http-alt", "protocol": "HTTP"})
        hosts = draw.choice([["ext.example.org"], ["ext.example.org", "other.example.org"], ["*.wild.example.org"]])
        spec: Obj = {"hosts": hosts, "ports": ports, "resolution": "STATIC", "location": "MESH_EXTERNAL"}
        labels = [{"version": "v1"}, {"version": "v2"}, {}]
        count = draw.choice([0, 1, 2])
        spec["endpoints"] = [{"address": f"NETWORK.{4 + each}", "labels": draw.choice(labels)} for each in range(count)]
        if self.maybe(0.3):
            spec["addresses"] = ["NETWORK.250"]
        return self.object("ServiceEntry", draw.choice(["shop", "shop", "other", "istio-system"]), spec)

    def sidecars(self) -> list[Obj]:
        return [self._sidecar() for _ in range(self.draw.choice([0, 0, 0, 1, 2]))]

    def _sidecar(self) -> Obj:
        draw = self.draw
        every = ["./*", "*/*", "~/*", "shop/b.shop.svc.cluster.local", "other/*", "*/ext.example.org", "shop/*"]
        egress: list[Obj] = [{"hosts": draw.sample(every, draw.randint(1, 3))}]
        if self.maybe(0.3):
            port = {"number": draw.choice([8000, 9000, 80]), "protocol": "HTTP", "name": "p"}
            egress.insert(0, {"port": port, "hosts": draw.sample(every, 1)})
        for each in egress:
            each["hosts"].append("*/probe.test")
        spec: Obj = {"egress": egress}
        if self.maybe(0.4):
            spec["workloadSelector"] = {"labels": draw.choice([{"tier": "front"}, {"app": "c"}])}
        if self.maybe(0.3):
            spec["outboundTrafficPolicy"] = {"mode": draw.choice(["REGISTRY_ONLY", "ALLOW_ANY"])}
        return self.object("Sidecar", draw.choice(["shop", "shop", "other", "istio-system"]), spec)

    def destination_rules(self) -> list[Obj]:
        return [self._destination_rule() for _ in range(self.draw.randint(0, 3))]

    def _destination_rule(self) -> Obj:
        draw = self.draw
        hosts = ["b.shop.svc.cluster.local", "two.shop.svc.cluster.local", "*.shop.svc.cluster.local"]
        host = draw.choice([*hosts, "ext.example.org"])
        whole: dict[str, Any] = {"v1": {"version": "v1"}, "v2": {"version": "v2"}, "none": {"version": "v9"}}
        names = draw.sample(list(whole), draw.randint(1, 3))
        spec: Obj = {"host": host, "subsets": [{"name": name, "labels": whole[name]} for name in names]}
        if self.maybe(0.3):
            spec["trafficPolicy"] = {"loadBalancer": {"simple": draw.choice(["RANDOM", "ROUND_ROBIN", "PASSTHROUGH"])}}
        if self.maybe(0.1):
            spec["workloadSelector"] = {"matchLabels": {"tier": "front"}}
        return self.object("DestinationRule", draw.choice(["shop", "shop", "shop", "other", "istio-system"]), spec)
