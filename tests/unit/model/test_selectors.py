"""Selectors read both of Kubernetes' spellings and mean the same by them."""

import pytest

from graylane.errors import BadRequest
from graylane.model.selectors import FieldSelector, LabelSelector

WEB = {"app": "web", "tier": "front"}


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("", WEB, True),
        ("app=web", WEB, True),
        ("app==web,tier=front", WEB, True),
        ("app!=web", WEB, False),
        ("app!=web", {}, True),
        ("tier in (back, front)", WEB, True),
        ("tier notin (back,front)", WEB, False),
        ("tier notin (back)", {}, True),
        ("app", WEB, True),
        ("!app", WEB, False),
        ("example.com/lane=gray", {"example.com/lane": "gray"}, True),
        ("app=", {"app": ""}, True),
    ],
)
def test_a_label_selector_text_matches_as_kubernetes_does(text: str, labels: dict[str, str], expected: bool) -> None:
    assert LabelSelector.parse(text).matches(labels) is expected


@pytest.mark.parametrize("text", ["a=b c", "(x)", "a in b", "=x", "-a=b"])
def test_a_bad_label_selector_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="unable to parse requirement"):
        LabelSelector.parse(text)


def test_the_object_form_and_the_text_form_agree() -> None:
    selector = LabelSelector.of(
        {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]}
    )
    assert str(selector) == "app=web,tier in (a,b)"
    assert LabelSelector.parse(str(selector)) == selector


def test_a_field_selector_reads_absent_fields_as_empty() -> None:
    pod = {"metadata": {"name": "web-1"}, "status": {"phase": "Running"}}
    assert FieldSelector.parse("metadata.name=web-1,status.phase!=Pending").matches(pod)
    assert FieldSelector.parse("spec.nodeName=").matches(pod)
    with pytest.raises(BadRequest, match="invalid selector"):
        FieldSelector.parse("metadata.name")
