"""Which pods are base and which are canary, and what their versions are called.

Pure. In: a `View`. Out: the Deployments behind a Service, `Role` and readiness of a pod, "v1 → v2" in words. A canary
is a Deployment that carries OpenKruise's label `rollouts.kruise.io/canary-deployment: <stable name>`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from graylane.kit.cache import View
from graylane.model.kinds import DEPLOYMENT, POD, REPLICA_SET, Kind
from graylane.model.meta import (
    Obj,
    controller_of,
    dig,
    is_deleting,
    is_true,
    key_of,
    labels_of,
    name_of,
    namespace_of,
)
from graylane.model.revisions import POD_TEMPLATE_HASH
from graylane.model.rollout import CANARY_DEPLOYMENT
from graylane.model.selectors import LabelSelector

_RESTARTED = "kubectl.kubernetes.io/restartedAt"
_VERSION_LABELS = ("app.kubernetes.io/version", "version")


class Role(StrEnum):
    """What a pod is to the release that owns it."""

    BASE = "base"
    CANARY = "canary"


@dataclass(frozen=True, slots=True)
class Group:
    """The pods of one role behind one Service: how many are ready, how many are wanted."""

    ready: int
    wanted: int
    pods: tuple[Obj, ...] = ()

    def __str__(self) -> str:
        return f"{self.ready}/{self.wanted}" if self.ready or self.wanted else "-"


def stable_deployments(view: View, service: Obj) -> list[Obj]:
    """The Deployments, canaries aside, whose pods the Service selects."""
    wanted = dig(service, "spec", "selector", default={})
    if not wanted:
        return []
    # Pinned to one ReplicaSet's pods for a release with routes of its own; a Deployment's template never has the label.
    selector = LabelSelector.of_map({name: text for name, text in wanted.items() if name != POD_TEMPLATE_HASH})
    labels = (_label(namespace_of(service), *label) for label in wanted.items() if label[0] != POD_TEMPLATE_HASH)
    one = min(labels, default="")
    candidates = view.found_by(DEPLOYMENT, _by_pod_label, one) if one else view.list(DEPLOYMENT, namespace_of(service))
    return [item for item in candidates if not is_canary(item) and selector.matches(_pod_labels(item))]


def is_canary(deployment: Obj) -> bool:
    return CANARY_DEPLOYMENT in labels_of(deployment)


def _pod_labels(deployment: Obj) -> dict[str, str]:
    return dig(deployment, "spec", "template", "metadata", "labels", default={})  # type: ignore[no-any-return]


def _by_pod_label(deployment: Obj) -> Iterator[str]:
    yield from (_label(namespace_of(deployment), *label) for label in _pod_labels(deployment).items())


def _label(namespace: str, name: str, value: str) -> str:
    return f"{namespace} {name}={value}"


def canaries_of(view: View, deployment: Obj) -> list[Obj]:
    """Canary Deployments of a stable one, the ones on their way out last."""
    selector = LabelSelector.of_map({CANARY_DEPLOYMENT: name_of(deployment)})
    return sorted(view.list(DEPLOYMENT, namespace_of(deployment), selector), key=is_deleting)


def role_of(view: View, pod: Obj) -> Role:
    """Follows pod → ReplicaSet → Deployment; whatever is not a canary's is base."""
    deployment = deployment_of(view, pod)
    return Role.CANARY if deployment is not None and is_canary(deployment) else Role.BASE


def deployment_of(view: View, pod: Obj) -> Obj | None:
    replica_set = _controller(view, pod, REPLICA_SET.kind)
    return _controller(view, replica_set, DEPLOYMENT.kind) if replica_set is not None else None


def _controller(view: View, obj: Obj, kind: str) -> Obj | None:
    owner = controller_of(obj)
    if owner is None or owner.get("kind") != kind:
        return None
    table = {REPLICA_SET.kind: REPLICA_SET, DEPLOYMENT.kind: DEPLOYMENT}
    return view.get(table[kind], namespace_of(obj), str(owner.get("name")))


def is_ready(pod: Obj) -> bool:
    return not is_deleting(pod) and is_true(pod, "Ready")


def group(view: View, deployments: list[Obj]) -> Group:
    """Pods and counts of some Deployments taken together. Pods on their way out are not counted."""
    sets = [replica_set for item in deployments for replica_set in _replica_sets(view, item)]
    found = [pod for item in sets for pod in _controlled(view, POD, REPLICA_SET, item) if not is_deleting(pod)]
    pods = tuple(sorted(found, key=key_of))
    wanted = sum(int(dig(item, "spec", "replicas", default=1)) for item in deployments if not is_deleting(item))
    return Group(sum(map(is_ready, pods)), wanted, pods)


