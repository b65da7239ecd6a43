"""Which kinds are served at this moment: the built-in table plus the CustomResourceDefinitions that are established.

Pure in what it answers, changed only by `define` and `forget`, which the CRD listener calls at commit time; so the
client that created a CRD can use it as soon as it has its answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from graylane.cluster.apiserver.resources import BUILT_IN, MEASURED, Acts, Resource
from graylane.model.meta import Obj, dig


@dataclass(frozen=True, slots=True)
class CustomVersion:
    """What a CRD says about one served version, besides its names."""

    crd: str
    schema: Obj
    columns: tuple[Obj, ...] | None
    status: bool
    scale: Obj | None
    deprecation: str = ""
    selectable: frozenset[str] = frozenset()
    conversion: Obj | None = None  # the webhook that turns one version into another


@dataclass(slots=True)
class Registry:
    """Served resources by (group, version, plural). `changes` counts up whenever the set of kinds changes."""

    changes: int = 0
    _served: dict[tuple[str, str, str], Resource] = field(default_factory=dict)
    _custom: dict[tuple[str, str, str], CustomVersion] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for resource in (*BUILT_IN, *MEASURED):
            self._served[resource.group, resource.version, resource.plural] = resource

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._served.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        return next((r for r in self._served.values() if r.kind == kind and r.api_version == api_version), None)

    def by_store(self, store: str) -> Resource | None:
        """Any served version of a stored family, the storage version first."""
        versions = [r for r in self._served.values() if r.store == store]
        versions.sort(key=lambda r: r.api_version != r.stored_api_version)
        return versions[0] if versions else None

    def custom(self, resource: Resource) -> CustomVersion | None:
        return self._custom.get((resource.group, resource.version, resource.plural))

    def all(self) -> Iterator[Resource]:
        return iter(self._served.values())

    def described(self) -> Iterator[Resource]:
        """Those that a schema is told of."""
        return (resource for resource in self._served.values() if not resource.measured)

    def groups(self) -> dict[str, list[str]]:
        """Groups in the order first seen, the core group first; each with its versions, the preferred one first."""
        groups: dict[str, list[str]] = {}
        for resource in self._served.values():
            versions = groups.setdefault(resource.group, [])
            if resource.version not in versions:
                versions.append(resource.version)
        return {group: sorted(versions, key=version_order) for group, versions in groups.items()}

    def define(self, crd: Obj) -> None:
        """Serve every served version of `crd`, replacing what an earlier state of it said."""
        self.forget(crd, count=False)
        for resource, custom in _versions(crd):
            key = (resource.group, resource.version, resource.plural)
            self._served[key] = resource
            self._custom[key] = custom
        self.changes += 1

    def forget(self, crd: Obj, count: bool = True) -> None:
        name = crd["metadata"]["name"]
        for key in [key for key, custom in self._custom.items() if custom.crd == name]:
            del self._custom[key], self._served[key]
        self.changes += count


def version_order(version: str) -> tuple[int, int, int, str]:
    """Kubernetes' priority: v2 before v1 before v1beta2 before v1alpha1 before anything else."""
    text = version[1:]
    for rank, mark in enumerate(("", "beta", "alpha")):
        major, _, minor = text.partition(mark) if mark else (text, "", "0")
        if version.startswith("v") and major.isdigit() and minor.isdigit():
            return (rank, -int(major), -int(minor), "")
    return (3, 0, 0, version)


def _versions(crd: Obj) -> Iterable[tuple[Resource, CustomVersion]]:
    spec, names = crd["spec"], crd["spec"]["names"]
    storage = next((v["name"] for v in spec["versions"] if v.get("storage")), spec["versions"][0]["name"])
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        subresources: dict[str, Any] = version.get("subresources") or {}
        resource = Resource(
            group=spec["group"],
            version=version["name"],
            kind=names["kind"],
            plural=names["plural"],
            namespaced=spec["scope"] == "Namespaced",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources=tuple(name for name in ("scale", "status") if subresources.get(name) is not None),
            acts=Acts.YES,
            generation=True,
            custom=True,
            storage_version=storage,
            singular=names.get("singular") or names["kind"].lower(),
            list_kind=names.get("listKind") or "",
        )
        columns = version.get("additionalPrinterColumns")
        yield (
            resource,
            CustomVersion(
                crd=crd["metadata"]["name"],
                schema=dig(version, "schema", "openAPIV3Schema", default={}),
                columns=tuple(columns) if columns else None,
                status=subresources.get("status") is not None,
                scale=subresources.get("scale"),
                deprecation=_deprecation(spec["group"], version, names["kind"]),
                conversion=_webhook(spec),
                selectable=frozenset(field["jsonPath"].lstrip(".") for field in version.get("selectableFields") or ()),
            ),
        )


def _webhook(spec: Obj) -> Obj | None:
    return dig(spec, "conversion", "webhook") if dig(spec, "conversion", "strategy") == "Webhook" else None


def _deprecation(group: str, version: Obj, kind: str) -> str:
    if not version.get("deprecated"):
        return ""
    return version.get("deprecationWarning") or f"{group}/{version['name']} {kind} is deprecated"
