"""What may be referred to across namespaces.

Pure. In: a `View`, who refers, to what. Out: whether a ReferenceGrant next to the target lets it.
"""

from __future__ import annotations

from dataclasses import dataclass

from graylane.kit.cache import View
from graylane.model.kinds import REFERENCE_GRANT, Kind
from graylane.model.meta import Key, Obj, dig


@dataclass(frozen=True, slots=True)
class Problem:
    """A condition's reason, in the Gateway API's words, and a sentence."""

    reason: str
    message: str


def may_refer(view: View, kind: Kind, namespace: str, to: Kind, target: Key) -> bool:
    """Within a namespace always; from another one where a grant beside the target names both sides."""
    if namespace == target.namespace:
        return True
    asks = {"group": kind.group, "kind": kind.kind, "namespace": namespace}
    for grant in view.list(REFERENCE_GRANT, target.namespace):
        sources, targets = dig(grant, "spec", "from", default=[]), dig(grant, "spec", "to", default=[])
        from_here = any(all(source.get(name) == value for name, value in asks.items()) for source in sources)
        if from_here and any(_covers(each, to, target.name) for each in targets):
            return True
    return False


def _covers(granted: Obj, kind: Kind, name: str) -> bool:
    same = (granted.get("group") or "", granted.get("kind")) == (kind.group, kind.kind)
    return same and granted.get("name") in (None, "", name)
