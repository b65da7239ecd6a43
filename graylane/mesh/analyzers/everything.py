"""All findings about a cluster, or about manifests that are not applied yet.

Pure. In: lists of objects by kind. Out: `Message`s, the worst first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from graylane.chain.validation.judging import judge
from graylane.mesh import findings, meshconfig
from graylane.mesh.analyzers import doors, kubernetes, routes, workloads
from graylane.mesh.compile.plan import plan
from graylane.mesh.explain.reading import Lists, inputs_of
from graylane.mesh.findings import Finding
from graylane.mesh.inputs import MeshConfig, Source
from graylane.mesh.memo import Memo
from graylane.model.kinds import CONFIG_MAP, DEPLOYMENT
from graylane.model.meta import generation_of, key_of

_ORDER = {"ERROR": 0, "WARNING": 1, "INFO": 2}


@dataclass(frozen=True, slots=True)
class Message:
    """One finding about one object. `request` are commands that show it, where there are any."""

    kind: str
    namespace: str
    name: str
    finding: Finding
    request: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        return origin_of(self.kind, self.namespace, self.name)

    @property
    def level(self) -> str:
        return self.finding.level.capitalize()

    def __str__(self) -> str:
        return self.at("")

    def at(self, reference: str) -> str:
        """As `istioctl analyze` prints it; `reference` is `file:line`, "" for an object of a cluster."""
        origin = f"{self.origin} {reference}".rstrip()
        return f"{self.level} [{self.finding.code}] ({origin}) {self.finding.message}"

    def to_json(self, reference: str = "") -> dict[str, Any]:
        """As `istioctl analyze -o json` has it, and the requests besides."""
        told = {
            "code": self.finding.code,
            "level": self.level,
            "message": self.finding.message,
            "origin": self.origin,
            "reference": reference,
            "documentationUrl": findings.documentation(self.finding.code),
        }
        return {**told, "request": list(self.request)} if self.request else told


def origin_of(kind: str, namespace: str, name: str) -> str:
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def analysed(lists: Lists, namespace: str = "") -> tuple[Message, ...]:
    """`namespace` "" is all. References are looked up everywhere in any case."""
    made = kubernetes.made(lists)
    found = dict.fromkeys(kubernetes.as_written(made, source, finding) for source, finding in _all(lists))
    told = [
        Message(source.kind, source.namespace, source.name, finding)
        for source, finding in found
        if namespace in ("", source.namespace)
    ]
    return ordered(told)


def ordered(found: Iterable[Message]) -> tuple[Message, ...]:
    return tuple(sorted(found, key=lambda each: (_ORDER[each.finding.level], each.finding.code, each.origin)))


def _all(lists: Lists) -> Iterator[tuple[Source, Finding]]:
    inputs = inputs_of(lists)
    schema = list(_schema(lists))
    invalid = {source for source, finding in schema if finding.level == "ERROR"}
    for source, own in plan(inputs, Memo()).findings.items():
        for finding in own:
            if finding.code != "IST0106" or source not in invalid:  # the same once more, without the field
                yield source._replace(generation=0), finding
    for source, finding in (
        *schema,
        *routes.routes(inputs),
        *doors.gateways(inputs),
        *doors.filters(inputs),
        *workloads.services(inputs),
        *workloads.deployments(inputs, lists.get(DEPLOYMENT, ())),
        *workloads.sidecars(inputs),
        *kubernetes.gateways(lists),
        *_mesh_config(lists),
    ):
        yield source._replace(generation=0), finding


def _mesh_config(lists: Lists) -> Iterator[tuple[Source, Finding]]:
    """Everything else is judged by what holds without it."""
    for obj in lists.get(CONFIG_MAP, ()):
        fault = meshconfig.read(obj, MeshConfig()).fault if key_of(obj) == meshconfig.KEY else ""
        if fault:
            yield Source(CONFIG_MAP.kind, *key_of(obj), generation_of(obj)), findings.invalid(fault)


def _schema(lists: Lists) -> Iterator[tuple[Source, Finding]]:
    for kind, items in lists.items():
        for obj in items:
            report = judge({**obj, "apiVersion": kind.api_version, "kind": kind.kind}, reach=False)
            source = Source(kind.kind, *key_of(obj), generation_of(obj))
            yield from ((source, findings.invalid(error)) for error in report.errors)
            yield from ((source, findings.doubtful(warning)) for warning in report.warnings)