def versions(view: View, stable: Obj, canaries: list[Obj]) -> str:
    """`base`, or `base → canary` while a release is on: the first thing that tells the two templates apart.

    Tried in order: an environment variable named version, image tags, version labels, the pods' revision hash.
    """
    old = _names(running_template(view, stable))
    live = next((item for item in canaries if not is_deleting(item)), None)
    if live is None:
        return next(filter(None, old), "-")
    new = _names(dig(live, "spec", "template", default={}))
    for before, after in zip(old, new, strict=True):
        if before != after:
            return f"{before or '-'} → {after or '-'}"
    return f"{_revision(view, stable)} → {_revision(view, live)}"


def version_of(pod: Obj) -> str:
    """What one pod says of itself: its variable named version, else its version label, else its image's tag.

    After a promotion the label is still that of base; the variable is what the service answers.
    """
    variable, tag, *_ = _names(pod)
    return next(filter(None, (variable, *version_labels(pod).values(), tag)), "")


def version_labels(pod: Obj) -> dict[str, str]:
    """The labels by which routes tell versions apart."""
    return {name: value for name, value in labels_of(pod).items() if name in _VERSION_LABELS}


def name_of_template(template: Obj) -> str:
    """What people call one template's version; "" where nothing names it."""
    return next(filter(None, _names(template)), "")


def name_of_change(old: Obj, new: Obj) -> str:
    """What people call the version that `new` is, beside `old`: the first name that tells the two apart.

    Where none does: what was changed, e.g. `mode=fast` for a variable. "" when nothing differs.
    """
    names = zip(_names(old), _names(new), strict=True)
    return next((after for before, after in names if after and before != after), "") or _changed(old, new)


def _changed(old: Obj, new: Obj) -> str:
    containers: dict[str, Obj] = {each["name"]: each for each in dig(old, "spec", "containers", default=[])}
    for container in dig(new, "spec", "containers", default=[]):
        was = containers.get(container["name"], {})
        for entry in container.get("env") or []:
            if entry not in (was.get("env") or []):
                return f"{entry.get('name')}={entry['value']}" if "value" in entry else f"variable {entry.get('name')}"
        if field := next((field for field in container if container[field] != was.get(field)), ""):
            return f"{field} of {container['name']}"
    for kind in ("annotations", "labels"):
        before, after = (dig(template, "metadata", kind, default={}) for template in (old, new))
        if name := next((name for name, text in after.items() if before.get(name) != text), ""):
            return "restarted" if name == _RESTARTED else f"{name}={after[name]}"
    return ""


def _names(template: Obj) -> tuple[str, ...]:
    """What people call a template's version, best name first; "" where a kind of name is not given."""
    containers = dig(template, "spec", "containers", default=[])
    variables = [entry for container in containers for entry in container.get("env") or []]
    labels = dig(template, "metadata", "labels", default={})
    return (
        ",".join(str(entry.get("value", "")) for entry in variables if entry.get("name", "").lower() == "version"),
        ",".join(_tag(str(container.get("image", ""))) for container in containers),
        *(str(labels.get(label, "")) for label in _VERSION_LABELS),
    )


def _tag(image: str) -> str:
    """`repo/app:1.0@sha256:…` → `1.0`; an untagged image is `latest`."""
    last = image.partition("@")[0].rpartition("/")[2]
    return last.partition(":")[2] or "latest"


def running_template(view: View, deployment: Obj) -> Obj:
    """The template of the pods that run: a Deployment held at admission already shows the new one."""
    sets = [item for item in _replica_sets(view, deployment) if dig(item, "status", "replicas", default=0)]
    if len(sets) != 1:
        return dig(deployment, "spec", "template", default={})  # type: ignore[no-any-return]
    return dig(sets[0], "spec", "template", default={})  # type: ignore[no-any-return]


def _replica_sets(view: View, deployment: Obj) -> list[Obj]:
    return _controlled(view, REPLICA_SET, DEPLOYMENT, deployment)


def _controlled(view: View, kind: Kind, owners: Kind, owner: Obj) -> list[Obj]:
    """By the owner's name, as the rest of this module: a view may be of manifests, which have no uids."""
    return view.found_by(kind, _by_controller, f"{owners.kind} {namespace_of(owner)}/{name_of(owner)}")


def _by_controller(obj: Obj) -> Iterator[str]:
    if owner := controller_of(obj):
        yield f"{owner.get('kind')} {namespace_of(obj)}/{owner.get('name')}"


def _revision(view: View, deployment: Obj) -> str:
    hashes = [
        str(labels_of(item).get("pod-template-hash", ""))
        for item in _replica_sets(view, deployment)
        if dig(item, "status", "replicas", default=0)
    ]
    return hashes[0] if hashes else "-"
