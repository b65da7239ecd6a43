"""Every built-in kind lives and dies alike; what is special about one is in its defaults and its fixed fields."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.model.meta import dig
from graylane.testing.api.objects import Obj, deployment, pod, service
from graylane.testing.api.rig import MERGE, Rig

LABELS = {"app": "a"}
TEMPLATE: Obj = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "main", "image": "sample:1"}]}}
JOB_TEMPLATE: Obj = {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}
RULE: Obj = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
RULE_OF_HOOKS: Obj = {"apiGroups": ["example.com"], "apiVersions": ["v1"], "resources": ["things"]}
CSR = (  # of somebody called x
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlISE1HNENBUUF3RERFS01BZ0dBMVVFQXd3QmVEQlpNQk1HQnlx"
    "R1NNNDlBZ0VHQ0NxR1NNNDlBd0VIQTBJQQpCQktQYlFzYUp0MlJ1NmRsRFJpeHEzeGJ4VGY1U0d4aXB5V3Y5WVRUZ1ZVQmw2dHJ2"
    "djR1TjJvaDJwQUY0d3ZOClc5YzlhK24zNHA5cnVWOGJlcXZJQWFPZ0FEQUtCZ2dxaGtqT1BRUURBZ05KQURCR0FpRUEwUkxVdGZQ"
    "RVVycXIKaHN6d2ZPZDMvdkJWSnpKZTYrM3ZUZzdyOXMxTXZGQUNJUUNHZEZ5Y2FjNlRRQ3Q2bEN5V2VWSlQ2cHJGYWtYVQptdkw3"
    "aGx2TU5RRmRtZz09Ci0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo="
)
DEVICES: Obj = {"devices": {"requests": [{"name": "a", "exactly": {"deviceClassName": "x"}}]}}
MUTATION: Obj = {
    "matchConstraints": {"resourceRules": [{**RULE_OF_HOOKS, "operations": ["CREATE"]}]},
    "mutations": [
        {
            "patchType": "ApplyConfiguration",
            "applyConfiguration": {"expression": "Object{metadata: Object.metadata{labels: {'a': 'b'}}}"},
        }
    ],
    "reinvocationPolicy": "Never",
}
HOOK: Obj = {
    "name": "hook.example.com",
    "clientConfig": {"url": "https://127.0.0.1:1/none"},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "failurePolicy": "Ignore",
    "objectSelector": {"matchLabels": {"never": "ever"}},
}

# path → the least that each kind needs
NAMESPACED: dict[str, Obj] = {
    "api/v1 configmaps": {"data": {"a": "1"}},
    "api/v1 endpoints": {"subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]},
    "api/v1 events": {"involvedObject": {"kind": "Pod", "name": "x"}, "reason": "R", "message": "m", "type": "Normal"},
    "api/v1 limitranges": {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}},
    "api/v1 persistentvolumeclaims": {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    },
    "api/v1 pods": {"spec": TEMPLATE["spec"]},
    "api/v1 podtemplates": {"template": TEMPLATE},
    "api/v1 replicationcontrollers": {"spec": {"selector": LABELS, "template": TEMPLATE}},
    "api/v1 resourcequotas": {"spec": {"hard": {"pods": "9"}}},
    "api/v1 secrets": {"data": {"a": "eA=="}},
    "api/v1 serviceaccounts": {},
    "api/v1 services": {"spec": {"ports": [{"port": 80}]}},
    "apis/apps/v1 controllerrevisions": {"revision": 1, "data": {"a": 1}},
    "apis/apps/v1 daemonsets": {"spec": {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}},
    "apis/apps/v1 deployments": {"spec": {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}},
    "apis/apps/v1 replicasets": {"spec": {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}},
    "apis/apps/v1 statefulsets": {
        "spec": {"selector": {"matchLabels": LABELS}, "template": TEMPLATE, "serviceName": "a"}
    },
    "apis/autoscaling/v1 horizontalpodautoscalers": {
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "a", "apiVersion": "apps/v1"}}
    },
    "apis/autoscaling/v2 horizontalpodautoscalers": {
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "a", "apiVersion": "apps/v1"}}
    },
    "apis/batch/v1 cronjobs": {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": JOB_TEMPLATE}}}},
    "apis/batch/v1 jobs": {"spec": {"template": JOB_TEMPLATE}},
    "apis/coordination.k8s.io/v1 leases": {"spec": {"holderIdentity": "me", "leaseDurationSeconds": 15}},
    "apis/discovery.k8s.io/v1 endpointslices": {
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.1"]}],
        "ports": [{"port": 80}],
    },
    "apis/networking.k8s.io/v1 ingresses": {
        "spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}}
    },
    "apis/networking.k8s.io/v1 networkpolicies": {"spec": {"podSelector": {}}},
    "apis/policy/v1 poddisruptionbudgets": {"spec": {"minAvailable": 1, "selector": {"matchLabels": LABELS}}},
    "apis/rbac.authorization.k8s.io/v1 rolebindings": {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"}],
    },
    "apis/rbac.authorization.k8s.io/v1 roles": {"rules": [RULE]},
    "apis/resource.k8s.io/v1 resourceclaims": {"spec": DEVICES},
    "apis/resource.k8s.io/v1 resourceclaimtemplates": {"spec": {"spec": DEVICES}},
    "apis/storage.k8s.io/v1 csistoragecapacities": {"storageClassName": "x", "nodeTopology": {}, "capacity": "1Gi"},
}

CLUSTERED: dict[str, Obj] = {
    "api/v1 nodes": {},
    "api/v1 persistentvolumes": {
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    },
    "apis/admissionregistration.k8s.io/v1 mutatingwebhookconfigurations": {"webhooks": [HOOK]},
    "apis/admissionregistration.k8s.io/v1 validatingwebhookconfigurations": {"webhooks": [HOOK]},
    "apis/networking.k8s.io/v1 ingressclasses": {"spec": {"controller": "example.com/x"}},
    "apis/rbac.authorization.k8s.io/v1 clusterrolebindings": {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    },
    "apis/rbac.authorization.k8s.io/v1 clusterroles": {"rules": [RULE]},
    "apis/scheduling.k8s.io/v1 priorityclasses": {"value": 7},
    "apis/storage.k8s.io/v1 storageclasses": {"provisioner": "example.com/x"},
    "apis/admissionregistration.k8s.io/v1 mutatingadmissionpolicies": {"spec": MUTATION},
    "apis/admissionregistration.k8s.io/v1 mutatingadmissionpolicybindings": {"spec": {"policyName": "x"}},
    "apis/certificates.k8s.io/v1 certificatesigningrequests": {
        "spec": {"request": CSR, "signerName": "example.com/x", "usages": ["client auth"]}
    },
    "apis/flowcontrol.apiserver.k8s.io/v1 flowschemas": {
        "spec": {"priorityLevelConfiguration": {"name": "x"}, "matchingPrecedence": 9}
    },
    "apis/flowcontrol.apiserver.k8s.io/v1 prioritylevelconfigurations": {
        "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}}}
    },
    "apis/node.k8s.io/v1 runtimeclasses": {"handler": "x"},
    "apis/resource.k8s.io/v1 deviceclasses": {"spec": {"selectors": [{"cel": {"expression": "true"}}]}},
    "apis/resource.k8s.io/v1 resourceslices": {
        "spec": {"driver": "example.com", "nodeName": "x", "pool": {"name": "x", "resourceSliceCount": 1}}
    },
    "apis/storage.k8s.io/v1 csidrivers": {"spec": {"attachRequired": True}},
    "apis/storage.k8s.io/v1 csinodes": {"spec": {"drivers": [{"name": "x", "nodeID": "x"}]}},
    "apis/storage.k8s.io/v1 volumeattachments": {
        "spec": {"attacher": "x", "nodeName": "x", "source": {"persistentVolumeName": "x"}}
    },
    "apis/storage.k8s.io/v1 volumeattributesclasses": {"driverName": "example.com/x", "parameters": {"a": "1"}},
}


@pytest.mark.parametrize("kind", NAMESPACED)
async def test_a_kind_lives_and_dies(api: Rig, ns: str, kind: str) -> None:
    root, plural = kind.split()
    await _life(api, f"/{root}/namespaces/{ns}/{plural}", about(NAMESPACED[kind], ns), "a")


@pytest.mark.parametrize("kind", CLUSTERED)
async def test_a_kind_without_namespace_lives_and_dies(api: Rig, ns: str, kind: str) -> None:
    root, plural = kind.split()
    await _life(api, f"/{root}/{plural}", CLUSTERED[kind], ns)


def about(body: Obj, ns: str) -> Obj:
    """An event is about an object of its own namespace."""
    if "involvedObject" not in body:
        return body
    return {**body, "involvedObject": {**body["involvedObject"], "namespace": ns}}


async def _life(api: Rig, path: str, body: Obj, name: str) -> None:
    made = await api.create(path, {"metadata": {"name": name, "labels": {"mine": name}}, **body})
    assert made["metadata"]["uid"]
    assert made["kind"]
    if made["kind"] == "FlowSchema":  # kube-apiserver writes its status at once
        assert (await api.get(f"{path}/{name}"))["spec"] == made["spec"]
    else:
        assert await api.get(f"{path}/{name}") == made
    listed = await api.get(path, labelSelector=f"mine={name}")
    assert listed["kind"] == f"{made['kind']}List"
    assert [item["metadata"]["name"] for item in listed["items"]] == [name]
    patched = await api.patch(f"{path}/{name}", {"metadata": {"annotations": {"x": "y"}}})
    assert patched["metadata"]["annotations"]["x"] == "y"
    wishes = int(made["kind"] == "Deployment")  # of all kinds, only its annotations count as a wish
    assert patched["metadata"].get("generation", 0) == made["metadata"].get("generation", 0) + wishes
    latest = await api.get(f"{path}/{name}")
    replaced = await api.replace(f"{path}/{name}", {**latest, "metadata": {**latest["metadata"], "annotations": {}}})
    assert "x" not in replaced["metadata"].get("annotations", {})
    await api.delete(f"{path}/{name}", {"propagationPolicy": "Background"})
    if made["metadata"].get("finalizers"):  # storage is protected where there is somebody who may use it
        await api.patch(f"{path}/{name}", {"metadata": {"finalizers": None}})
    assert (await api.call("GET", f"{path}/{name}")).status == 404


# kind → where a default appears, and what it is
DEFAULTS = [
    ("apis/apps/v1 deployments", ("spec", "progressDeadlineSeconds"), 600),
    ("apis/apps/v1 deployments", ("spec", "revisionHistoryLimit"), 10),
    ("apis/apps/v1 deployments", ("spec", "replicas"), 1),
    ("apis/apps/v1 deployments", ("spec", "strategy", "rollingUpdate"), {"maxSurge": "25%", "maxUnavailable": "25%"}),
    ("apis/apps/v1 daemonsets", ("spec", "updateStrategy", "type"), "RollingUpdate"),
    ("apis/apps/v1 statefulsets", ("spec", "podManagementPolicy"), "OrderedReady"),
    ("apis/batch/v1 jobs", ("spec", "backoffLimit"), 6),
    ("apis/batch/v1 jobs", ("spec", "completions"), 1),
    ("apis/batch/v1 cronjobs", ("spec", "concurrencyPolicy"), "Allow"),
    ("apis/batch/v1 cronjobs", ("spec", "suspend"), False),
    ("api/v1 pods", ("spec", "restartPolicy"), "Always"),
    ("api/v1 pods", ("spec", "dnsPolicy"), "ClusterFirst"),
    ("api/v1 pods", ("spec", "terminationGracePeriodSeconds"), 30),
    ("api/v1 pods", ("spec", "schedulerName"), "default-scheduler"),
    ("api/v1 pods", ("spec", "containers", 0, "terminationMessagePath"), "/dev/termination-log"),
    ("api/v1 pods", ("status", "phase"), "Pending"),
    ("api/v1 pods", ("status", "qosClass"), "BestEffort"),
    ("api/v1 services", ("spec", "internalTrafficPolicy"), "Cluster"),
    ("api/v1 services", ("spec", "ports", 0, "protocol"), "TCP"),
    ("api/v1 secrets", ("type",), "Opaque"),
    ("apis/networking.k8s.io/v1 networkpolicies", ("spec", "policyTypes"), ["Ingress"]),
    ("apis/autoscaling/v2 horizontalpodautoscalers", ("spec", "minReplicas"), 1),
]


@pytest.mark.parametrize(("kind", "where", "value"), DEFAULTS, ids=lambda part: str(part).replace("/", "."))
async def test_a_default_is_filled_in(api: Rig, ns: str, kind: str, where: tuple[Any, ...], value: Any) -> None:
    root, plural = kind.split()
    made = await api.create(f"/{root}/namespaces/{ns}/{plural}", {"metadata": {"name": "a"}, **NAMESPACED[kind]})
    assert dig(made, *where) == value


# kind → a change that is refused, and the field that is blamed
FIXED: list[tuple[str, Obj, str]] = [
    ("apis/apps/v1 deployments", {"spec": {"selector": {"matchLabels": {"app": "b"}}}}, "spec.selector"),
    ("apis/apps/v1 daemonsets", {"spec": {"selector": {"matchLabels": {"app": "b"}}}}, "spec.selector"),
    ("apis/apps/v1 replicasets", {"spec": {"selector": {"matchLabels": {"app": "b"}}}}, "spec.selector"),
    ("apis/apps/v1 statefulsets", {"spec": {"serviceName": "b"}}, "spec"),
    ("apis/apps/v1 statefulsets", {"spec": {"podManagementPolicy": "Parallel"}}, "spec"),
    ("apis/batch/v1 jobs", {"spec": {"completionMode": "Indexed"}}, "spec.completionMode"),
    ("api/v1 pods", {"spec": {"restartPolicy": "Never"}}, "spec"),
    ("api/v1 pods", {"spec": {"containers": [{"name": "other", "image": "x"}]}}, "spec"),
    ("api/v1 secrets", {"type": "kubernetes.io/tls"}, "type"),
    ("api/v1 services", {"spec": {"clusterIP": "10.96.250.250"}}, "spec.clusterIPs[0]"),
    ("apis/rbac.authorization.k8s.io/v1 rolebindings", {"roleRef": {"name": "edit"}}, "roleRef"),
    ("api/v1 persistentvolumeclaims", {"spec": {"accessModes": ["ReadWriteMany"]}}, "spec"),
]


@pytest.mark.parametrize(
    ("kind", "change", "field"), FIXED, ids=[f"{kind.split()[1]}-{number}" for number, (kind, *_) in enumerate(FIXED)]
)
async def test_a_fixed_field_stays_what_it_is(api: Rig, ns: str, kind: str, change: Obj, field: str) -> None:
    root, plural = kind.split()
    path = f"/{root}/namespaces/{ns}/{plural}"
    made = await api.create(path, {"metadata": {"name": "a"}, **NAMESPACED[kind]})
    answer = await api.call("PATCH", f"{path}/a", change, content_type=MERGE)
    assert (answer.status, answer.reason) == (422, "Invalid"), answer.body
    assert field in {cause["field"] for cause in answer.json["details"]["causes"]}, answer.message
    assert await api.get(f"{path}/a") == made


# kind → what is wrong with it from the start
WRONG: list[tuple[str, Obj, str]] = [
    ("apis/apps/v1 deployments", {"spec": {"replicas": -1}}, "spec.replicas"),
    (
        "apis/apps/v1 deployments",
        {"spec": {"selector": {"matchLabels": {"app": "b"}}}},
        "spec.template.metadata.labels",
    ),
    ("apis/apps/v1 deployments", {"spec": {"strategy": {"type": "Sideways"}}}, "spec.strategy"),
    (
        "apis/apps/v1 deployments",
        {"spec": {"template": {"spec": {"restartPolicy": "Never"}}}},
        "spec.template.spec.restartPolicy",
    ),
    ("api/v1 pods", {"spec": {"containers": []}}, "spec.containers"),
    ("api/v1 pods", {"spec": {"containers": [{"name": "a"}]}}, "spec.containers[0].image"),
    ("api/v1 pods", {"spec": {"containers": [{"name": "A_b", "image": "x"}]}}, "spec.containers[0].name"),
    ("api/v1 pods", {"spec": {"restartPolicy": "Sometimes"}}, "spec.restartPolicy"),
    ("api/v1 services", {"spec": {"ports": [{"port": 0}]}}, "spec.ports[0].port"),
    ("api/v1 services", {"spec": {"ports": [{"port": 80}, {"port": 81}]}}, "spec.ports[0].name"),
    ("api/v1 services", {"spec": {"type": "Wormhole"}}, "spec.type"),
    ("api/v1 secrets", {"type": "kubernetes.io/tls"}, "data[tls.crt]"),
    ("api/v1 configmaps", {"data": {"bad key": "x"}}, "data[bad key]"),
    ("apis/batch/v1 cronjobs", {"spec": {"schedule": "whenever"}}, "spec.schedule"),
    (
        "apis/batch/v1 jobs",
        {"spec": {"template": {"spec": {"restartPolicy": "Always"}}}},
        "spec.template.spec.restartPolicy",
    ),
    (
        "apis/rbac.authorization.k8s.io/v1 roles",
        {"rules": [{"resources": ["pods"], "apiGroups": [""]}]},
        "rules[0].verbs",
    ),
    ("apis/discovery.k8s.io/v1 endpointslices", {"addressType": "Pigeon"}, "addressType"),
    ("apis/networking.k8s.io/v1 ingresses", {"spec": {"defaultBackend": None}}, "spec"),
    ("apis/autoscaling/v2 horizontalpodautoscalers", {"spec": {"maxReplicas": 0}}, "spec.maxReplicas"),
    ("apis/coordination.k8s.io/v1 leases", {"spec": {"leaseDurationSeconds": 0}}, "spec.leaseDurationSeconds"),
]


@pytest.mark.parametrize(
    ("kind", "change", "field"), WRONG, ids=[f"{kind.split()[1]}-{number}" for number, (kind, *_) in enumerate(WRONG)]
)
async def test_a_mistake_is_named_by_its_field(api: Rig, ns: str, kind: str, change: Obj, field: str) -> None:
    root, plural = kind.split()
    path = f"/{root}/namespaces/{ns}/{plural}"
    answer = await api.call("POST", path, {"metadata": {"name": "a"}, **_merged(NAMESPACED[kind], change)})
    assert (answer.status, answer.reason) == (422, "Invalid"), answer.body
    assert field in {cause["field"] for cause in answer.json["details"]["causes"]}, answer.message
    assert (await api.call("GET", f"{path}/a")).status == 404


def _merged(body: Obj, change: Obj) -> Obj:
    both = {
        name: _merged(body[name], change[name]) for name in body.keys() & change.keys() if _objects(body, change, name)
    }
    return {**body, **change, **both}


def _objects(body: Obj, change: Obj, name: str) -> bool:
    return isinstance(body[name], dict) and isinstance(change[name], dict)


@pytest.mark.parametrize("kind", ["configmaps", "secrets"])
async def test_what_is_declared_immutable_is(api: Rig, ns: str, kind: str) -> None:
    path = f"/api/v1/namespaces/{ns}/{kind}"
    await api.create(path, {"metadata": {"name": "a"}, "immutable": True, "data": {"a": "eA=="}})
    for change in ({"data": {"a": "eQ=="}}, {"immutable": False}):
        answer = await api.call("PATCH", f"{path}/a", change, content_type=MERGE)
        assert answer.status == 422
        assert "field is immutable when `immutable` is set" in answer.message
    await api.patch(f"{path}/a", {"metadata": {"labels": {"still": "possible"}}})


async def test_one_object_in_two_versions_of_its_group(api: Rig, ns: str) -> None:
    body = {"metadata": {"name": "a"}, **NAMESPACED["apis/autoscaling/v1 horizontalpodautoscalers"]}
    body["spec"] = {**body["spec"], "targetCPUUtilizationPercentage": 70}
    await api.create(f"/apis/autoscaling/v1/namespaces/{ns}/horizontalpodautoscalers", body)
    newer = await api.get(f"/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers/a")
    (metric,) = newer["spec"]["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}


async def test_a_pods_image_and_labels_may_change(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    await api.create(path, pod("a"))
    change = {"spec": {"containers": [{"name": "main", "image": "sample:2"}]}}
    after = await api.patch(f"{path}/a", change, "application/strategic-merge-patch+json")
    assert after["spec"]["containers"][0]["image"] == "sample:2"


async def test_a_service_account_gives_tokens(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/serviceaccounts"
    await api.create(path, {"metadata": {"name": "bot"}})
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    token = (await api.create(f"{path}/bot/token", body))["status"]["token"]
    who = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await api.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", who, token=token)
    assert answer.json["status"]["userInfo"]["username"] == f"system:serviceaccount:{ns}:bot"


async def test_an_event_keeps_its_series(api: Rig, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/events"
    series = {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000001Z"}
    await api.create(path, {"metadata": {"name": "e"}, **about(NAMESPACED["api/v1 events"], ns), "series": series})
    assert (await api.patch(f"{path}/e", {"series": {"count": 3}}))["series"]["count"] == 3


async def test_a_lease_is_renewed_by_who_holds_its_version(api: Rig, ns: str) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
    lease = await api.create(path, {"metadata": {"name": "l"}, **NAMESPACED["apis/coordination.k8s.io/v1 leases"]})
    mine = {**lease, "spec": {**lease["spec"], "renewTime": "2026-01-01T00:00:00.000000Z"}}
    theirs = {**lease, "spec": {**lease["spec"], "holderIdentity": "them"}}
    await api.replace(f"{path}/l", mine)
    assert (await api.call("PUT", f"{path}/l", theirs)).status == 409


@pytest.mark.parametrize(
    ("kind", "address"), [("ClusterIP", True), ("NodePort", True), ("LoadBalancer", True), ("ExternalName", False)]
)
async def test_a_service_of_each_type(api: Rig, ns: str, kind: str, address: bool) -> None:
    extra = {} if address else {"externalName": "a.example.com", "ports": None, "selector": None}
    made = await api.create(f"/api/v1/namespaces/{ns}/services", service("a", type=kind, **extra))
    assert bool(made["spec"].get("clusterIP")) is address
    assert bool(made["spec"].get("allocateLoadBalancerNodePorts")) is (kind == "LoadBalancer")


@pytest.mark.parametrize("kind", ["deployments", "replicasets", "statefulsets"])
async def test_whoever_has_replicas_has_a_scale(api: Rig, ns: str, kind: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/{kind}"
    await api.create(path, {"metadata": {"name": "a"}, **NAMESPACED[f"apis/apps/v1 {kind}"]})
    scale = await api.get(f"{path}/a/scale")
    assert scale["spec"] == {"replicas": 1}
    await api.replace(f"{path}/a/scale", {**scale, "spec": {"replicas": 2}})
    assert (await api.get(f"{path}/a"))["spec"]["replicas"] == 2
    refused = await api.call("PATCH", f"{path}/a/scale", {"spec": {"replicas": -1}}, content_type=MERGE)
    assert refused.status == 422


@pytest.mark.parametrize("path", ["deployments", "deployments/a/status", "deployments/a/scale"])
async def test_a_whole_life_through_yaml(api: Rig, ns: str, path: str) -> None:
    await api.create(f"/apis/apps/v1/namespaces/{ns}/deployments", deployment("a"))
    answer = await api.call("GET", f"/apis/apps/v1/namespaces/{ns}/{path}", accept="application/yaml")
    assert (answer.status, answer.content_type) == (200, "application/yaml")
    assert b"kind: " in answer.body
