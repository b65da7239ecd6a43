"""Kubernetes' defaults for the built-in kinds: what a client may leave out.

Pure. In: group, kind, an object. Out: the object with its defaults; branches that need none are shared with the input.
Applying them twice changes nothing. Each table row is `path: value`; a path ending in `[]` visits every item of a list.
Defaults that depend on other fields are the small functions at the end. Source: the `zz_generated.defaults` and
`defaults.go` files of Kubernetes 1.32's API groups.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from graylane.cluster.apiserver.schema import podspec
from graylane.cluster.apiserver.schema.filling import Fill, at, each, given, is_reachable, put, put_all, sub
from graylane.model.meta import Obj, name_of

_QUARTER: Obj = {"maxUnavailable": "25%", "maxSurge": "25%"}
_ONE_BY_ONE: Obj = {"maxUnavailable": 1, "maxSurge": 0}
_ALL_AT_ONCE: Obj = {"type": "Percent", "value": 100, "periodSeconds": 15}
_SCALE_DOWN: Obj = {"selectPolicy": "Max", "policies": [_ALL_AT_ONCE]}
_SCALE_UP: Obj = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, _ALL_AT_ONCE],
}
_CPU: Obj = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
}
_KEEP_VOLUMES: Obj = {"whenDeleted": "Retain", "whenScaled": "Retain"}


def apply(group: str, kind: str, obj: Obj) -> Obj:
    """`obj` with every default of its kind; kinds without defaults come back as they are."""
    fill = _TABLE.get((group, kind))
    return obj if fill is None else fill(obj)


def _rolling(name: str, parameters: Obj) -> Fill:
    """Only a rolling update has parameters; Recreate and OnDelete must not gain any."""

    def fill(strategy: Obj) -> Obj:
        strategy = put(strategy, "type", "RollingUpdate")
        rolling = strategy["type"] == "RollingUpdate"
        return sub(strategy, "rollingUpdate", given(parameters)) if rolling else strategy

    return lambda spec: sub(spec, name, fill)


def _job_counts(spec: Obj) -> Obj:
    """One completion and one worker, unless the job is a work queue (parallelism alone)."""
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec = put_all(spec, {"completions": 1, "parallelism": 1})
    indexed_limit = spec.get("backoffLimitPerIndex") is not None
    limits = {"parallelism": 1, "backoffLimit": 2147483647 if indexed_limit else 6}
    failed = "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed"
    return put_all(spec, limits | {"podReplacementPolicy": failed})


def _template_labels(obj: Obj) -> Obj:
    """Jobs and ReplicationControllers take missing labels from their template."""
    labels = ((obj.get("spec") or {}).get("template") or {}).get("metadata", {}).get("labels")
    metadata = obj.get("metadata") or {}
    return {**obj, "metadata": {**metadata, "labels": labels}} if labels and not metadata.get("labels") else obj


def _service_spec(spec: Obj) -> Obj:
    spec = put_all(spec, {"type": "ClusterIP", "sessionAffinity": "None"})
    if spec["type"] in ("ClusterIP", "NodePort", "LoadBalancer"):
        spec = put(spec, "internalTrafficPolicy", "Cluster")
    if is_reachable(spec):
        spec = put(spec, "externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec = put(spec, "allocateLoadBalancerNodePorts", True)
    if spec["sessionAffinity"] == "ClientIP":
        spec = sub(spec, "sessionAffinityConfig", given({"clientIP": {"timeoutSeconds": 10800}}))
    return at(spec, "ports", each(_service_port))


def _service_port(port: Obj) -> Obj:
    port = put(port, "protocol", "TCP")
    missing = port.get("targetPort") in (None, "", 0)
    return {**port, "targetPort": port.get("port", 0)} if missing else port


def _secret(obj: Obj) -> Obj:
    """stringData is write-only: it is encoded into data and never stored."""
    obj = put(obj, "type", "Opaque")
    strings = obj.get("stringData")
    if strings is None:
        return obj
    rest = {name: value for name, value in obj.items() if name != "stringData"}
    encoded = {name: base64.b64encode(str(text).encode()).decode() for name, text in strings.items()}
    return {**rest, "data": {**(obj.get("data") or {}), **encoded}} if encoded else rest


def _namespace(obj: Obj) -> Obj:
    """Every namespace carries its own name as a label, and the finalizer that empties it."""
    metadata = obj.get("metadata") or {}
    if name_of(obj):
        label = {"kubernetes.io/metadata.name": name_of(obj)}
        metadata = put(metadata, "labels", {**(metadata.get("labels") or {}), **label}, over=True)
    obj = put(obj, "metadata", metadata, over=True)
    obj = sub(obj, "spec", given({"finalizers": ["kubernetes"]}))
    return sub(obj, "status", given({"phase": "Active"}))


def _subjects(obj: Obj) -> Obj:
    return at(obj, "subjects", each(_subject))


def _subject(subject: Obj) -> Obj:
    group = "" if subject.get("kind") == "ServiceAccount" else "rbac.authorization.k8s.io"
    return put(subject, "apiGroup", group) if group else subject


def _binding(obj: Obj) -> Obj:
    return sub(_subjects(obj), "roleRef", given({"apiGroup": "rbac.authorization.k8s.io"}))


def _webhooks(obj: Obj) -> Obj:
    return at(obj, "webhooks", each(_webhook))


def _mutating_webhooks(obj: Obj) -> Obj:
    return at(_webhooks(obj), "webhooks", each(given({"reinvocationPolicy": "Never"})))


def _webhook(hook: Obj) -> Obj:
    fixed: Obj = {"failurePolicy": "Fail", "matchPolicy": "Equivalent", "timeoutSeconds": 10}
    hook = put_all(hook, fixed | {"namespaceSelector": {}, "objectSelector": {}})
    hook = at(hook, "rules", each(given({"scope": "*"})))
    return at(hook, "clientConfig", _webhook_client)


def _webhook_client(client: Obj) -> Obj:
    return at(client, "service", given({"port": 443}))


def _crd(spec: Obj) -> Obj:
    return put(sub(spec, "names", _crd_names), "conversion", {"strategy": "None"})


def _crd_names(names: Obj) -> Obj:
    kind = names.get("kind")
    return put_all(names, {"singular": kind.lower(), "listKind": f"{kind}List"}) if kind else names


def _policy(spec: Obj) -> Obj:
    return at(put(spec, "failurePolicy", "Fail"), "matchConstraints", _match_resources)


def _match_resources(match: Obj) -> Obj:
    match = put_all(match, {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}})
    for name in ("resourceRules", "excludeResourceRules"):
        match = at(match, name, each(given({"scope": "*"})))
    return match


def _priority_level(spec: Obj) -> Obj:
    return at(spec, "limited", given({"nominalConcurrencyShares": 30, "lendablePercent": 0}))


def _devices(spec: Obj) -> Obj:
    return at(spec, "devices", lambda devices: at(devices, "requests", each(_device_request)))


def _device_request(request: Obj) -> Obj:
    request = at(request, "exactly", _device_count)
    return at(request, "firstAvailable", each(_device_count))


def _device_count(wish: Obj) -> Obj:
    wish = put(wish, "allocationMode", "ExactCount")
    return put(wish, "count", 1) if wish["allocationMode"] == "ExactCount" else wish


def _csi_driver(spec: Obj) -> Obj:
    switches = ("podInfoOnMount", "requiresRepublish", "seLinuxMount", "storageCapacity")
    spec = put_all(spec, {"attachRequired": True, **dict.fromkeys(switches, False)})
    return put_all(spec, {"fsGroupPolicy": "ReadWriteOnceWithFSType", "volumeLifecycleModes": ["Persistent"]})


def _endpoints(obj: Obj) -> Obj:
    return at(obj, "subsets", each(lambda subset: at(subset, "ports", each(given({"protocol": "TCP"})))))


def _endpoint_slice(obj: Obj) -> Obj:
    return at(obj, "ports", each(given({"name": "", "protocol": "TCP"})))


def _autoscaler(obj: Obj) -> Obj:
    """Whoever names no metric means the CPU, of which four fifths may be used."""
    obj = sub(obj, "spec", given({"minReplicas": 1}))
    if obj.get("apiVersion") == "autoscaling/v1":
        return sub(obj, "spec", given({"targetCPUUtilizationPercentage": 80}))
    if not obj["spec"].get("metrics"):
        obj = {**obj, "spec": {**obj["spec"], "metrics": [_CPU]}}
    return sub(obj, "spec", lambda spec: at(spec, "behavior", _behavior))


def _behavior(behavior: Obj) -> Obj:
    """Whoever says something of one direction gets the rest written out; only the window down stays open."""
    behavior = sub(behavior, "scaleUp", given(_SCALE_UP))
    return sub(behavior, "scaleDown", given(_SCALE_DOWN))


def _volumes(spec: Obj) -> Obj:
    return sub(spec, "persistentVolumeClaimRetentionPolicy", given(_KEEP_VOLUMES))


def _host_path(spec: Obj) -> Obj:
    return at(spec, "hostPath", given({"type": ""}))


def _policy_types(spec: Obj) -> Obj:
    return put(spec, "policyTypes", ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])


def _volume_claim(spec: Obj) -> Obj:
    return put(spec, "volumeMode", "Filesystem")


def _spec(*fills: Fill) -> Callable[[Obj], Obj]:
    """Fill `spec`, which exists from here on."""

    def fill(obj: Obj) -> Obj:
        for step in fills:
            obj = sub(obj, "spec", step)
        return obj

    return fill


def _template(spec: Obj) -> Obj:
    return at(spec, "template", podspec.template)


def _job_template(spec: Obj) -> Obj:
    """Only the pods of a future job: the job's own defaults are filled in when it is made."""
    return at(spec, "jobTemplate", lambda template: at(template, "spec", _template))


