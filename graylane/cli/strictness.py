"""What an API server would refuse of manifests, before any of them is sent to one.

Pure. In: manifests. Out: findings by object: unknown fields, wrong types, kinds that are not served, as `kubectl apply`
would be told. Schemas are those of the embedded API server and of CRDs among the manifests themselves; objects of
groups that neither knows are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graylane.cluster.apiserver.schema.fielderror import DECODE, TYPE_INVALID
from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.install import shipped_crds
from graylane.mesh.findings import Finding, invalid
from graylane.model.meta import Obj, dig

_CRD = "CustomResourceDefinition"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is refused of one object. One that does not even decode cannot be looked at any further."""

    findings: tuple[Finding, ...]
    decodes: bool = True


@dataclass(frozen=True, slots=True)
class Served:
    """Schemas of custom kinds by apiVersion and kind, and every group that is known."""

    custom: dict[tuple[str, str], Obj]
    groups: frozenset[str]

    def schema(self, obj: Obj) -> Structural | None:
        version = str(obj["apiVersion"])
        if (version, obj["kind"]) in self.custom:
            return Structural.from_crd(self.custom[version, obj["kind"]])
        group, _, name = version.rpartition("/")
        return Schemas.load().of(group, name, obj["kind"])


def served(objects: Iterable[Obj]) -> Served:
    found: dict[tuple[str, str], Obj] = {}
    for crd in (*shipped_crds(), *(each for each in objects if each["kind"] == _CRD)):
        group, kind = dig(crd, "spec", "group", default=""), dig(crd, "spec", "names", "kind", default="")
        for version in dig(crd, "spec", "versions", default=[]):
            schema = dig(version, "schema", "openAPIV3Schema", default={})
            found[f"{group}/{version.get('name')}", kind] = schema
    built_in = {group for group, _, _ in Schemas.load().components.kinds}
    return Served(found, frozenset(built_in | {version.rpartition("/")[0] for version, _ in found}))


def judged(known: Served, obj: Obj) -> Judgement:
    schema = known.schema(obj)
    if schema is None:
        told = f'no matches for kind "{obj["kind"]}" in version "{obj["apiVersion"]}"'
        return Judgement((invalid(told),) * (obj["apiVersion"].rpartition("/")[0] in known.groups))
    mistakes = schema.check(obj)
    if mistakes:
        decodes = not any(each.type in (DECODE, TYPE_INVALID) for each in mistakes)
        return Judgement(tuple(invalid(str(mistake)) for mistake in mistakes), decodes)
    return Judgement(tuple(invalid(f'unknown field "{path}"') for path in schema.unknown(obj)))
