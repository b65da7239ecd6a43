"""Pod specs, as pods have them and as templates have them.

Pure. In: a spec or template and its path. Out: field errors. Follows core/v1 validation of Kubernetes 1.32.
"""

from __future__ import annotations

from graylane.cluster.apiserver.schema.fielderror import duplicate, forbidden, invalid, required
from graylane.cluster.apiserver.schema.validate import syntax
from graylane.cluster.apiserver.schema.validate.checks import Errors, given, labels, needed, one_of
from graylane.cluster.apiserver.schema.validate.containers import container, running
from graylane.model.meta import Obj, dig

RESTART = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")


def pod(new: Obj, old: Obj | None) -> Errors:
    """A pod is judged when it is created; later only what may change, which is the strategy's business."""
    if old is not None:
        return
    spec = new.get("spec") or {}
    yield from pod_spec(spec, "spec")
    for name in ("containers", "initContainers"):
        for index, one in enumerate(spec.get(name) or ()):
            image = one.get("image") or ""
            if image != image.strip():
                where = f"spec.{name}[{index}].image"
                yield invalid(where, image, "must not have leading or trailing whitespace")


def template(found: Obj | None, path: str) -> Errors:
    found = found or {}
    yield from labels(dig(found, "metadata", "labels"), f"{path}.labels")
    yield from pod_spec(found.get("spec") or {}, f"{path}.spec")


def pod_spec(spec: Obj, path: str) -> Errors:
    volumes: set[str] = set()
    yield from _volumes(spec, path, volumes)
    known = frozenset(volumes)
    yield from _containers(spec, path, known)
    yield from _init_containers(spec, path, known)
    yield from one_of(spec, "restartPolicy", path, RESTART)
    yield from one_of(spec, "dnsPolicy", path, _DNS)
    yield from labels(spec.get("nodeSelector"), f"{path}.nodeSelector")
    for name in ("serviceAccountName", "nodeName"):
        if spec.get(name):
            yield from given(spec, name, path, syntax.subdomain)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2147483647:
        yield invalid(f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive")


def _containers(spec: Obj, path: str, volumes: frozenset[str]) -> Errors:
    found = spec.get("containers") or []
    if not found:
        yield required(f"{path}.containers")
    names: set[str] = set()
    for index, one in enumerate(found):
        where = f"{path}.containers[{index}]"
        yield from container(one, where, volumes)
        if one.get("name") and one["name"] in names:
            yield duplicate(f"{where}.name", one["name"])
        names.add(one.get("name") or "")
        yield from running(one, where)
        if one.get("restartPolicy") is not None:
            yield forbidden(f"{where}.restartPolicy", "may not be set for non-init containers")


def _init_containers(spec: Obj, path: str, volumes: frozenset[str]) -> Errors:
    """Their names must differ from those of all containers; only those that restart may have probes and hooks."""
    names = {one.get("name") for one in spec.get("containers") or ()}
    for index, one in enumerate(spec.get("initContainers") or ()):
        where = f"{path}.initContainers[{index}]"
        yield from container(one, where, volumes)
        if one.get("name") and one["name"] in names:
            yield duplicate(f"{where}.name", one["name"])
        names.add(one.get("name"))
        if one.get("restartPolicy") == "Always":
            yield from running(one, where)
            continue
        for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if one.get(name) is not None:
                yield forbidden(f"{where}.{name}", "may not be set for init containers without restartPolicy=Always")


def _volumes(spec: Obj, path: str, good: set[str]) -> Errors:
    """Leaves the names of faultless volumes in `good`; only those can be mounted, or be given twice."""
    for index, volume in enumerate(spec.get("volumes") or ()):
        found = list(_volume(volume, f"{path}.volumes[{index}]", good))
        yield from found
        if not found:
            good.add(volume["name"])


def _volume(volume: Obj, where: str, taken: set[str]) -> Errors:
    sources = [name for name in volume if name != "name"]
    if not sources:
        yield required(where, "must specify a volume type")
    for extra in sources[1:]:
        yield forbidden(f"{where}.{extra}", "may not specify more than 1 volume type")
    for name, key in (("configMap", "name"), ("secret", "secretName"), ("persistentVolumeClaim", "claimName")):
        if name in sources[:1]:
            yield from needed(volume[name], key, f"{where}.{name}")
    yield from needed(volume, "name", where, syntax.label)
    if volume.get("name") in taken:
        yield duplicate(f"{where}.name", volume["name"])
