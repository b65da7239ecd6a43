"""The small things that tell one API server from another: zero values, owners, answers, columns. Each was a difference
once between ours and a kube-apiserver."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.model.meta import dig
from graylane.testing.api.objects import Obj, config_map, deployment, pod, service
from graylane.testing.api.rig import APPLY, MERGE, STRATEGIC, Rig, expect

from .test_kinds import CLUSTERED, NAMESPACED, about

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def at(ns: str, kind: str) -> str:
    root, plural = kind.split()
    return f"/{root}/namespaces/{ns}/{plural}" if kind in NAMESPACED else f"/{root}/{plural}"


async def made(api: Rig, ns: str, kind: str, **metadata: Any) -> Obj:
    body = about((NAMESPACED | CLUSTERED)[kind], ns)
    found: Obj = await api.create(at(ns, kind), {"metadata": {"name": ns, **metadata}, **body}, fieldManager="me")
    return found


# kind → where, and what Go writes there although nobody said it
ZEROS = [
    ("apis/apps/v1 deployments", ("status",), {}),
    ("apis/apps/v1 replicasets", ("status",), {"replicas": 0}),
    ("apis/apps/v1 statefulsets", ("status",), {"replicas": 0, "availableReplicas": 0}),
    (
        "apis/apps/v1 daemonsets",
        ("status",),
        {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0},
    ),
    ("apis/batch/v1 jobs", ("status",), {}),
    ("apis/batch/v1 cronjobs", ("spec", "jobTemplate", "metadata"), {}),
    ("apis/batch/v1 cronjobs", ("spec", "jobTemplate", "spec", "backoffLimit"), None),
    ("api/v1 services", ("status",), {"loadBalancer": {}}),
    ("api/v1 events", ("source",), {}),
    ("api/v1 events", ("reportingComponent",), ""),
    ("api/v1 resourcequotas", ("status",), {}),
    ("api/v1 replicationcontrollers", ("status",), {"replicas": 0}),
    ("apis/discovery.k8s.io/v1 endpointslices", ("endpoints", 0, "conditions"), {}),
    ("apis/policy/v1 poddisruptionbudgets", ("status", "disruptionsAllowed"), 0),
    ("apis/networking.k8s.io/v1 ingresses", ("status",), {"loadBalancer": {}}),
    ("api/v1 nodes", ("status", "daemonEndpoints"), {"kubeletEndpoint": {"Port": 0}}),
    ("apis/autoscaling/v2 horizontalpodautoscalers", ("status", "desiredReplicas"), 0),
    ("apis/autoscaling/v1 horizontalpodautoscalers", ("spec", "targetCPUUtilizationPercentage"), 80),
]


@pytest.mark.parametrize(
    ("kind", "where", "value"), ZEROS, ids=[f"{k.split()[1]}-{'.'.join(map(str, w))}" for k, w, _ in ZEROS]
)
async def test_a_new_object_has_the_zero_values_of_its_type(
    api: Rig, ns: str, kind: str, where: tuple[Any, ...], value: Any
) -> None:
    assert dig(await made(api, ns, kind), *where) == value


SAID = {"paused": False, "minReadySeconds": 0, "progressDeadlineSeconds": 600}
POD_SAID = {"hostNetwork": False, "nodeName": "", "automountServiceAccountToken": False, "priorityClassName": ""}
CONTAINER_SAID = {
    "tty": False,
    "stdin": False,
    "workingDir": "",
    "env": [{"name": "a", "value": ""}],
    "securityContext": {"privileged": False, "runAsUser": 0},
    "readinessProbe": {"tcpSocket": {"port": 80}, "initialDelaySeconds": 0},
}


async def test_what_is_false_zero_or_empty_is_left_out_unless_it_says_something(api: Rig, ns: str) -> None:
    """Behind a pointer it does. OpenKruise's manager un-pauses a Deployment by `paused: false`."""
    wanted = deployment("a", **SAID)
    wanted["spec"]["template"]["spec"] |= POD_SAID
    wanted["spec"]["template"]["spec"]["containers"][0] |= CONTAINER_SAID
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    found = (await api.create(path, wanted))["spec"]
    spec = found["template"]["spec"]
    container = spec["containers"][0]
    assert {name for name in SAID if name in found} == {"progressDeadlineSeconds"}
    assert {name for name in POD_SAID if name in spec} == {"automountServiceAccountToken"}
    assert {name for name in CONTAINER_SAID if name in container} == {"env", "securityContext", "readinessProbe"}
    assert container["env"] == [{"name": "a"}]
    assert container["securityContext"] == {"privileged": False, "runAsUser": 0}
    assert "initialDelaySeconds" not in container["readinessProbe"]
    paused = await api.patch(f"{path}/a", {"spec": {"paused": True}}, STRATEGIC)
    assert paused["spec"]["paused"] is True
    assert "paused" not in (await api.patch(f"{path}/a", {"spec": {"paused": False}}, STRATEGIC))["spec"]
    immutable = await api.create(f"/api/v1/namespaces/{ns}/configmaps", config_map("a") | {"immutable": False})
    assert immutable["immutable"] is False


