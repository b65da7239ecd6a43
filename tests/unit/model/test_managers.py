"""Who wrote a field last: the field manager, and the user where our own verbs wrote him down."""

from __future__ import annotations

import pytest

from graylane.model.managers import manager_of, person, verbs_of


def entry(manager: str, time: str, fields: dict[str, object]) -> dict[str, object]:
    return {"manager": manager, "time": time, "fieldsV1": fields}


def test_of_several_owners_the_last_to_write_is_told() -> None:
    obj = {
        "metadata": {
            "managedFields": [
                entry("kubectl-edit", "2030-01-02T00:00:00Z", {"f:status": {"f:phase": {}}}),
                entry("graylane", "2030-01-01T00:00:00Z", {"f:status": {"f:phase": {}, "f:message": {}}}),
            ]
        }
    }
    assert manager_of(obj, "status", "phase") == "kubectl-edit"
    assert manager_of(obj, "status", "message") == "graylane"
    assert manager_of(obj, "spec") == ""
    assert manager_of({}, "status") == ""


@pytest.mark.parametrize(
    ("manager", "told"),
    [
        (verbs_of("alice"), "alice"),
        (verbs_of("system:serviceaccount:ci:releaser"), "system:serviceaccount:ci:releaser"),
        ("kubectl-edit", "somebody with kubectl-edit"),
        (verbs_of(""), "unknown"),
        ("", "unknown"),
    ],
)
def test_a_person_is_told_as_far_as_anybody_knows_him(manager: str, told: str) -> None:
    assert person(manager) == told


def test_a_manager_is_always_one_that_an_api_server_takes() -> None:
    found = verbs_of("strange\nname" + "x" * 500)
    assert len(found) <= 128
    assert found.isprintable()
