"""A change of rules makes anew only the virtual hosts it is about; everything together is what it always was."""

from __future__ import annotations

import random

import pytest

from graylane.mesh.compile.plan import Plan
from graylane.mesh.compiler import Compiled, compile
from graylane.mesh.inputs import MeshConfig
from graylane.mesh.memo import Memo
from graylane.mesh.snapshot import Type
from graylane.mesh.store import Store
from graylane.mesh.table import VirtualHost
from graylane.model.kinds import DESTINATION_RULE, GATEWAY, POD, SERVICE, SIDECAR, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Obj, key_of
from graylane.testing import meshes

NAMES = ("a", "b", "c", "d")
HOSTS = (
    *((name,) for name in NAMES),
    ("a", "b"),
    ("c", "elsewhere.example"),
    ("elsewhere.example",),
    ("*.example",),
    ("c.default.svc.cluster.local:8000",),
    ("*.default.svc.cluster.local",),
    ("*",),
    (),
)


class Shop:
    """Four services and whatever rules there are for them, told to a `Store` change by change."""

    def __init__(self) -> None:
        self.store = Store(MeshConfig(access_log=""))
        self.memo = Memo()
        self.objects: dict[tuple[Kind, str], Obj] = {}
        for name in NAMES:
            spec = {"ports": [{"name": "http", "port": 8000}], "selector": {"app": name}, "clusterIP": "None"}
            self.put(SERVICE, name, spec)
        self.pod(meshes.pod("client", "127.20.0.2", {"app": "client"}))
        self.pod(meshes.gateway_pod("127.20.0.1", "127.0.0.1"))
        servers = [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]
        self.put(GATEWAY, "gw", {"selector": {"istio": "ingressgateway"}, "servers": servers})

    def pod(self, pod: Obj) -> None:
        self.store.take(POD, key_of(pod), None, pod)

    def put(self, kind: Kind, name: str, spec: Obj | None) -> None:
        old = self.objects.pop((kind, name), None)
        if old is None and spec is None:
            return
        new = None
        if spec is not None:
            new = meshes.created({"metadata": {"name": name}, "spec": spec}, "default")
            if old is not None:
                generation = old["metadata"]["generation"] + 1
                new["metadata"] = {**old["metadata"], "generation": generation}
            self.objects[kind, name] = new
        self.store.take(kind, key_of(new or old or {}), old, new)

    def rule(
        self,
        name: str,
        hosts: tuple[str, ...],
        mark: str,
        *,
        to: str = "a",
        delegate: str = "",
        only: str = "",
        subset: str = "",
        path: str = "",
    ) -> None:
        action: Obj = {"delegate": {"name": delegate}} if delegate else {"route": [{"destination": {"host": to}}]}
        if subset:
            action["route"][0]["destination"]["subset"] = subset
        http = [{**action, "headers": {"response": {"set": {"x-mark": mark}}}}]
        if only:
            http[0]["match"] = [{"gateways": [only]}]
        if path:
            http[0]["match"] = [{"uri": {"prefix": path}}]
        self.put(VIRTUAL_SERVICE, name, {"hosts": list(hosts), "gateways": ["mesh", "gw"], "http": http})

    def compiled(self) -> Compiled:
        return compile(self.store.inputs(), self.memo)


def virtual_hosts(plan: Plan, table: str = "http_proxy/default") -> dict[str, VirtualHost]:
    return {host.name: host for host in plan.tables[table].hosts}


def test_the_hosts_a_rule_is_not_about_stay_the_same() -> None:
    shop = Shop()
    for name in NAMES:
        shop.rule(name, (name,), "1")
    before = shop.compiled().plan
    shop.rule("b", ("b",), "2")
    after = shop.compiled().plan
    for table in before.tables:
        old, new = virtual_hosts(before, table), virtual_hosts(after, table)
        assert len(new) >= len(NAMES)
        assert [name for name in old if new[name] is not old[name]] == [name for name in old if name.startswith("b.")]


def test_of_many_rules_for_one_host_at_a_gateway_those_that_stay_are_not_made_again() -> None:
    shop = Shop()
    for number in range(100):
        shop.rule(f"r{number}", ("shop.example",), "1", to=NAMES[number % 4], path=f"/{number}")
    before = shop.compiled().plan
    shop.rule("r7", ("shop.example",), "2", to="b", path="/7")
    after = shop.compiled().plan
    (table,) = (name for name in before.tables if not name.startswith("http_proxy"))
    old, new = (virtual_hosts(each, table)["shop.example:80"].routes for each in (before, after))
    assert [(route.source or route).name for route in new if route not in old] == ["r7"]
    assert sum(one is two for one, two in zip(old, new, strict=True)) == 99