async def test_the_times_of_an_event_are_there_even_when_they_are_not_known(api: Rig, ns: str) -> None:
    event = await made(api, ns, "api/v1 events")
    assert [event[name] for name in ("eventTime", "firstTimestamp", "lastTimestamp")] == [None] * 3


CONTAINER = {
    ".": {},
    **{
        f"f:{name}": {}
        for name in (
            "image",
            "imagePullPolicy",
            "name",
            "resources",
            "terminationMessagePath",
            "terminationMessagePolicy",
        )
    },
}
POD_SPEC = {
    "f:containers": {'k:{"name":"main"}': CONTAINER},
    **{
        f"f:{name}": {}
        for name in ("dnsPolicy", "restartPolicy", "schedulerName", "securityContext", "terminationGracePeriodSeconds")
    },
}
OWNED: dict[str, Obj] = {
    "api/v1 configmaps": {"f:data": {".": {}, "f:a": {}}},
    "api/v1 pods": {"f:spec": {**POD_SPEC, "f:enableServiceLinks": {}}},
    "api/v1 podtemplates": {"f:template": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": POD_SPEC}},
    "api/v1 limitranges": {"f:spec": {"f:limits": {}}},
    "api/v1 services": {
        "f:spec": {
            "f:internalTrafficPolicy": {},
            "f:ports": {
                ".": {},
                'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}},
            },
            "f:sessionAffinity": {},
            "f:type": {},
        }
    },
    "apis/apps/v1 replicasets": {
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:template": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": POD_SPEC},
        }
    },
    "apis/apps/v1 controllerrevisions": {"f:data": {}, "f:revision": {}},
    "apis/coordination.k8s.io/v1 leases": {"f:spec": {"f:holderIdentity": {}, "f:leaseDurationSeconds": {}}},
}


@pytest.mark.parametrize("kind", OWNED)
async def test_a_creator_owns_what_he_said_and_not_the_structs_around_it(api: Rig, ns: str, kind: str) -> None:
    (entry,) = (await made(api, ns, kind))["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["fieldsV1"]) == ("me", "Update", OWNED[kind])


async def test_who_owned_nothing_from_the_beginning_is_not_tracked(api: Rig, ns: str) -> None:
    path = at(ns, "api/v1 configmaps")
    await api.create(path, {"metadata": {"name": "a"}})
    assert "managedFields" not in (await api.patch(f"{path}/a", {"data": {"a": "1"}}))["metadata"]


# kind → the metadata that a write of its status leaves alone
THROUGH_STATUS = {
    "apis/apps/v1 deployments": {"labels"},
    "apis/apps/v1 replicasets": set[str](),
    "api/v1 pods": {"ownerReferences"},
    "api/v1 services": set[str](),
    "apis/batch/v1 jobs": set[str](),
    "apis/resource.k8s.io/v1 resourceclaims": {"labels", "annotations", "ownerReferences"},
}


@pytest.mark.parametrize("kind", THROUGH_STATUS)
async def test_a_status_write_may_change_metadata_but_for_a_few(api: Rig, ns: str, kind: str) -> None:
    await made(api, ns, kind)
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}
    change = {"labels": {"z": "1"}, "annotations": {"z": "1"}, "ownerReferences": [owner]}
    after = (await api.patch(f"{at(ns, kind)}/{ns}/status", {"metadata": change}))["metadata"]
    kept = {name for name in change if not (after.get(name) and ("z" in after[name] or owner in after[name]))}
    assert kept == THROUGH_STATUS[kind]


