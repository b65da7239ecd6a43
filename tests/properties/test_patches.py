"""Laws of patches and shapes, over whatever objects Hypothesis finds."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graylane.cluster.apiserver.patch import strategic
from graylane.cluster.apiserver.schema import defaults
from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.errors import BadRequest, Invalid, TooLarge, Unclassified
from graylane.model.patches import create_merge_patch, json_patch, merge_patch

KEYS = st.sampled_from(["a", "b", "c", "spec", "status"])
SCALARS = st.one_of(st.booleans(), st.integers(-5, 5), st.text(max_size=3), st.floats(-1, 1))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)
NAMES = st.sampled_from(["a", "b", "c"])


def named(item: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """A list that merges by name."""
    pairs = st.dictionaries(NAMES, item, max_size=3)
    return pairs.map(lambda items: [{"name": name, **rest} for name, rest in items.items()])


ENV = named(st.fixed_dictionaries({}, optional={"value": st.sampled_from("xyz")}))
CONTAINERS = named(
    st.fixed_dictionaries({}, optional={"image": NAMES, "env": ENV, "args": st.lists(NAMES, max_size=2)})
)
SPECS = st.fixed_dictionaries(
    {"template": st.fixed_dictionaries({"spec": st.fixed_dictionaries({"containers": CONTAINERS})})},
    optional={
        "replicas": st.integers(0, 3),
        "paused": st.booleans(),
        "strategy": st.sampled_from([{"type": "Recreate"}, {"rollingUpdate": {"maxSurge": 1}}]),
    },
)
METADATA = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "labels": st.dictionaries(NAMES, NAMES, max_size=2),
        "finalizers": st.lists(NAMES, unique=True, max_size=3),
    },
)
OPERATIONS = st.sampled_from(["add", "remove", "replace", "copy", "move", "test", "explode"])
PATHS = st.sampled_from(["", "/a", "/a/b", "/a/0", "/a/-", "a/b", "/spec/a/b", "/x~1y", "/x~0y"])
DEPLOYMENTS = st.fixed_dictionaries({"metadata": METADATA, "spec": SPECS})


def schema() -> Structural:
    found = Schemas.load().of("apps", "v1", "Deployment")
    assert found is not None
    return found


@given(OBJECTS, OBJECTS)
def test_a_created_merge_patch_leads_from_one_to_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert merge_patch(old, create_merge_patch(old, new)) == new


@given(OBJECTS)
def test_nothing_to_change_is_an_empty_patch(obj: dict[str, Any]) -> None:
    assert create_merge_patch(obj, deepcopy(obj)) == {}


@given(DEPLOYMENTS, DEPLOYMENTS)
def test_a_strategic_merge_is_idempotent_and_touches_no_input(live: dict[str, Any], patch: dict[str, Any]) -> None:
    before = deepcopy((live, patch))
    once = strategic.apply(live, patch, schema())
    assert strategic.apply(once, patch, schema()) == once
    assert (live, patch) == before


@given(DEPLOYMENTS)
def test_merging_an_object_into_itself_changes_nothing(live: dict[str, Any]) -> None:
    assert strategic.apply(live, live, schema()) == live
    assert strategic.apply(live, {}, schema()) == live
    assert strategic.apply({}, live, schema()) == live


@given(DEPLOYMENTS, DEPLOYMENTS)
def test_everything_a_patch_says_is_there_afterwards(live: dict[str, Any], patch: dict[str, Any]) -> None:
    merged = strategic.apply(live, patch, schema())
    assert patch["metadata"].get("labels", {}).items() <= merged["metadata"].get("labels", {}).items()
    after = {container["name"]: container for container in merged["spec"]["template"]["spec"]["containers"]}
    for container in patch["spec"]["template"]["spec"]["containers"]:
        assert container.get("image") in (None, after[container["name"]].get("image"))


DIRECTIVES = st.recursive(
    st.one_of(SCALARS, st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "metadata",
                    "finalizers",
                    "spec",
                    "template",
                    "containers",
                    "$patch",
                    "$retainKeys",
                    "$setElementOrder/finalizers",
                    "$deleteFromPrimitiveList/finalizers",
                    "$setElementOrder/containers",
                ]
            ),
            st.one_of(inner, st.sampled_from(["delete", "replace", "merge"])),
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(DEPLOYMENTS, DIRECTIVES)
def test_any_patch_is_either_obeyed_or_refused(live: dict[str, Any], patch: Any) -> None:
    with suppress(BadRequest, Invalid, Unclassified):
        strategic.apply(live, patch, schema())


CRD = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "a": {"type": "integer", "default": 1},
                "b": {"type": "object", "default": {}, "properties": {"c": {"type": "string", "default": "x"}}},
                "c": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}},
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}


@given(OBJECTS)
def test_pruning_twice_is_pruning_once_and_leaves_nothing_unknown(obj: dict[str, Any]) -> None:
    structural = Structural.from_crd(CRD)
    pruned = structural.prune(obj)
    assert structural.unknown(pruned) == []
    assert structural.prune(pruned) is pruned


@given(OBJECTS)
def test_defaulting_twice_is_defaulting_once(obj: dict[str, Any]) -> None:
    structural = Structural.from_crd(CRD)
    filled = structural.default(obj)
    assert structural.default(filled) is filled


@given(DEPLOYMENTS)
def test_built_in_defaults_are_stable_and_touch_no_input(obj: dict[str, Any]) -> None:
    before = deepcopy(obj)
    filled = defaults.apply("apps", "Deployment", obj)
    assert defaults.apply("apps", "Deployment", filled) is filled
    assert obj == before


@given(OBJECTS)
@settings(max_examples=200)
def test_checking_any_json_gives_an_answer(obj: dict[str, Any]) -> None:
    Structural.from_crd(CRD).check(obj)
    schema().check(obj)
    schema().unknown(obj)
    schema().prune(obj)


@given(OBJECTS, OBJECTS)
def test_a_json_patch_leads_from_one_object_to_the_other_and_touches_no_input(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    before, operations = deepcopy(old), jsonpatch.make_patch(old, new).patch
    if any(not operation["path"] for operation in operations):
        return  # the whole object at once, which no API takes
    assert json_patch(old, operations) == new
    assert old == before


@given(
    OBJECTS,
    st.lists(st.fixed_dictionaries({"op": OPERATIONS, "path": PATHS}, optional={"value": VALUES, "from": PATHS})),
)
def test_any_json_patch_is_obeyed_or_refused_as_a_whole(old: dict[str, Any], operations: list[dict[str, Any]]) -> None:
    before, sent = deepcopy(old), deepcopy(operations)
    with suppress(Invalid, BadRequest, TooLarge):
        assert isinstance(json_patch(old, operations), dict)
    assert (old, operations) == (before, sent)


@given(OBJECTS, KEYS, VALUES)
def test_a_test_that_fails_undoes_what_came_before_it(old: dict[str, Any], name: str, value: Any) -> None:
    before = deepcopy(old)
    operations = [{"op": "add", "path": f"/{name}", "value": value}, {"op": "test", "path": "/nothing", "value": "x"}]
    with pytest.raises(Invalid):
        json_patch(old, operations)
    assert old == before


@given(DEPLOYMENTS)
def test_zero_values_are_filled_in_once_and_touch_no_input(obj: dict[str, Any]) -> None:
    before = deepcopy(obj)
    written = schema().written(obj)
    assert schema().written(written) is written, "what is complete is shared, not copied"
    assert obj == before
    assert merge_patch(written, create_merge_patch(written, obj)) == obj