def test_what_leads_to_no_service_that_a_destination_rule_is_about_stays_the_same() -> None:
    shop = Shop()
    for name in NAMES:
        shop.rule(name, (name,), "1", to=name)
        shop.put(DESTINATION_RULE, name, {"host": name, "subsets": [{"name": "v1", "labels": {"v": "1"}}]})
    shop.rule("into-b", ("elsewhere.example",), "1", to="b")
    before = shop.compiled()
    shop.put(DESTINATION_RULE, "b", {"host": "b", "subsets": [{"name": "v2", "labels": {"v": "2"}}]})
    after = shop.compiled()
    for name, spec in after.plan.clusters.items():
        assert (spec is before.plan.clusters.get(name)) is ("b.default" not in name), name
    for table in before.plan.tables:
        old, new = virtual_hosts(before.plan, table), virtual_hosts(after.plan, table)
        moved = {name for name in old if new[name] is not old[name]}
        assert all(name.startswith(("b.", "b:", "elsewhere.")) for name in moved), moved
    kept, made = before.snapshot.of(Type.ENDPOINTS), after.snapshot.of(Type.ENDPOINTS)
    assert all(made[name] is each for name, each in kept.items() if "b.default" not in name)


def followed(shop: Shop, draw: random.Random, mark: str) -> None:
    """A DestinationRule comes, goes, or says something else: mostly of its one host, for everybody."""
    name = draw.choice(NAMES)
    known = shop.objects.get((DESTINATION_RULE, name))
    spec: Obj = {"host": known["spec"]["host"] if known else name}
    match draw.randrange(12):
        case 0:
            shop.put(DESTINATION_RULE, name, None)
            return
        case 1:
            spec["host"] = draw.choice(("*.default.svc.cluster.local", *NAMES))
        case 2:
            spec["workloadSelector"] = {"matchLabels": {"app": draw.choice(("client", "other"))}}
        case 3:
            spec["exportTo"] = ["."]
        case 4:
            spec["trafficPolicy"] = {"tls": {"mode": "SIMPLE"}}
        case 5:
            spec["trafficPolicy"] = {"loadBalancer": {"simple": "PASSTHROUGH"}}
        case 6:
            spec["trafficPolicy"] = {"connectionPool": {"tcp": {"connectTimeout": f"{draw.randrange(1, 9)}s"}}}
    labels = {"v": draw.choice(("1", "2"))}
    spec["subsets"] = [{"name": draw.choice((mark, "v1", "v2")), "labels": labels}]
    shop.put(DESTINATION_RULE, name, spec)


def change(shop: Shop, draw: random.Random) -> None:
    mark, name = str(draw.random()), draw.choice(("one", "two", "three", "four", "five"))
    match draw.randrange(15):
        case 0:
            shop.put(VIRTUAL_SERVICE, name, None)
        case 1 | 12 | 13 | 14:
            followed(shop, draw, mark)
        case 2:
            shop.put(SERVICE, draw.choice(NAMES), {"ports": [{"name": draw.choice(("http", "tcp")), "port": 8000}]})
        case 3:
            egress = [{"hosts": draw.choice((["*/*"], ["./a.default.svc.cluster.local"], ["~/*"]))}]
            shop.put(SIDECAR, "default", draw.choice((None, {"egress": egress})))
        case 4:
            shop.rule(name, draw.choice(HOSTS), mark, delegate=draw.choice(("one", "two", "nobody")))
        case 5 | 6:
            shop.rule(name, draw.choice(HOSTS), mark, to=draw.choice(NAMES), subset=draw.choice(("", "v1", "v2")))
        case _:  # what is done most: one rule says something else of the same hosts
            known = shop.objects.get((VIRTUAL_SERVICE, name))
            hosts = tuple(known["spec"]["hosts"]) if known else ("b",)
            shop.rule(name, hosts, mark, to=draw.choice(NAMES), only=draw.choice(("", "", "gw", "mesh")))


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_changed_it_is_as_if_all_were_made_anew(seed: int) -> None:
    draw, shop = random.Random(seed), Shop()
    for _ in range(40):
        change(shop, draw)
        with_memo, without = shop.compiled(), compile(shop.store.inputs())
        for type in Type:
            kept, fresh = with_memo.snapshot.of(type), without.snapshot.of(type)
            assert {name: each.body for name, each in kept.items()} == {name: each.body for name, each in fresh.items()}
            assert all(each.sources == fresh[name].sources for name, each in kept.items())
        assert dict(with_memo.plan.findings.items()) == dict(without.plan.findings.items())
        for source in without.plan.findings:
            assert with_memo.plan.carriers(source) == without.plan.carriers(source), source
