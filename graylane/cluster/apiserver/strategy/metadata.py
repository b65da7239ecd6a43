"""`metadata`, the same for every kind: what the server fills in, what a client may not change, which names are names.

Pure. In: objects, now, fresh random text. Out: objects with server-owned metadata, field errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.schema.fielderror import FieldError, forbidden, invalid, required
from graylane.model.meta import Obj, finalizers_of, format_time, is_deleting

_OWNED_BY_SERVER = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
_NEVER_STORED = ("selfLink", "managedFields", "resourceVersion")
_GENERATED_MAX = 63 - 5

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SERVICE_LABEL = r"[a-z]([-a-z0-9]*[a-z0-9])?"


@dataclass(frozen=True, slots=True)
class NameRule:
    """One of Kubernetes' four ideas of a name, with its sentence."""

    pattern: str
    limit: int
    sentence: str

    def problems(self, name: str) -> list[str]:
        found = [f"must be no more than {self.limit} characters"] if len(name) > self.limit else []
        if not re.fullmatch(self.pattern, name):
            found.append(self.sentence)
        return found


SUBDOMAIN = NameRule(
    _SUBDOMAIN,
    253,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
)
LABEL = NameRule(
    _LABEL,
    63,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
)
SERVICE_NAME = NameRule(
    _SERVICE_LABEL,
    63,
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')",
)
PATH_SEGMENT = NameRule(r"(?!\.{1,2}$)[^/%]+", 253, "must not contain '/' or '%', nor be '.' or '..'")

_RULES = {"namespaces": LABEL, "services": SERVICE_NAME}
_PATH_SEGMENT_GROUPS = ("rbac.authorization.k8s.io",)


def name_rule(resource: Resource) -> NameRule:
    if resource.group in _PATH_SEGMENT_GROUPS:
        return PATH_SEGMENT
    return _RULES.get(resource.store, SUBDOMAIN)


def generated_name(base: str, suffix: str) -> str:
    """`generateName` and five random letters, cut so that it still is a label."""
    return base[:_GENERATED_MAX] + suffix


@dataclass(frozen=True, slots=True)
class Birth:
    """What the server gives to every new object; `suffix` is used when it asked for a generated name."""

    uid: str
    suffix: str
    now: datetime


def born(resource: Resource, obj: Obj, birth: Birth) -> Obj:
    """A new object's metadata: identity from the server, nothing from the client that only the server may say."""
    metadata = _without(obj["metadata"], _OWNED_BY_SERVER + _NEVER_STORED)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata = {**metadata, "name": generated_name(metadata["generateName"], birth.suffix)}
    metadata |= {"uid": birth.uid, "creationTimestamp": format_time(birth.now)}
    if resource.generation:
        metadata["generation"] = 1
    return {**obj, "metadata": metadata}


def carried(new: Obj, old: Obj) -> Obj:
    """An update's metadata: what only the server may say is taken from `old`, whatever the client sent."""
    before = old["metadata"]
    metadata = _without(new["metadata"], _OWNED_BY_SERVER + _NEVER_STORED)
    metadata |= {name: before[name] for name in _OWNED_BY_SERVER if name in before}
    if "namespace" in before:
        metadata["namespace"] = before["namespace"]
    metadata["name"] = before["name"]
    metadata["resourceVersion"] = before["resourceVersion"]
    return {**new, "metadata": _tidy(metadata)}


def _tidy(metadata: Obj) -> Obj:
    """Empty labels, annotations, finalizers and owners read back as absent, as Go's `omitempty` leaves them."""
    return {name: value for name, value in metadata.items() if value not in ({}, [], None)}


def _without(metadata: Obj, names: tuple[str, ...]) -> Obj:
    return {name: value for name, value in _tidy(metadata).items() if name not in names}


def bumped(resource: Resource, new: Obj, old: Obj) -> Obj:
    """`new` with the next generation if anything but metadata and status changed."""
    if not resource.generation:
        return new
    separate_status = resource.has("status")
    if _wish(new, separate_status) == _wish(old, separate_status):
        return new
    metadata = {**new["metadata"], "generation": int(old["metadata"].get("generation", 0)) + 1}
    return {**new, "metadata": metadata}


def _wish(obj: Obj, separate_status: bool) -> dict[str, Any]:
    skipped = ("apiVersion", "kind", "metadata", "status") if separate_status else ("apiVersion", "kind", "metadata")
    return {name: value for name, value in obj.items() if name not in skipped}


def check_new(resource: Resource, obj: Obj) -> list[FieldError]:
    metadata = obj["metadata"]
    name = metadata.get("name")
    if not name:
        return [required("metadata.name", "name or generateName is required")]
    return [invalid("metadata.name", name, problem) for problem in name_rule(resource).problems(name)] + _check_maps(
        metadata
    )


def check_changed(new: Obj, old: Obj) -> list[FieldError]:
    errors = _check_maps(new["metadata"])
    if is_deleting(old):
        added = [name for name in finalizers_of(new) if name not in finalizers_of(old)]
        if added:
            errors.append(
                forbidden(
                    "metadata.finalizers",
                    "no new finalizers can be added if the object is being deleted, found new finalizers "
                    f"[]string{{{', '.join(f'{chr(34)}{name}{chr(34)}' for name in added)}}}",
                )
            )
    return errors


_KEY_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_ANNOTATIONS_MAX = 256 * 1024
_VALUE_SENTENCE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_KEY_SENTENCE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def _check_maps(metadata: Obj) -> list[FieldError]:
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    errors = [error for key in labels for error in _check_key("metadata.labels", key)]
    errors += [
        invalid("metadata.labels", value, problem) for value in labels.values() for problem in _value_problems(value)
    ]
    errors += [error for key in annotations for error in _check_key("metadata.annotations", key)]
    if sum(len(key) + len(value) for key, value in annotations.items()) > _ANNOTATIONS_MAX:
        errors.append(
            FieldError(
                "metadata.annotations", "FieldValueTooLong", f"Too long: may not be more than {_ANNOTATIONS_MAX} bytes"
            )
        )
    return errors


def _value_problems(value: str) -> list[str]:
    found = ["must be no more than 63 characters"] if len(value) > 63 else []
    return found if _LABEL_VALUE.fullmatch(value) else [*found, _VALUE_SENTENCE]


def _check_key(path: str, key: str) -> list[FieldError]:
    prefix, slash, name = key.rpartition("/")
    if slash and not re.fullmatch(_SUBDOMAIN, prefix.lower() if path.endswith("annotations") else prefix):
        return [invalid(path, key, f"prefix part {SUBDOMAIN.sentence}")]
    if not _KEY_NAME.fullmatch(name):
        return [invalid(path, key, _KEY_SENTENCE)]
    return [invalid(path, key, "name part must be no more than 63 characters")] if len(name) > 63 else []
