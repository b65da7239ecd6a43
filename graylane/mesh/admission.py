"""What this mesh has to say of an object before it is stored: errors beyond its shape, and what it would not act on.

Pure. In: an object as written, whose shape is valid. Out: a `Report` with sentences that its status would have as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.chain.hosts import DOMAIN
from graylane.chain.validation.checks import Report
from graylane.mesh import read
from graylane.mesh.compile.refusals import refusals
from graylane.mesh.filters.patches import decode
from graylane.mesh.findings import Finding, unsupported
from graylane.mesh.store import READERS
from graylane.model.meta import Obj, key_of

_READERS = {kind.kind: reader for kind, reader in READERS.items()}


def judge(obj: Obj) -> Report:
    """An EnvoyFilter's values are read as the messages they patch, as istiod does."""
    report = Report(warnings=list(_not_acted_on(obj)))
    if obj.get("kind") == "EnvoyFilter":
        for found in decode(read.envoy_filter(obj))[1]:
            (report.errors if found.code == "IST0106" else report.warnings).append(_plainly(found))
    return report


def _not_acted_on(obj: Obj) -> Iterator[str]:
    """With the object's name: of many that are applied at once, a client prints the warnings of all."""
    kind = str(obj.get("kind", ""))
    paths = refusals(_READERS[kind](obj, DOMAIN)) if kind in _READERS else (f"kind {kind}",)
    yield from (f"{kind} {key_of(obj)}: {unsupported(path).message}" for path in paths)


def _plainly(found: Finding) -> str:
    return found.message.removeprefix("Schema validation error: ").removeprefix("Schema validation warning: ")
