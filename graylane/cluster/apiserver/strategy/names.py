"""Which names, labels and annotations an object may have.

Pure. In: a `Resource` and metadata. Out: field errors. How things are spelled is known to `schema/validate/syntax.py`;
which kind follows which spelling is here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.schema.fielderror import FieldError, invalid, required, too_long
from graylane.cluster.apiserver.schema.validate import syntax
from graylane.cluster.apiserver.schema.validate.checks import spelled
from graylane.model.meta import Obj

Sentences = Callable[[str], Iterable[str]]

_GENERATED_MAX = 63 - 5
_ANNOTATIONS_MAX = 256 * 1024
_SERVICE_NAME = "[a-z]([-a-z0-9]*[a-z0-9])?"


def _service_name(name: str) -> Iterator[str]:
    """Stricter than other names: it becomes a DNS label and part of environment variables."""
    if len(name) > 63:
        yield "must be no more than 63 characters"
    if not re.fullmatch(_SERVICE_NAME, name):
        yield (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
            f"validation is '{_SERVICE_NAME}')"
        )


def _path_segment(name: str) -> Iterator[str]:
    """RBAC names such as `system:masters` need only fit into a URL."""
    if name in (".", ".."):
        yield f"may not be '{name}'"
    yield from (f"may not contain '{char}'" for char in "/%" if char in name)


_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_BY_STORE: dict[str, Sentences] = {"namespaces": syntax.label, "services": _service_name}
_BY_GROUP: dict[str, Sentences] = {"rbac.authorization.k8s.io": _path_segment}


def syntax_of(resource: Resource) -> Sentences:
    return _BY_STORE.get(resource.store) or _BY_GROUP.get(resource.group) or syntax.subdomain


def generated(base: str, suffix: str) -> str:
    """`generateName` and five random letters, cut so that it still is a label."""
    return base[:_GENERATED_MAX] + suffix


def check_name(resource: Resource, metadata: Obj) -> list[FieldError]:
    name = metadata.get("name")
    if not name:
        return [required("metadata.name", "name or generateName is required")]
    return list(spelled(name, "metadata.name", syntax_of(resource)))


def check_finalizers(metadata: Obj) -> list[FieldError]:
    """Kubernetes' own have plain names, everybody else's are qualified by a domain."""
    errors: list[FieldError] = []
    for index, name in enumerate(metadata.get("finalizers") or ()):
        errors += spelled(name, "metadata.finalizers", syntax.label_key)
        if "/" not in name and name not in _STANDARD_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid(f"metadata.finalizers[{index}]", name, detail))
    return errors


def check_maps(metadata: Obj) -> list[FieldError]:
    """Labels and annotations: keys are qualified names, label values are short, annotations have a total size."""
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    errors: list[FieldError] = []
    for key, value in labels.items():
        errors += spelled(key, "metadata.labels", syntax.label_key)
        errors += spelled(value, "metadata.labels", syntax.label_value)
    for key in annotations:
        errors += spelled(key, "metadata.annotations", lambda key: syntax.label_key(key.lower()))
    if sum(len(key) + len(value) for key, value in annotations.items()) > _ANNOTATIONS_MAX:
        errors.append(too_long("metadata.annotations", _ANNOTATIONS_MAX))
    return errors
