"""What EnvoyFilters want in Envoy's bootstrap, which it reads when it starts and never again.

Shell around a merge. In: an API server, asked right before each start; what Envoy was started with. Out: amendments of
the bootstrap, in Istio's order. One Envoy is all proxies here, so one that any proxy would have, it has.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from envoy.config.bootstrap.v3 import bootstrap_pb2
from google.protobuf import json_format

from graylane.client import ApiClient
from graylane.errors import GraylaneError
from graylane.mesh import read
from graylane.mesh.filters.merge import merge
from graylane.mesh.filters.patches import Patch, bootstraps
from graylane.mesh.filters.types import parse
from graylane.mesh.inputs import Source
from graylane.model.kinds import ENVOY_FILTER

_LOG = logging.getLogger(__name__)
_PATIENCE_SECONDS = 5
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Amendment:
    owner: Source
    patches: tuple[Patch, ...]

    def apply(self, document: Document) -> Document:
        message = bootstrap_pb2.Bootstrap()
        parse(document, message, "bootstrap")
        for patch in self.patches:
            merge(message, patch.value)
        return json_format.MessageToDict(message, preserving_proto_field_name=True)


Started = Callable[[Mapping[Source, str]], None]


class BootstrapOffer:
    """`started` hears what Envoy runs with: for each state of an EnvoyFilter why it is left out, "" if it is not."""

    def __init__(
        self, client: ApiClient, root_namespace: Callable[[], str], started: Callable[[Mapping[Source, str]], None]
    ) -> None:
        self._client = client
        self._root = root_namespace
        self._started = started

    async def amendments(self) -> Sequence[Amendment]:
        """An API that does not answer must not keep Envoy from starting."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                found = (await self._client.list(ENVOY_FILTER)).items
        except (GraylaneError, TimeoutError) as error:
            _LOG.warning("Envoy starts without what EnvoyFilters want in its bootstrap: error=%s", error)
            return ()
        filters = [read.envoy_filter(obj) for obj in found]
        return [Amendment(owner.source, patches) for owner, patches in bootstraps(filters, self._root())]

    def told(self, taken: Iterable[Hashable], refused: Mapping[Hashable, str]) -> None:
        known = {**dict.fromkeys(taken, ""), **refused}
        self._started({source: why for source, why in known.items() if isinstance(source, Source)})
