"""One look at the chain: what the API tells, beside what the mesh tells of its proxies.

Shell. In: a client, the chain, now. Out: `Picture`. Where the mesh keeps no ledger, or we may not ask, the rest of the
picture is worth having without.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from graylane.chain.picture import Picture, Proxies, picture, proxies_of, window
from graylane.chain.seen import NO_LEDGER, view_from_json
from graylane.chain.view import ChainView
from graylane.client import ApiClient
from graylane.errors import ApiError
from graylane.kit import istiod


async def look(client: ApiClient, view: ChainView, now: datetime) -> Picture:
    back = window(view, now)
    ledger, syncz = await asyncio.gather(
        _ask(client, "/debug/ledger", {"seconds": f"{back.seconds:g}"}), _ask(client, "/debug/syncz", {})
    )
    told = next((answer for answer in ledger if isinstance(answer, dict)), None)
    kept = told != NO_LEDGER
    seen = view_from_json(told) if told and kept else None
    return picture(view, seen, _proxies(syncz), settled=back.settled, kept=kept)


async def _ask(client: ApiClient, path: str, params: dict[str, str]) -> list[Any]:
    try:
        answers = await istiod.ask(client, path, params)
    except ApiError:
        return []
    return [answer.value for answer in answers if answer.value is not None]


def _proxies(answers: list[Any]) -> Proxies | None:
    """Each replica of istiod knows those that are connected to it."""
    lists = [answer for answer in answers if isinstance(answer, list)]
    return proxies_of(entry for each in lists for entry in each if isinstance(entry, dict)) if lists else None
