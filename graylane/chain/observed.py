"""Everything a view of the chain may read, as one frozen value.

Pure. In: lists of objects by kind. Out: `Observed`, with look-ups by key, owner and selector; what is not in it cannot
influence a prediction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graylane.model.kinds import (
    DEPLOYMENT,
    DESTINATION_RULE,
    ENDPOINT_SLICE,
    GATEWAY,
    POD,
    REPLICA_SET,
    ROLLOUT,
    SERVICE,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
    Kind,
)
from graylane.model.meta import Key, Obj, key_of

KINDS = (
    SERVICE,
    ENDPOINT_SLICE,
    POD,
    DEPLOYMENT,
    REPLICA_SET,
    GATEWAY,
    VIRTUAL_SERVICE,
    DESTINATION_RULE,
    ROLLOUT,
    TRAFFIC_ROUTING,
)


@dataclass(frozen=True, slots=True)
class Observed:
    """Objects by kind and key. Kinds that the server does not serve are simply empty."""

    objects: Mapping[Kind, Mapping[Key, Obj]]

    @staticmethod
    def of(lists: Mapping[Kind, Iterable[Obj]]) -> Observed:
        return Observed({kind: {key_of(item): item for item in items} for kind, items in lists.items()})

    def get(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        return self.objects.get(kind, {}).get(Key(namespace, name))

    def all(self, kind: Kind, namespace: str | None = None) -> list[Obj]:
        """Every object of `kind` (in `namespace`, when given), in order of key, so that views are stable."""
        found = sorted(self.objects.get(kind, {}).items())
        return [item for key, item in found if namespace is None or key.namespace == namespace]
