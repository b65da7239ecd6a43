"""The roles and bindings that every cluster has: what they allow is Kubernetes', for the kinds that are served.

Pure. In: nothing. Out: ClusterRoles and ClusterRoleBindings as objects. `admin`, `edit` and `view` are aggregated: a
role with their label adds to them, as custom kinds' authors expect. Source: `rbac/bootstrappolicy/policy.go`.
"""

from __future__ import annotations

from collections.abc import Iterable

from graylane.cluster.apiserver.authorization.aggregation import gathered
from graylane.cluster.apiserver.authorization.rules import EVERYTHING, Rule
from graylane.model.meta import Obj, name_of

API_VERSION = "rbac.authorization.k8s.io/v1"
_RBAC = "rbac.authorization.k8s.io"
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"

_READ = "get list watch"
_WRITE = "create delete deletecollection patch update"


def _rule(verbs: str, group: str, resources: str) -> Rule:
    return Rule(tuple(verbs.split()), (group,), tuple(resources.split()))


def _urls(*urls: str) -> tuple[Rule, ...]:
    return (Rule(("get",), urls=urls),)


def _with(sub: str, names: str) -> str:
    return " ".join(f"{name} {name}/{sub}" for name in names.split())


_OPEN = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_STREAMS = "pods/attach pods/exec pods/portforward pods/proxy services/proxy"
_SCALED = _with("scale", "deployments replicasets statefulsets")
_CORE = "configmaps persistentvolumeclaims pods serviceaccounts services"

_VIEW = (
    _rule(_READ, "", f"{_CORE} endpoints {_with('scale', 'replicationcontrollers')}"),
    _rule(_READ, "", "persistentvolumeclaims/status replicationcontrollers/status services/status"),
    _rule(_READ, "", "bindings events limitranges namespaces/status pods/log pods/status"),
    _rule(_READ, "", f"namespaces {_with('status', 'resourcequotas')}"),
    _rule(_READ, "discovery.k8s.io", "endpointslices"),
    _rule(_READ, "apps", f"controllerrevisions daemonsets {_SCALED}"),
    _rule(_READ, "apps", "daemonsets/status deployments/status replicasets/status statefulsets/status"),
    _rule(_READ, "autoscaling", _with("status", "horizontalpodautoscalers")),
    _rule(_READ, "batch", _with("status", "cronjobs jobs")),
    _rule(_READ, "policy", _with("status", "poddisruptionbudgets")),
    _rule(_READ, "networking.k8s.io", f"networkpolicies {_with('status', 'ingresses')}"),
)
_EDIT = (
    _rule(_READ, "", f"{_STREAMS} secrets"),
    _rule("impersonate", "", "serviceaccounts"),
    _rule(_WRITE, "", f"{_CORE} {_STREAMS} events secrets {_with('scale', 'replicationcontrollers')}"),
    _rule("create", "", "pods/eviction serviceaccounts/token"),
    _rule(_WRITE, "apps", f"daemonsets deployments/rollback {_SCALED}"),
    _rule(_WRITE, "autoscaling", "horizontalpodautoscalers"),
    _rule(_WRITE, "batch", "cronjobs jobs"),
    _rule(_WRITE, "policy", "poddisruptionbudgets"),
    _rule(_WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    _rule(f"{_WRITE} {_READ}", "coordination.k8s.io", "leases"),
)
_ADMIN = (
    _rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
    _rule(f"{_WRITE} {_READ}", _RBAC, "rolebindings roles"),
)

_ROLES: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("cluster-admin", EVERYTHING),
    ("system:discovery", _urls("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *_OPEN)),
    ("system:public-info-viewer", _urls(*_OPEN)),
    (
        "system:basic-user",
        (
            _rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
            _rule("create", "authentication.k8s.io", "selfsubjectreviews"),
        ),
    ),
    (
        "system:auth-delegator",
        (
            _rule("create", "authentication.k8s.io", "tokenreviews"),
            _rule("create", "authorization.k8s.io", "subjectaccessreviews"),
        ),
    ),
    (
        "system:service-account-issuer-discovery",
        _urls("/.well-known/openid-configuration", "/openid/v1/jwks"),
    ),
)
_MEASURES = _rule(_READ, "metrics.k8s.io", "nodes pods")  # a role by itself, as metrics-server brings it
_AGGREGATED: tuple[tuple[str, tuple[Rule, ...], str], ...] = (
    # name, the rules of its own part, the role that contains it
    ("view", _VIEW, "edit"),
    ("edit", _EDIT, "admin"),
    ("admin", _ADMIN, ""),
)
_BINDINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    # role and binding, groups
    ("cluster-admin", ("system:masters",)),
    ("system:discovery", ("system:authenticated",)),
    ("system:basic-user", ("system:authenticated",)),
    ("system:public-info-viewer", ("system:authenticated", "system:unauthenticated")),
    ("system:service-account-issuer-discovery", ("system:serviceaccounts",)),
)


def cluster_roles() -> list[Obj]:
    """Aggregated roles come with their rules, so that they hold from the first moment."""
    found = [_role(name, rules) for name, rules in _ROLES]
    found.append(_role("system:aggregated-metrics-reader", (_MEASURES,), f"{_AGGREGATE}view"))
    for name, rules, wider in _AGGREGATED:
        found.append(_role(f"system:aggregate-to-{name}", rules, f"{_AGGREGATE}{name}"))
        whole = _role(name, (), f"{_AGGREGATE}{wider}" if wider else "")
        selector = {"matchLabels": {f"{_AGGREGATE}{name}": "true"}}
        whole |= {"aggregationRule": {"clusterRoleSelectors": [selector]}}
        found.append(whole | {"rules": gathered(whole, sorted(found, key=name_of))})
    return found


def cluster_role_bindings() -> list[Obj]:
    return [_binding(name, groups) for name, groups in _BINDINGS]


def _role(name: str, rules: Iterable[Rule], label: str = "") -> Obj:
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": _LABELS | ({label: "true"} if label else {}), "annotations": _ANNOTATIONS},
        "rules": [rule.to_obj() for rule in rules],
    }


def _binding(name: str, groups: tuple[str, ...]) -> Obj:
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": _LABELS, "annotations": _ANNOTATIONS},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": group} for group in groups],
    }
