"""The schemas of the built-in kinds, by group, version and kind.

Pure. In: group, version, kind. Out: a `Structural`, or None when the kind is not built in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from graylane.cluster.apiserver.schema.components import Components, Gvk
from graylane.cluster.apiserver.schema.structural import Structural


@dataclass(frozen=True, slots=True)
class Schemas:
    """All built-in kinds. `load()` takes about 10 ms once; each kind is compiled when first asked for."""

    components: Components
    _known: dict[Gvk, Structural] = field(default_factory=dict)

    @staticmethod
    @cache
    def load() -> Schemas:
        return Schemas(Components.load())

    def of(self, group: str, version: str, kind: str) -> Structural | None:
        gvk = (group, version, kind)
        if gvk not in self._known and gvk in self.components.kinds:
            root = self.components.node(self.components.kinds[gvk])
            self._known[gvk] = Structural(root=root, decoded=root, custom=False)
        return self._known.get(gvk)
