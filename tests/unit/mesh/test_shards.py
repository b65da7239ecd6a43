"""Large tables in parts: every host is in the part that is looked into for it, and a change concerns few of them."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from envoy.config.route.v3 import route_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from graylane.mesh.compiler import compile
from graylane.mesh.encode import shards
from graylane.mesh.inputs import MeshConfig
from graylane.mesh.memo import Memo
from graylane.mesh.snapshot import Resource, Type
from graylane.testing import meshes

LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12)
HOST = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
NAMES = [f"{word}-{number}" for number in range(8) for word in ("cart", "orders", "payment", "search", "web")]


@given(HOST, st.sampled_from(("", ":80", ":8000")), st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_a_request_is_looked_for_where_its_host_is_however_it_is_spelled(host: str, port: str, draw: object) -> None:
    spelled = "".join(draw.choice((each.upper(), each)) for each in host)  # type: ignore[attr-defined]
    assert shards.spread([host + port]) == {shards.key_of(spelled + port): (host + port,)}


@given(st.text("019a7BzQ-_[].:", max_size=14) | st.ip_addresses(v=4).map(str) | HOST)
@settings(max_examples=500)
def test_what_envoy_is_to_ask_comes_to_the_part_for_whatever_host(host: str) -> None:
    answers = ("1" if re.search(question, host) else "0" for question in shards.QUESTIONS)
    assert "".join(answers) == shards.key_of(host) in shards.KEYS


def test_what_may_be_meant_by_any_host_is_in_every_part() -> None:
    found = shards.spread(["*.example", "a.example", "b.example:80"])
    assert found.keys() == set(shards.KEYS)
    assert all("*.example" in domains for domains in found.values())
    assert Counter(domain for domains in found.values() for domain in domains)["a.example"] == 1


def test_usual_names_are_spread_over_many_parts() -> None:
    numbers = range(1000)
    for names in (
        NAMES,
        [f"s{each}.shop" for each in numbers],
        [f"10.96.{each >> 8}.{each % 256}" for each in numbers],
    ):
        found = Counter(shards.key_of(f"{name}:8000") for name in names)
        assert len(found) >= 12
        assert max(found.values()) <= len(names) / 4


# -- whole compilations ---------------------------------------------------------------------------------------------


def market(whole_up_to: int = 0) -> meshes.Cluster:
    found = meshes.Cluster(mesh=MeshConfig(access_log="", whole_up_to=whole_up_to))
    for number, name in enumerate(NAMES):
        ports = [{"name": "http", "port": 8000}]
        spec = {"ports": ports, "selector": {"app": name}, "clusterIP": f"10.96.0.{number + 1}"}
        found.apply(*[meshes.created({"kind": "Service", "metadata": {"name": name}, "spec": spec}, "default")])
    found.pods = [meshes.pod("client", "127.20.0.2", {"app": "client"})]
    return found


def parts(cluster: meshes.Cluster, memo: Memo | None = None) -> dict[str, Resource]:
    return dict(compile(cluster.inputs(), memo).snapshot.of(Type.ROUTES).items())


def domains(each: Resource) -> dict[str, str]:
    """Each domain with what its virtual host says, in one table or part."""
    found: dict[str, str] = {}
    for host in route_pb2.RouteConfiguration.FromString(each.body).virtual_hosts:
        named = list(host.domains)
        host.ClearField("domains")
        found |= dict.fromkeys(named, str(host))
    return found


def test_the_parts_hold_what_the_whole_does() -> None:
    (whole,) = parts(market(whole_up_to=1000)).values()
    found = parts(market())
    assert set(found) == {shards.name_of(whole.name, key) for key in shards.KEYS}
    said = domains(whole)
    for key in shards.KEYS:
        part = domains(found[shards.name_of(whole.name, key)])
        assert part == {domain: text for domain, text in said.items() if key in shards.spread([domain])}
    assert whole.sources == frozenset[object]().union(*(each.sources for each in found.values()))


def test_a_change_of_a_rule_is_a_change_of_the_parts_it_is_in() -> None:
    memo, cluster = Memo(), market()
    before = parts(cluster, memo)
    spec = "{hosts: [web-1], http: [{route: [{destination: {host: web-2}}]}]}"
    cluster.apply(*meshes.manifests(f"kind: VirtualService\nmetadata: {{name: web}}\nspec: {spec}"))
    after = parts(cluster, memo)
    changed = {name for name, each in after.items() if each is not before[name]}
    own = f"10.96.0.{NAMES.index('web-1') + 1}:8000"
    assert changed == {f"http_proxy/default#{shards.key_of(host)}" for host in ("web-1:8000", own)}


FILTER = """
kind: EnvoyFilter
metadata: {name: ef}
spec:
  configPatches:
  - applyTo: VIRTUAL_HOST
    match: {context: SIDECAR_OUTBOUND, routeConfiguration: {vhost: {name: "web-1.default.svc.cluster.local:8000"}}}
    patch: {operation: MERGE, value: {request_headers_to_add: [{header: {key: x-a, value: "1"}}]}}
"""
CODE = """
kind: EnvoyFilter
metadata: {name: code}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match: {context: SIDECAR_OUTBOUND}
    patch:
      operation: INSERT_FIRST
      value:
        name: lua
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
          inline_code: "function envoy_on_request(handle) end"
"""


def test_what_a_filter_does_to_routes_is_done_before_they_are_parted() -> None:
    cluster = market()
    cluster.apply(*meshes.manifests(FILTER))
    (whole,) = parts(replaced(cluster, 1000)).values()
    said = domains(whole)
    for name, each in parts(cluster).items():
        assert domains(each).items() <= said.items()
        own = [shards.key_of(host) for host in ("web-1", f"10.96.0.{NAMES.index('web-1') + 1}")]
        assert ("x-a" in str(domains(each))) == (name.rpartition("#")[2] in own)


def replaced(cluster: meshes.Cluster, whole_up_to: int) -> meshes.Cluster:
    return meshes.Cluster(
        mesh=MeshConfig(access_log="", whole_up_to=whole_up_to), objects=cluster.objects, pods=cluster.pods
    )


def test_who_may_change_a_requests_host_on_its_way_looks_into_the_whole() -> None:
    cluster = market()
    cluster.apply(*meshes.manifests(CODE))
    assert set(parts(cluster)) == {"http_proxy/default"}


@pytest.mark.parametrize("most", [0, 1000])
def test_a_listener_needs_the_parts_it_looks_into(most: int) -> None:
    (found,) = compile(market(most).inputs()).snapshot.of(Type.LISTENER).values()
    assert len(found.needs) == (0 if most else len(shards.KEYS))
    assert bool(re.search(shards.HEADER.encode(), found.body)) == (not most)
