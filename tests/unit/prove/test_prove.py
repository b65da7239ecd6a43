"""A lane is proved for every kind of request there can be, or refuted by a request that anybody can send."""

from __future__ import annotations

import pytest

from graylane.mesh.prove import walk
from graylane.mesh.prove.judge import Claim
from graylane.mesh.prove.proof import Proof
from graylane.mesh.prove.walk import prove_lists
from graylane.mesh.prove.words import curl, lines, sentence

from .scene import LANE, canary, release, scenario

MOCKC = """
apiVersion: v1
kind: Service
metadata: {name: mockc}
spec: {ports: [{name: http, port: 8000}], selector: {app: mockc}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: mockc-base}
spec:
  selector: {matchLabels: {app: mockc}}
  template: {metadata: {labels: {app: mockc, version: base}}, spec: {containers: [{name: default, image: x}]}}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: vs-mockc}
spec: {hosts: [mockc], http: [{route: [{destination: {host: mockc, subset: version-base}}]}]}
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: dr-mockc}
spec:
  host: mockc
  subsets: [{name: version-base, labels: {version: base}}, {name: canary, labels: {version: canary}}]
---
apiVersion: rollouts.kruise.io/v1alpha1
kind: Rollout
metadata: {name: rollouts-c, annotations: {rollouts.kruise.io/trafficrouting: mockb-tr}}
spec: {objectRef: {workloadRef: {apiVersion: apps/v1, kind: Deployment, name: mockc-base}}}
"""


def broken(proof: Proof) -> set[Claim]:
    assert proof.complete
    return {failure.claim for failure in proof.failures}


@pytest.mark.parametrize("released", [(), ("mocka",), ("mockb",), ("mocka", "mockb")])
def test_the_scenarios_lane_holds_with_any_of_its_services_released(released: tuple[str, ...]) -> None:
    proof = scenario(*released).prove()
    assert proof.holds, lines(proof)
    assert proof.canaries is bool(released)
    assert proof.hops >= 2


def test_a_canary_without_routes_is_refuted_and_only_the_promise_that_needs_them() -> None:
    found = scenario()
    canary(found, "mockb")
    proof = found.prove()
    assert broken(proof) == {Claim.CANARY}
    (failure,) = proof.failures
    assert failure.hop == 2
    assert sentence(failure).startswith("hop 2, VirtualService default/vs-mockb http[0]: a dyed request reaches base")


def test_a_rule_in_front_that_takes_the_lane_is_named() -> None:
    found = scenario("mocka", "mockb")
    rules = found.get("VirtualService", "vs-mockb")["spec"]["http"]
    base = [{"destination": {"host": "mockb", "subset": "version-base"}}]
    rules.insert(0, {"match": [{"uri": {"prefix": "/pay"}}], "route": base})
    (failure,) = found.prove().failures
    assert (failure.claim, failure.last.rule) == (Claim.CANARY, "VirtualService default/vs-mockb http[0]")
    assert failure.last.request.path == "/pay"
    assert curl(failure.last) == (
        "kubectl -n default exec mocka-base-planned -- curl -H 'my-request-id: canary' http://mockb:8000/pay"
    ).replace("mocka-base", failure.last.caller.removeprefix("pod default/").removesuffix("-planned"))


def test_a_lane_by_prefix_lets_plain_requests_in() -> None:
    found = scenario("mockb")
    match = found.get("VirtualService", "vs-mockb")["spec"]["http"][0]["match"][0]
    match["headers"]["my-request-id"] = {"prefix": "can"}
    (failure,) = found.prove().failures
    assert failure.claim is Claim.PLAIN
    assert dict(failure.last.request.headers)["my-request-id"] in ("can", "canaryx")


def test_a_subset_nobody_defines_loses_dyed_requests() -> None:
    found = scenario("mocka")
    found.get("DestinationRule", "dr-mocka")["spec"]["subsets"].pop()
    (failure,) = found.prove().failures
    assert failure.claim is Claim.ANSWERED
    assert "503 NC cluster_not_found at mocka.default.svc.cluster.local:8000 subset canary" in failure.says


def test_a_header_taken_away_on_the_way_is_found_where_it_matters() -> None:
    found = scenario("mocka", "mockb")
    rule = found.get("VirtualService", "vs-mocka")["spec"]["http"][0]
    rule["headers"] = {"request": {"remove": ["my-request-id"]}}
    (failure,) = found.prove().failures
    assert (failure.claim, failure.hop) == (Claim.CANARY, 2)
    assert [step.rule for step in failure.trail] == [
        "VirtualService default/vs-mocka http[0]",
        "VirtualService default/vs-mockb http[1]",
    ]


