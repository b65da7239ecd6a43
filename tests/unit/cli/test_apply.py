"""Manifests in, patches out, as kubectl apply would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graylane.cli.apply import LAST_APPLIED, annotated, patch_for
from graylane.cli.manifests import parse, read
from graylane.errors import UserError
from graylane.model.patches import merge_patch


def thing(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "x"}, "spec": spec}


def test_the_record_is_what_kubectl_would_have_written() -> None:
    record = annotated(thing(a=1))["metadata"]["annotations"][LAST_APPLIED]
    assert record == ('{"apiVersion":"v1","kind":"Thing","metadata":{"annotations":{},"name":"x"},"spec":{"a":1}}\n')


def test_fields_that_are_left_out_now_go_and_those_of_others_stay() -> None:
    live = merge_patch(annotated(thing(a=1, b={"c": 1, "d": 2})), {"spec": {"theirs": 3, "b": {"theirs": 4}}})
    wanted = thing(a=2, b={"c": 1})
    assert merge_patch(live, patch_for(live, wanted))["spec"] == {"a": 2, "b": {"c": 1, "theirs": 4}, "theirs": 3}


def test_applying_the_same_twice_changes_nothing() -> None:
    live = annotated(thing(a=1))
    assert merge_patch(live, patch_for(live, thing(a=1))) == live


def test_an_object_that_apply_never_touched_loses_nothing() -> None:
    live = thing(a=1, b=2)
    assert merge_patch(live, patch_for(live, thing(a=3)))["spec"] == {"a": 3, "b": 2}


def test_the_record_of_an_update_does_not_contain_the_record_before_it() -> None:
    again = annotated(annotated(thing(a=1)))
    assert LAST_APPLIED not in json.loads(again["metadata"]["annotations"][LAST_APPLIED])["metadata"]["annotations"]


def test_documents_come_in_order_and_lists_are_opened() -> None:
    text = "---\n# nothing\n---\napiVersion: v1\nkind: A\nmetadata: {name: a}\n---\n" + (
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: B, metadata: {name: b}}\n"
    )
    assert [item.object["kind"] for item in parse(text, "f")] == ["A", "B"]


BAD = [
    ("a: [", "f: not YAML: .* in line 1, column 5"),
    ("- 1", "f, document 1: an object is expected, not list"),
    ("kind: A", "f, document 1: apiVersion is missing"),
    ("apiVersion: v1\nkind: A\nmetadata: {}", "f, document 1: metadata.name is missing"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_what_is_wrong_is_said_with_its_place(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(text, "f")


def test_a_folder_gives_its_manifests_in_order_of_name(tmp_path: Path) -> None:
    for name in ("2.yaml", "1.yml", "notes.txt"):
        (tmp_path / name).write_text(f"apiVersion: v1\nkind: A\nmetadata: {{name: n{name[0]}}}")
    assert [item.object["metadata"]["name"] for item in read([tmp_path])] == ["n1", "n2"]


def test_a_folder_without_manifests_and_a_missing_file_say_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no \.yaml, \.yml, \.json file"):
        read([tmp_path])
    with pytest.raises(UserError, match="No such file"):
        read([tmp_path / "nosuch.yaml"])


def test_a_file_that_is_no_text_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "archive.yaml").write_bytes(b"\x1f\x8b\xff")
    with pytest.raises(UserError, match=r"archive\.yaml: not a text in UTF-8"):
        read([tmp_path])
