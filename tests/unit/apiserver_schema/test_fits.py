"""The quick walk and the thorough ones agree about every object."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.cluster.apiserver.schema.structural import Structural

CUSTOM = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "count": {"type": "integer", "maximum": 3},
                "share": {"x-kubernetes-int-or-string": True},
                "ratio": {"type": "number"},
                "maybe": {"type": "string", "nullable": True},
                "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                "steps": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"key": {"type": "string"}}},
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["key"],
                },
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
            },
        }
    },
}
WIDGET = {"apiVersion": "x.io/v1", "kind": "Widget", "metadata": {"name": "w"}}
VALUES = st.recursive(
    st.sampled_from([None, True, 0, 1, 7, 1.0, 1.5, "", "a", "1Gi", "2024-01-01T00:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "name", "x"]), inner),
    max_leaves=4,
)


def found(schema: Structural, obj: dict[str, Any]) -> list[Any]:
    """What the thorough walks have to say."""
    pruned = [] if schema.prune(obj) is obj else ["pruned"]
    return [*schema.check(obj), *schema.unknown(obj), *pruned]


@given(st.dictionaries(st.sampled_from([*CUSTOM["properties"]["spec"]["properties"], "other"]), VALUES, max_size=4))
def test_a_custom_object_that_fits_has_nothing_wrong_with_it(spec: dict[str, Any]) -> None:
    schema = Structural.from_crd(CUSTOM)
    obj = {**WIDGET, "spec": {"name": "w", **spec}}
    if schema.fits(obj):
        assert found(schema, obj) == []


@given(st.sampled_from(["env", "image", "name", "resources", "ports", "stdin", "other"]), VALUES)
def test_a_built_in_object_that_fits_has_nothing_wrong_with_it(name: str, value: Any) -> None:
    schema = Schemas.load().of("", "v1", "Pod")
    assert schema is not None
    container = {"name": "main", name: value}
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [container]}}
    if schema.fits(obj):
        assert found(schema, obj) == []


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "w", "count": 3, "share": "10%", "ratio": 1.5, "tags": ["a", "b"]},
        {"name": "w", "share": 1, "steps": [{"key": "a"}, {"key": "b"}], "free": {"any": [1, "x"]}},
        {"name": "w", "limits": {"a": 1}},
    ],
)
def test_an_ordinary_custom_object_fits(spec: dict[str, Any]) -> None:
    assert Structural.from_crd(CUSTOM).fits({**WIDGET, "spec": spec})


def test_an_ordinary_pod_fits() -> None:
    schema = Schemas.load().of("", "v1", "Pod")
    assert schema is not None
    probe = {"httpGet": {"path": "/", "port": 8000}}
    container = {"name": "main", "image": "i", "env": [{"name": "a", "value": "b"}], "readinessProbe": probe}
    metadata = {"name": "p", "labels": {"a": "b"}, "creationTimestamp": "2024-01-01T00:00:00Z"}
    limits = {"resources": {"limits": {"cpu": "100m", "memory": 1024}}}
    spec = {"containers": [container | limits], "restartPolicy": "Always", "hostNetwork": False}
    assert schema.fits({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
