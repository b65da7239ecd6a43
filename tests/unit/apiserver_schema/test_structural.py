"""Schemas: what is refused, in whose words, what is pruned and what is filled in."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.cluster.apiserver import cel
from graylane.cluster.apiserver.schema.fielderror import as_api_error, strict
from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.errors import BadRequest, Invalid

CRD: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["replicas"],
            "properties": {
                "replicas": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 10},
                "mode": {"type": "string", "enum": ["A", "B"], "default": "A"},
                "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5, "minLength": 2},
                "share": {"x-kubernetes-int-or-string": True},
                "steps": {
                    "type": "array",
                    "maxItems": 2,
                    "items": {
                        "type": "object",
                        "properties": {"weight": {"type": "integer", "default": 100}, "when": {"type": "string"}},
                    },
                },
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "maybe": {"type": "string", "nullable": True},
                "ref": {
                    "type": "object",
                    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                    "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
                },
                "when": {"type": "string", "format": "date-time"},
                "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "template": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "x-kubernetes-preserve-unknown-fields": True,
                },
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}


def custom(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "acme.io/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"replicas": 1, **spec}}


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (
            {"replicas": "3"},
            'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"',
        ),
        (
            {"replicas": None},
            'spec.replicas: Invalid value: "null": spec.replicas in body must be of type integer: "null"',
        ),
        (
            {"replicas": -1},
            "spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0",
        ),
        (
            {"replicas": 11},
            "spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10",
        ),
        ({"mode": "C"}, 'spec.mode: Unsupported value: "C": supported values: "A", "B"'),
        ({"name": "ABC"}, "spec.name: Invalid value: \"ABC\": spec.name in body should match '^[a-z]+$'"),
        ({"name": "a"}, 'spec.name: Invalid value: "a": spec.name in body should be at least 2 chars long'),
        ({"name": "abcdef"}, "spec.name: Too long: may not be more than 5 bytes"),
        (
            {"share": True},
            'spec.share: Invalid value: "boolean": spec.share in body must be of type integer,string: "boolean"',
        ),
        ({"steps": [{}, {}, {}]}, "spec.steps: Too many: 3: must have at most 2 items"),
        (
            {"steps": [{"weight": "x"}]},
            'spec.steps[0].weight: Invalid value: "string": spec.steps[0].weight in body must be of type integer: '
            '"string"',
        ),
        (
            {"labels": {"a": 1}},
            'spec.labels.a: Invalid value: "integer": spec.labels.a in body must be of type string: "integer"',
        ),
        (
            {"when": "today"},
            'spec.when: Invalid value: "today": spec.when in body must be of type date-time: "today"',
        ),
        ({"set": ["a", "b", "a"]}, 'spec.set[2]: Duplicate value: "a"'),
    ],
)
def test_a_custom_object_is_refused_as_kubernetes_refuses_it(spec: dict[str, Any], error: str) -> None:
    found = Structural.from_crd(CRD).check(custom(spec))
    assert [str(one) for one in found] == [error]


def test_a_missing_required_field_is_named() -> None:
    found = Structural.from_crd(CRD).check({"spec": {}})
    assert [str(one) for one in found] == ["spec.replicas: Required value"]


def test_one_of_says_how_many_alternatives_fit() -> None:
    none, two = (Structural.from_crd(CRD).check(custom({"ref": ref})) for ref in ({}, {"a": "1", "b": "2"}))
    sentence = '<nil>: Invalid value: "": "spec.ref" must validate one and only one schema (oneOf).'
    assert str(none[0]) == f"{sentence} Found none valid"
    assert str(two[0]) == f"{sentence} Found 2 valid alternatives"


def test_what_is_allowed_passes() -> None:
    fine = custom({"share": "25%", "maybe": None, "free": {"x": [1, {"y": None}]}, "replicas": 2.0, "ref": {"b": "x"}})
    assert Structural.from_crd(CRD).check(fine) == []


def test_unknown_fields_are_named_and_pruned_but_not_where_they_are_preserved() -> None:
    structural = Structural.from_crd(CRD)
    obj = custom({"oops": 1, "steps": [{"weight": 1, "wait": 2}], "free": {"any": 1}, "labels": {"k": "v"}})
    obj["status"] = {"anything": True}
    obj["metadata"]["color"] = "red"
    assert structural.unknown(obj) == ["metadata.color", "spec.oops", "spec.steps[0].wait"]
    pruned = structural.prune(obj)
    assert structural.unknown(pruned) == []
    assert pruned["spec"]["free"] == {"any": 1}
    assert obj["spec"]["oops"] == 1, "the input was changed"


def test_defaults_reach_into_lists_and_replace_forbidden_nulls() -> None:
    filled = Structural.from_crd(CRD).default(custom({"steps": [{"weight": None}, {}], "maybe": None}))
    assert filled["spec"]["mode"] == "A"
    assert filled["spec"]["steps"] == [{"weight": 100}, {"weight": 100}]
    assert filled["spec"]["maybe"] is None


def test_an_object_that_needs_nothing_is_returned_as_it_is() -> None:
    structural = Structural.from_crd(CRD)
    obj = structural.default(custom({}))
    assert structural.prune(obj) is obj
    assert structural.default(obj) is obj


def test_a_definition_without_a_schema_keeps_everything() -> None:
    structural = Structural.from_crd(None)
    assert structural.unknown(custom({"a": 1})) == []
    assert structural.check(custom({"a": 1})) == []


def test_cel_rules_are_counted_where_they_cannot_be_enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cel, "available", lambda: False)
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "x-kubernetes-validations": [{"rule": "self.a > 0"}]}},
    }
    assert Structural.from_crd(schema).unenforced == ("spec",)


DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {"selector": {}, "template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}},
}


def deployment(**spec: Any) -> dict[str, Any]:
    return {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], **spec}}


def containers(*items: Any) -> dict[str, Any]:
    return deployment(template={"spec": {"containers": list(items)}})


@pytest.mark.parametrize(
    ("obj", "sentence"),
    [
        (
            deployment(replicas="3"),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            deployment(replicas=1.5),
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            deployment(replicas=3_000_000_000),
            "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            deployment(template="x"),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.template "
            "of type v1.PodTemplateSpec",
        ),
        (
            containers({"name": 1}),
            "json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.name "
            "of type string",
        ),
        (
            containers("x"),
            "json: cannot unmarshal string into Go struct field PodSpec.spec.template.spec.containers "
            "of type v1.Container",
        ),
        (
            {**DEPLOYMENT, "metadata": {"labels": {"a": 1}}},
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            containers({"name": "a", "ports": [{"containerPort": True}]}),
            "json: cannot unmarshal bool into Go struct field ContainerPort.spec.template.spec.containers.ports."
            "containerPort of type int32",
        ),
        (
            containers({"name": "a", "resources": {"limits": {"cpu": "lots"}}}),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            {**DEPLOYMENT, "metadata": {"creationTimestamp": "now"}},
            'parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006"',
        ),
    ],
)
def test_a_built_in_object_fails_as_it_would_in_go(obj: dict[str, Any], sentence: str) -> None:
    structural = Schemas.load().of("apps", "v1", "Deployment")
    assert structural is not None
    found = structural.check(obj)
    assert [str(one) for one in found] == [sentence]
    answer = as_api_error("apps", "v1", "Deployment", "web", found)
    assert isinstance(answer, BadRequest)
    assert answer.message == f'Deployment in version "v1" cannot be handled as a Deployment: {sentence}'


def test_a_secret_must_be_base64() -> None:
    structural = Schemas.load().of("", "v1", "Secret")
    assert structural is not None
    found = structural.check({"data": {"a": "not base64!"}})
    assert str(found[0]).startswith("illegal base64 data at input byte 3")


def test_nulls_of_built_in_kinds_mean_absent_but_are_empty_strings_in_maps() -> None:
    structural = Schemas.load().of("apps", "v1", "Deployment")
    assert structural is not None
    obj = {"metadata": {"labels": {"a": None}, "name": "x"}, "spec": {"paused": None, "replicas": 0}}
    assert structural.check(obj) == []
    assert structural.prune(obj) == {"metadata": {"labels": {"a": ""}, "name": "x"}, "spec": {"replicas": 0}}


def test_several_mistakes_make_one_answer_with_a_cause_for_each() -> None:
    found = Structural.from_crd(CRD).check(custom({"replicas": -1, "mode": "C"}))
    answer = as_api_error("acme.io", "v1", "Widget", "w", found)
    assert isinstance(answer, Invalid)
    assert answer.message.startswith('Widget.acme.io "w" is invalid: [spec.replicas: Invalid value: -1')
    assert answer.details["causes"][1] == {
        "reason": "FieldValueNotSupported",
        "message": 'Unsupported value: "C": supported values: "A", "B"',
        "field": "spec.mode",
    }


def test_the_strict_sentence() -> None:
    text = 'strict decoding error: unknown field "spec.foo", duplicate field "spec.bar"'
    assert strict(['unknown field "spec.foo"', 'duplicate field "spec.bar"']) == text


def test_every_served_definition_can_be_compiled() -> None:
    schemas = Schemas.load()
    for group, version, kind in schemas.components.kinds:
        assert schemas.of(group, version, kind) is not None
