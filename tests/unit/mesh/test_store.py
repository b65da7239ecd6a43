"""What of the API's many changes makes the mesh compile again, and what does not."""

from __future__ import annotations

from copy import deepcopy

from graylane.mesh.inputs import MeshConfig
from graylane.mesh.store import Store
from graylane.model.kinds import ENDPOINT_SLICE, POD, SERVICE, SERVICE_ENTRY, VIRTUAL_SERVICE, WORKLOAD_ENTRY, Kind
from graylane.model.meta import Key, Obj, key_of
from graylane.testing import meshes


class Api:
    """Feeds a store as informers do."""

    def __init__(self) -> None:
        self.store = Store(MeshConfig())
        self.objects: dict[tuple[Kind, Key], Obj] = {}
        self.store.inputs()

    def put(self, kind: Kind, obj: Obj) -> bool:
        old = self.objects.get((kind, key_of(obj)))
        self.objects[kind, key_of(obj)] = obj
        self.store.take(kind, key_of(obj), old, obj)
        return self.store.dirty

    def remove(self, kind: Kind, key: Key) -> bool:
        self.store.take(kind, key, self.objects.pop((kind, key)), None)
        return self.store.dirty


SERVICE_B: Obj = {
    "metadata": {"name": "b", "namespace": "default", "uid": "1"},
    "spec": {"ports": [{"name": "http", "port": 8000}], "selector": {"app": "b"}},
}
SLICE_B: Obj = {
    "metadata": {"name": "b-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "b"}},
    "ports": [{"name": "http", "port": 8000}],
    "endpoints": [
        {"addresses": ["127.9.9.1"], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": "b-1"}}
    ],
}
POD_B = meshes.pod("b-1", "127.9.9.1", {"app": "b", "version": "v1"})
VS: Obj = {"metadata": {"name": "b", "namespace": "default", "uid": "2", "generation": 1}, "spec": {"hosts": ["b"]}}


def filled() -> Api:
    api = Api()
    for kind, obj in ((SERVICE, SERVICE_B), (POD, POD_B), (ENDPOINT_SLICE, SLICE_B), (VIRTUAL_SERVICE, VS)):
        api.put(kind, obj)
    api.store.inputs()
    return api


def addresses(api: Api) -> list[str]:
    return [each.address for each in api.store.inputs().endpoints[Key("default", "b")].each]


def test_status_writes_heartbeats_and_annotations_change_nothing() -> None:
    api = filled()
    before = api.store.inputs()
    busy = deepcopy(POD_B)
    busy["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    assert not api.put(POD, busy)
    assert not api.put(VIRTUAL_SERVICE, {**VS, "status": {"observedGeneration": 1}})
    assert not api.put(SERVICE, {**SERVICE_B, "metadata": {**SERVICE_B["metadata"], "annotations": {"a": "b"}}})
    assert not api.put(ENDPOINT_SLICE, {**deepcopy(SLICE_B), "extra": 1})
    assert api.store.inputs() is before


def test_what_did_not_change_stays_the_same_noun() -> None:
    api = filled()
    before = api.store.inputs()
    changed = {**VS, "metadata": {**VS["metadata"], "generation": 2}, "spec": {"hosts": ["c"]}}
    assert api.put(VIRTUAL_SERVICE, changed)
    after = api.store.inputs()
    assert after.virtual_services != before.virtual_services
    assert after.services is before.services
    assert after.endpoints is before.endpoints
    assert after.proxies is before.proxies


def test_a_terminating_pod_leaves_the_endpoints_before_its_slice_says_so() -> None:
    api = filled()
    assert addresses(api) == ["127.9.9.1"]
    leaving = deepcopy(POD_B)
    leaving["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"
    assert api.put(POD, leaving)
    assert addresses(api) == []
    assert api.store.terminating == {Key("default", "b-1")}
    assert [proxy.name for proxy in api.store.inputs().proxies] == ["b-1"], "it may still call others"
    assert api.remove(POD, Key("default", "b-1"))
    assert (api.store.terminating, api.store.inputs().proxies) == (frozenset(), ())


def test_an_endpoint_waits_for_its_pod_to_be_known() -> None:
    api = Api()
    api.put(SERVICE, SERVICE_B)
    api.put(ENDPOINT_SLICE, SLICE_B)
    assert [each.each for each in api.store.inputs().endpoints.values()] in ([], [()])
    assert api.put(POD, POD_B)
    assert addresses(api) == ["127.9.9.1"]


def test_endpoints_of_several_slices_are_joined_and_follow_readiness() -> None:
    api = filled()
    other = deepcopy(SLICE_B)
    other["metadata"]["name"] = "b-2"
    other["endpoints"][0] = {"addresses": ["127.9.9.2"], "conditions": {}}
    api.put(ENDPOINT_SLICE, other)
    assert addresses(api) == ["127.9.9.1", "127.9.9.2"]
    other = deepcopy(other)
    other["endpoints"][0]["conditions"] = {"ready": False}
    api.put(ENDPOINT_SLICE, other)
    assert addresses(api) == ["127.9.9.1"]
    api.remove(ENDPOINT_SLICE, Key("default", "b-1"))
    assert addresses(api) == []


def test_an_object_made_anew_under_the_same_name_is_another() -> None:
    api = filled()
    assert api.put(VIRTUAL_SERVICE, {**VS, "metadata": {**VS["metadata"], "uid": "3"}})


def test_what_says_nothing_is_exported_as_the_mesh_says_at_the_time() -> None:
    api = Api()
    meta = {"namespace": "default", "generation": 1}
    api.put(SERVICE, SERVICE_B)
    for name, spec in (("silent", {}), ("loud", {"exportTo": ["*"]})):
        api.put(VIRTUAL_SERVICE, {"metadata": {**meta, "name": name, "uid": name}, "spec": {"hosts": ["b"], **spec}})

    def exports() -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
        found = api.store.inputs()
        return [each.export_to for each in found.virtual_services], found.services[0].export_to

    assert exports() == ([("*",), ()], ())
    api.store.take_mesh(MeshConfig(export_virtual_services=(".",), export_services=("~",)))
    assert api.store.dirty
    assert exports() == ([("*",), (".",)], ("~",))
    before = api.store.inputs()
    api.store.take_mesh(MeshConfig(export_virtual_services=(".",), export_services=("~",)))
    assert not api.store.dirty
    assert api.store.inputs() is before
    api.store.take_mesh(MeshConfig())
    assert exports() == ([("*",), ()], ())


def test_of_pods_that_a_service_entry_selects_readiness_counts() -> None:
    api = Api()
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    pod = {**meshes.pod("vm", "127.9.0.4", {"app": "vm"}), "spec": {}}
    spec = {"hosts": ["e.example"], "ports": [{"number": 80, "name": "web"}], "resolution": "STATIC"}
    entry = {"metadata": {"name": "se", "namespace": "default"}, "spec": spec}
    api.put(POD, pod)
    api.store.inputs()
    assert not api.put(POD, {**pod, "status": {**pod["status"], **ready}})
    api.put(POD, pod)
    api.put(SERVICE_ENTRY, {**entry, "spec": {**spec, "workloadSelector": {"labels": {"app": "vm"}}}})
    key = Key("default", "se/e.example")
    assert api.store.inputs().endpoints[key].each == ()
    assert api.put(POD, {**pod, "status": {**pod["status"], **ready}})
    (found,) = api.store.inputs().endpoints[key].each
    assert (found.address, found.ports) == ("127.9.0.4", (("web", 80),))
    kept = api.store.inputs().endpoints[key]
    api.put(SERVICE, SERVICE_B)
    api.put(ENDPOINT_SLICE, SLICE_B)
    assert api.store.inputs().endpoints[key] is kept
    api.remove(SERVICE_ENTRY, Key("default", "se"))
    assert key not in api.store.inputs().endpoints


def test_a_service_that_selects_workload_entries_has_them_beside_its_slices() -> None:
    api = Api()
    key = Key("default", "b")
    api.put(SERVICE, SERVICE_B)
    api.put(POD, meshes.pod("b-1", "127.9.0.4", {"app": "b"}))
    api.put(ENDPOINT_SLICE, SLICE_B)
    listed = api.store.inputs().endpoints[key]
    meta = {"name": "vm", "namespace": "default", "generation": 1}
    spec = {"address": "127.9.0.9", "labels": {"app": "b"}}
    assert api.put(WORKLOAD_ENTRY, {"metadata": meta, "spec": spec})
    found = api.store.inputs().endpoints[key]
    assert set(found.each) > set(listed.each)
    (more,) = set(found.each) - set(listed.each)
    assert (more.address, more.ports) == ("127.9.0.9", (("http", 8000),))
    other = {**SERVICE_B, "spec": {**SERVICE_B["spec"], "selector": {"app": "c"}}}
    api.put(SERVICE, other)
    assert api.store.inputs().endpoints[key].each == listed.each
    named = {"ports": [{"name": "http", "port": 80, "targetPort": "web"}], "selector": {"app": "b"}}
    api.put(SERVICE, {**SERVICE_B, "spec": named})
    assert () in [each.ports for each in api.store.inputs().endpoints[key].each]
    api.put(WORKLOAD_ENTRY, {"metadata": {**meta, "generation": 2}, "spec": {**spec, "ports": {"web": 8123}}})
    assert (("http", 8123),) in [each.ports for each in api.store.inputs().endpoints[key].each]