def test_a_rule_at_the_edge_may_dye() -> None:
    found = scenario("mockb")
    edge = found.get("VirtualService", "vs-mocka")["spec"]["http"]
    dyeing = {"match": [{"headers": {"user": {"exact": "ann"}}}], "route": edge[0]["route"]}
    dyeing["headers"] = {"request": {"set": {"my-request-id": "canary"}}}
    edge.insert(0, dyeing)
    assert found.prove().holds
    release(found, "mocka")
    (failure,) = found.prove().failures
    assert (failure.claim, failure.hop) == (Claim.CANARY, 1)
    assert dict(failure.last.request.headers) == {"user": "ann"}


def test_a_rule_further_in_may_not_dye() -> None:
    found = scenario("mockb")
    rules = found.get("VirtualService", "vs-mockb")["spec"]["http"]
    rules[-1]["headers"] = {"request": {"set": {"my-request-id": "canary"}}}
    found.apply(MOCKC)
    env = found.get("Deployment", "mockb-base")["spec"]["template"]["spec"]["containers"][0]["env"]
    env.append({"name": "upstream_url", "value": "http://mockc:8000/"})
    assert found.prove().holds
    canary(found, "mockc")
    found.get("VirtualService", "vs-mockc")["spec"]["http"].insert(
        0, {"match": [dict(LANE)], "route": [{"destination": {"host": "mockc", "subset": "canary"}}]}
    )
    (failure,) = found.prove().failures
    assert (failure.claim, failure.hop) == (Claim.PLAIN, 3)
    assert failure.trail[1].rule == "VirtualService default/vs-mockb http[1]"


def test_a_canary_behind_a_service_of_its_own_is_the_same_workload() -> None:
    found = scenario()
    canary(found, "mocka")
    service = {"ports": [{"port": 8000, "name": "http"}], "selector": {"app": "mocka", "version": "canary"}}
    found.put({"kind": "Service", "metadata": {"name": "mocka-canary"}, "spec": service})
    rules = found.get("VirtualService", "vs-mocka")["spec"]["http"]
    rules.insert(0, {"match": [dict(LANE)], "route": [{"destination": {"host": "mocka-canary"}}]})
    assert found.prove().holds
    rules[0]["route"] = [{"destination": {"host": "mockb"}}]
    assert broken(found.prove()) == {Claim.ANSWERED}
    assert "goes astray" in found.prove().failures[0].says


def test_only_the_promises_asked_for_are_judged() -> None:
    found = scenario()
    canary(found, "mockb")
    (proof,) = prove_lists(found.lists(), claims=frozenset({Claim.ANSWERED, Claim.PLAIN}))
    assert proof.holds
    (failure,) = found.prove().of(Claim.CANARY)
    assert found.prove().of(Claim.PLAIN) == ()
    assert failure.claim is Claim.CANARY


def test_a_gateway_with_tls_is_proved_behind_its_certificate() -> None:
    found = scenario("mocka")
    server = found.get("Gateway", "sample-gateway")["spec"]["servers"][0]
    server.update(
        port={"name": "https", "number": 443, "protocol": "HTTPS"},
        hosts=["shop.example.com"],
        tls={"mode": "SIMPLE", "credentialName": "cert"},
    )
    found.get("VirtualService", "vs-mocka")["spec"]["hosts"] = ["shop.example.com"]
    assert found.prove().holds
    found.get("VirtualService", "vs-mocka")["spec"]["http"].pop(0)
    (failure,) = found.prove().failures
    assert curl(failure.last).startswith("curl -H 'my-request-id: canary' -k --connect-to ::203.0.113.")
    assert curl(failure.last).endswith(":443 https://shop.example.com/")


def test_too_many_combinations_are_admitted_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_CLASSES", 1_000)
    found = scenario("mocka")
    rules = found.get("VirtualService", "vs-mocka")["spec"]["http"]
    for number in range(12):
        headers = {f"h{number}": {"exact": "a"}, "last": {"exact": "z"}}
        rules.insert(1, {"match": [{"headers": headers}], "route": rules[-1]["route"]})
    proof = found.prove()
    assert (proof.failures, proof.complete, proof.holds) == ((), False, False)
    assert "not proved" in lines(proof)[0]


def test_a_hundred_rules_are_decided() -> None:
    found = scenario("mocka")
    rules = found.get("VirtualService", "vs-mocka")["spec"]["http"]
    base = rules[-1]["route"]
    for number in range(100):
        rules.insert(1, {"match": [{"uri": {"exact": f"/p{number}"}}], "route": base})
    proof = found.prove()
    assert proof.holds
    assert proof.requests > 100


def test_release_of_both_is_told_in_words() -> None:
    found = scenario()
    release(found, "mocka")
    assert lines(found.prove())[0].startswith("lane my-request-id:canary: holds for ")