def _job(spec: Obj) -> Obj:
    return _template(
        put_all(_job_counts(spec), {"completionMode": "NonIndexed", "suspend": False, "manualSelector": False})
    )


def _labelled(fill: Fill) -> Fill:
    return lambda obj: fill(_template_labels(obj))


_ROLLING: dict[str, Any] = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
_CRON = {"concurrencyPolicy": "Allow", "suspend": False, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1}
_STATEFUL = {"replicas": 1, "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10}

_TABLE: dict[tuple[str, str], Fill] = {
    ("", "Pod"): _spec(podspec.fill, podspec.pods_only),
    ("", "PodTemplate"): lambda obj: at(obj, "template", podspec.template),
    ("", "ReplicationController"): _labelled(_spec(given({"replicas": 1}), _template)),
    ("", "Service"): _spec(_service_spec),
    ("", "Endpoints"): _endpoints,
    ("", "Secret"): _secret,
    ("", "Namespace"): _namespace,
    ("", "PersistentVolume"): _spec(given({"persistentVolumeReclaimPolicy": "Retain"}), _volume_claim, _host_path),
    ("", "PersistentVolumeClaim"): _spec(_volume_claim),
    ("apps", "Deployment"): _spec(given(_ROLLING), _rolling("strategy", _QUARTER), _template),
    ("apps", "ReplicaSet"): _spec(given({"replicas": 1}), _template),
    ("apps", "StatefulSet"): _spec(given(_STATEFUL), _rolling("updateStrategy", {"partition": 0}), _volumes, _template),
    ("apps", "DaemonSet"): _spec(
        given({"revisionHistoryLimit": 10}), _rolling("updateStrategy", _ONE_BY_ONE), _template
    ),
    ("batch", "Job"): _labelled(_spec(_job)),
    ("batch", "CronJob"): _spec(given(_CRON), _job_template),
    ("", "Event"): given(dict.fromkeys(("eventTime", "firstTimestamp", "lastTimestamp"))),
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
    ("networking.k8s.io", "NetworkPolicy"): _spec(_policy_types),
    ("rbac.authorization.k8s.io", "RoleBinding"): _binding,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _binding,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _spec(_crd),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _webhooks,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _mutating_webhooks,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): _spec(_policy),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): _spec(_priority_level),
    ("resource.k8s.io", "ResourceClaim"): _spec(_devices),
    ("resource.k8s.io", "ResourceClaimTemplate"): _spec(lambda spec: at(spec, "spec", _devices)),
    ("storage.k8s.io", "CSIDriver"): _spec(_csi_driver),
    ("scheduling.k8s.io", "PriorityClass"): given({"preemptionPolicy": "PreemptLowerPriority"}),
    ("storage.k8s.io", "StorageClass"): given({"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
}
