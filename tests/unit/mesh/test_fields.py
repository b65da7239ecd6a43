"""Every field of Istio's kinds works, with a test that sends requests, or is refused by name, twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import graylane.model.crds
from graylane.mesh import admission
from graylane.mesh.compile.plan import plan
from graylane.mesh.fields import SHAPES
from graylane.mesh.memo import Memo
from graylane.mesh.store import CONFIG_KINDS
from graylane.model.meta import Obj
from graylane.testing import meshes

ROOT = Path(__file__).parents[3]
CRDS = Path(next(iter(graylane.model.crds.__path__))) / "istio"
HOME = "tests/e2e/test_mesh_routing.py"
SECTION = re.compile(r"^## (\w+)\n\n((?:\|.*\n)+)", re.MULTILINE)
ROW = re.compile(r"^\| (`.+) \| ([MSC]) \| (?:(refused)|(?:`(tests/[\w/]+\.py)`: )?`(test_\w+)`) \|$", re.MULTILINE)
FIELD = re.compile(r"`([^`]+)`([^`]*?)(?:, (?=`)|$)")
SENDS = re.compile(
    r"\b(who|ask|enter|raw|reached|get|https|heard|served|spoken|tunnelled|failures_before|open_connection|everyone|at_once)\("
)
POLICY = re.compile(r"^(subsets\[\]\.)?trafficPolicy(\.portLevelSettings\[\])?\.")
DEEP = ("configPatches[].patch.value", "configPatches[].match")  # what is below is judged by `filters`
TELLING = {  # values that are all right where most are not
    "bind": "127.0.0.9",
    "address": "127.0.0.9",
    "addresses": ["127.0.0.9"],
    "protocol": "HTTP",
}
BESIDE = {"ServiceEntry": {"resolution": "STATIC"}}


@dataclass(frozen=True)
class Row:
    """`value` is what of a field the row is about, "" for all of it; `test` is "" where it is refused."""

    kind: str
    field: str
    value: str
    priority: str
    file: str = ""
    test: str = ""


@cache
def rows() -> tuple[Row, ...]:
    text = (ROOT / "docs" / "istio-fields.md").read_text()
    found = []
    for kind, table in SECTION.findall(text):
        lines = table.splitlines()[2:]
        matched = ROW.findall(table)
        assert len(matched) == len(lines), f"a row of {kind} cannot be read"
        for fields, priority, refused, file, test in matched:
            for field, value in FIELD.findall(fields):
                home = "" if refused else file or HOME
                found.append(Row(kind, field, value.strip(), priority, home, test))
    return tuple(found)


@dataclass(frozen=True)
class Leaf:
    """One field of a kind's schema that has none below it. `schemas` are those on the way to it."""

    kind: str
    path: str
    schema: tuple[tuple[str, Any], ...]

    @property
    def enum(self) -> tuple[str, ...]:
        return tuple(dict(self.schema).get("enum") or ())


@cache
def leaves() -> tuple[Leaf, ...]:
    found: list[Leaf] = []
    for file in sorted(CRDS.glob("*.yaml")):
        for crd in yaml.safe_load_all(file.read_text()):
            kind = crd["spec"]["names"]["kind"]
            if kind in SHAPES:
                (schema,) = {id(each["schema"]): each["schema"] for each in crd["spec"]["versions"]}.values()
                spec = schema["openAPIV3Schema"]["properties"]["spec"]
                found += (Leaf(kind, path, tuple(each.items())) for path, each in _below(spec, ""))
    return tuple(found)


def _below(schema: Obj, path: str) -> Iterator[tuple[str, Obj]]:
    if path in DEEP or not (schema.get("properties") or (schema.get("items") or {}).get("properties")):
        yield path, schema
    elif schema["type"] == "array":
        yield from _below(schema["items"], f"{path}[]")
    else:
        for name, below in schema["properties"].items():
            yield from _below(below, f"{path}.{name}" if path else name)


def plain(path: str) -> str:
    """A policy for a port or a subset is a policy."""
    return POLICY.sub("trafficPolicy.", path)


def covering(leaf: Leaf, value: str = "") -> Row | None:
    """The row that is closest to a field."""
    for path in (plain(leaf.path), leaf.path):
        near = [row for row in rows() if (row.kind, row.value) == (leaf.kind, value) and _within(path, row.field)]
        if near:
            return max(near, key=lambda row: len(row.field))
    return None


