"""EnvoyFilters at admission: a value is read as the message it patches, and its faults are told by their paths."""

from __future__ import annotations

import time
from typing import Any

import pytest

from graylane.kit.cache import View
from graylane.mesh import admission
from graylane.mesh.filters.types import MOST_FIELDS
from graylane.model.meta import Obj
from graylane.webhooks.istio import validator
from graylane.webhooks.review import AdmissionResponse

VALUE = "spec.configPatches[0].patch.value"
LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"


def asked(apply_to: str, value: Any, operation: str = "MERGE", match: Obj | None = None) -> AdmissionResponse:
    written = {"applyTo": apply_to, "match": match or {}, "patch": {"operation": operation, "value": value}}
    meta = {"name": "ef", "namespace": "shop", "generation": 1}
    obj = {"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "metadata": meta}
    obj["spec"] = {"configPatches": [written]}
    return validator(admission.judge)({"operation": "CREATE", "object": obj}, View({}))


def lua(**fields: Any) -> Obj:
    return {"name": "lua", "typed_config": {"@type": LUA, **fields}}


@pytest.mark.parametrize(
    ("apply_to", "value", "said"),
    [
        ("CLUSTER", {"connect_timeout": "abc"}, f"{VALUE}.connect_timeout: Duration must end with letter"),
        ("CLUSTER", {"connectTimeout": 3}, f"{VALUE}.connectTimeout: "),
        (
            "ROUTE_CONFIGURATION",
            {"virtual_hosts": [{"domains": "x"}]},
            f"{VALUE}.virtual_hosts[0]: repeated field domains",
        ),
        ("HTTP_ROUTE", {"route": {"timeout": {}}}, f"{VALUE}.route.timeout: "),
        ("VIRTUAL_HOST", "a text", f"{VALUE}: a map of fields is expected, not str"),
        ("LISTENER", ["a"], f"{VALUE}: a map of fields is expected, not list"),
        ("HTTP_FILTER", lua(inlineCode=3), f"{VALUE}.inlineCode: expected string"),
        ("HTTP_FILTER", {"name": "x", "typed_config": {"@type": "type.googleapis.com/no.Such"}}, "no message of type"),
        ("HTTP_FILTER", {"name": "x", "typed_config": {"@type": ["a"]}}, f"{VALUE}: "),
        (
            "HTTP_FILTER",
            {"name": "x", "typed_config": {"@type": LUA.replace("extensions", "config").replace("v3", "v2")}},
            "no message of type",
        ),
        (
            "HTTP_FILTER",
            {"name": "x", "typed_config": {"@type": "type.googleapis.com/envoy.config.filter.http.lua.v2.Lua"}},
            "no message of type",
        ),
    ],
)
def test_a_value_that_is_not_the_message_is_refused_by_its_path(apply_to: str, value: Any, said: str) -> None:
    error = asked(apply_to, value).error
    assert error is not None
    assert said in str(error)


@pytest.mark.parametrize(
    ("apply_to", "value", "said"),
    [
        ("CLUSTER", {"connectTimout": "1s"}, f"{VALUE}.connectTimout: Message type"),
        ("CLUSTER", {"connection_pool": {}}, f"{VALUE}.connection_pool: "),
        ("HTTP_FILTER", lua(inlineCod="x"), f"{VALUE}.typed_config.inlineCod: "),
        ("CLUSTER", {"lb_policy": "FASTEST"}, f"{VALUE}.lb_policy: Invalid enum value FASTEST"),
    ],
)
def test_a_field_nobody_knows_is_warned_of_as_istiod_does(apply_to: str, value: Obj, said: str) -> None:
    found = asked(apply_to, value)
    assert found.error is None
    assert [warning for warning in found.warnings if said in warning], found.warnings


def test_what_this_mesh_does_not_act_on_is_warned_of_by_name() -> None:
    found = asked("LISTENER", {"name": "x"}, "REPLACE")
    assert found.error is None
    assert any("patch.operation REPLACE on LISTENER is not acted on" in warning for warning in found.warnings)


def test_a_removal_that_names_nothing_is_warned_of() -> None:
    found = asked("HTTP_FILTER", None, "REMOVE")
    assert found.error is None
    assert any("nothing is removed" in warning for warning in found.warnings)


@pytest.mark.parametrize("at", ["filter", "subFilter"])
def test_a_former_name_of_a_filter_is_warned_of(at: str) -> None:
    manager = "envoy.filters.network.http_connection_manager"
    found: Obj = {"name": "envoy.http_connection_manager" if at == "filter" else manager}
    if at == "subFilter":
        found["subFilter"] = {"name": "envoy.router"}
    warnings = asked("HTTP_FILTER", lua(), "INSERT_BEFORE", {"listener": {"filterChain": {"filter": found}}}).warnings
    assert any("is a former name, which no proxy has any more" in warning for warning in warnings)


def nested(depth: int) -> Obj:
    value: Obj = {"a": 1}
    for _ in range(depth):
        value = {"filter_metadata": {"x": value}}
    return {"metadata": value}


HOSTILE = {
    "deep": nested(90),
    "deeper than Python's own stack": nested(5000),
    "wide": {"metadata": {"filter_metadata": {"x": {f"k{number}": number for number in range(2 * MOST_FIELDS)}}}},
    "many types": {
        "a": [{"@type": f"type.googleapis.com/envoy.no.v3.T{number}"} for number in range(MOST_FIELDS // 2)]
    },
    "3 MB of text": {"name": "x" * 3_000_000},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values_are_judged_in_bounded_time(name: str) -> None:
    started = time.process_time()
    asked("CLUSTER", HOSTILE[name])
    assert time.process_time() - started < 2
