"""ConfigMaps, Secrets, roles, budgets, leases and priority classes.

Pure. In: the new object and, on update, the old one. Out: field errors. Follows Kubernetes 1.32.
"""

from __future__ import annotations

from graylane.cluster.apiserver.schema.fielderror import (
    forbidden,
    invalid,
    required,
    too_long,
)
from graylane.cluster.apiserver.schema.validate import syntax
from graylane.cluster.apiserver.schema.validate.checks import (
    Errors,
    every,
    needed,
    one_of,
    selector,
    spelled,
    unchanged,
)
from graylane.model.meta import Obj, annotations_of, dig

_MAX_SIZE = 1 << 20
_RBAC = "rbac.authorization.k8s.io"
_SECRET_KEYS: dict[str, tuple[str, ...]] = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_ACCOUNT_NAME = "kubernetes.io/service-account.name"


def config_map(new: Obj, old: Obj | None) -> Errors:
    for name in ("data", "binaryData"):
        yield from _keys(new, name)
    both = set(new.get("data") or ()) & set(new.get("binaryData") or ())
    yield from (invalid(f"data[{key}]", key, "duplicate of key present in binaryData") for key in sorted(both))
    if _size(new, "data") + _size(new, "binaryData") > _MAX_SIZE:
        yield too_long("", _MAX_SIZE)
    yield from _frozen(new, old, ("data", "binaryData"))


def secret(new: Obj, old: Obj | None) -> Errors:
    yield from unchanged(new, old, "type")
    yield from _keys(new, "data")
    if _size(new, "data") * 3 // 4 > _MAX_SIZE:  # what counts is the size before base64
        yield too_long("data", _MAX_SIZE)
    data, kind = new.get("data") or {}, new.get("type", "")
    yield from (required(f"data[{key}]") for key in _SECRET_KEYS.get(kind, ()) if key not in data)
    if kind == "kubernetes.io/service-account-token" and not annotations_of(new).get(_ACCOUNT_NAME):
        yield required(f"metadata.annotations[{_ACCOUNT_NAME}]")
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        yield from (required(f"data[{key}]") for key in ("username", "password"))
    yield from _frozen(new, old, ("data",))


def _keys(obj: Obj, name: str) -> Errors:
    for key in obj.get(name) or ():
        if syntax.config_key(key):
            yield from spelled(key, f"{name}[{key}]", syntax.config_key)


def _size(obj: Obj, name: str) -> int:
    return sum(map(len, (obj.get(name) or {}).values()))


def _frozen(new: Obj, old: Obj | None, fields: tuple[str, ...]) -> Errors:
    if old is None or not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield forbidden("immutable", "field is immutable when `immutable` is set")
    for name in fields:
        if (new.get(name) or {}) != (old.get(name) or {}):
            yield forbidden(name, "field is immutable when `immutable` is set")


def role(new: Obj, old: Obj | None) -> Errors:
    for index, rule in enumerate(new.get("rules") or ()):
        path = f"rules[{index}]"
        if not rule.get("verbs"):
            yield required(f"{path}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            continue
        if not rule.get("apiGroups"):
            yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield required(f"{path}.resources", "resource rules must supply at least one resource")


def binding(new: Obj, old: Obj | None) -> Errors:
    reference = new.get("roleRef") or {}
    kinds = ("Role", "ClusterRole") if new.get("kind") == "RoleBinding" else ("ClusterRole",)
    if reference.get("apiGroup") != _RBAC:
        yield from one_of(reference, "apiGroup", "roleRef", (_RBAC,))
    yield from one_of(reference, "kind", "roleRef", kinds)
    yield from needed(reference, "name", "roleRef")
    if old is not None and reference != old.get("roleRef"):
        found = {name: reference.get(name[0].lower() + name[1:], "") for name in ("Kind", "Name")}
        yield invalid("roleRef", {"APIGroup": reference.get("apiGroup", ""), **found}, "cannot change roleRef")
    yield from every(new, "subjects", "", _subject)


def _subject(subject: Obj, path: str) -> Errors:
    yield from needed(subject, "name", path)
    yield from one_of(subject, "kind", path, ("ServiceAccount", "User", "Group"))
    if subject.get("kind") == "ServiceAccount":
        yield from needed(subject, "namespace", path)


def disruption_budget(new: Obj, old: Obj | None) -> Errors:
    spec = new.get("spec") or {}
    bounds = [name for name in ("minAvailable", "maxUnavailable") if spec.get(name) is not None]
    if len(bounds) == 2:
        yield invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for name in bounds:
        yield from spelled(spec[name], f"spec.{name}", syntax.int_or_percent)
    yield from selector(spec.get("selector") or {}, "spec.selector")


def lease(new: Obj, old: Obj | None) -> Errors:
    duration = dig(new, "spec", "leaseDurationSeconds")
    if duration is not None and duration <= 0:
        yield invalid("spec.leaseDurationSeconds", duration, "must be greater than 0")
    transitions = dig(new, "spec", "leaseTransitions")
    if transitions is not None and transitions < 0:
        yield invalid("spec.leaseTransitions", transitions, syntax.NOT_NEGATIVE)


def priority_class(new: Obj, old: Obj | None) -> Errors:
    value = new.get("value", 0)
    if old is not None and value != old.get("value", 0):
        yield forbidden("value", "may not be changed in an update.")
    if value > 1_000_000_000 and not new["metadata"].get("name", "").startswith("system-"):
        limit = "maximum allowed value of a user defined priority is 1000000000"
        yield forbidden("value", limit)