async def test_a_deployments_annotations_are_a_wish_and_its_labels_are_not(api: Rig, ns: str) -> None:
    path = f"{at(ns, 'apis/apps/v1 deployments')}/a"
    await api.create(path.removesuffix("/a"), deployment("a"))
    assert (await api.patch(path, {"metadata": {"labels": {"x": "y"}}}))["metadata"]["generation"] == 1
    assert (await api.patch(path, {"metadata": {"annotations": {"x": "y"}}}))["metadata"]["generation"] == 2
    through_status = await api.patch(f"{path}/status", {"metadata": {"annotations": {"x": "z"}}})
    assert through_status["metadata"]["generation"] == 2


async def test_the_labels_of_a_slice_are_a_wish(api: Rig, ns: str) -> None:
    path = at(ns, "apis/discovery.k8s.io/v1 endpointslices")
    await made(api, ns, "apis/discovery.k8s.io/v1 endpointslices")
    assert (await api.patch(f"{path}/{ns}", {"metadata": {"labels": {"x": "y"}}}))["metadata"]["generation"] == 2


async def test_a_template_of_a_daemon_set_is_counted(api: Rig, ns: str) -> None:
    path, count = at(ns, "apis/apps/v1 daemonsets"), "deprecated.daemonset.template.generation"
    assert (await made(api, ns, "apis/apps/v1 daemonsets"))["metadata"]["annotations"][count] == "1"
    assert (await api.patch(f"{path}/{ns}", {"metadata": {"labels": {"x": "y"}}}))["metadata"]["annotations"][
        count
    ] == "1"
    change = {"spec": {"template": {"spec": {"priority": 3, "terminationGracePeriodSeconds": 3}}}}
    assert (await api.patch(f"{path}/{ns}", change))["metadata"]["annotations"][count] == "2"


ANSWERS_OBJECT = (
    "api/v1 podtemplates",
    "api/v1 resourcequotas",
    "api/v1 serviceaccounts",
    "api/v1 services",
    "apis/storage.k8s.io/v1 storageclasses",
    "apis/storage.k8s.io/v1 csinodes",
    "apis/resource.k8s.io/v1 deviceclasses",
)
ANSWERS_STATUS = (
    "api/v1 configmaps",
    "api/v1 secrets",
    "apis/apps/v1 deployments",
    "apis/coordination.k8s.io/v1 leases",
    "apis/node.k8s.io/v1 runtimeclasses",
)


@pytest.mark.parametrize("kind", [*ANSWERS_OBJECT, *ANSWERS_STATUS])
async def test_a_deletion_is_answered_as_for_this_kind(api: Rig, ns: str, kind: str) -> None:
    created = await made(api, ns, kind)
    answer = await api.delete(f"{at(ns, kind)}/{ns}")
    assert answer["kind"] == (created["kind"] if kind in ANSWERS_OBJECT else "Status")


@pytest.mark.bare("a garbage collector takes the finalizer away at once")
async def test_a_replication_controllers_pods_are_orphaned_unless_asked_otherwise(api: Rig, ns: str) -> None:
    await made(api, ns, "api/v1 replicationcontrollers")
    path = f"{at(ns, 'api/v1 replicationcontrollers')}/{ns}"
    assert (await api.delete(path))["metadata"]["finalizers"] == ["orphan"]
    await api.patch(path, {"metadata": {"finalizers": None}})
    assert (await api.call("GET", path)).status == 404


async def test_a_pod_that_ends_at_once_is_marked_in_its_last_state(api: Rig, ns: str) -> None:
    await made(api, ns, "api/v1 pods")
    last = (await api.delete(f"{at(ns, 'api/v1 pods')}/{ns}"))["metadata"]
    assert (last["deletionGracePeriodSeconds"], last["generation"]) == (0, 2)


async def test_a_pod_has_a_priority_and_bears_an_absent_node_for_a_while(api: Rig, ns: str) -> None:
    own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    spec = (await api.create(at(ns, "api/v1 pods"), pod("a", tolerations=[own])))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    seconds = {found["key"].rpartition("/")[2]: found["tolerationSeconds"] for found in spec["tolerations"]}
    assert seconds == {"not-ready": 5, "unreachable": 300}


async def test_a_pods_priority_is_that_of_its_class(api: Rig, ns: str) -> None:
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    await api.create(classes, {"metadata": {"name": ns}, "value": 7, "preemptionPolicy": "Never"})
    spec = (await api.create(at(ns, "api/v1 pods"), pod("a", priorityClassName=ns)))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (7, "Never")
    answer = await api.call("POST", at(ns, "api/v1 pods"), pod("b", priorityClassName="nothing"))
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.message == 'pods "b" is forbidden: no PriorityClass with name nothing was found'
    await api.delete(f"{classes}/{ns}")


OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1"}
SAID_WRONG: dict[str, tuple[Obj, str]] = {
    "an owner without a uid": ({"ownerReferences": [{**OWNER, "uid": ""}]}, "metadata.ownerReferences.uid"),
    "an owner without a version": ({"ownerReferences": [{**OWNER, "apiVersion": ""}]}, "metadata.ownerReferences"),
    "an event as owner": ({"ownerReferences": [{**OWNER, "kind": "Event"}]}, "metadata.ownerReferences"),
    "two controllers": (
        {"ownerReferences": [{**OWNER, "controller": True}, {**OWNER, "uid": "2", "controller": True}]},
        "metadata.ownerReferences",
    ),
    "a finalizer of nobody": ({"finalizers": ["nobody"]}, "metadata.finalizers[0]"),
    "a finalizer that is no name": ({"finalizers": ["a b/c"]}, "metadata.finalizers"),
}


@pytest.mark.parametrize("case", SAID_WRONG)
async def test_metadata_that_makes_no_sense_is_refused(api: Rig, ns: str, case: str) -> None:
    metadata, field = SAID_WRONG[case]
    path = at(ns, "api/v1 configmaps")
    answer = await api.call("POST", path, config_map("a", **metadata))
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert any(cause["field"].startswith(field) for cause in answer.json["details"]["causes"]), answer.message
    await api.create(path, config_map("a"))
    assert (await api.call("PATCH", f"{path}/a", {"metadata": metadata}, content_type=MERGE)).status == 422


async def test_an_owner_is_named_once(api: Rig, ns: str) -> None:
    answer = await api.call("POST", at(ns, "api/v1 configmaps"), config_map("a", ownerReferences=[OWNER, OWNER]))
    assert expect(answer, 201)["metadata"]["ownerReferences"] == [OWNER]
    assert "duplicate entries" in answer.warnings[0]


async def test_a_kind_that_counts_nothing_keeps_the_generation_it_is_told(api: Rig, ns: str) -> None:
    path = at(ns, "api/v1 configmaps")
    assert (await api.create(path, config_map("a", generation=7)))["metadata"]["generation"] == 7
    assert (await api.patch(f"{path}/a", {"metadata": {"generation": 9}}))["metadata"]["generation"] == 7


async def test_a_new_object_has_no_version_yet(api: Rig, ns: str) -> None:
    answer = await api.call("POST", at(ns, "api/v1 configmaps"), config_map("a", resourceVersion="1"))
    assert (answer.status, answer.message) == (500, "resourceVersion should not be set on objects to be created")


@pytest.mark.parametrize("manager", ["m" * 129, "a\nb"], ids=["long", "not printable"])
async def test_a_managers_name_is_short_and_printable(api: Rig, ns: str, manager: str) -> None:
    path = at(ns, "api/v1 configmaps")
    for method, where, body, kind in (
        ("POST", path, config_map("a"), "application/json"),
        ("PATCH", f"{path}/a", {"data": {}}, MERGE),
        ("PATCH", f"{path}/a", config_map("a"), APPLY),
    ):
        answer = await api.call(method, where, body, content_type=kind, fieldManager=manager)
        assert (answer.status, answer.reason) == (422, "Invalid")
        assert [cause["field"] for cause in answer.json["details"]["causes"]] == ["fieldManager"]


async def test_only_an_apply_may_be_forced(api: Rig, ns: str) -> None:
    await api.create(at(ns, "api/v1 configmaps"), config_map("a"))
    where = f"{at(ns, 'api/v1 configmaps')}/a"
    answer = await api.call("PATCH", where, {"data": {"b": "1"}}, content_type=MERGE, force="true")
    assert (answer.status, "may not be specified for non-apply patch" in answer.message) == (422, True)


CONFUSED: dict[str, tuple[Obj, int]] = {
    "two ways to say it": ({"orphanDependents": True, "propagationPolicy": "Orphan"}, 422),
    "another kind": ({"apiVersion": "v1", "kind": "Poem"}, 400),
    "another object": ({"preconditions": {"uid": "x"}}, 409),
    "another version": ({"preconditions": {"resourceVersion": "1"}}, 409),
}


