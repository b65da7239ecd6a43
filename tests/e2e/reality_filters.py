"""Random EnvoyFilters on which it may depend where a request goes, and some with code, which nobody can see through.

Pure. In: random numbers. Out: EnvoyFilters. None touches the virtual host that tells which configuration answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graylane.model.meta import Obj

CODE = "code"  # begins the name of those with code
_B, _TWO, _C = (f"{name}.shop.svc.cluster.local" for name in ("b", "two", "c"))
_HOSTS = {
    "SIDECAR_OUTBOUND": (f"{_B}:8000", f"{_B}:8000", f"{_TWO}:9000", f"{_TWO}:8000", f"{_C}:80", "nothing:80"),
    "GATEWAY": ("book.example.com:80", "*:80", "a.example.com:80", "*.example.com:80"),
}
_CLUSTERS = (
    f"outbound|8000||{_B}",
    f"outbound|8000|v1|{_B}",
    f"outbound|8000|v2|{_B}",
    f"outbound|80||{_C}",
    "nowhere",
)
_BELOW: tuple[Obj, ...] = (  # which is not where the configuration tells its name
    *({"prefix": "/a"}, {"path": "/a"}, {"path_separated_prefix": "/a"}, {"prefix": "/A", "case_sensitive": False}),
    {"safe_regex": {"regex": "/v[0-9]+/?.*"}},
)
_TYPES = "type.googleapis.com/envoy.extensions.filters.http"
_MANAGER = "envoy.filters.network.http_connection_manager"


@dataclass
class FilterMaker:
    draw: Random
    make: Callable[[str, str, Obj], Obj]  # an object of a kind in a namespace
    added: bool = field(default=False)

    def envoy_filters(self) -> list[Obj]:
        found = [self._envoy_filter() for _ in range(self.draw.choice([0, 1, 2, 3]))]
        return [*found, *([self._code()] if self.draw.random() < 0.1 else [])]

    def _envoy_filter(self) -> Obj:
        draw = self.draw
        spec: Obj = {"configPatches": [self._patch() for _ in range(draw.randint(1, 3))]}
        if draw.random() < 0.2:
            spec["workloadSelector"] = {"labels": draw.choice([{"tier": "front"}, {"app": "c"}, {"app": "nobody"}])}
        if draw.random() < 0.3:
            spec["priority"] = draw.choice([-1, 1])
        return self.make("EnvoyFilter", draw.choice(["istio-system", "istio-system", "shop", "other"]), spec)

    def _code(self) -> Obj:
        code = "function envoy_on_request(h) h:headers():replace('x-lane', 'canary') end"
        lua = {"name": "lua", "typed_config": {"@type": f"{_TYPES}.lua.v3.Lua", "inlineCode": code}}
        place = {"filterChain": {"filter": {"name": _MANAGER, "subFilter": {"name": "envoy.filters.http.router"}}}}
        match = {"context": self.draw.choice(["GATEWAY", "SIDECAR_OUTBOUND"]), "listener": place}
        patch = {"applyTo": "HTTP_FILTER", "match": match, "patch": {"operation": "INSERT_BEFORE", "value": lua}}
        found = self.make("EnvoyFilter", "istio-system", {"configPatches": [patch]})
        found["metadata"]["name"] = f"{CODE}-{found['metadata']['name']}"
        return found

    def _patch(self) -> Obj:
        draw = self.draw
        context = draw.choice(list(_HOSTS))
        makers = [self._route] * 4 + [self._merged_route] * 2 + [self._host] * 2 + [self._table, self._cluster]
        target, operation, match, value = draw.choice(makers)(draw.choice(_HOSTS[context]))
        patch: Obj = {"operation": operation} | ({"value": value} if value is not None else {})
        return {"applyTo": target, "match": {"context": context, **match}, "patch": patch}

    def _route(self, host: str) -> tuple[str, str, Obj, Obj | None]:
        draw = self.draw
        named = draw.choice(
            [{}, {}, {"route": {"name": draw.choice(["default", "mine"])}}, {"route": {"action": "ROUTE"}}]
        )
        operation = draw.choice(["INSERT_FIRST", "INSERT_FIRST", "INSERT_BEFORE", "INSERT_AFTER", "ADD", "REMOVE"])
        if operation != "REMOVE" and draw.random() < 0.5:
            value = {"name": "mine", "match": self._match(_BELOW), **self._action()}
            return "HTTP_ROUTE", operation, {"routeConfiguration": {"vhost": {"route": named}}} if named else {}, value
        match = {"routeConfiguration": {"vhost": {"name": host, **({"route": named} if named else {})}}}
        if operation == "REMOVE":
            return "HTTP_ROUTE", operation, match, None
        return "HTTP_ROUTE", operation, match, {"name": "mine", "match": self._match(), **self._action()}

    def _match(self, paths: tuple[Obj, ...] = ()) -> Obj:
        draw = self.draw
        path = draw.choice(paths or (*_BELOW, {"prefix": "/"}))
        found: Obj = dict(path)
        if draw.random() < 0.5:
            found["headers"] = [self._header()]
        if draw.random() < 0.15:
            found["query_parameters"] = [draw.choice([{"name": "x", "string_match": {"exact": "1"}}, {"name": "x"}])]
        return found

    def _header(self) -> Obj:
        draw = self.draw
        if draw.random() < 0.2:
            return {"name": "x-lane", "present_match": draw.random() < 0.7, "invert_match": draw.random() < 0.3}
        name, texts = draw.choice([("x-lane", ("canary", "can", "1")), ("x-user", ("dev-", "ann", "bob"))])
        how = draw.choice(["exact", "prefix", "suffix", "contains"])
        found: Obj = {"name": name, "string_match": {how: draw.choice(texts)}}
        if draw.random() < 0.2:
            found["string_match"]["ignore_case"] = True
        if draw.random() < 0.2:
            found |= {"invert_match": True, "treat_missing_header_as_empty": True}
        return found

    def _action(self) -> Obj:
        draw = self.draw
        cluster, other = draw.sample(_CLUSTERS, 2)
        shares = [{"name": cluster, "weight": 30}, {"name": other, "weight": draw.choice([0, 70])}]
        return draw.choice(
            [
                {"direct_response": {"status": draw.choice([200, 403, 418])}},
                {"redirect": {"path_redirect": "/new", "response_code": draw.choice(["FOUND", "SEE_OTHER"])}},
                {"route": {"cluster": cluster}},
                {"route": {"cluster": cluster, "prefix_rewrite": "/x"}},
                {"route": {"weighted_clusters": {"clusters": shares}}},
            ]
        )

    def _merged_route(self, host: str) -> tuple[str, str, Obj, Obj]:
        value = self.draw.choice(
            [
                {"match": {"headers": [self._header()]}},
                {"typed_per_filter_config": self._fault()},
                {"request_headers_to_add": [{"header": {"key": "x-lane", "value": "late"}}]},
                {"route": {"timeout": "3s"}},
            ]
        )
        named = self.draw.choice([{}, {"route": {"name": "mine"}}, {"route": {"action": "DIRECT_RESPONSE"}}])
        if "route" in value:
            named = {"route": {"action": "ROUTE"}}
        return "HTTP_ROUTE", "MERGE", {"routeConfiguration": {"vhost": {"name": host, **named}}}, value

    def _fault(self) -> Obj:
        abort = {"http_status": self.draw.choice([400, 555]), "percentage": {"numerator": self.draw.choice([0, 100])}}
        return {"envoy.filters.http.fault": {"@type": f"{_TYPES}.fault.v3.HTTPFault", "abort": abort}}

    def _host(self, host: str) -> tuple[str, str, Obj, Obj | None]:
        match = {"routeConfiguration": {"vhost": {"name": host}}}
        if self.draw.random() < 0.2:
            return "VIRTUAL_HOST", "REMOVE", match, None
        if self.draw.random() < 0.2 and not self.added:
            self.added = True  # a domain twice would be refused
            routes = [{"name": "mine", "match": self._match(), **self._action()} for _ in range(2)]
            return "VIRTUAL_HOST", "ADD", {}, {"name": "new:80", "domains": ["nobody.test"], "routes": routes}
        value: Any = self.draw.choice(
            [
                {"typed_per_filter_config": self._fault()},
                {"response_headers_to_add": [{"header": {"key": "x-host", "value": "1"}}]},
                {"require_tls": "ALL"},
            ]
        )
        return "VIRTUAL_HOST", "MERGE", match, value

    def _table(self, _: str) -> tuple[str, str, Obj, Obj]:
        value = {"response_headers_to_add": [{"header": {"key": "x-table", "value": "1"}}]}
        return "ROUTE_CONFIGURATION", "MERGE", {}, value

    def _cluster(self, _: str) -> tuple[str, str, Obj, Obj | None]:
        draw = self.draw
        match = {"cluster": draw.choice([{"service": _C}, {"service": _TWO, "portNumber": 9000}, {"subset": "v1"}])}
        if draw.random() < 0.3:
            return "CLUSTER", "REMOVE", match, None
        return "CLUSTER", "MERGE", match, draw.choice([{"connect_timeout": "3s"}, {"lb_policy": "RANDOM"}])
