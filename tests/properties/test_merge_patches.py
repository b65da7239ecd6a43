"""Merge patches are exact: what `create_merge_patch` finds, `merge_patch` brings about."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from graylane.model.patches import create_merge_patch, merge_patch

_SCALARS = st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=1), inner, max_size=3),
    max_leaves=12,
)
_OBJECTS = st.dictionaries(st.text("abc", max_size=1), _JSON, max_size=4)


@given(_OBJECTS, _OBJECTS)
def test_patching_with_the_difference_gives_the_new_object(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert merge_patch(old, create_merge_patch(old, new)) == new


@given(_OBJECTS)
def test_an_object_differs_from_itself_by_nothing(obj: dict[str, Any]) -> None:
    assert create_merge_patch(obj, obj) == {}


@given(_OBJECTS, _OBJECTS)
def test_a_merge_patch_applied_twice_changes_nothing_more(old: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merge_patch(old, patch)
    assert merge_patch(once, patch) == once
