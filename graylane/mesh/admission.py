"""What this mesh has to say of an object before it is stored: errors beyond its shape, and what it would not act on.

Pure. In: an object as written, whose shape is valid. Out: a `Report` with sentences that its status would have as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.chain.hosts import DOMAIN
from graylane.chain.validation.checks import Report
from graylane.mesh import read
from graylane.mesh.compile.refusals import refusals, reservations
from graylane.mesh.filters.patches import decode
from graylane.mesh.findings import Finding, unsupported
from graylane.mesh.store import READERS
from graylane.model.meta import Obj, key_of

_READERS = {kind.kind: reader for kind, reader in READERS.items()}


def judge(obj: Obj) -> Report:
    """An EnvoyFilter's values are read as the messages they patch, as istiod does."""
    kind = str(obj.get("kind", ""))
    found = list(_not_acted_on(obj, kind))
    if kind == "EnvoyFilter":
        found += decode(read.envoy_filter(obj))[1]
    errors = [_plainly(each) for each in found if each.code == "IST0106"]
    # With the object's name: of many that are applied at once, a client prints the warnings of all.
    told = [f"{kind} {key_of(obj)}: {_plainly(each)}" for each in found if each.code != "IST0106"]
    return Report(errors=errors, warnings=told)


def _not_acted_on(obj: Obj, kind: str) -> Iterator[Finding]:
    config = _READERS[kind](obj, DOMAIN) if kind in _READERS else None
    yield from map(unsupported, refusals(config) if config else (f"kind {kind}",))
    yield from reservations(config) if config else ()


def _plainly(found: Finding) -> str:
    return found.message.removeprefix("Schema validation error: ").removeprefix("Schema validation warning: ")
