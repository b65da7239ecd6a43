"""Asks the mesh who was seen to serve the chain.

Shell. In: a client, the chain. Out: `Sightings`, None where the mesh keeps no ledger or we may not ask: a view of the
chain is worth having without.
"""

from __future__ import annotations

from graylane.chain.seen import view_from_json
from graylane.chain.sightings import Sightings, sightings
from graylane.chain.view import ChainView
from graylane.client import ApiClient
from graylane.errors import ApiError
from graylane.kit import istiod

_SECONDS = 60


async def seen_by_proxies(client: ApiClient, view: ChainView) -> Sightings | None:
    """Of the last minute."""
    try:
        answers = await istiod.ask(client, "/debug/ledger", {"seconds": str(_SECONDS)})
    except ApiError:
        return None
    told = next((answer.value for answer in answers if isinstance(answer.value, dict)), None)
    return sightings(view, view_from_json(told)) if told else None
