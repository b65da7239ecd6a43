"""OpenAPI documents hold together; JSON bodies are read strictly."""

from __future__ import annotations

import re

import orjson
import pytest

from graylane.cluster.apiserver.resources import BUILT_IN, Resource
from graylane.cluster.apiserver.schema import openapi, openapi_v2
from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.cluster.apiserver.wire import strict_json
from graylane.cluster.apiserver.wire.varint import wire_fields
from graylane.errors import BadRequest

WIDGET = Resource("acme.io", "v1", "Widget", "widgets", subresources=("scale", "status"), custom=True)
CRDS = {
    ("acme.io", "v1", "Widget"): {
        "type": "object",
        "properties": {"spec": {"type": "object", "description": "what is wanted"}},
    }
}


def by_group_version() -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for resource in (*BUILT_IN, WIDGET):
        found.setdefault(resource.api_version, []).append(resource)
    return found


@pytest.mark.parametrize("group_version", by_group_version())
def test_every_reference_in_a_document_leads_somewhere(group_version: str) -> None:
    document = openapi.v3_document(by_group_version()[group_version], Schemas.load(), CRDS)
    references = set(re.findall(rb'"\$ref":"#/components/schemas/([^"]+)"', orjson.dumps(document)))
    assert {name.decode() for name in references} <= set(document["components"]["schemas"])


def test_built_in_patches_offer_strategic_merge_and_custom_ones_do_not() -> None:
    schemas = Schemas.load()
    apps = openapi.v3_document(by_group_version()["apps/v1"], schemas, {})
    patch = apps["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert openapi.STRATEGIC in patch["requestBody"]["content"]
    assert {"dryRun", "fieldManager", "fieldValidation", "force"} == {entry["name"] for entry in patch["parameters"]}
    acme = openapi.v3_document([WIDGET], schemas, CRDS)
    patch = acme["paths"]["/apis/acme.io/v1/namespaces/{namespace}/widgets/{name}"]["patch"]
    assert openapi.STRATEGIC not in patch["requestBody"]["content"]


def test_a_custom_kind_is_described_under_its_reversed_group() -> None:
    document = openapi.v3_document([WIDGET], Schemas.load(), CRDS)
    widget = document["components"]["schemas"]["io.acme.v1.Widget"]
    assert widget["properties"]["spec"]["description"] == "what is wanted"
    assert widget["x-kubernetes-group-version-kind"] == [{"group": "acme.io", "version": "v1", "kind": "Widget"}]


def test_the_index_changes_with_the_schema() -> None:
    schemas = Schemas.load()
    before, same, after = (openapi.v3_hash([WIDGET], schemas, crds) for crds in (CRDS, dict(CRDS), {}))
    assert before == same != after
    index = openapi.v3_index({"v1": "A", "apps/v1": "B"})
    assert index["paths"]["apis/apps/v1"]["serverRelativeURL"] == "/openapi/v3/apis/apps/v1?hash=B"
    assert index["paths"]["api/v1"]["serverRelativeURL"] == "/openapi/v3/api/v1?hash=A"


def test_the_v2_document_names_every_definition() -> None:
    document = dict(wire_fields(openapi_v2.v2_protobuf([*BUILT_IN, WIDGET], Schemas.load(), CRDS)))
    definitions = document[9]
    assert document[1] == b"2.0"
    assert isinstance(definitions, bytes)
    names = [dict(wire_fields(value))[1] for _, value in wire_fields(definitions) if isinstance(value, bytes)]
    assert b"io.k8s.api.apps.v1.Deployment" in names
    assert b"io.acme.v1.Widget" in names
    assert len(names) == len(set(names))


def test_duplicate_keys_are_found_at_any_depth() -> None:
    body = b'{"spec": {"replicas": 1, "replicas": 2, "list": [{}, {"a": 1, "a": 2, "a": 3}]}, "kind": 1, "kind": 2}'
    assert strict_json.duplicates(body) == ["spec.replicas", "spec.list[1].a", "kind"]
    assert strict_json.duplicates(b'{"a": {"a": 1}}') == []


@pytest.mark.parametrize("body", [b"NaN", b"[1e999]", b"{", b'{"a": Infinity}', b'"\\ud800', b"{} {}"])
def test_what_json_does_not_allow_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        strict_json.load(body)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_cut_off_and_never_a_crash(opening: bytes) -> None:
    closing = {b"[": b"]", b'{"a":': b"}"}[opening]
    body = opening * 5000 + b"1" + closing * 5000
    assert strict_json.is_cut(strict_json.load(body))
    assert strict_json.duplicates(body) == []
    assert not strict_json.is_cut(strict_json.load(opening * 150 + b"1" + closing * 150))
    for read in (strict_json.load, strict_json.duplicates):
        with pytest.raises(BadRequest):
            read(opening * 5000)
        with pytest.raises(BadRequest, match="exceeded max depth"):
            read(opening * 10_001 + closing * 10_001)


@pytest.mark.parametrize(
    ("body", "text"), [(b'"a\xffb"', "a\ufffdb"), (b'"\\ud83d\\ude00"', "\U0001f600"), (b'"\\ud83dx"', "\ufffdx")]
)
def test_what_is_no_character_is_replaced_and_what_is_one_is_kept(body: bytes, text: str) -> None:
    assert strict_json.load(body) == text


def test_a_text_without_an_end_is_not_mended_by_cutting_it_off() -> None:
    with pytest.raises(BadRequest):
        strict_json.load(b"[" * 201 + b'"]' + b"]" * 200)


def test_many_brackets_side_by_side_or_in_strings_are_fine() -> None:
    body = orjson.dumps({"a": [[]] * 2000, "b": "[" * 2000, "c": '\\"[' * 300})
    assert strict_json.load(body)["b"] == "[" * 2000
