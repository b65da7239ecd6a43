"""Which headers a filter reads for the ledger: no more than lines cannot name by themselves."""

from __future__ import annotations

import pytest

from graylane.mesh.compile.plan import plan
from graylane.mesh.encode.observe import Told, read_headers
from graylane.mesh.memo import Memo
from graylane.mesh.table import RouteTable
from graylane.testing import meshes

TOLD = Told(frozenset({"my-request-id"}), frozenset({"my-request-id"}))
RULE = """
kind: Service
metadata: {{name: a}}
spec: {{ports: [{{name: http, port: 8000}}], selector: {{app: a}}}}
---
kind: VirtualService
metadata: {{name: vs-a}}
spec:
  hosts: [a]
  http:
  - {rule}
    route: [{{destination: {{host: a}}}}]
"""


def table(rule: str) -> RouteTable:
    cluster = meshes.Cluster()
    cluster.pods = [meshes.pod("a-1", "127.9.0.2", {"app": "a"})]
    cluster.apply(*meshes.manifests(RULE.format(rule=rule)))
    (found,) = plan(cluster.inputs(), Memo()).tables.values()
    return found


@pytest.mark.parametrize(
    ("rule", "read"),
    [
        ("match: [{headers: {my-request-id: {exact: canary}}}]", ()),
        ("match: [{headers: {x-tenant: {exact: t}, cookie: {exact: c}}}]", ("x-tenant",)),
        ("headers: {request: {set: {My-Request-Id: canary}}}", ("my-request-id",)),
        ("headers: {request: {remove: [my-request-id]}}", ("my-request-id",)),
        ("headers: {request: {add: {x-other: y}}}", ()),
        ("headers: {response: {set: {my-request-id: canary}}}", ()),
        ("match: [{headers: {a%b: {exact: c}}}]", ()),
    ],
)
def test_it_is_read_what_is_decided_by_and_not_named_or_named_too_late(rule: str, read: tuple[str, ...]) -> None:
    assert read_headers(table(rule).hosts, TOLD, Memo()) == read


def test_a_lane_that_lines_do_not_name_is_read_everywhere() -> None:
    told = Told(frozenset({"x-lane"}), TOLD.named)
    assert read_headers(table("match: [{uri: {prefix: /}}]").hosts, told, Memo()) == ("x-lane",)


def test_what_a_patched_table_does_to_headers_nobody_knows() -> None:
    assert read_headers((), TOLD, Memo(), patched=True) == ("my-request-id",)
    assert read_headers((), TOLD, Memo()) == ()
