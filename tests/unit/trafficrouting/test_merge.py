"""Our additions are taken out of an object that others edited; their edits stay."""

import copy
from typing import Any

import pytest

from graylane.model.patches import json_patch
from graylane.trafficrouting.merge import difference, unapply

BASE = {"route": [{"destination": {"host": "mocka", "subset": "version-base"}}]}
LANE = {
    "match": [{"headers": {"x-lane": {"exact": "blue"}}}],
    "route": [{"destination": {"host": "mocka", "subset": "canary"}}],
}
MATCHED = {"spec": {"hosts": ["mocka"], "http": [LANE, BASE]}}
PLAIN = {"spec": {"hosts": ["mocka"], "http": [BASE]}}
SPLIT_ROUTES = [
    {"destination": {"host": "mocka"}, "weight": 80},
    {"destination": {"host": "mocka", "subset": "canary"}, "weight": 20},
]
UNSPLIT = {"spec": {"http": [{"route": [{"destination": {"host": "mocka"}}]}]}}
SPLIT = {"spec": {"http": [{"route": SPLIT_ROUTES}]}}
OTHER = {"match": [{"uri": {"prefix": "/x"}}], "route": [{"destination": {"host": "other"}}]}


def edited(value: Any, *path: Any, to: Any) -> Any:
    result = copy.deepcopy(value)
    here = result
    for step in path[:-1]:
        here = here[step]
    if to is None:
        del here[path[-1]]
    else:
        here[path[-1]] = to
    return result


