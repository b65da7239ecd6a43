"""What makes two templates the same revision, how revisions are numbered, and whose names are avoided."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.cluster.workloads import deployment
from graylane.cluster.workloads.controllers import controllers
from graylane.cluster.workloads.revisions import Fleet, forgettable, new_replica_set, template_hash, wanted_annotations
from graylane.cluster.workloads.rollout import Limits
from graylane.kit import Patch
from graylane.model.kinds import DEPLOYMENT, POD, REPLICA_SET
from graylane.model.meta import Key, Obj, name_of, owner_reference
from graylane.testing.world import World

NS = "shop"


def web(template: Obj | None = None, **metadata: Any) -> Obj:
    plain = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "v1"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template or plain}
    return {"metadata": {"name": "web", "namespace": NS, "uid": "u"} | metadata, "spec": spec}


def test_a_replica_set_is_named_labelled_and_selected_by_the_templates_hash() -> None:
    made = new_replica_set(web(), Limits(3, 1, 0), 2, 7)
    found = template_hash(web())
    assert name_of(made) == f"web-{found}"
    labels = {"app": "web", "pod-template-hash": found}
    assert made["metadata"]["labels"] == labels
    assert made["spec"]["selector"] == {"matchLabels": labels}
    assert made["spec"]["template"]["metadata"]["labels"] == labels
    assert made["metadata"]["annotations"] == {
        "deployment.kubernetes.io/revision": "7",
        "deployment.kubernetes.io/desired-replicas": "3",
        "deployment.kubernetes.io/max-replicas": "4",
    }
    assert made["metadata"]["ownerReferences"] == [owner_reference(web(), DEPLOYMENT)]


@pytest.mark.parametrize(
    "change",
    [
        {"creationTimestamp": None},
        {"annotations": {}},
        {"annotations": None},
        {"labels": {"app": "web", "pod-template-hash": "left-over"}},
    ],
)
def test_empty_metadata_and_our_own_label_do_not_make_a_revision(change: Obj) -> None:
    plain = web()["spec"]["template"]
    changed = web(plain | {"metadata": plain["metadata"] | change})
    assert template_hash(changed) == template_hash(web())
    made = new_replica_set(web(), Limits(1), 1, 1)
    assert Fleet.of(changed, [made]).new is made


def test_an_annotation_or_an_empty_dir_does_make_a_revision() -> None:
    plain = web()["spec"]["template"]
    annotated = plain | {"metadata": plain["metadata"] | {"annotations": {"restartedAt": "now"}}}
    volumes = plain | {"spec": plain["spec"] | {"volumes": [{"name": "v", "emptyDir": {}}]}}
    hashes = {template_hash(web(template)) for template in (plain, annotated, volumes)}
    assert len(hashes) == 3


def test_of_two_sets_with_the_present_template_the_older_one_counts() -> None:
    made = new_replica_set(web(), Limits(1), 1, 1)
    older = made | {"metadata": made["metadata"] | {"name": "z", "creationTimestamp": "2026-01-01T00:00:00Z"}}
    newer = made | {"metadata": made["metadata"] | {"name": "a", "creationTimestamp": "2026-01-02T00:00:00Z"}}
    assert Fleet.of(web(), [newer, older]).new is older


def test_going_back_gives_the_old_set_the_highest_number_and_remembers_what_it_was() -> None:
    old, new = new_replica_set(web(), Limits(1), 1, 3), new_replica_set(web(), Limits(1), 1, 5)
    other = new | {"spec": new["spec"] | {"template": {}}}
    fleet = Fleet.of(web(annotations={"why": "because"}), [old, other])
    assert wanted_annotations(web(annotations={"why": "because"}), fleet) == {
        "why": "because",
        "deployment.kubernetes.io/revision": "6",
        "deployment.kubernetes.io/revision-history": "3",
    }


def test_annotations_of_tools_and_of_ours_are_not_copied_to_sets() -> None:
    annotations = {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "deployment.kubernetes.io/revision": "9",
        "kubernetes.io/change-cause": "because",
    }
    made = new_replica_set(web(annotations=annotations), Limits(1), 1, 1)["metadata"]["annotations"]
    assert made["kubernetes.io/change-cause"] == "because"
    assert made["deployment.kubernetes.io/revision"] == "1"
    assert "kubectl.kubernetes.io/last-applied-configuration" not in made


@pytest.mark.parametrize(("limit", "gone"), [(0, ["r1", "r2"]), (1, ["r1"]), (2, []), (2**31 - 1, [])])
def test_only_empty_settled_sets_beyond_the_limit_are_forgotten_oldest_first(limit: int, gone: list[str]) -> None:
    olds = [_old("r2", 2), _old("r1", 1)]
    subject = web()
    subject["spec"]["revisionHistoryLimit"] = limit
    assert [name_of(rs) for rs in forgettable(subject, olds)] == gone
    busy = [rs | {"status": {"replicas": 1, "observedGeneration": 1}} for rs in olds]
    assert forgettable(subject, busy) == []


def _old(name: str, revision: int) -> Obj:
    annotations = {"deployment.kubernetes.io/revision": str(revision)}
    metadata = {"name": name, "generation": 1, "annotations": annotations}
    return {"metadata": metadata, "spec": {"replicas": 0}, "status": {"observedGeneration": 1}}


def test_a_name_that_somebody_else_has_is_avoided_by_another_hash() -> None:
    world = World()
    world.put(DEPLOYMENT, web())
    first = template_hash(web())
    taken = {"metadata": {"name": f"web-{first}", "namespace": NS}, "spec": {"selector": {"matchLabels": {"x": "y"}}}}
    world.put(REPLICA_SET, taken)
    world.run([c for c in controllers() if c.primary == DEPLOYMENT])
    names = [name_of(rs) for rs in world.list(REPLICA_SET, NS)]
    assert len(names) == 2
    found = world.get(DEPLOYMENT, NS, "web")
    assert found is not None
    assert found["status"]["collisionCount"] == 1


def test_a_deployment_that_would_select_everything_is_refused_by_an_event() -> None:
    world = World()
    world.put(DEPLOYMENT, web() | {"spec": web()["spec"] | {"selector": {}}})
    outcome = deployment.reconcile(world.view(), Key(NS, "web"), world.now())
    world.apply(outcome)
    assert [event.reason for event in world.events] == ["SelectingAll"]
    assert world.list(REPLICA_SET) == []
    assert deployment.reconcile(world.view(), Key(NS, "web"), world.now()).effects == ()


def test_a_deployment_being_deleted_only_keeps_its_status() -> None:
    world = World()
    world.put(DEPLOYMENT, web(finalizers=["foregroundDeletion"]))
    world.delete(DEPLOYMENT, NS, "web")
    outcome = deployment.reconcile(world.view(), Key(NS, "web"), world.now())
    assert [(type(e), e.subresource) for e in outcome.effects if isinstance(e, Patch)] == [(Patch, "status")]
    assert len(outcome.effects) == 1


def test_changes_of_dependents_lead_to_their_owners_and_orphans_to_who_would_adopt_them() -> None:
    found = {c.name: c for c in controllers()}
    deployments, sets = found["deployment-controller"], found["replicaset-controller"]
    made = new_replica_set(web(), Limits(1), 1, 1)
    assert list(deployments.watches[REPLICA_SET](made)) == [Key(NS, "web")]
    orphan = made | {"metadata": made["metadata"] | {"ownerReferences": []}}
    assert list(deployments.watches[REPLICA_SET](orphan)) == []
    assert list(deployments.watches[DEPLOYMENT](web())) == []
    assert list(deployments.watches[REPLICA_SET](orphan)) == [Key(NS, "web")]
    pod = {"metadata": {"name": "p", "namespace": NS, "labels": made["metadata"]["labels"]}}
    pod["metadata"]["ownerReferences"] = [owner_reference(made, REPLICA_SET)]
    assert list(sets.watches[POD](pod)) == [Key(NS, name_of(made))]
    assert list(deployments.watches[POD](pod)) == []
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert list(deployments.watches[POD](pod)) == [Key(NS, "web")]
