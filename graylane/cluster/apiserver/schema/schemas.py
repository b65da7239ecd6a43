"""The schemas of the built-in kinds, by group, version and kind.

Pure. In: group, version, kind. Out: a `Structural`, or None when the kind is not built in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from graylane.cluster.apiserver.schema.components import Components
from graylane.cluster.apiserver.schema.structural import Structural


@dataclass(frozen=True, slots=True)
class Schemas:
    """All built-in kinds. `load()` takes about 10 ms once; each kind is compiled when first asked for."""

    components: Components

    @staticmethod
    @cache
    def load() -> Schemas:
        return Schemas(Components.load())

    def of(self, group: str, version: str, kind: str) -> Structural | None:
        name = self.components.kinds.get((group, version, kind))
        if name is None:
            return None
        root = self.components.node(name)
        return Structural(root=root, decoded=root, custom=False)
