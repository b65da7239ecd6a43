"""Which webhooks want to see a change.

Pure. In: a webhook as its configuration object describes it, and what is about to change. Out: yes or no.
"""

from __future__ import annotations

from dataclasses import dataclass

from graylane.model.meta import Obj, labels_of
from graylane.model.selectors import LabelSelector


@dataclass(frozen=True, slots=True)
class Subject:
    """A change, as far as rules look at it. `namespace_labels` is None for cluster-scoped objects."""

    operation: str
    group: str
    version: str
    plural: str
    subresource: str
    namespaced: bool
    namespace_labels: dict[str, str] | None
    obj: Obj | None
    old: Obj | None


def wants(webhook: Obj, subject: Subject) -> bool:
    return (
        any(_rule_matches(rule, subject) for rule in webhook.get("rules") or [])
        and _namespace_matches(webhook.get("namespaceSelector"), subject)
        and _object_matches(webhook.get("objectSelector"), subject)
    )


def _rule_matches(rule: Obj, subject: Subject) -> bool:
    scope = rule.get("scope", "*")
    return (
        _covers(rule.get("operations"), subject.operation)
        and _covers(rule.get("apiGroups"), subject.group)
        and _covers(rule.get("apiVersions"), subject.version)
        and scope in ("*", "Namespaced" if subject.namespaced else "Cluster")
        and any(_names(pattern, subject) for pattern in rule.get("resources") or [])
    )


def _covers(patterns: list[str] | None, value: str) -> bool:
    return "*" in (patterns or []) or value in (patterns or [])


def _names(pattern: str, subject: Subject) -> bool:
    """`pods`, `pods/status`, `pods/*`, `*/scale`, `*` (no subresource), `*/*`."""
    plural, slash, subresource = pattern.partition("/")
    if plural not in ("*", subject.plural):
        return False
    if not slash:
        return subject.subresource == ""
    return subresource in ("*", subject.subresource)


def _namespace_matches(selector: Obj | None, subject: Subject) -> bool:
    if not selector or subject.namespace_labels is None:
        return True
    return LabelSelector.of(selector).matches(subject.namespace_labels)


def _object_matches(selector: Obj | None, subject: Subject) -> bool:
    """Either state of the object may match, so that removing a label does not slip past the webhook."""
    if not selector:
        return True
    wanted = LabelSelector.of(selector)
    return any(wanted.matches(labels_of(obj)) for obj in (subject.obj, subject.old) if obj is not None)