def _within(path: str, field: str) -> bool:
    return re.match(re.escape(field) + r"(\.|\[|$)", path) is not None


def supported(leaf: Leaf) -> bool:
    """Whether `fields` says that it is acted on."""
    shape: Any = SHAPES[leaf.kind]
    for name in leaf.path.replace("[]", "").split("."):
        if shape is ...:
            return True
        shape = shape[0] if isinstance(shape, list) else shape
        if name not in shape:
            return False
        shape = shape[name]
    return True


def accepted(leaf: Leaf) -> tuple[str, ...]:
    """Of an enumeration, the values that are acted on."""
    shape: Any = SHAPES[leaf.kind]
    for name in leaf.path.replace("[]", "").split("."):
        shape = (shape[0] if isinstance(shape, list) else shape)[name]
        if shape is ...:
            break
    return tuple(value for value in leaf.enum if not isinstance(shape, tuple) or value in shape)


def written(leaf: Leaf, value: Any) -> Obj:
    """The smallest object that says this of a field."""
    spec = value
    for name in reversed(leaf.path.split(".")):
        spec = {name.removesuffix("[]"): [spec] if name.endswith("[]") else spec}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": leaf.kind,
        "metadata": {"name": "x", "namespace": "shop", "generation": 1},
        "spec": {**BESIDE.get(leaf.kind, {}), **spec},
    }


def sample(schema: Obj, name: str = "") -> Any:
    if name in TELLING:
        return TELLING[name]
    kind = schema.get("type")
    if schema.get("enum"):
        return schema["enum"][-1]
    if kind == "array":
        return [sample(schema["items"])]
    if kind == "object":
        below = schema.get("properties")
        below = below or {"a": schema.get("additionalProperties") or {}}
        return {each: sample(inner, each) for each, inner in below.items()}
    return {"integer": 1, "number": 1, "boolean": True}.get(str(kind), "1s")


def told(obj: Obj) -> tuple[list[str], list[str]]:
    """What admission warns of, and what the status says with the code for fields that are not acted on."""
    cluster = meshes.Cluster()
    cluster.apply(obj)
    findings = [each for all in plan(cluster.inputs(), Memo()).findings.values() for each in all]
    return admission.judge(obj).warnings, [each.message for each in findings if each.code == "GRL0001"]


def named(messages: list[str], leaf: Leaf, start: str = "") -> bool:
    """Whether the field itself, or all that it is in, is named."""
    paths = [leaf.path[: match.start()] for match in re.finditer(r"\.|\[\]\.|$", leaf.path)]
    return any(message.startswith(f"{start}spec.{path} ") for message in messages for path in filter(None, paths))


def test_every_field_of_the_schemas_has_its_row() -> None:
    assert len(leaves()) > 400
    assert [(leaf.kind, leaf.path) for leaf in leaves() if covering(leaf) is None] == []


def test_a_field_works_exactly_where_its_row_says_so() -> None:
    wrong = []
    for leaf in leaves():
        row = covering(leaf)
        if row is not None and bool(row.test) is not supported(leaf):
            wrong.append((leaf.kind, leaf.path, row.test or "refused"))
    assert wrong == []


def test_what_is_said_to_be_acted_on_exists() -> None:
    """`...` stands for fields without others below, so that none of those is passed over."""
    known = {kind: {leaf.path for leaf in leaves() if leaf.kind == kind} for kind in SHAPES}
    strange = [
        f"{kind} {path}" for kind, shape in SHAPES.items() for path in _named(shape, "") if path not in known[kind]
    ]
    assert strange == []


def _named(shape: Any, path: str) -> Iterator[str]:
    if isinstance(shape, list):
        yield from _named(shape[0], f"{path}[]")
    elif isinstance(shape, dict):
        for name, below in shape.items():
            yield from _named(below, f"{path}.{name}" if path else name)
    else:
        yield path


@pytest.mark.parametrize("kind", SHAPES)
def test_a_refused_field_is_named_at_admission_and_in_the_status_and_no_other_is(kind: str) -> None:
    wrong = []
    for leaf in (each for each in leaves() if each.kind == kind):
        value = (
            accepted(leaf)[-1] if supported(leaf) and leaf.enum else sample(dict(leaf.schema), leaf.path.split(".")[-1])
        )
        warnings, messages = told(written(leaf, value))
        found = (named(warnings, leaf, f"{kind} shop/x: "), named(messages, leaf))
        if found != (not supported(leaf), not supported(leaf)):
            wrong.append((leaf.path, value, found))
    assert wrong == []


