"""Every applyTo with every operation: what Istio does with it is done, what it does nothing with is told."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from graylane.mesh import read
from graylane.mesh.filters import apply
from graylane.mesh.filters.patches import HCM, Patch, decode
from graylane.model.meta import Obj

OPERATIONS = ("MERGE", "ADD", "REMOVE", "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "REPLACE")
TABLE = {  # in the order of the operations; of those that are told, nothing is done
    "LISTENER": "yes yes yes yes yes yes told",
    "FILTER_CHAIN": "yes yes yes yes yes yes told",
    "LISTENER_FILTER": "told yes yes yes yes yes yes",
    "NETWORK_FILTER": "yes yes yes yes yes yes yes",
    "HTTP_FILTER": "yes yes yes yes yes yes yes",
    "ROUTE_CONFIGURATION": "yes told told told told told told",
    "VIRTUAL_HOST": "yes yes yes yes yes yes yes",
    "HTTP_ROUTE": "yes yes yes yes yes yes told",
    "CLUSTER": "yes yes yes yes yes yes told",
    "EXTENSION_CONFIG": "told yes told told told told told",
    "BOOTSTRAP": "yes told told told told told told",
}
CELLS = [
    (target, operation, said)
    for target, row in TABLE.items()
    for operation, said in zip(OPERATIONS, row.split(), strict=True)
]
NAMED = {
    "LISTENER_FILTER": {"listener": {"listenerFilter": "b"}},
    "NETWORK_FILTER": {"listener": {"filterChain": {"filter": {"name": "b"}}}},
    "HTTP_FILTER": {"listener": {"filterChain": {"filter": {"name": HCM, "subFilter": {"name": "b"}}}}},
    "HTTP_ROUTE": {"routeConfiguration": {"vhost": {"route": {"name": "b"}}}},
}


def read_patch(target: str, operation: str, match: Obj | None = None, **value: Any) -> tuple[Patch | None, list[str]]:
    written = {"applyTo": target, "match": match or {}, "patch": {"operation": operation, "value": value}}
    meta = {"name": "ef", "namespace": "shop", "generation": 1}
    patches, findings = decode(read.envoy_filter({"metadata": meta, "spec": {"configPatches": [written]}}))
    return (patches[0] if patches else None), [each.code for each in findings]


def good_patch(target: str, operation: str, match: Obj | None = None, **value: Any) -> Patch:
    patch, _ = read_patch(target, operation, match, **value)
    assert patch is not None
    return patch


@pytest.mark.parametrize(("target", "operation", "said"), CELLS)
def test_what_istio_does_nothing_with_is_told(target: str, operation: str, said: str) -> None:
    value = {} if target == "BOOTSTRAP" else {"name": "x"}
    patch, codes = read_patch(target, operation, {"context": "GATEWAY", **NAMED.get(target, {})}, **value)
    assert (patch is not None, codes) == ((True, []) if said == "yes" else (False, ["GRL0001"]))


@pytest.mark.parametrize("target", ["LISTENER_FILTER", "NETWORK_FILTER", "HTTP_FILTER"])
@pytest.mark.parametrize("operation", ["REMOVE", "REPLACE"])
def test_a_removal_or_replacement_that_names_nothing_does_nothing_and_is_warned_of(target: str, operation: str) -> None:
    assert read_patch(target, operation, name="x") == (None, ["IST0133"])


EDITED = {  # a list of a, b, c: with b named, with nothing named, with what is not there named
    "ADD": ("a b c x", "a b c x", "a b c x"),
    "INSERT_FIRST": ("x a b c", "x a b c", "x a b c"),
    "INSERT_BEFORE": ("a x b c", "x a b c", "a b c"),
    "INSERT_AFTER": ("a b x c", "a b c x", "a b c"),
    "REPLACE": ("a x c", None, "a b c"),
    "REMOVE": ("a c", None, "a b c"),
}
EDITS = [
    (target, operation, named, expected)
    for target in ("LISTENER_FILTER", "NETWORK_FILTER", "HTTP_FILTER", "HTTP_ROUTE")
    for operation, row in EDITED.items()
    for named, expected in zip(("b", "", "absent"), row, strict=True)
    if expected is not None and (target, operation) != ("HTTP_ROUTE", "REPLACE")
]


@pytest.mark.parametrize(("target", "operation", "named", "expected"), EDITS)
def test_a_list_is_edited_as_istio_edits_it(target: str, operation: str, named: str, expected: str) -> None:
    patch = good_patch(target, operation, _naming(target, named), name="x")
    if (target, operation, named) == ("HTTP_ROUTE", "INSERT_FIRST", "absent"):
        expected = "a b c"  # first, but only where what is named exists
    assert " ".join(EDITORS[target](patch)) == expected


def _naming(target: str, name: str) -> Obj:
    if not name and target != "HTTP_ROUTE":
        return {}
    if not name:
        return {"routeConfiguration": {"vhost": {}}}
    return _with(NAMED[target], name)


def _with(match: Any, name: str) -> Any:
    if isinstance(match, dict):
        return {key: _with(value, name) for key, value in match.items()}
    return name if match == "b" else match


def _listener_filters(patch: Patch) -> list[str]:
    message = listener_pb2.Listener()
    message.filter_chains.add()
    for name in "abc":
        message.listener_filters.add(name=name)
    apply.listener(message, [patch])
    return [each.name for each in message.listener_filters]


def _network_filters(patch: Patch) -> list[str]:
    message = listener_pb2.Listener()
    chain = message.filter_chains.add()
    for name in "abc":
        chain.filters.add(name=name)
    apply.listener(message, [patch])
    return [each.name for each in message.filter_chains[0].filters]


def _http_filters(patch: Patch) -> list[str]:
    return [each.name for each in apply.http_filters([hcm_pb2.HttpFilter(name=name) for name in "abc"], [patch])]


def _routes(patch: Patch) -> list[str]:
    message = route_pb2.RouteConfiguration(name="80")
    host = message.virtual_hosts.add(name="host:80")
    for name in "abc":
        host.routes.add(name=name)
    apply.routes(message, [patch], ("80",), 80)
    return [each.name for each in message.virtual_hosts[0].routes]


EDITORS = {
    "LISTENER_FILTER": _listener_filters,
    "NETWORK_FILTER": _network_filters,
    "HTTP_FILTER": _http_filters,
    "HTTP_ROUTE": _routes,
}


@pytest.mark.parametrize("operation", ["ADD", "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST"])
def test_of_what_has_no_order_inserting_is_adding(operation: str) -> None:
    chain = good_patch("FILTER_CHAIN", operation, name="x")
    host = good_patch("VIRTUAL_HOST", operation, name="x")
    listener = good_patch("LISTENER", operation, name="x")
    cluster = good_patch("CLUSTER", operation, name="x")
    message = listener_pb2.Listener(filter_chains=[listener_components_pb2.FilterChain(name="a")])
    apply.listener(message, [chain])
    assert [each.name for each in message.filter_chains] == ["a", "x"]
    table = route_pb2.RouteConfiguration(name="80")
    table.virtual_hosts.add(name="a:80")
    apply.routes(table, [host], ("80",), 80)
    assert [each.name for each in table.virtual_hosts] == ["a:80", "x"]
    assert (listener.adds, cluster.adds) == (True, True)


def test_what_is_added_is_not_patched_by_what_comes_below_it() -> None:
    """A filter inserted before is seen by later merges; an added virtual host is not searched for routes."""
    host = good_patch("VIRTUAL_HOST", "ADD", name="new:80", domains=["new"])
    route = good_patch("HTTP_ROUTE", "ADD", name="x")
    table = route_pb2.RouteConfiguration(name="80")
    apply.routes(table, [host, route], ("80",), 80)
    assert [len(each.routes) for each in table.virtual_hosts] == [0]
