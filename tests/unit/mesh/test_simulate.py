"""Where a request goes, and which object decided: the scenario as the simulator sees it.

That it agrees with Envoy is shown where Envoy runs: every request of the routing tests is put to both.
"""

from __future__ import annotations

from graylane.chain.match import Request
from graylane.mesh.compiler import compile
from graylane.mesh.simulate import NO_CLUSTER, NO_LISTENER, Decision, Lost, PassedThrough, Reached, from_pod, simulate
from graylane.testing import meshes

from .test_compile import release, scenario

LANE = (("my-request-id", "canary"),)


def at_gateway(found: meshes.Cluster, *headers: tuple[str, str]) -> Decision:
    plan = compile(found.inputs()).plan
    return simulate(plan, "127.0.0.1_30080", Request("127.0.0.1:30080", headers=headers))


def addresses(decision: Decision) -> list[str]:
    assert isinstance(decision.outcome, tuple)
    return [each.address for part in decision.outcome if isinstance(part, Reached) for each in part.endpoints]


def test_dyed_and_plain_requests_part_at_the_edge() -> None:
    found = scenario()
    release(found, "mocka", 4)
    dyed, plain = at_gateway(found, *LANE), at_gateway(found)
    assert (addresses(dyed), addresses(plain)) == (["127.20.0.4"], ["127.20.0.2"])
    assert dyed.source is not None
    assert (dyed.source.name, len(dyed.passed_over), len(plain.passed_over)) == ("vs-mocka", 0, 1)


def test_the_next_hop_is_asked_of_the_calling_pods_listener() -> None:
    found = scenario()
    release(found, "mockb", 4)
    plan = compile(found.inputs()).plan
    assert addresses(from_pod(plan, "127.20.0.2", Request("mockb:8000", headers=LANE))) == ["127.20.0.4"]
    assert addresses(from_pod(plan, "127.20.0.2", Request("mockb:8000"))) == ["127.20.0.3"]
    tunnel = from_pod(plan, "127.20.0.2", Request("mockb:8000", method="CONNECT"))
    assert addresses(tunnel) == ["127.20.0.3"]


def test_what_cannot_be_had_is_said_as_envoy_says_it() -> None:
    found = scenario()
    rule = found.get("DestinationRule", "dr-mocka")
    found.apply({**rule, "spec": {"host": "mocka"}})
    decision = at_gateway(found)
    assert decision.outcome == (Lost("outbound|8000|version-base|mocka.default.svc.cluster.local", 1.0, NO_CLUSTER),)
    plan = compile(found.inputs()).plan
    assert simulate(plan, "127.0.0.9_1", Request("x")).outcome == NO_LISTENER
    assert from_pod(plan, "127.20.0.2", Request("example.com")).outcome == PassedThrough("example.com")
