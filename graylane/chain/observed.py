"""Everything a view of the chain may read.

Pure. In: lists of objects by kind. Out: the kit's `View`; what is not in it cannot influence a prediction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graylane.kit.cache import Cache, View
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
from graylane.model.meta import Obj

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


def observed(lists: Mapping[Kind, Iterable[Obj]]) -> View:
    """A view of some lists, as one reading of the API gave them; kinds that are not served are empty."""
    caches = {kind: Cache() for kind in KINDS}
    for kind, items in lists.items():
        caches[kind].replace_all(items)
    return View(caches)
