"""Server-side apply and field ownership, as stories: who writes what, and what the object says afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from graylane.cluster.apiserver.patch import apply, lastapplied, tracking
from graylane.cluster.apiserver.patch.fieldset import decode, encode, in_order, text
from graylane.cluster.apiserver.patch.tracking import Writer
from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.errors import ApiError, Conflict

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def schema() -> Structural:
    found = Schemas.load().of("apps", "v1", "Deployment")
    assert found is not None
    return found


def deployment(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": spec,
    }


def containers(*items: dict[str, Any]) -> dict[str, Any]:
    return {"template": {"spec": {"containers": list(items)}}}


def applied(
    live: dict[str, Any] | None, config: dict[str, Any], manager: str, *, force: bool = False, **more: Any
) -> dict[str, Any]:
    return apply.server_side(live, config, manager, force, schema(), NOW, **more)


def updated(live: dict[str, Any] | None, new: dict[str, Any], manager: str, **more: Any) -> dict[str, Any]:
    writer = Writer(manager, "apps/v1", more.pop("now", NOW), more.pop("subresource", ""))
    return tracking.update(live, new, writer, schema(), **more)


def owners(obj: dict[str, Any]) -> dict[str, list[str]]:
    """What `kubectl get --show-managed-fields` tells, shortened to paths."""
    return {
        f"{entry['manager']}/{entry['operation']}": [text(path) for path in in_order(decode(entry["fieldsV1"]))]
        for entry in obj["metadata"].get("managedFields", [])
    }


def test_the_first_apply_creates_the_object_and_owns_what_it_says() -> None:
    obj = applied(None, deployment(replicas=2, **containers({"name": "a", "image": "i"})), "ci")
    assert obj["spec"]["replicas"] == 2
    assert obj["metadata"]["managedFields"] == [
        {
            "manager": "ci",
            "operation": "Apply",
            "apiVersion": "apps/v1",
            "time": "2026-11-23T12:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:spec": {
                    "f:replicas": {},
                    "f:template": {
                        "f:spec": {"f:containers": {'k:{"name":"a"}': {".": {}, "f:image": {}, "f:name": {}}}}
                    },
                }
            },
        }
    ]


def test_applying_the_same_again_changes_nothing_not_even_the_time() -> None:
    obj = applied(None, deployment(replicas=2), "ci")
    again = apply.server_side(obj, deployment(replicas=2), "ci", False, schema(), NOW + timedelta(hours=1))
    assert again == obj


def test_a_field_no_longer_applied_is_removed() -> None:
    obj = applied(None, deployment(replicas=2, **containers({"name": "a"}, {"name": "b"})), "ci")
    obj = applied(obj, deployment(**containers({"name": "a"})), "ci")
    assert obj["spec"] == {"template": {"spec": {"containers": [{"name": "a"}]}}}


def test_a_field_that_another_applier_also_wants_stays() -> None:
    obj = applied(None, deployment(replicas=2), "ci")
    obj = applied(obj, deployment(replicas=2), "hpa")
    obj = applied(obj, deployment(), "ci")
    assert obj["spec"]["replicas"] == 2
    assert owners(obj) == {"ci/Apply": [".spec"], "hpa/Apply": [".spec.replicas"]}


def test_a_conflict_names_every_field_and_its_owner() -> None:
    obj = applied(None, deployment(replicas=2, **containers({"name": "a", "image": "1"})), "ci")
    with pytest.raises(Conflict) as caught:
        applied(obj, deployment(replicas=3), "hpa")
    assert caught.value.message == 'Apply failed with 1 conflict: conflict with "ci": .spec.replicas'
    assert caught.value.details["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "ci"', "field": ".spec.replicas"}
    ]
    with pytest.raises(Conflict) as caught:
        applied(obj, deployment(replicas=3, **containers({"name": "a", "image": "2"})), "hpa")
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "ci":\n'
        "- .spec.replicas\n"
        '- .spec.template.spec.containers[name="a"].image'
    )


def test_force_takes_the_field() -> None:
    obj = applied(None, deployment(replicas=2, paused=True), "ci")
    obj = applied(obj, deployment(replicas=3), "hpa", force=True)
    assert obj["spec"] == {"replicas": 3, "paused": True}
    assert owners(obj) == {"ci/Apply": [".spec.paused"], "hpa/Apply": [".spec.replicas"]}


def test_an_update_owns_what_it_changes_and_applying_over_it_is_a_conflict() -> None:
    obj = applied(None, deployment(replicas=2), "ci")
    obj = updated(obj, {**obj, "spec": {"replicas": 5}}, "kubectl-edit")
    assert owners(obj) == {"kubectl-edit/Update": [".spec.replicas"]}
    with pytest.raises(Conflict, match=r'conflict with "kubectl-edit" using apps/v1: \.spec\.replicas'):
        applied(obj, deployment(replicas=2), "ci")


def test_an_update_that_changes_nothing_owns_nothing_and_keeps_the_time() -> None:
    obj = updated(None, deployment(replicas=2), "a")
    assert updated(obj, obj, "b", now=NOW + timedelta(hours=1)) == obj


def test_an_update_that_removes_a_field_leaves_it_to_nobody() -> None:
    obj = applied(None, deployment(replicas=2, paused=True), "ci")
    obj = updated(obj, {**obj, "spec": {"replicas": 2}}, "b")
    assert owners(obj) == {"ci/Apply": [".spec.replicas"]}


def test_an_injected_container_survives_the_next_apply() -> None:
    config = deployment(**containers({"name": "app", "image": "1"}))
    obj = applied(None, config, "ci")
    sidecar = {"name": "proxy", "image": "p"}
    obj = updated(obj, {**obj, "spec": containers({"name": "app", "image": "1"}, sidecar)}, "injector")
    obj = applied(obj, deployment(**containers({"name": "app", "image": "2"})), "ci")
    assert obj["spec"]["template"]["spec"]["containers"] == [{"name": "app", "image": "2"}, sidecar]


def test_an_object_nobody_tracked_belongs_to_before_first_apply() -> None:
    live = deployment(replicas=2)
    live["metadata"]["uid"] = "u"
    with pytest.raises(Conflict, match=r'conflict with "before-first-apply" using apps/v1: \.spec\.replicas'):
        applied(live, deployment(replicas=3), "ci")
    assert owners(applied(live, deployment(replicas=2), "ci")) == {
        "ci/Apply": [".spec.replicas"],
        "before-first-apply/Update": [".spec", ".spec.replicas"],
    }


def test_an_update_does_not_begin_to_track_an_old_object() -> None:
    live = deployment(replicas=2)
    live["metadata"]["uid"] = "u"
    assert "managedFields" not in updated(live, {**live, "spec": {"replicas": 3}}, "a")["metadata"]


def test_a_client_may_clear_the_managed_fields() -> None:
    obj = updated(None, deployment(replicas=2), "a")
    obj["metadata"]["uid"] = "u"
    cleared = {**obj, "metadata": {**obj["metadata"], "managedFields": [{}]}}
    assert "managedFields" not in updated(obj, cleared, "a")["metadata"]


def test_the_main_resource_does_not_own_status_and_status_owns_nothing_else() -> None:
    obj = updated(None, {**deployment(replicas=2), "status": {"replicas": 1}}, "a")
    assert owners(obj) == {"a/Update": [".spec.replicas"]}, "the spec itself was there before anybody said anything"
    new = {**obj, "spec": {"replicas": 9}, "status": {"replicas": 2}}
    obj = updated(obj, new, "controller", subresource="status")
    assert owners(obj)["controller/Update"] == [".status.replicas"]
    assert obj["metadata"]["managedFields"][-1]["subresource"] == "status"


def test_a_kind_without_status_subresource_owns_its_status_field() -> None:
    obj = updated(None, {**deployment(), "status": {"replicas": 1}}, "a", has_status=False)
    assert ".status.replicas" in owners(obj)["a/Update"]


def test_eleven_updaters_become_ten() -> None:
    obj = updated(None, deployment(replicas=0), "m00")
    names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]
    for index, name in enumerate(names):
        labels = {**obj["metadata"].get("labels", {}), name: "1"}
        new = {**obj, "metadata": {**obj["metadata"], "labels": labels}}
        obj = updated(obj, new, f"m{index + 1:02}", now=NOW + timedelta(seconds=index + 1))
    found = owners(obj)
    assert len(found) == 10
    oldest = {".spec.replicas", ".metadata.labels", *(f".metadata.labels.{name}" for name in "abc")}
    assert set(found["ancient-changes/Update"]) == oldest


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (deployment(foo=1), r"failed to create typed patch object \(shop/web; apps/v1, Kind=Deployment\): .spec.foo"),
        (deployment(**containers({"name": "a"}, {"name": "a"})), r'duplicate entries for key \[name="a"\]'),
        ({**deployment(), "metadata": {"name": "web", "managedFields": []}}, "metadata.managedFields must be nil"),
    ],
)
def test_a_configuration_that_cannot_be_applied_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message):
        applied(None, config, "ci")


def test_a_port_is_known_by_its_number_and_defaulted_protocol() -> None:
    port = {"containerPort": 80}
    obj = applied(None, deployment(**containers({"name": "a", "ports": [port]})), "ci")
    assert '.spec.template.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"]' in owners(obj)["ci/Apply"]


def test_a_custom_kind_is_granular_in_maps_and_atomic_in_lists() -> None:
    structural = Structural.from_crd(
        {
            "type": "object",
            "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        }
    )
    config = {"apiVersion": "a.io/v1", "kind": "W", "metadata": {"name": "w"}, "spec": {"m": {"x": 1}, "l": [1, {}]}}
    obj = apply.server_side(None, config, "ci", False, structural, NOW)
    assert owners(obj) == {"ci/Apply": [".spec.l", ".spec.m", ".spec.m.x"]}


def test_field_sets_survive_being_written() -> None:
    paths = frozenset({("f:spec",), ("f:spec", "f:a"), ("f:spec", 'k:{"n":1}'), ("f:spec", 'v:"x"', "f:b")})
    assert decode(encode(paths)) == paths
    assert decode("nonsense") == frozenset()


def remembered(obj: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """As client-side apply leaves an object."""
    note = {lastapplied.ANNOTATION: orjson.dumps(config).decode()}
    return {**obj, "metadata": {**obj["metadata"], "annotations": note, "uid": "u"}}


def test_server_side_apply_by_kubectl_inherits_what_its_client_side_applied() -> None:
    before = deployment(replicas=2)
    live = updated(None, remembered(before, before), "kubectl-client-side-apply")
    with pytest.raises(Conflict):
        applied(live, deployment(replicas=3), "argo")
    assert applied(live, deployment(replicas=3), "kubectl")["spec"]["replicas"] == 3


def test_what_somebody_changed_since_is_not_inherited() -> None:
    before = deployment(replicas=2)
    live = updated(None, remembered(before, before), "kubectl-client-side-apply")
    scaled = updated(live, {**live, "spec": {"replicas": 9}}, "autoscaler")
    with pytest.raises(Conflict, match="autoscaler"):
        applied(scaled, deployment(replicas=3), "kubectl")


@pytest.mark.parametrize("note", ["", "not json", "[1]", '"x"'])
def test_an_annotation_that_makes_no_sense_says_nothing(note: str) -> None:
    live = remembered(deployment(replicas=2), {})
    live["metadata"]["annotations"] = {lastapplied.ANNOTATION: note}
    assert lastapplied.inherited(schema().root, live, "kubectl") == frozenset()


def test_more_than_ten_updaters_are_joined() -> None:
    obj = updated(None, deployment(replicas=0), "m0")
    for number in range(1, 15):
        new = {**obj, "spec": {**obj["spec"], f"f{number}": number}}
        obj = updated(obj, new, f"m{number:02}", now=NOW + timedelta(seconds=number))
    names = [entry["manager"] for entry in obj["metadata"]["managedFields"]]
    assert (len(names), names.count("ancient-changes"), names[-1]) == (10, 1, "m14")
