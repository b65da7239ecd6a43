"""Which objects of a kind a list, watch or deletecollection is about.

Pure. In: a call's query. Out: `Selection`, which says yes or no to one entry.
"""

from __future__ import annotations

from dataclasses import dataclass

from graylane.cluster.apiserver import fields
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.render import View
from graylane.cluster.apiserver.store import Entry
from graylane.model.meta import Obj
from graylane.model.selectors import FieldSelector, LabelSelector


@dataclass(frozen=True, slots=True)
class Selection:
    """`namespace` "" means all. `name` comes from a name in the path (a watch of one object)."""

    namespace: str
    name: str
    labels: LabelSelector
    fields: FieldSelector

    @staticmethod
    def of(call: Call) -> Selection:
        query = call.request.query
        return Selection(
            namespace=call.key.namespace,
            name=call.target.name,
            labels=LabelSelector.parse(query.text("labelSelector")),
            fields=fields.selector(call.resource, call.api.registry.custom(call.resource), query.text("fieldSelector")),
        )

    @property
    def everything(self) -> bool:
        return self.labels.empty and not self.fields.terms and not self.name

    def concerns(self, entry: Entry) -> bool:
        """Namespace and name fit: what an object's labels and fields cannot change."""
        return self.namespace in ("", entry.key.namespace) and self.name in ("", entry.key.name)

    def includes(self, entry: Entry) -> bool:
        if not self.concerns(entry):
            return False
        if self.fields.terms and not self.fields.matches(self._fields_of(entry)):
            return False
        return self.labels.empty or self.labels.matches(entry.labels)

    def _fields_of(self, entry: Entry) -> Obj:
        """Name and namespace, what nearly all selectors ask for, are known without reading the object."""
        if fields.EVERY_KIND.issuperset(self.fields.fields):
            return {"metadata": entry.key._asdict()}
        return entry.obj


def view_of(call: Call) -> View:
    """How the caller sees the objects."""
    custom = call.api.registry.custom(call.resource)
    return View(
        resource=call.resource,
        wanted=call.wanted,
        now=call.api.clock(),
        include=call.request.query.text("includeObject") or "Metadata",
        columns=(custom.columns or ()) if custom else None,
    )
