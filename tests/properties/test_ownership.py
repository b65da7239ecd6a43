"""Laws of server-side apply, over whatever configurations Hypothesis finds."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from graylane.cluster.apiserver.patch import apply, fieldtree, managedfields, tracking
from graylane.cluster.apiserver.patch.combine import merge, remove
from graylane.cluster.apiserver.patch.compare import compare
from graylane.cluster.apiserver.patch.fieldset import FieldSet, decode, encode
from graylane.cluster.apiserver.patch.places import field_set
from graylane.cluster.apiserver.patch.tracking import Writer
from graylane.cluster.apiserver.schema.node import Node
from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.errors import Conflict

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = st.sampled_from(["a", "b", "c"])


def named(item: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Never empty: an empty list that is owned by element has no field to own, in Kubernetes too."""
    pairs = st.dictionaries(NAMES, item, min_size=1, max_size=3)
    return pairs.map(lambda items: [{"name": name, **rest} for name, rest in items.items()])


ENV = named(st.fixed_dictionaries({}, optional={"value": NAMES}))
CONTAINERS = named(
    st.fixed_dictionaries({}, optional={"image": NAMES, "env": ENV, "args": st.lists(NAMES, max_size=2)})
)
POD_SPECS = st.fixed_dictionaries({}, optional={"containers": CONTAINERS, "hostname": NAMES})
SPECS = st.fixed_dictionaries(
    {}, optional={"replicas": st.integers(0, 3), "template": st.fixed_dictionaries({"spec": POD_SPECS})}
)
LABELS = st.dictionaries(NAMES, NAMES, max_size=2)
CONFIGS = st.builds(
    lambda labels, spec: {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x", **({"labels": labels} if labels else {})},
        "spec": spec,
    },
    LABELS,
    SPECS,
)


def schema() -> Structural:
    found = Schemas.load().of("apps", "v1", "Deployment")
    assert found is not None
    return found


def applied(live: dict[str, Any] | None, config: dict[str, Any], manager: str) -> dict[str, Any]:
    return apply.server_side(live, config, manager, True, schema(), NOW)


@given(CONFIGS, CONFIGS)
def test_applying_twice_is_applying_once_and_touches_no_input(first: dict[str, Any], config: dict[str, Any]) -> None:
    before = deepcopy((first, config))
    once = applied(applied(None, first, "a"), config, "b")
    assert applied(once, config, "b") == once
    assert (first, config) == before


@given(CONFIGS, CONFIGS)
def test_what_one_manager_applies_alone_is_what_the_object_says(first: dict[str, Any], config: dict[str, Any]) -> None:
    obj = managedfields.without_managed(applied(applied(None, first, "a"), config, "a"))
    assert field_set(schema().root, obj) >= field_set(schema().root, config)
    assert compare(schema().root, config, merge(schema().root, obj, config)).modified == frozenset()
    assert merge(schema().root, obj, config) == obj


@given(CONFIGS, CONFIGS)
def test_two_appliers_that_agree_can_apply_in_any_order(first: dict[str, Any], second: dict[str, Any]) -> None:
    root = schema().root
    agreed = merge(root, first, second)
    one = applied(applied(None, agreed, "a"), second, "b")
    other = applied(applied(None, second, "b"), agreed, "a")
    assert field_set(root, managedfields.without_managed(one)) == field_set(root, managedfields.without_managed(other))


@given(CONFIGS, CONFIGS)
def test_nobody_owns_a_field_that_is_not_there(first: dict[str, Any], second: dict[str, Any]) -> None:
    obj = applied(applied(None, first, "a"), second, "b")
    present = _everything(field_set(schema().root, managedfields.without_managed(obj)))
    for owned in managedfields.read(obj).values():
        assert owned.fields <= present


def _everything(paths: frozenset[tuple[str, ...]]) -> set[tuple[str, ...]]:
    return {path[:depth] for path in paths for depth in range(1, len(path) + 1)}


@given(CONFIGS, CONFIGS)
def test_a_comparison_names_exactly_what_changed(old: dict[str, Any], new: dict[str, Any]) -> None:
    root = schema().root
    there, back = compare(root, old, new), compare(root, new, old)
    assert (there.added, there.removed, there.modified) == (back.removed, back.added, back.modified)
    assert compare(root, old, old) == compare(root, new, new)
    assert there.added.isdisjoint(there.removed)


@given(CONFIGS)
def test_removing_all_fields_leaves_none(config: dict[str, Any]) -> None:
    root = schema().root
    left = remove(root, config, field_set(root, config))
    assert all(path[-1][0] == "f" for path in field_set(root, left))
    assert remove(root, config, frozenset()) == config


@given(CONFIGS)
def test_a_field_set_survives_being_written(config: dict[str, Any]) -> None:
    paths = field_set(schema().root, config)
    assert decode(encode(paths)) == paths


