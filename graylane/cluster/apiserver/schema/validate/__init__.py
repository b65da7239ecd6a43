"""What a built-in object may say beyond its types: the rules of each kind, in Kubernetes' words.

Pure. In: group, kind, the object with its defaults, and on update the one it replaces. Out: field errors; none when it
may be stored. The metadata that all kinds share, and values that depend on other objects, are the write strategies'.
"""

from __future__ import annotations

from collections.abc import Callable

from graylane.cluster.apiserver.schema.fielderror import FieldError
from graylane.cluster.apiserver.schema.validate import (
    autoscaling,
    config,
    definitions,
    events,
    pods,
    services,
    storage,
    workloads,
)
from graylane.cluster.apiserver.schema.validate.checks import Errors
from graylane.model.meta import Obj

Check = Callable[[Obj, Obj | None], Errors]


def builtin(group: str, kind: str, obj: Obj, old: Obj | None) -> list[FieldError]:
    """Errors in the order kube-apiserver gives them; kinds without rules have none."""
    check = _TABLE.get((group, kind))
    return list(check(obj, old)) if check else []


_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_TABLE: dict[tuple[str, str], Check] = {
    ("", "Pod"): pods.pod,
    ("", "Service"): services.service,
    ("", "Endpoints"): services.endpoints,
    ("", "ConfigMap"): config.config_map,
    ("", "Secret"): config.secret,
    ("", "Event"): events.of_core,
    ("", "PersistentVolumeClaim"): storage.claim,
    ("events.k8s.io", "Event"): events.of_group,
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "ReplicaSet"): workloads.replica_set,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("batch", "Job"): workloads.job,
    ("batch", "CronJob"): workloads.cron_job,
    ("discovery.k8s.io", "EndpointSlice"): services.endpoint_slice,
    ("networking.k8s.io", "Ingress"): services.ingress,
    ("autoscaling", "HorizontalPodAutoscaler"): autoscaling.autoscaler,
    ("policy", "PodDisruptionBudget"): config.disruption_budget,
    (_RBAC, "Role"): config.role,
    (_RBAC, "ClusterRole"): config.role,
    (_RBAC, "RoleBinding"): config.binding,
    (_RBAC, "ClusterRoleBinding"): config.binding,
    ("coordination.k8s.io", "Lease"): config.lease,
    ("scheduling.k8s.io", "PriorityClass"): config.priority_class,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): definitions.definition,
    (_ADMISSION, "MutatingWebhookConfiguration"): definitions.webhooks,
    (_ADMISSION, "ValidatingWebhookConfiguration"): definitions.webhooks,
}
