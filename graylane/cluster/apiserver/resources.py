"""The kinds this server knows without being told: one row each, nothing else.

Pure. In: nothing. Out: `BUILT_IN`, a tuple of `Resource`. Discovery, routing, storage, strategies and `docs/limits.md`
all read this table; a kind that is not here and not in a CustomResourceDefinition is answered with 404.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Acts(StrEnum):
    """What Graylane does with objects of a kind, said to the user in a Warning header when it is nothing."""

    YES = "acts on"
    DATA = "only data, as in Kubernetes"
    NO = "stores but does not act on"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind in one served version. `store` names the table row family shared by all versions of the kind."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    acts: Acts = Acts.NO
    generation: bool = False
    custom: bool = False
    storage_version: str = ""
    deprecated: str = ""
    view_of: str = ""  # the other group's store that this kind shows in its own words; then `storage_version` is whole
    singular: str = ""
    list_kind: str = ""
    verbs: tuple[str, ...] = VERBS
    measured: bool = False  # made when somebody asks, and stored nowhere

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def stored_api_version(self) -> str:
        version = self.storage_version or self.version
        if self.view_of:
            return version
        return f"{self.group}/{version}" if self.group else version

    @property
    def store(self) -> str:
        """`deployments.apps`; also how Kubernetes names a resource in messages."""
        if self.view_of:
            return self.view_of
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def list_name(self) -> str:
        return self.list_kind or f"{self.kind}List"

    @property
    def singular_name(self) -> str:
        return self.singular or self.kind.lower()

    def has(self, subresource: str) -> bool:
        return subresource in self.subresources


def _row(
    api_version: str,
    kind: str,
    plural: str,
    short: str = "",
    *,
    sub: str = "",
    cats: str = "",
    acts: Acts = Acts.NO,
    cluster: bool = False,
    gen: bool = False,
    stored: str = "",
    view_of: str = "",
    deprecated: str = "",
) -> Resource:
    group, _, version = api_version.rpartition("/")
    return Resource(
        group=group,
        version=version,
        kind=kind,
        plural=plural,
        namespaced=not cluster,
        short_names=tuple(short.split()),
        categories=tuple(cats.split()),
        subresources=tuple(sub.split()),
        acts=acts,
        generation=gen,
        storage_version=stored,
        view_of=view_of,
        deprecated=deprecated,
    )


_YES, _DATA = Acts.YES, Acts.DATA
_POD_SUB = "attach binding ephemeralcontainers eviction exec log portforward proxy resize status"

# fmt: off
BUILT_IN: tuple[Resource, ...] = (
    # core
    _row("v1", "Namespace", "namespaces", "ns", sub="finalize status", cluster=True, acts=_YES),
    _row("v1", "Node", "nodes", "no", sub="status", cluster=True, acts=_YES),
    _row("v1", "Pod", "pods", "po", sub=_POD_SUB, cats="all", acts=_YES, gen=True),
    _row("v1", "Service", "services", "svc", sub="proxy status", cats="all", acts=_YES),
    _row("v1", "Endpoints", "endpoints", "ep", acts=_YES,
         deprecated="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
    _row("v1", "ConfigMap", "configmaps", "cm", acts=_YES),
    _row("v1", "Secret", "secrets", acts=_YES),
    _row("v1", "Event", "events", "ev", acts=_DATA),
    _row("events.k8s.io/v1", "Event", "events", "ev", acts=_DATA, view_of="events", stored="v1"),
    _row("v1", "ServiceAccount", "serviceaccounts", "sa", sub="token", acts=_YES),
    _row("v1", "PersistentVolume", "persistentvolumes", "pv", sub="status", cluster=True, acts=_YES),
    _row("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", sub="status", acts=_YES),
    _row("v1", "ReplicationController", "replicationcontrollers", "rc", sub="scale status", cats="all", gen=True),
    _row("v1", "ResourceQuota", "resourcequotas", "quota", sub="status"),
    _row("v1", "LimitRange", "limitranges", "limits"),
    _row("v1", "PodTemplate", "podtemplates", acts=_DATA, gen=True),
    # workloads
    _row("apps/v1", "Deployment", "deployments", "deploy", sub="scale status", cats="all", acts=_YES, gen=True),
    _row("apps/v1", "ReplicaSet", "replicasets", "rs", sub="scale status", cats="all", acts=_YES, gen=True),
    _row("apps/v1", "StatefulSet", "statefulsets", "sts", sub="scale status", cats="all", acts=_YES, gen=True),
    _row("apps/v1", "DaemonSet", "daemonsets", "ds", sub="status", cats="all", acts=_YES, gen=True),
    _row("apps/v1", "ControllerRevision", "controllerrevisions", acts=_DATA),
    _row("batch/v1", "Job", "jobs", sub="status", cats="all", acts=_YES, gen=True),
    _row("batch/v1", "CronJob", "cronjobs", "cj", sub="status", cats="all", acts=_YES, gen=True),
    _row("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", sub="status", cats="all",
         acts=_YES),
    _row("autoscaling/v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", sub="status", cats="all",
         acts=_YES, stored="v2"),
    _row("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", sub="status", acts=_YES, gen=True),
    # network
    _row("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", acts=_YES, gen=True),
    _row("networking.k8s.io/v1", "Ingress", "ingresses", "ing", sub="status", gen=True),
    _row("networking.k8s.io/v1", "IngressClass", "ingressclasses", cluster=True, gen=True),
    _row("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", "netpol", gen=True),
    # access
    _row("rbac.authorization.k8s.io/v1", "Role", "roles", acts=_YES),
    _row("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", acts=_YES),
    _row("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", cluster=True, acts=_YES),
    _row("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", cluster=True, acts=_YES),
    # the API's own
    _row("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", "crd crds",
         sub="status", cats="api-extensions", cluster=True, acts=_YES, gen=True),
    _row("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations",
         cats="api-extensions", cluster=True, acts=_YES, gen=True),
    _row("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations",
         cats="api-extensions", cluster=True, acts=_YES, gen=True),
    _row("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies",
         sub="status", cats="api-extensions", cluster=True, acts=_YES, gen=True),
    _row("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings",
         cats="api-extensions", cluster=True, acts=_YES, gen=True),
    _row("coordination.k8s.io/v1", "Lease", "leases", acts=_DATA),
    _row("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", "pc", cluster=True, gen=True),
    _row("storage.k8s.io/v1", "StorageClass", "storageclasses", "sc", cluster=True),
    # everything else that is stable, so that a whole application's manifests apply
    _row("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies",
         cats="api-extensions", cluster=True, gen=True),
    _row("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings",
         cats="api-extensions", cluster=True, gen=True),
    _row("apiregistration.k8s.io/v1", "APIService", "apiservices", sub="status", cats="api-extensions", cluster=True),
    _row("certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests", "csr",
         sub="approval status", cluster=True),
    _row("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", "flowschemas", sub="status", cluster=True, gen=True),
    _row("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration", "prioritylevelconfigurations",
         sub="status", cluster=True, gen=True),
    _row("networking.k8s.io/v1", "IPAddress", "ipaddresses", "ip", cluster=True, gen=True),
    _row("networking.k8s.io/v1", "ServiceCIDR", "servicecidrs", sub="status", cluster=True, gen=True),
    _row("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", cluster=True),
    _row("resource.k8s.io/v1", "DeviceClass", "deviceclasses", cluster=True, gen=True),
    _row("resource.k8s.io/v1", "ResourceClaim", "resourceclaims", sub="status"),
    _row("resource.k8s.io/v1", "ResourceClaimTemplate", "resourceclaimtemplates"),
    _row("resource.k8s.io/v1", "ResourceSlice", "resourceslices", cluster=True, gen=True),
    _row("storage.k8s.io/v1", "CSIDriver", "csidrivers", cluster=True),
    _row("storage.k8s.io/v1", "CSINode", "csinodes", cluster=True),
    _row("storage.k8s.io/v1", "CSIStorageCapacity", "csistoragecapacities"),
    _row("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", sub="status", cluster=True),
    _row("storage.k8s.io/v1", "VolumeAttributesClass", "volumeattributesclasses", "vac", cluster=True),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Review:
    """A kind that is answered at once and never stored: create is its only verb."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = False


REVIEWS: tuple[Review, ...] = (
    Review("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews"),
    Review("authentication.k8s.io", "v1", "TokenReview", "tokenreviews"),
    Review("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews"),
    Review("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews"),
    Review("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews"),
    Review("authorization.k8s.io", "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", namespaced=True),
)

MEASURED: tuple[Resource, ...] = tuple(
    Resource("metrics.k8s.io", "v1beta1", kind, plural, namespaced, verbs=("get", "list"), measured=True)
    for kind, plural, namespaced in (("NodeMetrics", "nodes", False), ("PodMetrics", "pods", True))
)

# Of what is stable in Kubernetes, that which is answered with 404.
NOT_SERVED = {
    "`bindings` (v1)": "a pod is bound by `pods/binding`",
    "`componentstatuses` (v1)": "deprecated in Kubernetes since 1.19",
    "`nodes/proxy`": "use `kubectl logs`, `exec` and `port-forward`",
    "alpha and beta versions": "stable ones are served of every group that has one",
}

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease", "istio-system")