STORIES = {
    "nothing happened": (PLAIN, MATCHED, MATCHED, PLAIN),
    "the manifests were applied again": (PLAIN, MATCHED, PLAIN, PLAIN),
    "a timeout was set on the base rule": (
        PLAIN,
        MATCHED,
        edited(MATCHED, "spec", "http", 1, "timeout", to="5s"),
        edited(PLAIN, "spec", "http", 0, "timeout", to="5s"),
    ),
    "our rule was edited": (PLAIN, MATCHED, edited(MATCHED, "spec", "http", 0, "timeout", to="5s"), PLAIN),
    "our rule's header was edited": (
        PLAIN,
        MATCHED,
        edited(MATCHED, "spec", "http", 0, "match", 0, "headers", "x-lane", to={"exact": "red"}),
        PLAIN,
    ),
    "our rule was deleted": (PLAIN, MATCHED, edited(MATCHED, "spec", "http", 0, to=None), PLAIN),
    "our rule was moved last": (PLAIN, MATCHED, edited(MATCHED, "spec", "http", to=[BASE, LANE]), PLAIN),
    "a rule was added in front": (
        PLAIN,
        MATCHED,
        edited(MATCHED, "spec", "http", to=[OTHER, LANE, BASE]),
        edited(PLAIN, "spec", "http", to=[OTHER, BASE]),
    ),
    "a rule was added between": (
        PLAIN,
        MATCHED,
        edited(MATCHED, "spec", "http", to=[LANE, OTHER, BASE]),
        edited(PLAIN, "spec", "http", to=[OTHER, BASE]),
    ),
    "the base rule leads elsewhere now": (
        PLAIN,
        MATCHED,
        edited(MATCHED, "spec", "http", 1, "route", 0, "destination", "subset", to="v2"),
        edited(PLAIN, "spec", "http", 0, "route", 0, "destination", "subset", to="v2"),
    ),
    "manifests with an edit were applied": (
        PLAIN,
        MATCHED,
        edited(PLAIN, "spec", "hosts", to=["mocka", "shop"]),
        edited(PLAIN, "spec", "hosts", to=["mocka", "shop"]),
    ),
    "a rule of the user's own to the canary is the strategy's business": (
        PLAIN,
        MATCHED,
        edited(MATCHED, "spec", "http", to=[edited(LANE, "match", 0, "uri", to={"exact": "/"}), LANE, BASE]),
        PLAIN,
    ),
    "a timeout was set on a split rule": (
        UNSPLIT,
        SPLIT,
        edited(SPLIT, "spec", "http", 0, "timeout", to="5s"),
        edited(UNSPLIT, "spec", "http", 0, "timeout", to="5s"),
    ),
    "a match was set on a split rule": (
        UNSPLIT,
        SPLIT,
        edited(SPLIT, "spec", "http", 0, "match", to=[{"uri": {"prefix": "/"}}]),
        edited(UNSPLIT, "spec", "http", 0, "match", to=[{"uri": {"prefix": "/"}}]),
    ),
    "a split rule was applied again": (UNSPLIT, SPLIT, UNSPLIT, UNSPLIT),
    "another host joined a split": (
        UNSPLIT,
        SPLIT,
        edited(SPLIT, "spec", "http", 0, "route", to=[*SPLIT_ROUTES, {"destination": {"host": "other"}, "weight": 5}]),
        edited(
            UNSPLIT,
            *("spec", "http", 0, "route"),
            to=[{"destination": {"host": "mocka"}}, {"destination": {"host": "other"}, "weight": 5}],
        ),
    ),
    "a subset was added beside ours": (
        {"spec": {"subsets": [{"name": "v1"}]}},
        {"spec": {"subsets": [{"name": "v1"}, {"name": "canary"}]}},
        {"spec": {"subsets": [{"name": "v1"}, {"name": "canary"}, {"name": "v2"}]}},
        {"spec": {"subsets": [{"name": "v1"}, {"name": "v2"}]}},
    ),
    "ours was the only subset": (
        {"spec": {"host": "a"}},
        {"spec": {"host": "a", "subsets": [{"name": "canary"}]}},
        {"spec": {"host": "a", "subsets": [{"name": "canary"}], "exportTo": ["."]}},
        {"spec": {"host": "a", "exportTo": ["."]}},
    ),
    "our subset's labels were edited": (
        {"spec": {"subsets": [{"name": "v1"}]}},
        {"spec": {"subsets": [{"name": "v1"}, {"name": "canary", "labels": {"a": "1"}}]}},
        {"spec": {"subsets": [{"name": "v1"}, {"name": "canary", "labels": {"a": "2"}}]}},
        {"spec": {"subsets": [{"name": "v1"}]}},
    ),
    "an annotation was added and one of ours changed": (
        {"annotations": {"a": "1"}},
        {"annotations": {"a": "1", "ours": "1", "too": "1"}},
        {"annotations": {"a": "2", "ours": "1", "too": "2", "b": "1"}},
        {"annotations": {"a": "2", "too": "2", "b": "1"}},
    ),
    "the user's own lane of the same destination stays": (
        {"spec": {"http": [edited(LANE, "match", 0, "headers", to={"own": {"exact": "1"}}), BASE]}},
        {"spec": {"http": [LANE, edited(LANE, "match", 0, "headers", to={"own": {"exact": "1"}}), BASE]}},
        {"spec": {"http": [LANE, edited(LANE, "match", 0, "headers", to={"own": {"exact": "2"}}), BASE]}},
        {"spec": {"http": [edited(LANE, "match", 0, "headers", to={"own": {"exact": "2"}}), BASE]}},
    ),
    "a script's removal is undone": (
        {"list": [{"name": "a"}, {"name": "b"}, {"name": "c"}]},
        {"list": [{"name": "a"}, {"name": "c"}]},
        {"list": [{"name": "a"}, {"name": "c"}, {"name": "d"}]},
        {"list": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"}]},
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_ours_is_taken_out_and_theirs_stays(story: str) -> None:
    original, written, live, expected = STORIES[story]
    assert unapply(original, written, live) == expected


@pytest.mark.parametrize("story", STORIES)
def test_the_difference_makes_the_one_of_the_other(story: str) -> None:
    for old in STORIES[story]:
        for new in STORIES[story]:
            assert json_patch(old, difference(old, new)) == new


def test_the_difference_names_the_added_rule_and_nothing_else() -> None:
    assert difference(PLAIN, MATCHED) == [{"op": "add", "path": "/spec/http/0", "value": LANE}]
