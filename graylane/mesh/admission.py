"""What this mesh has to say of an object before it is stored: errors beyond its shape, and what it would not act on.

Pure. In: an object as written, whose shape is valid. Out: a `Report` with sentences that its status would have as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.chain.validation.checks import Report
from graylane.mesh import read
from graylane.mesh.fields import SHAPES
from graylane.mesh.filters.patches import decode
from graylane.mesh.findings import Finding, unknown_fields, unsupported
from graylane.model.meta import Obj


def judge(obj: Obj) -> Report:
    """An EnvoyFilter's values are read as the messages they patch, as istiod does."""
    report = Report(warnings=[each.message for each in _not_acted_on(obj)])
    if obj.get("kind") == "EnvoyFilter":
        for found in decode(read.envoy_filter(obj))[1]:
            (report.errors if found.code == "IST0106" else report.warnings).append(_plainly(found))
    return report


def _not_acted_on(obj: Obj) -> Iterator[Finding]:
    kind = str(obj.get("kind", ""))
    if kind not in SHAPES:
        yield unsupported(f"kind {kind}")
        return
    yield from map(unsupported, dict.fromkeys(unknown_fields(obj.get("spec"), SHAPES[kind], "spec")))


def _plainly(found: Finding) -> str:
    return found.message.removeprefix("Schema validation error: ").removeprefix("Schema validation warning: ")
