"""What somebody wants to do, as far as the right to do it is concerned.

Pure. In: a request's verb and path, or the attributes in a review. Out: `Attributes`, and the sentence that refuses
them in kube-apiserver's words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graylane.cluster.apiserver.exchange import Query, User
from graylane.cluster.apiserver.paths import Target
from graylane.errors import BadRequest, Forbidden
from graylane.model.selectors import FieldSelector

_SELECTING = ("list", "watch", "deletecollection")


@dataclass(frozen=True, slots=True)
class Attributes:
    """`resource` "" means a path outside resources, e.g. `/version`; then only `verb` and `path` count."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    namespace: str = ""
    path: str = ""

    @property
    def combined(self) -> str:
        """`pods/log`, as rules name it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    @property
    def qualified(self) -> str:
        """`deployments.apps`, as messages name it."""
        return f"{self.resource}.{self.group}" if self.group else self.resource


def of_target(target: Target, verb: str, query: Query) -> Attributes:
    """A list of the one object that `metadata.name=x` selects may be allowed by a rule with resourceNames."""
    return Attributes(
        verb=verb,
        group=target.group,
        resource=target.plural,
        subresource=target.subresource,
        name=target.name or (_selected_name(query) if verb in _SELECTING else ""),
        namespace=target.namespace,
    )


def of_path(method: str, path: str) -> Attributes:
    return Attributes(verb=method.lower(), path=path)


def _selected_name(query: Query) -> str:
    text = query.text("fieldSelector")
    if "metadata.name" not in text:
        return ""
    try:
        terms = FieldSelector.parse(text).terms
    except BadRequest:
        return ""  # whoever serves the request will say what is wrong with it
    names = [value for field, equal, value in terms if field == "metadata.name" and equal]
    return names[0] if len(names) == 1 else ""


def of_review(spec: Mapping[str, Any]) -> Attributes:
    """`resourceAttributes` or `nonResourceAttributes` of a SubjectAccessReview."""
    wanted = spec.get("resourceAttributes")
    if wanted is None:
        path = spec.get("nonResourceAttributes") or {}
        return Attributes(verb=path.get("verb") or "", path=path.get("path") or "")
    fields = ("verb", "group", "resource", "subresource", "name", "namespace")
    return Attributes(**{name: str(wanted.get(name) or "") for name in fields})


def sentence(user: User, asked: Attributes) -> str:
    """`User "jane" cannot list resource "pods" in API group "" in the namespace "shop"`."""
    if not asked.resource:
        return f'User "{user.name}" cannot {asked.verb} path "{asked.path}"'
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    what = f'resource "{asked.combined}" in API group "{asked.group}"'
    return f'User "{user.name}" cannot {asked.verb} {what} {where}'


def refusal(user: User, asked: Attributes, reason: str = "") -> Forbidden:
    said = sentence(user, asked) + (f": {reason}" if reason else "")
    if not asked.resource:
        return Forbidden(f"forbidden: {said}")
    named = f'{asked.qualified} "{asked.name}"' if asked.name else asked.qualified
    details = {"name": asked.name, "group": asked.group, "kind": asked.resource}
    return Forbidden(f"{named} is forbidden: {said}", details={k: v for k, v in details.items() if v})
