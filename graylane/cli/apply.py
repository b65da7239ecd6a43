"""Creates or updates objects as `kubectl apply` does, so that both can be used on the same objects.

Shell, around pure patches. In: a client and manifests. Out: one line per object: created, configured or unchanged.
What the last apply set and this one leaves out is removed; what others set stays (three-way merge by the annotation
that kubectl keeps too). Unknown fields are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson

from graylane.cli.manifests import Manifest
from graylane.client import ApiClient
from graylane.errors import AlreadyExists, ApiError, NotFound, UserError
from graylane.model.kinds import Kind
from graylane.model.managers import APPLY
from graylane.model.meta import Obj, annotations_of, name_of, namespace_of, rv_of
from graylane.model.patches import PatchType, merge_patch

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_PARAMS = {"fieldManager": APPLY, "fieldValidation": "Strict"}
_BUILT_IN = ("", "apps", "batch", "discovery.k8s.io", "coordination.k8s.io", "admissionregistration.k8s.io")


class Applier:
    """Applies manifests to one server; asks it once for each group what kinds it serves."""

    def __init__(self, client: ApiClient, namespace: str, *, dry_run: bool = False) -> None:
        """`answers` holds what the server made of each manifest; with `dry_run` it stored nothing."""
        self.answers: list[tuple[Kind, Obj]] = []
        self._client = client
        self._namespace = namespace
        self._params = _PARAMS | ({"dryRun": "All"} if dry_run else {})
        self._served: dict[str, dict[str, Kind]] = {}

    async def apply(self, manifests: list[Manifest], tell: Callable[[str], None]) -> None:
        """Every manifest in order; stops at the first that is refused, naming its file."""
        for manifest in manifests:
            try:
                kind = await self._kind(manifest)
                verdict = await self._apply(kind, self._placed(kind, manifest.object))
            except ApiError as error:
                raise type(error)(f"{manifest.place}: {error.message}", details=error.details) from error
            tell(f"{_label(kind)}/{name_of(manifest.object)} {verdict}")

    def _placed(self, kind: Kind, obj: Obj) -> Obj:
        if not kind.namespaced or namespace_of(obj):
            return obj
        return obj | {"metadata": {**obj["metadata"], "namespace": self._namespace}}

    async def _kind(self, manifest: Manifest) -> Kind:
        version, name = manifest.object["apiVersion"], manifest.object["kind"]
        if name not in (kinds := await self._kinds(version)):
            self._served.pop(version)  # a CRD in the same folder may just have added it
            kinds = await self._kinds(version)
        if name not in kinds:
            raise UserError(f"{manifest.place}: the server has no kind {name} in {version}; check apiVersion and kind")
        return kinds[name]

    async def _kinds(self, api_version: str) -> dict[str, Kind]:
        if api_version not in self._served:
            self._served[api_version] = await self._discover(api_version)
        return self._served[api_version]

    async def _discover(self, api_version: str) -> dict[str, Kind]:
        group, _, version = api_version.rpartition("/")
        path = f"/apis/{api_version}" if group else f"/api/{api_version}"
        try:
            listed = orjson.loads(await self._client.request("GET", path))
        except NotFound:
            return {}
        return {
            item["kind"]: Kind(group, version, item["kind"], item["name"], bool(item["namespaced"]))
            for item in listed.get("resources", [])
            if "/" not in item["name"]
        }

    async def _apply(self, kind: Kind, obj: Obj) -> str:
        try:
            live = await self._client.get(kind, name_of(obj), namespace_of(obj))
        except NotFound:
            try:
                return await self._create(kind, obj)
            except AlreadyExists:  # somebody was faster between our two calls
                live = await self._client.get(kind, name_of(obj), namespace_of(obj))
        kind_of_patch = PatchType.STRATEGIC if kind.group in _BUILT_IN else PatchType.MERGE
        answer = await self._client.request(
            "PATCH",
            kind.path(namespace_of(obj), name_of(obj)),
            body=orjson.dumps(patch_for(live, obj)),
            content_type=kind_of_patch.value,
            params=self._params,
        )
        self.answers.append((kind, orjson.loads(answer)))
        return "unchanged" if rv_of(orjson.loads(answer)) == rv_of(live) else "configured"

    async def _create(self, kind: Kind, obj: Obj) -> str:
        body = orjson.dumps(annotated(obj))
        answer = await self._client.request("POST", kind.path(namespace_of(obj)), body=body, params=self._params)
        self.answers.append((kind, orjson.loads(answer)))
        return "created"


def _label(kind: Kind) -> str:
    return f"{kind.kind.lower()}.{kind.group}" if kind.group else kind.kind.lower()


def annotated(obj: Obj) -> Obj:
    """Pure: the object with the record of what was applied, in the form kubectl writes it."""
    bare = merge_patch(obj, {"metadata": {"annotations": {LAST_APPLIED: None}}})
    record = json.dumps(bare, separators=(",", ":"), sort_keys=True, ensure_ascii=False) + "\n"
    return merge_patch(obj, {"metadata": {"annotations": {LAST_APPLIED: record}}})  # type: ignore[no-any-return]


def patch_for(live: Obj, wanted: Obj) -> Obj:
    """Pure: a merge patch from what lives to what is wanted; only what an earlier apply set is ever removed."""
    try:
        before = json.loads(annotations_of(live).get(LAST_APPLIED, "{}"))
    except ValueError:
        before = {}
    return lay_over(_removed(before, wanted), annotated(wanted))


def _removed(before: Any, wanted: Any) -> Obj:
    """`{field: None}` for every field that was applied before and is not wanted any more."""
    if not isinstance(before, dict) or not isinstance(wanted, dict):
        return {}
    gone: Obj = {name: None for name in before if name not in wanted}
    inner = {name: _removed(value, wanted[name]) for name, value in before.items() if name in wanted}
    return gone | {name: value for name, value in inner.items() if value}


def lay_over(target: Obj, addition: Obj) -> Obj:
    """Pure: lays `addition` over `target`; both are patches, so a null is an instruction and stays."""
    result = dict(target)
    for name, value in addition.items():
        below = result.get(name)
        both = isinstance(below, dict) and isinstance(value, dict)
        result[name] = lay_over(below, value) if both else value  # type: ignore[arg-type]
    return result