@pytest.mark.parametrize("case", CONFUSED)
async def test_a_deletion_that_is_confused_deletes_nothing(api: Rig, ns: str, case: str) -> None:
    options, status = CONFUSED[case]
    path = at(ns, "api/v1 configmaps")
    await api.create(path, config_map("a"))
    assert (await api.call("DELETE", f"{path}/a", options)).status == status
    await api.get(f"{path}/a")


async def test_an_old_kind_says_what_to_use_instead(api: Rig, ns: str) -> None:
    for method, body in (("POST", {"metadata": {"name": "a"}}), ("GET", None)):
        answer = await api.call(method, at(ns, "api/v1 endpoints"), body)
        assert "v1 Endpoints is deprecated" in answer.warnings[0]


COLUMNS = {
    "api/v1 serviceaccounts": "Name Age",
    "api/v1 resourcequotas": "Name Request Limit Age",
    "api/v1 limitranges": "Name date:Created At",
    "apis/rbac.authorization.k8s.io/v1 roles": "Name date:Created At",
    "apis/scheduling.k8s.io/v1 priorityclasses": "Name integer:Value boolean:Global-Default Age PreemptionPolicy",
    "apis/storage.k8s.io/v1 csinodes": "Name integer:Drivers Age",
    "apis/node.k8s.io/v1 runtimeclasses": "Name Handler Age",
    "apis/resource.k8s.io/v1 resourceclaims": "Name State Age",
    "apis/flowcontrol.apiserver.k8s.io/v1 flowschemas": (
        "Name PriorityLevel MatchingPrecedence DistinguisherMethod Age MissingPL"
    ),
    "apis/certificates.k8s.io/v1 certificatesigningrequests": (
        "Name Age SignerName Requestor RequestedDuration Condition"
    ),
}


@pytest.mark.parametrize("kind", COLUMNS)
async def test_a_kind_is_printed_in_these_columns(api: Rig, ns: str, kind: str) -> None:
    await made(api, ns, kind)
    table = await api.get(f"{at(ns, kind)}/{ns}", accept=TABLE)
    shown = [(column["type"], column["name"]) for column in table["columnDefinitions"] if not column["priority"]]
    found = " ".join(name if kind == "string" else f"{kind}:{name}" for kind, name in shown)
    assert found == COLUMNS[kind]
    assert len(table["rows"][0]["cells"]) == len(table["columnDefinitions"])
    await api.call("DELETE", f"{at(ns, kind)}/{ns}")


async def test_a_service_says_which_families_it_has_and_nobody_owns_that(api: Rig, ns: str) -> None:
    spec = (await api.create(at(ns, "api/v1 services"), service("a")))["spec"]
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")


# kind → a change that says nothing, and where it would be
NOTHING: list[tuple[str, Obj, tuple[str, ...]]] = [
    ("api/v1 configmaps", {"data": {}}, ("data",)),
    ("api/v1 configmaps", {"binaryData": {}}, ("binaryData",)),
    ("api/v1 services", {"spec": {"externalIPs": [], "selector": {}}}, ("spec", "selector")),
    ("apis/networking.k8s.io/v1 networkpolicies", {"spec": {"ingress": []}}, ("spec", "ingress")),
    (
        "apis/apps/v1 replicasets",
        {"spec": {"template": {"spec": {"volumes": []}}}},
        ("spec", "template", "spec", "volumes"),
    ),
]


@pytest.mark.parametrize(("kind", "change", "where"), NOTHING, ids=[f"{k.split()[1]}-{w[-1]}" for k, _, w in NOTHING])
async def test_an_empty_map_or_list_is_not_written(
    api: Rig, ns: str, kind: str, change: Obj, where: tuple[str, ...]
) -> None:
    await made(api, ns, kind)
    answer = await api.call("PATCH", f"{at(ns, kind)}/{ns}", change, content_type=MERGE)
    if answer.status == 200:  # a template may be told so only when it is made
        assert dig(answer.json, *where[:-1], default={}).get(where[-1]) in (None, {"a": "1"})


async def test_an_empty_struct_says_something_and_is_written(api: Rig, ns: str) -> None:
    spec = (await api.create(at(ns, "api/v1 pods"), pod("a", securityContext={}, affinity={"podAffinity": {}})))["spec"]
    assert (spec["securityContext"], spec["affinity"]) == ({}, {"podAffinity": {}})