def test_a_refused_value_is_named_at_admission_and_in_the_status_and_has_its_row() -> None:
    seen = set()
    for leaf in (each for each in leaves() if supported(each)):
        for value in set(leaf.enum) - set(accepted(leaf)):
            warnings, messages = told(written(leaf, value))
            assert f"{leaf.kind} shop/x: {messages[0]}" in warnings
            assert messages[0].startswith(f"spec.{leaf.path} {value} is not acted on")
            row = covering(leaf, value)
            assert row is not None
            assert not row.test
            seen.add(row)
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("kind", "spec", "said"),
    [
        (
            "VirtualService",
            "{http: [{match: [{headers: {'@request.auth.claims.sub': {exact: a}}}]}]}",
            "spec.http[].match",
        ),
        ("Gateway", "{servers: [{bind: 'unix:///x', port: {protocol: HTTP}}]}", "spec.servers[].bind unix:///x"),
        ("Gateway", "{servers: [{bind: 192.0.2.1, port: {protocol: HTTP}}]}", "spec.servers[].bind 192.0.2.1"),
        ("ServiceEntry", "{addresses: [10.0.0.0/8]}", "spec.addresses[0] 10.0.0.0/8"),
        (
            "ServiceEntry",
            "{workloadSelector: {labels: {a: b}}, resolution: DNS}",
            "spec.workloadSelector with resolution DNS",
        ),
        ("WorkloadEntry", "{address: some.name}", "spec.address 'some.name'"),
    ],
)
def test_what_of_a_known_field_cannot_be_had_is_named_alike(kind: str, spec: str, said: str) -> None:
    meta = {"name": "x", "namespace": "shop", "generation": 1}
    warnings, messages = told({"kind": kind, "metadata": meta, "spec": yaml.safe_load(spec)})
    assert any(message.startswith(said) for message in messages)
    assert {f"{kind} shop/x: {message}" for message in messages} <= set(warnings)


def test_retries_in_other_localities_are_said_to_come_to_nothing_where_there_are_none() -> None:
    retries = {"attempts": 2, "retryRemoteLocalities": True}
    spec = {"hosts": ["b"], "http": [{"retries": retries, "route": [{"destination": {"host": "b"}}]}]}
    obj = {"kind": "VirtualService", "metadata": {"name": "x", "namespace": "shop"}, "spec": spec}
    (warning,) = admission.judge(obj).warnings
    assert "spec.http[].retries.retryRemoteLocalities has no effect" in warning
    retries["retryRemoteLocalities"] = False
    assert not admission.judge(obj).warnings


def test_what_holds_for_gateways_alone_is_said_at_admission_too() -> None:
    spec = yaml.safe_load("{host: b, trafficPolicy: {tls: {mode: SIMPLE, credentialName: ours}}}")
    rule = {"kind": "DestinationRule", "metadata": {"name": "x", "namespace": "shop", "generation": 1}, "spec": spec}
    (warning,) = admission.judge(rule).warnings
    assert warning.startswith("DestinationRule shop/x: tls.credentialName is for gateways, and for pods that")
    assert admission.judge({**rule, "spec": {**spec, "workloadSelector": {"matchLabels": {"a": "b"}}}}).warnings == []


@pytest.mark.parametrize("kind", ["AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"])
def test_a_refused_kind_is_named_at_admission(kind: str) -> None:
    (warning,) = admission.judge({"kind": kind, "metadata": {"name": "x", "namespace": "shop"}}).warnings
    assert warning.startswith(f"{kind} shop/x: kind {kind} is not acted on")
    assert kind in (ROOT / "docs" / "istio-fields.md").read_text()


def test_what_canaries_and_their_users_need_works() -> None:
    assert [row for row in rows() if row.priority in "MS" and not row.test] == []
    assert {row.kind for row in rows()} == {kind.kind for kind in CONFIG_KINDS}


@pytest.mark.parametrize("row", sorted({(row.file, row.test) for row in rows() if row.test}), ids=lambda row: str(row))
def test_what_works_has_a_test_that_sends_requests(row: tuple[str, str]) -> None:
    file, test = row
    text = (ROOT / file).read_text()
    found = re.search(rf"^async def {test}\(.*?(?=^(?:async )?def |^@|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{file} has no {test}"
    assert SENDS.search(found[0].partition("\n")[2])
