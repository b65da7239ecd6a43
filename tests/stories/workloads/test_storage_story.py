"""What becomes of PersistentVolumeClaims: those of users and those of StatefulSets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graylane.cluster.kubelet.storage.provisioner import Provisioner
from graylane.model.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from graylane.model.meta import Obj, dig, finalizers_of, is_deleting, labels_of, name_of, owner_refs, uid_of

from .stage import NS
from .test_statefulset_story import Orchestra, stateful_set

ROOT = Path("/data/volumes")


def claim_spec(size: str = "1Gi", **more: Any) -> Obj:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}} | more


DATA = [{"metadata": {"name": "data", "labels": {"tier": "db"}}, "spec": claim_spec()}]


class Archive(Orchestra):
    """A StatefulSet and a provisioner; `volumes` reads claim:phase, `~` behind one that is being deleted."""

    def __init__(self, start: Obj) -> None:
        super().__init__(start)
        self.controllers = [*self.controllers, *Provisioner(ROOT, client=None).controllers()]  # type: ignore[arg-type]

    def put_claim(self, name: str, **spec: Any) -> Obj:
        self.world.put(
            PERSISTENT_VOLUME_CLAIM, {"metadata": {"name": name, "namespace": NS}, "spec": claim_spec(**spec)}
        )
        self.settle()
        return self.claim(name)

    def claim(self, name: str) -> Obj:
        found = self.world.get(PERSISTENT_VOLUME_CLAIM, NS, name)
        assert found is not None
        return found

    def claims(self) -> str:
        found = self.world.list(PERSISTENT_VOLUME_CLAIM, NS)
        return " ".join(f"{name_of(each)}:{dig(each, 'status', 'phase')}{'~' * is_deleting(each)}" for each in found)

    def volume(self, claim: Obj) -> Obj:
        found = self.world.get(PERSISTENT_VOLUME, "", claim["spec"]["volumeName"])
        assert found is not None
        return found

    def said(self, reason: str) -> list[str]:
        return [event.message for event in self.world.events if event.reason == reason]


def test_each_pod_of_a_set_has_a_claim_that_outlives_it() -> None:
    cast = Archive(stateful_set(2, volumeClaimTemplates=DATA))
    cast.act("create")
    assert cast.said("FailedScheduling") == []
    assert cast.shown() == "web-0:v1 web-1:v1"
    assert cast.claims() == "data-web-0:Bound data-web-1:Bound"
    pod = cast.pods()[1]
    assert pod["spec"]["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "data-web-1"}}]
    claim = cast.claim("data-web-1")
    assert labels_of(claim) == {"tier": "db", "app": "web"}
    assert owner_refs(claim) == []
    cast.act("scale 1")
    cast.act("image v2")
    assert cast.shown() == "web-0:v2"
    assert cast.claims() == "data-web-0:Bound data-web-1:Bound"
    cast.act("scale 2")
    assert uid_of(cast.claim("data-web-1")) == uid_of(claim), "it comes back to the same files"


def test_a_claim_of_a_set_takes_the_place_of_a_volume_of_the_template() -> None:
    start = stateful_set(1, volumeClaimTemplates=DATA)
    start["spec"]["template"]["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
    cast = Archive(start)
    cast.act("create")
    (pod,) = cast.pods()
    assert [sorted(volume) for volume in pod["spec"]["volumes"]] == [
        ["name", "persistentVolumeClaim"],
        ["emptyDir", "name"],
    ]


def test_claims_go_with_the_set_or_with_the_pod_that_is_scaled_away_where_the_policy_says_so() -> None:
    policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
    cast = Archive(stateful_set(2, volumeClaimTemplates=DATA, persistentVolumeClaimRetentionPolicy=policy))
    cast.act("create")
    assert [reference["kind"] for reference in owner_refs(cast.claim("data-web-1"))] == ["StatefulSet"]
    cast.act("scale 1")
    assert cast.claims() == "data-web-0:Bound"
    cast.spec({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"}})
    cast.settle()
    assert owner_refs(cast.claim("data-web-0")) == []
    cast.spec({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}})
    cast.settle()
    cast.world.delete(STATEFUL_SET, NS, "web")
    cast.settle()
    assert cast.claims() == ""


def test_a_claim_is_a_directory_of_its_own_and_may_grow() -> None:
    cast = Archive(stateful_set(0))
    claim = cast.put_claim("files", storageClassName="fast")
    assert (claim["status"]["phase"], claim["status"]["capacity"]) == ("Bound", {"storage": "1Gi"})
    volume = cast.volume(claim)
    assert volume["spec"]["hostPath"]["path"] == f"/data/volumes/shop_files_{uid_of(claim)}"
    assert (volume["spec"]["storageClassName"], volume["status"]["phase"]) == ("fast", "Bound")
    cast.world.patch(PERSISTENT_VOLUME_CLAIM, NS, "files", {"spec": claim_spec("2Gi")})
    cast.settle()
    assert cast.claim("files")["status"]["capacity"] == {"storage": "2Gi"}


def test_a_claim_stays_until_no_pod_uses_it_and_its_volume_goes_with_it() -> None:
    cast = Archive(stateful_set(1, volumeClaimTemplates=DATA))
    cast.act("create")
    volume = cast.volume(cast.claim("data-web-0"))
    cast.world.delete(PERSISTENT_VOLUME_CLAIM, NS, "data-web-0")
    cast.settle()
    assert cast.claims() == "data-web-0:Bound~"
    cast.act("scale 0")
    assert cast.claims() == ""
    left = cast.world.get(PERSISTENT_VOLUME, "", name_of(volume))
    assert left is not None
    assert (is_deleting(left), dig(left, "status", "phase")) == (True, "Released")
    assert finalizers_of(left) == ["graylane.dev/directory"], "it stays until its directory is removed"


def test_a_pod_that_has_no_node_holds_no_claim() -> None:
    cast = Archive(stateful_set(0))
    cast.put_claim("files")
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "files"}}]
    spec = {"containers": [{"image": "v1"}], "volumes": volumes, "nodeSelector": {"disk": "fast"}}
    cast.world.put(POD, {"metadata": {"name": "one", "namespace": NS}, "spec": spec})
    cast.settle()
    cast.world.delete(PERSISTENT_VOLUME_CLAIM, NS, "files")
    cast.settle()
    assert cast.claims() == ""


def test_a_pod_whose_claim_was_deleted_while_it_waited_gets_another() -> None:
    start = stateful_set(1, volumeClaimTemplates=DATA)
    start["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "fast"}
    cast = Archive(start)
    cast.act("create")
    before = uid_of(cast.claim("data-web-0"))
    cast.world.delete(PERSISTENT_VOLUME_CLAIM, NS, "data-web-0")
    cast.pass_time(5)
    assert cast.claims() == "data-web-0:Bound"
    assert uid_of(cast.claim("data-web-0")) != before


def test_a_volume_that_is_to_be_retained_is_only_released() -> None:
    cast = Archive(stateful_set(0))
    volume = cast.volume(cast.put_claim("files"))
    retain = {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
    cast.world.patch(PERSISTENT_VOLUME, "", name_of(volume), retain)
    cast.world.delete(PERSISTENT_VOLUME_CLAIM, NS, "files")
    cast.settle()
    left = cast.world.get(PERSISTENT_VOLUME, "", name_of(volume))
    assert left is not None
    assert (is_deleting(left), dig(left, "status", "phase")) == (False, "Released")


def test_a_volume_that_a_user_made_is_bound_by_name_or_because_it_fits_best() -> None:
    cast = Archive(stateful_set(0))
    for name, size in (("large", "9Gi"), ("small", "2Gi"), ("tiny", "1Mi")):
        spec = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": f"/srv/{name}"}}
        cast.world.put(PERSISTENT_VOLUME, {"metadata": {"name": name}, "spec": spec | {"storageClassName": "manual"}})
    assert cast.put_claim("named", volumeName="tiny", storageClassName="manual")["status"]["phase"] == "Bound"
    assert cast.put_claim("fitting", storageClassName="manual")["spec"]["volumeName"] == "small"
    assert dig(cast.put_claim("late", volumeName="tiny"), "status", "phase") is None
    assert set(cast.said("FailedBinding")) == {'volume "tiny" already bound to another claim'}
    assert cast.volume(cast.claim("named"))["status"]["phase"] == "Bound"


def test_an_empty_class_waits_for_a_volume_of_a_users() -> None:
    cast = Archive(stateful_set(0))
    waiting = cast.put_claim("static", storageClassName="")
    assert dig(waiting, "status", "phase") is None
    assert "no storage class is set" in cast.said("FailedBinding")[0]
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/srv"}}
    cast.world.put(PERSISTENT_VOLUME, {"metadata": {"name": "mine"}, "spec": spec})
    cast.settle()
    assert cast.claim("static")["spec"]["volumeName"] == "mine"


def test_a_pod_is_placed_once_its_claims_are_bound() -> None:
    cast = Archive(stateful_set(0))
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "files"}}]
    cast.world.put(
        POD,
        {"metadata": {"name": "one", "namespace": NS}, "spec": {"containers": [{"image": "v1"}], "volumes": volumes}},
    )
    cast.settle()
    assert cast.said("FailedScheduling") == [], "its claim may be on its way"
    cast.pass_time(3)
    assert cast.said("FailedScheduling") == ['0/1 nodes are available: persistentvolumeclaim "files" not found.']
    cast.put_claim("files")
    (pod,) = cast.pods()
    assert pod["spec"]["nodeName"] == "graylane"
