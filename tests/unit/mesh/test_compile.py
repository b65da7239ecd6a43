"""Compiling whole worlds: the scenario before and during a release, as outlines; what holds of every compilation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graylane.chain.match import RouteMatch
from graylane.mesh.compile.plan import Plan
from graylane.mesh.compiler import compile
from graylane.mesh.inputs import MeshConfig
from graylane.mesh.memo import Memo
from graylane.mesh.snapshot import Type
from graylane.mesh.table import Forward, Route
from graylane.model.meta import Obj
from graylane.testing import meshes

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples" / "end-to-end-canary"
GOLDEN = ROOT / "tests" / "golden" / "mesh"


def scenario() -> meshes.Cluster:
    found = meshes.Cluster(mesh=MeshConfig(access_log=""))
    for name in ("01-apps", "02-gateway", "03-virtual-services", "04-destination-rules"):
        found.apply(*(obj for obj in meshes.manifests(EXAMPLES / f"{name}.yaml") if obj["kind"] != "Deployment"))
    found.apply(meshes.gateway_service(30080))
    found.pods = [meshes.gateway_pod("127.20.0.1", "127.0.0.1"), base("mocka", 2), base("mockb", 3)]
    return found


def base(app: str, number: int) -> Obj:
    return meshes.pod(f"{app}-base", f"127.20.0.{number}", {"app": app, "version": "base"})


def release(found: meshes.Cluster, app: str, number: int) -> None:
    """What the release controllers make of a canary."""
    labels = {"app": app, "version": "canary", "istio.service.tag": "gray"}
    found.pods.append(meshes.pod(f"{app}-canary", f"127.20.0.{number}", labels))
    rule, service = found.get("DestinationRule", f"dr-{app}"), found.get("VirtualService", f"vs-{app}")
    subset = {"name": "canary", "labels": {"istio.service.tag": "gray"}}
    found.apply({**rule, "spec": {**rule["spec"], "subsets": [*rule["spec"]["subsets"], subset]}})
    lane = {
        "match": [{"headers": {"my-request-id": {"exact": "canary"}}}],
        "route": [{"destination": {"host": app, "subset": "canary"}}],
    }
    found.apply({**service, "spec": {**service["spec"], "http": [lane, *service["spec"]["http"]]}})


def outline(plan: Plan) -> str:
    """A plan on one screen: what listens, which routes it has, where they end."""
    lines = [
        f"{spec.role} {spec.name} -> {spec.table or spec.cluster}"
        for spec in sorted(plan.listeners.values(), key=lambda spec: spec.name)
    ]
    for table in plan.tables.values():
        lines += ["", f"table {table.name}"]
        for host in table.hosts:
            lines.append(f"  {', '.join(host.domains)}")
            lines += [f"    {route_line(route)}" for route in host.routes]
    lines += ["", "clusters"]
    for name, spec in plan.clusters.items():
        addresses = (f"{each.address}:{each.number(spec.port.name)}" for each in plan.picked(spec))
        lines.append(f"  {name}: {' '.join(addresses) or 'none'}")
    return "\n".join(lines) + "\n"


def route_line(route: Route) -> str:
    action = route.action
    to = " ".join(target.cluster for target in action.targets) if isinstance(action, Forward) else repr(action)
    return f"{match_text(route.match)} -> {to}"


def match_text(match: RouteMatch) -> str:
    if match.connect:
        return "CONNECT"
    parts = [f"{match.path.how} {match.path.value}"]
    parts += [f"{named.name} {named.text.how} {named.text.value}" for named in match.headers]
    return ", ".join(parts)


@pytest.mark.parametrize(("name", "apps"), [("scenario", ""), ("scenario-both-released", "ab")])
def test_the_scenario_compiles_to_what_is_written_down(name: str, apps: str) -> None:
    found = scenario()
    for number, letter in enumerate(apps, 4):
        release(found, f"mock{letter}", number)
    seen, path = outline(compile(found.inputs()).plan), GOLDEN / f"{name}.txt"
    if os.environ.get("WRITE_GOLDENS"):
        path.write_text(seen)
    assert seen == path.read_text()


def test_equal_inputs_give_equal_bytes() -> None:
    one, two = compile(scenario().inputs()).snapshot, compile(scenario().inputs()).snapshot
    for type in Type:
        assert [(r.name, r.body) for r in one.of(type).values()] == [(r.name, r.body) for r in two.of(type).values()]


def test_a_memo_changes_nothing_but_the_time() -> None:
    memo, found = Memo(), scenario()
    compile(found.inputs(), memo)
    for app, number in (("mocka", 4), ("mockb", 5)):
        release(found, app, number)
        with_memo, without = compile(found.inputs(), memo).snapshot, compile(found.inputs()).snapshot
        for type in Type:
            bodies = [{name: each.body for name, each in made.of(type).items()} for made in (with_memo, without)]
            assert bodies[0] == bodies[1]


def test_what_is_made_of_the_same_nouns_is_the_same_resource() -> None:
    memo, inputs = Memo(), scenario().inputs()
    one, two = compile(inputs, memo).snapshot, compile(inputs, memo).snapshot
    for type in Type:
        assert one.of(type) is two.of(type)


def test_pods_that_no_rule_tells_apart_share_one_table() -> None:
    found = scenario()
    found.pods += [meshes.pod(f"p{number}", f"127.20.1.{number}", {"app": "x"}) for number in range(1, 50)]
    tables = compile(found.inputs()).plan.tables
    assert sorted(tables) == ["http_proxy/default", "istio-ingressgateway.istio-system/http.8080"]


def test_rules_with_source_labels_split_pods_no_further_than_needed() -> None:
    found = scenario()
    service = found.get("VirtualService", "vs-mockb")
    only = {**service["spec"]["http"][0], "match": [{"sourceLabels": {"app": "x"}}]}
    found.apply({**service, "spec": {**service["spec"], "http": [only, *service["spec"]["http"]]}})
    found.pods += [meshes.pod(f"p{number}", f"127.20.1.{number}", {"app": "x"}) for number in range(1, 5)]
    assert len([name for name in compile(found.inputs()).plan.tables if name.startswith("http_proxy/")]) == 2


def codes(found: meshes.Cluster) -> dict[str, list[str]]:
    findings = compile(found.inputs()).plan.findings
    return {source.name: [each.code for each in told] for source, told in findings.items() if told}


def test_the_scenario_gives_no_cause_for_complaint() -> None:
    assert codes(scenario()) == {}


def to(**destination: object) -> Obj:
    return {"route": [{"destination": destination}]}


LOOKAHEAD = {"match": [{"uri": {"regex": "(?=a)"}}], "delegate": {"name": "d"}}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"http": [to(host="nobody")]}, ["IST0101"]),
        ({"http": [to(host="mocka", subset="no")]}, ["IST0101"]),
        ({"http": [to(host="mocka", port={"number": 1})]}, ["IST0101"]),
        ({"gateways": ["none"], "http": []}, ["IST0101"]),
        ({"tls": [{"match": [{"destinationSubnets": ["10.0.0.0/8"]}], "route": []}]}, ["GRL0001"]),
        ({"http": [LOOKAHEAD]}, ["IST0106", "IST0101"]),
        ({"http": [{"match": [{"headers": {"@request.auth.claims.group": {}}}], **to(host="mocka")}]}, ["GRL0001"]),
    ],
)
def test_what_a_virtual_service_cannot_have_is_told(spec: Obj, said: list[str]) -> None:
    found = scenario()
    metadata = {"name": "odd", "namespace": "default"}
    found.apply({"kind": "VirtualService", "metadata": metadata, "spec": {"hosts": ["x"], **spec}})
    assert codes(found) == {"odd": said}


@pytest.mark.parametrize("hashing", [{"maglev": {"tableSize": 4}}, {"maglev": {"tableSize": 5000021}}])
def test_a_table_size_that_would_silence_envoy_is_told_and_not_sent(hashing: Obj) -> None:
    found = scenario()
    rule = found.get("DestinationRule", "dr-mockb")
    policy = {"loadBalancer": {"consistentHash": {"httpHeaderName": "x", **hashing}}}
    found.apply({**rule, "spec": {**rule["spec"], "trafficPolicy": policy}})
    assert codes(found) == {"dr-mockb": ["IST0106"]}


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        ({"mode": "SIMPLE"}, ["IST0106"]),
        ({"mode": "SIMPLE", "credentialName": "none"}, ["IST0101"]),
        ({"mode": "ISTIO_MUTUAL"}, ["GRL0001", "GRL0001"]),
        ({"mode": "SIMPLE", "serverCertificate": "/etc/cert"}, ["GRL0001", "IST0106"]),
    ],
)
def test_a_server_whose_tls_cannot_be_had_is_told(tls: Obj, said: list[str]) -> None:
    found = scenario()
    gateway = found.get("Gateway", "sample-gateway")
    server = gateway["spec"]["servers"][0]
    other = {**server, "port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "tls": tls}
    found.apply({**gateway, "spec": {**gateway["spec"], "servers": [server, other]}})
    assert codes(found) == {"sample-gateway": said}


def test_a_gateway_without_a_workload_is_told() -> None:
    found = scenario()
    gateway = found.get("Gateway", "sample-gateway")
    server = gateway["spec"]["servers"][0]
    found.apply({**gateway, "spec": {"selector": {"istio": "no"}, "servers": [server]}})
    assert codes(found)["sample-gateway"] == ["IST0101"]


def patch(apply_to: str = "HTTP_FILTER", operation: str = "ADD", match: Obj | None = None, **value: object) -> Obj:
    return {"applyTo": apply_to, "match": match or {}, "patch": {"operation": operation, "value": value}}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (patch("BOOTSTRAP", "MERGE", admin={}), "GRL0001"),
        (patch("BOOTSTRAP", "MERGE", node={"id": "other"}), "GRL0001"),
        (patch("BOOTSTRAP", "MERGE", static_resources={"clusters": [{"name": "xds"}]}), "GRL0001"),
        (patch("BOOTSTRAP", "ADD"), "GRL0001"),
        (patch("LISTENER", "REPLACE", name="x"), "GRL0001"),
        (patch("CLUSTER", "MERGE", {"listener": {"portNumber": 80}}), "IST0106"),
        (patch(operation="MOVE"), "IST0106"),
        (patch(name="x", nonsense=1), "IST0133"),
        (patch(typed_config={"@type": "type.googleapis.com/no.Such"}), "IST0106"),
        (patch(match={"proxy": {"proxyVersion": "1.("}}, name="x"), "IST0106"),
        (patch(match={"proxy": {"metadata": {"a": "b"}}}, name="x"), "GRL0001"),
    ],
)
def test_what_an_envoy_filter_cannot_have_is_told(written: Obj, said: str) -> None:
    found = scenario()
    metadata = {"name": "ef", "namespace": "istio-system"}
    found.apply({"kind": "EnvoyFilter", "metadata": metadata, "spec": {"configPatches": [written]}})
    assert codes(found) == {"ef": [said]}
