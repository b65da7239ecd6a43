"""Which fields may be selected on, kind by kind, as in Kubernetes.

Pure. In: a selector's text. Out: a `FieldSelector`, or 400 for a field that Kubernetes does not select on.
"""

from __future__ import annotations

from graylane.cluster.apiserver.registry import CustomVersion
from graylane.cluster.apiserver.resources import Resource
from graylane.errors import BadRequest
from graylane.model.selectors import FieldSelector

EVERY_KIND = frozenset(("metadata.name", "metadata.namespace"))
_INVOLVED = frozenset(
    f"involvedObject.{name}"
    for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
)
_OF_VIEWS = {"regarding": "involvedObject", "reportingController": "reportingComponent"}
_MORE: dict[str, frozenset[str]] = {
    "events": _INVOLVED | {"reason", "reportingComponent", "source", "type"},
    "jobs.batch": frozenset(("status.successful",)),
    "namespaces": frozenset(("status.phase", "name")),
    "nodes": frozenset(("spec.unschedulable",)),
    "pods": frozenset(
        (
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        )
    ),
    "replicasets.apps": frozenset(("status.replicas",)),
    "replicationcontrollers": frozenset(("status.replicas",)),
    "secrets": frozenset(("type",)),
    "services": frozenset(("spec.clusterIP", "spec.type")),
}


def selector(resource: Resource, custom: CustomVersion | None, text: str) -> FieldSelector:
    """Parsed and allowed. A custom kind adds its `selectableFields`; a view's words become those of what is stored."""
    parsed = FieldSelector.parse(text)
    if resource.view_of:
        parsed = FieldSelector(tuple((_stored(path), wanted, value) for path, wanted, value in parsed.terms))
    allowed = EVERY_KIND | _MORE.get(resource.store, frozenset())
    if custom is not None:
        allowed |= custom.selectable
    for name in parsed.fields:
        if name not in allowed:
            raise BadRequest(_refusal(resource, name))
    return parsed


def _refusal(resource: Resource, name: str) -> str:
    """Kinds with fields of their own say it in words of their own."""
    if resource.store == "jobs.batch":
        return f'field label "{name}" not supported for {resource.kind}'
    if resource.custom or resource.store in _MORE:
        return f"field label not supported: {name}"
    return f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def _stored(path: str) -> str:
    first, dot, rest = path.partition(".")
    return f"{_OF_VIEWS.get(first, first)}{dot}{rest}"
