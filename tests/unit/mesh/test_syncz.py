"""`/debug/syncz` says what istiod's would: what was sent, what was acknowledged, why not."""

from __future__ import annotations

from datetime import UTC, datetime

from graylane.mesh.inputs import Proxy, ProxyKind
from graylane.mesh.snapshot import Snapshot, Type
from graylane.mesh.xds.messages import Request
from graylane.mesh.xds.protocol import Session
from graylane.mesh.xds.syncz import SyncLog, document

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GATEWAY = Proxy("istio-system", "gw", ProxyKind.ROUTER, "127.1.0.1", "", {}, {})
POD = Proxy("default", "web", ProxyKind.SIDECAR, "127.1.0.2", "", {}, {})


def conversation(*answers: str | None) -> SyncLog:
    """An Envoy that asks for clusters and gives these answers."""
    session, log = Session("2026-01-02T00:00:00Z"), SyncLog()
    session.receive(Request(Type.CLUSTER))
    log.answered(Type.CLUSTER, "", None)
    for serial, error in enumerate(answers, 1):
        session.publish(Snapshot(serial, {}))
        for response in session.pump():
            log.sent(response.type, response.nonce, NOW)
            if response.type is Type.CLUSTER and error != "silent":
                log.answered(response.type, response.nonce, error)
                session.receive(Request(response.type, frozenset(), response.nonce, error))
    return log


def test_a_nonce_is_the_push_and_36_characters_as_istiods() -> None:
    (proxy,) = document([conversation(None)], [GATEWAY])
    assert proxy["cluster_sent"] == proxy["cluster_acked"]
    assert proxy["cluster_sent"][:-36] == "2026-01-02T00:00:00Z/1"
    assert (proxy["proxy"], proxy["proxy_type"]) == ("gw.istio-system", "router")
    assert "route_sent" not in proxy


def test_what_is_not_acknowledged_differs_and_a_refusal_says_why() -> None:
    (silent,) = document([conversation("silent")], [GATEWAY])
    assert (silent["cluster_acked"], silent["cluster_sent"] != "") == ("", True)
    (refusing,) = document([conversation("no such thing")], [GATEWAY])
    assert refusing["cluster_acked"] != refusing["cluster_sent"]
    told = refusing["resources"][Type.CLUSTER.value]
    assert (told["lastError"], told["sentTime"]) == ("no such thing", "2026-01-02T03:04:05Z")


def test_each_proxy_is_told_of_and_a_namespace_may_be_chosen() -> None:
    log = conversation(None)
    assert [each["proxy"] for each in document([log], [GATEWAY, POD])] == ["gw.istio-system", "web.default"]
    assert [each["proxy_type"] for each in document([log], [GATEWAY, POD], "default")] == ["sidecar"]
    assert document([], [GATEWAY, POD]) == []