@given(CONFIGS, CONFIGS)
def test_updates_own_everything_that_changes(old: dict[str, Any], new: dict[str, Any]) -> None:
    tracked = tracking.update(None, old, Writer("a", "apps/v1", NOW), schema())
    assume("managedFields" in tracked["metadata"])  # what nobody owned from its beginning stays so
    after = tracking.update(tracked, new, Writer("b", "apps/v1", NOW), schema())
    found = managedfields.changes(schema().root, old, new, frozenset())
    owned = {who.name: entry.fields for who, entry in managedfields.read(after).items()}
    assert owned.get("b", frozenset()) == found.added | found.modified
    assert owned.get("a", frozenset()).isdisjoint(found.added | found.modified | found.removed)


PATHS = st.sampled_from(["f:a", "f:b", 'k:{"name":"a"}', "v:1"])
FIELD_SETS = st.frozensets(st.lists(PATHS, min_size=1, max_size=3).map(tuple), max_size=8)


@given(FIELD_SETS, FIELD_SETS)
def test_trees_of_fields_follow_the_algebra_of_sets(one: FieldSet, other: FieldSet) -> None:
    tree, change = encode(one), encode(other)
    assert fieldtree.union(tree, change) == encode(one | other)
    assert fieldtree.difference(tree, change) == encode(one - other)
    assert (tree, change) == (encode(one), encode(other)), "inputs are left alone"
    assert (fieldtree.union(tree, change) is tree) is (other <= one)
    assert (fieldtree.difference(tree, change) is tree) is one.isdisjoint(other)


@given(CONFIGS)
def test_the_tree_of_a_new_object_holds_all_that_a_comparison_with_nothing_finds(config: dict[str, Any]) -> None:
    root = schema().root
    assert fieldtree.whole(root, config, frozenset()) == encode(compare(root, {}, config).added)


@settings(max_examples=50)
@given(CONFIGS)
def test_the_creator_of_a_built_in_object_owns_what_differs_from_its_zero_value(config: dict[str, Any]) -> None:
    """Struct by struct, as if the object had been there, empty, before anybody said anything."""
    root = schema().root
    obj = schema().written(config)
    found = compare(root, _zero(root), obj)
    changed = {path for path in found.added | found.modified if not _is_zero(root, path, obj)}
    owned = decode(fieldtree.born(root, obj, frozenset({"apiVersion", "kind", "status"})))
    assert owned == {path for path in changed if path[0] not in ("f:apiVersion", "f:kind", "f:status")}


def _zero(root: Node) -> dict[str, Any]:
    """The object before anybody said anything: its structs, and a null where something is required."""
    zero: dict[str, Any] = schema().written({})
    zero["spec"] = {**zero["spec"], "selector": None, "template": {"metadata": {}, "spec": {"containers": None}}}
    return zero


def _is_zero(root: Node, path: tuple[str, ...], obj: dict[str, Any]) -> bool:
    """A struct that is there in every object of its type, however empty."""
    return path in {("f:spec",), ("f:spec", "f:strategy"), ("f:spec", "f:template")}


@settings(max_examples=50)
@given(CONFIGS, CONFIGS)
def test_what_a_lone_applier_gives_up_is_gone(first: dict[str, Any], second: dict[str, Any]) -> None:
    after = applied(applied(None, first, "one"), second, "one")
    gone = field_set(schema().root, first) - field_set(schema().root, second)
    left = field_set(schema().root, managedfields.without_managed(after))
    assert left.isdisjoint({path for path in gone if not any(other[: len(path)] == path for other in left - {path})})


@settings(max_examples=50)
@given(CONFIGS, CONFIGS)
def test_a_forced_field_has_one_owner_among_those_who_disagreed(first: dict[str, Any], second: dict[str, Any]) -> None:
    after = applied(applied(None, first, "one"), second, "two")
    changed = managedfields.changes(schema().root, applied(None, first, "one"), after, frozenset()).modified
    one = {who.name: entry.fields for who, entry in managedfields.read(after).items()}.get("one", frozenset())
    assert one.isdisjoint(changed)


@settings(max_examples=50)
@given(CONFIGS, CONFIGS)
def test_an_apply_that_would_disagree_is_refused_and_changes_nothing(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    live = applied(None, first, "one")
    before = deepcopy(live)
    forced = applied(live, second, "two")
    overruled = managedfields.changes(schema().root, live, forced, frozenset()).modified
    if overruled:
        with pytest.raises(Conflict) as refused:
            apply.server_side(live, second, "two", False, schema(), NOW)
        assert len(refused.value.details["causes"]) == len(overruled)
    else:
        assert apply.server_side(live, second, "two", False, schema(), NOW) == forced
    assert live == before
