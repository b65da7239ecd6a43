"""Finds a Rollout by its name, and tells what there is when nobody is called so.

Shell. In: a client, a name, a namespace. Out: the Rollout, or `NotFound` with the names like it.
"""

from __future__ import annotations

from collections.abc import Iterable

from graylane.chain.likeness import meant
from graylane.client import ApiClient
from graylane.errors import NotFound
from graylane.model.kinds import ROLLOUT
from graylane.model.meta import Obj, name_of


async def rollout_named(client: ApiClient, name: str, namespace: str) -> Obj:
    try:
        return await client.get(ROLLOUT, name, namespace)
    except NotFound:
        known = (await client.list(ROLLOUT, namespace)).items  # where Rollouts are not served at all, this says so
        raise no_rollout(name, namespace, map(name_of, known)) from None


def no_rollout(name: str, namespace: str, known: Iterable[str]) -> NotFound:
    told = f'rollouts.rollouts.kruise.io "{name}" not found in namespace {namespace}'
    return NotFound(told + (meant(name, known) or "; there is none: another namespace is chosen with -n NAME"))