async def test_one_object_is_got_and_not_watched(api: Rig, ns: str) -> None:
    created = await made(api, ns, "api/v1 configmaps")
    assert await api.get(f"{at(ns, 'api/v1 configmaps')}/{ns}", watch="true", timeoutSeconds=1) == created
    assert (await api.call("GET", f"{at(ns, 'api/v1 configmaps')}/nothing", watch="true")).status == 404


async def test_an_apply_to_another_object_is_refused_and_to_none_is_a_conflict(api: Rig, ns: str) -> None:
    where = f"{at(ns, 'api/v1 configmaps')}/a"

    async def applied(**metadata: Any) -> int:
        body = config_map("a", **metadata)
        return (await api.call("PATCH", where, body, content_type=APPLY, fieldManager="me")).status

    assert await applied(uid="x") == 409
    assert await applied(resourceVersion="5") == 201
    assert await applied(uid="x") == 422
    assert await applied(resourceVersion="5") == 409


async def test_kubectls_own_note_of_what_it_applied_is_kept_up(api: Rig, ns: str) -> None:
    where, note = f"{at(ns, 'api/v1 configmaps')}/a", "kubectl.kubernetes.io/last-applied-configuration"
    old = '{"apiVersion":"v1","data":{"a":"1"},"kind":"ConfigMap","metadata":{"name":"a"}}'
    await api.create(at(ns, "api/v1 configmaps"), config_map("a", annotations={note: old}))
    for manager, expected in (("me", '"a":"1"'), ("kubectl", '"a":"2"')):
        body = config_map("a", {"a": "1" if manager == "me" else "2"}, namespace=ns)
        answer = await api.call("PATCH", where, body, content_type=APPLY, fieldManager=manager, force="true")
        assert expected in expect(answer, 200)["metadata"]["annotations"][note]


PATCHED_WRONG: dict[str, Obj] = {
    "an element without its key": {"containers": [{"image": "x"}]},
    "an unknown directive": {"containers": [{"name": "main", "$patch": "explode"}]},
    "another order": {
        "$setElementOrder/containers": [{"name": "other"}],
        "containers": [{"name": "main", "image": "y"}],
    },
}


@pytest.mark.parametrize("case", PATCHED_WRONG)
async def test_a_strategic_patch_that_makes_no_sense_changes_nothing(api: Rig, ns: str, case: str) -> None:
    path = at(ns, "apis/apps/v1 deployments")
    created = await api.create(path, deployment("a"))
    change = {"spec": {"template": {"spec": PATCHED_WRONG[case]}}}
    answer = await api.call("PATCH", f"{path}/a", change, content_type=STRATEGIC)
    assert (answer.status, answer.json["status"]) == (500, "Failure")
    assert await api.get(f"{path}/a") == created


async def test_a_scale_can_be_applied(api: Rig, ns: str) -> None:
    path = at(ns, "apis/apps/v1 deployments")
    await api.create(path, deployment("a"), fieldManager="creator")
    body: Obj = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}, "spec": {"replicas": 6}}

    async def applied(**query: Any) -> int:
        where = f"{path}/a/scale"
        return (await api.call("PATCH", where, body, content_type=APPLY, fieldManager="scaler", **query)).status

    assert await applied() == 409, "the creator has said how many"
    assert await applied(force="true") == 200
    found = await api.get(f"{path}/a")
    assert found["spec"]["replicas"] == 6
    (entry,) = [entry for entry in found["metadata"]["managedFields"] if entry["manager"] == "scaler"]
    assert (entry["operation"], entry["subresource"]) == ("Apply", "scale")
    assert entry["fieldsV1"] == {"f:spec": {"f:replicas": {}}}


async def test_a_replacement_has_a_name(api: Rig, ns: str) -> None:
    await api.create(at(ns, "api/v1 configmaps"), config_map("a"))
    answer = await api.call("PUT", f"{at(ns, 'api/v1 configmaps')}/a", {"data": {"x": "y"}})
    assert (answer.status, "name must be provided" in answer.message) == (400, True)


@pytest.mark.bare("a node's lifecycle controller deletes the pod, whose node is not there")
async def test_a_grace_below_nothing_is_a_second(api: Rig, ns: str) -> None:
    await api.create(at(ns, "api/v1 pods"), pod("a", nodeName="somewhere"))
    answer = await api.delete(f"{at(ns, 'api/v1 pods')}/a", {"gracePeriodSeconds": -1})
    assert answer["metadata"]["deletionGracePeriodSeconds"] == 1
