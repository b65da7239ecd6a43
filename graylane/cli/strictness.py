"""What an API server would refuse of manifests, before any of them is sent to one.

Pure. In: manifests. Out: findings by object: unknown fields, wrong types and values, kinds that are not served, as
`kubectl apply` would be told. Schemas are those of the embedded API server and of CRDs among the manifests themselves;
objects of groups that neither knows are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from graylane.cluster.apiserver.schema import defaults
from graylane.cluster.apiserver.schema.fielderror import DECODE, TYPE_INVALID
from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.cluster.apiserver.schema.validate import builtin
from graylane.install import shipped_crds
from graylane.mesh.findings import Finding, invalid
from graylane.model.kinds import CRD
from graylane.model.meta import Obj, dig

_ISTIO = "networking.istio.io"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is refused of one object. One that is not `sound` is not looked at any further: its fields mean nothing."""

    findings: tuple[Finding, ...]
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Served:
    """Schemas of custom kinds by apiVersion and kind, and every group that is known."""

    custom: dict[tuple[str, str], Obj]
    groups: frozenset[str]
    _compiled: dict[tuple[str, str], Structural] = field(default_factory=dict)

    def schema(self, obj: Obj) -> Structural | None:
        key = version, kind = str(obj["apiVersion"]), str(obj["kind"])
        if key not in self.custom:
            group, _, name = version.rpartition("/")
            return Schemas.load().of(group, name, kind)
        if key not in self._compiled:
            self._compiled[key] = Structural.from_crd(self.custom[key])
        return self._compiled[key]


def served(objects: Iterable[Obj]) -> Served:
    found: dict[tuple[str, str], Obj] = {}
    for crd in (*shipped_crds(), *filter(_is_crd, objects)):
        group, kind = dig(crd, "spec", "group", default=""), dig(crd, "spec", "names", "kind", default="")
        for version in dig(crd, "spec", "versions", default=[]):
            schema = dig(version, "schema", "openAPIV3Schema", default={})
            found[f"{group}/{version.get('name')}", kind] = schema
    built_in = {group for group, _, _ in Schemas.load().components.kinds}
    return Served(found, frozenset(built_in | {version.rpartition("/")[0] for version, _ in found}))


def _gaps(value: Any, path: str) -> Iterator[str]:
    """Entries of lists that are null: Kubernetes decodes them, and then misses everything in them."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _gaps(below, f"{path}.{name}".removeprefix("."))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from (f"{path}[{index}]",) if below is None else _gaps(below, f"{path}[{index}]")


def _is_crd(obj: Obj) -> bool:
    schema = Schemas.load().of(CRD.group, CRD.version, CRD.kind)
    named = (obj["apiVersion"], obj["kind"]) == (CRD.api_version, CRD.kind)
    return named and schema is not None and not schema.check(obj)


def judged(known: Served, obj: Obj) -> Judgement:
    schema, group = known.schema(obj), obj["apiVersion"].rpartition("/")[0]
    if schema is None:
        if group not in known.groups:
            return Judgement(())
        told = f'no matches for kind "{obj["kind"]}" in version "{obj["apiVersion"]}"'
        return Judgement((invalid(told),), sound=False)
    if gap := next(_gaps(obj, ""), ""):
        return Judgement((invalid(f"{gap}: Invalid value: null"),), sound=False)
    mistakes = schema.check(obj)
    if not mistakes and not schema.custom:
        mistakes = builtin(group, obj["kind"], defaults.apply(group, obj["kind"], schema.prune(obj)), None)
    if mistakes:
        types_fit = not any(each.type in (DECODE, TYPE_INVALID) for each in mistakes)
        # Istio's own rules say more of its objects, so that these are looked at as far as they can be read.
        sound = types_fit and (group == _ISTIO or not schema.custom)
        return Judgement(tuple(invalid(str(mistake)) for mistake in mistakes), sound)
    return Judgement(tuple(invalid(f'unknown field "{path}"') for path in schema.unknown(obj)))
