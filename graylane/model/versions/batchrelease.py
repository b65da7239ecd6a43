"""BatchRelease `v1alpha1` (stored, written by us) ↔ `v1beta1`: where the workload stands, and how the style is said.

Pure. In: a wire object. Out: the same BatchRelease in the other version, with nothing lost: the fields of the release
plan are the same in both here, and OpenKruise's v1alpha1 annotation for the style becomes the field only where the
field is absent.
"""

from __future__ import annotations

from graylane.errors import Invalid
from graylane.model.meta import Obj, annotations_of
from graylane.model.rollout import GROUP, ROLLING_STYLE

V1ALPHA1, V1BETA1 = f"{GROUP}/v1alpha1", f"{GROUP}/v1beta1"
_STYLE_FIELDS = frozenset({"enableExtraWorkloadForCanary", "rollingStyle"})


def convert(obj: Obj, api_version: str) -> Obj:
    """`obj` in another served version. Raises `Invalid` for versions there are none of."""
    present = str(obj.get("apiVersion", ""))
    if present == api_version:
        return obj
    converter = {(V1ALPHA1, V1BETA1): to_v1beta1, (V1BETA1, V1ALPHA1): to_v1alpha1}.get((present, api_version))
    if converter is None:
        raise Invalid(
            f"a BatchRelease of {present!r} cannot be had as {api_version!r}: served are {V1ALPHA1}, {V1BETA1}"
        )
    return converter(obj) if "spec" in obj else obj | {"apiVersion": api_version}


def to_v1beta1(obj: Obj) -> Obj:
    spec = _without(obj.get("spec") or {}, "targetReference")
    target = (obj.get("spec") or {}).get("targetReference") or {}
    if "workloadRef" in target:
        spec = {"workloadRef": target["workloadRef"]} | spec
    style, plan = annotations_of(obj).get(ROLLING_STYLE), spec.get("releasePlan")
    if style and isinstance(plan, dict) and not _STYLE_FIELDS & plan.keys():
        spec["releasePlan"] = plan | {"enableExtraWorkloadForCanary": style.lower() != "partition"}
    return obj | {"apiVersion": V1BETA1, "spec": spec}


def to_v1alpha1(obj: Obj) -> Obj:
    spec = _without(obj.get("spec") or {}, "workloadRef")
    if "workloadRef" in (obj.get("spec") or {}):
        spec = {"targetReference": {"workloadRef": obj["spec"]["workloadRef"]}} | spec
    return obj | {"apiVersion": V1ALPHA1, "spec": spec}


def _without(spec: Obj, name: str) -> Obj:
    return {field: value for field, value in spec.items() if field != name}
