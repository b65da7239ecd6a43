"""The schema of each served kind, built-in or custom, compiled once.

Pure, with a memory. In: a `Resource`. Out: its `Structural`. Custom kinds are compiled when first needed and again when
their definition changes.
"""

from __future__ import annotations

from graylane.cluster.apiserver.registry import CustomVersion, Registry
from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.schema import celrules, defaults, validate
from graylane.cluster.apiserver.schema.fielderror import FieldError
from graylane.cluster.apiserver.schema.node import ABSENT
from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.errors import InternalError
from graylane.model.meta import Obj


class Types:
    """`of` gives the schema; `complete` fills in every default a kind has."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._built_in = Schemas.load()
        self._custom: dict[tuple[str, str, str], tuple[CustomVersion, Structural]] = {}

    def of(self, resource: Resource) -> Structural:
        custom = self._registry.custom(resource)
        if custom is not None:
            return self._compiled(resource, custom)
        found = self._built_in.of(resource.group, resource.version, resource.kind)
        if found is None:
            raise InternalError(f"no schema is shipped for {resource.api_version} {resource.kind}")
        return found

    def complete(self, resource: Resource, obj: Obj) -> Obj:
        if resource.custom:
            return self.of(resource).default(obj)
        return self.of(resource).written(defaults.apply(resource.group, resource.kind, obj))

    def problems(self, resource: Resource, new: Obj, old: Obj | None) -> list[FieldError]:
        """What is wrong with an object of the right types, e.g. a selector that does not match its template."""
        if not resource.custom:
            return validate.builtin(resource.group, resource.kind, new, old)
        rules = self.of(resource).rules
        return list(celrules.check(rules, new, ABSENT if old is None else old)) if rules is not None else []

    def _compiled(self, resource: Resource, custom: CustomVersion) -> Structural:
        key = (resource.group, resource.version, resource.plural)
        known = self._custom.get(key)
        if known is None or known[0] is not custom:
            known = (custom, Structural.from_crd(custom.schema or None))
            self._custom[key] = known
        return known[1]
