"""What a pod may read of itself: fields of its object, amounts of its resources.

Pure. In: the pod, one of its containers, a `fieldRef` or `resourceFieldRef`. Out: text, or `ConfigProblem` for what the
downward API does not have.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from graylane.model.meta import Obj, annotations_of, dig, labels_of, name_of, namespace_of, uid_of
from graylane.model.quantity import amount

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]\Z")
_RESOURCE = re.compile(r"(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.+)\Z")


class ConfigProblem(Exception):
    """The container cannot be created until somebody changes the pod or what it names."""


@dataclass(frozen=True, slots=True)
class Place:
    """What only the node knows about the pod; `has` is what the node has of a resource, in units of one."""

    pod_ip: str
    host_ip: str
    node_name: str
    has: Mapping[str, int]


def field_value(pod: Obj, path: str, place: Place) -> str:
    """What a `fieldRef` stands for."""
    if found := _SUBSCRIPT.match(path):
        values = labels_of(pod) if found[1] == "labels" else annotations_of(pod)
        return values.get(found[2], "")
    known = {
        "metadata.name": name_of(pod),
        "metadata.namespace": namespace_of(pod),
        "metadata.uid": uid_of(pod),
        "metadata.labels": _lines(labels_of(pod)),
        "metadata.annotations": _lines(annotations_of(pod)),
        "spec.nodeName": place.node_name,
        "spec.serviceAccountName": str(dig(pod, "spec", "serviceAccountName", default="default")),
        "status.hostIP": place.host_ip,
        "status.hostIPs": place.host_ip,
        "status.podIP": place.pod_ip,
        "status.podIPs": place.pod_ip,
    }
    if path not in known:
        raise ConfigProblem(f"fieldRef {path!r} is not supported; known are {', '.join(known)}")
    return known[path]


def resource_value(container: Mapping[str, Any], reference: Mapping[str, Any], place: Place) -> str:
    """What a `resourceFieldRef` stands for, in units of its divisor, rounded up.

    Without a limit a container may use what the node has, as Kubernetes says it; without a request it asks for its
    limit, or for nothing.
    """
    found = _RESOURCE.match(str(reference.get("resource", "")))
    if found is None:
        raise ConfigProblem(f"resourceFieldRef {reference.get('resource')!r} is not supported")
    bound, name = found.groups()
    limit = dig(container, "resources", "limits", name)
    given = limit if bound == "limits" else dig(container, "resources", "requests", name, default=limit)
    missing = place.has.get(name, 0) if bound == "limits" else 0
    divisor = amount(reference.get("divisor") or 1) or Decimal(1)
    return str(math.ceil((Decimal(missing) if given is None else amount(given)) / divisor))


def container_named(pod: Obj, name: str) -> Mapping[str, Any]:
    spec = dig(pod, "spec", default={})
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        if container.get("name") == name:
            return container  # type: ignore[no-any-return]
    raise ConfigProblem(f"the pod has no container {name!r}")


def _lines(values: Mapping[str, str]) -> str:
    """As the downward API writes maps: one `key="value"` per line, sorted."""
    quoted = {
        key: value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for key, value in values.items()
    }
    return "\n".join(f'{key}="{quoted[key]}"' for key in sorted(quoted))
